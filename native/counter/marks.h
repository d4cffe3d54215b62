/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * How a program in the guest talks to the counter: by two loads that nobody else makes.
 *
 * A plugin sees the addresses of a load and no registers. So what is to be said is in the address: the low byte of one in a
 * table of 256 bytes. The loads are known by their displacement.
 *
 *   letter   movzbl 0x4e554d30(%rdi), %eax   adds a byte to the message
 *   word     movzbl 0x4e554d31(%rdi), %eax   ends it: what it is
 *   line     movzbl 0x4e554d32(%rdi), %eax   the line that is loaded is of the range named last
 */
#ifndef NK_MARKS_H
#define NK_MARKS_H

#define NK_MARK_BYTES 7
#define NK_MARK_LETTER 0x30
#define NK_MARK_WORD 0x31
#define NK_MARK_LINE 0x32
/* All but the lowest byte of the displacement, as bytes of the instruction. */
#define NK_MARK_OPCODE 0x0f, 0xb6, 0x87
#define NK_MARK_REST 0x4d, 0x55, 0x4e

enum nk_word {
    NK_WORD_CLEAR, /* drops the message so far */
    NK_WORD_BEGIN, /* begins the section of that name */
    NK_WORD_END,   /* ends the innermost section; when it is the last, writes what was counted */
    NK_WORD_RANGE, /* names the range of the lines that follow */
    NK_WORD_NOTE,  /* a line of text, as it is */
    /* Of what runs a command: */
    NK_WORD_WHOLE, /* begins the section of that name, which no NK_WORD_END ends */
    NK_WORD_DONE,  /* ends all sections, whatever is still open, and writes what was counted */
};

#endif
