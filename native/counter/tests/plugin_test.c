/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The plugin with a QEMU that is made up: two nodes of 1 MiB, and a CPU on each. Each test is a process of its own. */
#include "../../tests/check.h"
#include "../marks.h"
#include "../qemu_plugin.h"

#include <string.h>

#define TEXT_BYTES 65536

int qemu_plugin_install(qemu_plugin_id_t id, const qemu_info_t *info, int argc, char **argv);

struct qemu_plugin_insn {
    unsigned char bytes[NK_MARK_BYTES];
    qemu_plugin_accessed callback;
};

struct qemu_plugin_tb {
    struct qemu_plugin_insn *insn;
};

static qemu_plugin_translated translated;
static qemu_plugin_ended ended;
static uint64_t physical;
static char out[64];
static char text[TEXT_BYTES];

void qemu_plugin_register_vcpu_tb_trans_cb(qemu_plugin_id_t id, qemu_plugin_translated callback)
{
    (void)id;
    translated = callback;
}

void qemu_plugin_register_atexit_cb(qemu_plugin_id_t id, qemu_plugin_ended callback, void *data)
{
    (void)id, (void)data;
    ended = callback;
}

size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *block)
{
    (void)block;
    return 1;
}

struct qemu_plugin_insn *qemu_plugin_tb_get_insn(const struct qemu_plugin_tb *block, size_t index)
{
    (void)index;
    return block->insn;
}

const void *qemu_plugin_insn_data(const struct qemu_plugin_insn *insn)
{
    return insn->bytes;
}

size_t qemu_plugin_insn_size(const struct qemu_plugin_insn *insn)
{
    (void)insn;
    return NK_MARK_BYTES;
}

void qemu_plugin_register_vcpu_mem_cb(struct qemu_plugin_insn *insn, qemu_plugin_accessed callback,
                                      enum qemu_plugin_cb_flags flags, enum qemu_plugin_mem_rw rw, void *data)
{
    (void)flags, (void)rw, (void)data;
    insn->callback = callback;
}

struct qemu_plugin_hwaddr *qemu_plugin_get_hwaddr(qemu_plugin_meminfo_t info, uint64_t address)
{
    (void)info, (void)address;
    return (struct qemu_plugin_hwaddr *)&physical;
}

bool qemu_plugin_hwaddr_is_io(const struct qemu_plugin_hwaddr *address)
{
    (void)address;
    return false;
}

/* As QEMU 7.2 has it: where the node's memory begins counts twice. */
uint64_t qemu_plugin_hwaddr_phys_addr(const struct qemu_plugin_hwaddr *address)
{
    (void)address;
    return physical < MIB ? physical : physical + MIB;
}

bool qemu_plugin_mem_is_store(qemu_plugin_meminfo_t info)
{
    (void)info;
    return false;
}

unsigned qemu_plugin_mem_size_shift(qemu_plugin_meminfo_t info)
{
    (void)info;
    return 3;
}

/* An access of a CPU by an instruction whose displacement ends with `kind`. */
static void run(unsigned cpu, unsigned char kind, uint64_t address)
{
    struct qemu_plugin_insn insn = {.bytes = {NK_MARK_OPCODE, kind, NK_MARK_REST}};
    struct qemu_plugin_tb block = {&insn};

    translated(1, &block);
    insn.callback(cpu, 0, address, NULL);
}

static void say(enum nk_word word, const char *message)
{
    run(0, NK_MARK_WORD, NK_WORD_CLEAR);
    for (; *message != '\0'; message++)
        run(0, NK_MARK_LETTER, (unsigned char)*message);
    run(0, NK_MARK_WORD, word);
}

static void load(unsigned cpu, uint64_t address, uint64_t at)
{
    physical = at;
    run(cpu, 0, address);
}

static void install(void)
{
    char words[][80] = {"cpu=0:0:0", "cpu=1:1:1", "memory=1", "memory=1", "pages=on", "out="};
    char *argv[6];

    for (int word = 0; word < 6; word++)
        argv[word] = words[word];
    strcat(words[5], out);
    CHECK_EQ(qemu_plugin_install(1, NULL, 6, argv), 0);
}

/* Reads what was written into `text`. */
static void read_counts(void)
{
    FILE *file = fopen(out, "r");

    CHECK(file != NULL);
    text[fread(text, 1, sizeof text - 1, file)] = '\0';
    fclose(file);
}

static bool has(const char *part)
{
    return strstr(text, part) != NULL;
}

static void pages(void)
{
    say(NK_WORD_BEGIN, "section");
    load(1, 0x5000, 0);              /* node 0's first page, from node 1 */
    load(1, 0x6000, MIB - 4096);     /* its last one */
    load(0, 0x7000, MIB);            /* node 1's first page, from node 0 */
    load(0, 0x8000, 2 * MIB - 4096); /* its last one */
    load(0, 0x9000, 4096);           /* near */
    say(NK_WORD_END, "");
    read_counts();
    CHECK(has("\"pages\":[[20480,0,[0,1]],\n  [24576,0,[0,1]],\n  [28672,1,[1,0]],\n  [32768,1,[1,0]]]}"));
}

static void note_that_is_cut(void)
{
    char note[300];

    memset(note, 'n', sizeof note - 1);
    note[sizeof note - 1] = '\0';
    say(NK_WORD_NOTE, note);
    say(NK_WORD_BEGIN, "section");
    say(NK_WORD_END, "");
    note[127] = '\0';
    read_counts();
    CHECK(has(note));
    note[127] = 'n';
    note[128] = '\0';
    CHECK(!has(note));
}

static void letter_that_is_cut(void)
{
    char note[132];

    /* The last letter with room begins at byte 126, and has three. */
    memset(note, 'n', 126);
    strcpy(note + 126, "\xe2\x82\xac");
    say(NK_WORD_NOTE, note);
    say(NK_WORD_BEGIN, "section");
    say(NK_WORD_END, "");
    note[126] = '"';
    note[127] = '\0';
    read_counts();
    CHECK(has(note));
}

static void command_that_ends_in_a_section(void)
{
    say(NK_WORD_WHOLE, "command");
    say(NK_WORD_BEGIN, "open \"one\"");
    say(NK_WORD_DONE, "");
    read_counts();
    CHECK(has("\"open\":[\"open \\\"one\\\"\"],"));
    /* It is as it was when QEMU ends. */
    unlink(out);
    ended(1, NULL);
    CHECK_EQ(access(out, F_OK), -1);
}

static void program_that_ends_in_a_section(void)
{
    say(NK_WORD_BEGIN, "section");
    load(1, 0x5000, 0);
    ended(1, NULL);
    read_counts();
    CHECK(has("\"open\":[\"section\"],"));
    CHECK(has("\"farMemory\":1,"));
}

static void nothing_marked(void)
{
    ended(1, NULL);
    CHECK_EQ(access(out, F_OK), -1);
}

static void end_of_the_command(void)
{
    say(NK_WORD_WHOLE, "command");
    say(NK_WORD_BEGIN, "inner");
    say(NK_WORD_END, "");
    say(NK_WORD_END, "");
}

static void end_of_nothing(void)
{
    say(NK_WORD_END, "");
}

static void long_name(void)
{
    char name[129];

    memset(name, 'n', 128);
    name[128] = '\0';
    say(NK_WORD_BEGIN, name);
}

/* QEMU's own end, which is also that of a plugin that ends it. */
static void on_end(void)
{
    ended(1, NULL);
}

/* Runs a part that the plugin ends, and says why. Nothing is written then. */
static void check_refused(void (*part)(void), const char *why)
{
    int streams[2];

    fflush(stdout);
    CHECK_EQ(pipe(streams), 0);
    pid_t child = fork();

    if (child == 0) {
        dup2(streams[1], STDERR_FILENO);
        install();
        atexit(on_end);
        part();
        exit(0);
    }
    close(streams[1]);
    FILE *file = fdopen(streams[0], "r");
    int status;

    text[fread(text, 1, sizeof text - 1, file)] = '\0';
    fclose(file);
    CHECK_EQ(waitpid(child, &status, 0), child);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 1);
    CHECK(has(why));
    CHECK_EQ(access(out, F_OK), -1);
}

/* Runs a part with a plugin that knows nothing yet. */
static void in_a_process(void (*part)(void))
{
    fflush(stdout);
    pid_t child = fork();

    if (child == 0) {
        install();
        part();
        exit(0);
    }
    finish(child);
    unlink(out);
}

static void test_pages_are_of_their_nodes(void)
{
    in_a_process(pages);
}

static void test_a_note_that_is_cut_is_no_matter_of_the_next_name(void)
{
    in_a_process(note_that_is_cut);
}

static void test_a_note_is_cut_before_a_letter(void)
{
    in_a_process(letter_that_is_cut);
}

static void test_open_sections_are_written(void)
{
    in_a_process(command_that_ends_in_a_section);
    in_a_process(program_that_ends_in_a_section);
    in_a_process(nothing_marked);
}

static void test_what_cannot_be_is_refused(void)
{
    check_refused(end_of_the_command, "counter: an end without its begin");
    check_refused(end_of_nothing, "counter: an end without its begin");
    check_refused(long_name, "counter: the name of a section or a range has more than 127 bytes");
}

int main(void)
{
    snprintf(out, sizeof out, "/tmp/plugin_test.%d.json", (int)getpid());
    RUN(test_pages_are_of_their_nodes);
    RUN(test_a_note_that_is_cut_is_no_matter_of_the_next_name);
    RUN(test_a_note_is_cut_before_a_letter);
    RUN(test_open_sections_are_written);
    RUN(test_what_cannot_be_is_refused);
    return 0;
}
