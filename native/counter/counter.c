/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A plugin of QEMU's emulation that counts where loads and stores of programs in the guest find their lines.
 *
 *   -plugin counter.so,cpu=NODE:DOMAIN:CORE,…,memory=MIB,…,private=SETSxWAYS,l3=SETSxWAYS,out=FILE
 *
 * cpu: one for each CPU, in their order. memory: one for each node. Without private and l3 caches have no limit. pages=on
 * also counts, page by page, lines from other nodes.
 *
 * Left out: the kernel's own accesses, which are to addresses from 2^47 on, and devices. Other processes of the guest count
 * like the program; they have no named ranges.
 */
#include "caches.h"
#include "counts.h"
#include "marks.h"
#include "qemu_plugin.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define EXPORT __attribute__((visibility("default")))
#define MAX_NODES 16
#define PAGE_SHIFT 12
#define MESSAGE_BYTES NK_NAME_BYTES
#define FIRST_KERNEL_ADDRESS (UINT64_C(1) << 47)
#define NO_LINE UINT64_MAX

EXPORT int qemu_plugin_version = QEMU_PLUGIN_VERSION;
EXPORT int qemu_plugin_install(qemu_plugin_id_t id, const qemu_info_t *info, int argc, char **argv);

static struct nk_place places[NK_MAX_CPUS];
static unsigned cpus;
/* Where each node's memory begins and ends, in bytes. */
static uint64_t node_starts[MAX_NODES], node_ends[MAX_NODES];
static unsigned nodes;
static struct nk_cache_size private_size, l3_size;
static const char *out = "counts.json";
/* With pages=on: by page of memory and by node, lines that CPUs of other nodes than its own fetched; and where a program had
   the page last. */
static _Atomic uint32_t *page_far;
static _Atomic uint64_t *page_addresses;
static bool counts_pages;

static struct nk_caches caches;
static struct nk_book book;
/* The section that counts, or NULL: what an access looks at first. */
static _Atomic(struct nk_section *) section;

static pthread_mutex_t marking = PTHREAD_MUTEX_INITIALIZER;
static char message[MESSAGE_BYTES];
static size_t message_bytes;
static bool is_cut;
static unsigned range;
static bool has_failed;

static void fail(const char *why)
{
    has_failed = true;
    fprintf(stderr, "counter: %s\n", why);
    exit(1);
}

/* The line of an access and its node; NO_LINE for a device or unknown memory. */
static uint64_t find_line(qemu_plugin_meminfo_t info, uint64_t address, unsigned *node)
{
    struct qemu_plugin_hwaddr *place = qemu_plugin_get_hwaddr(info, address);

    if (place == NULL || qemu_plugin_hwaddr_is_io(place))
        return NO_LINE;
    uint64_t at = qemu_plugin_hwaddr_phys_addr(place);

    for (unsigned index = 0; index < nodes; index++) {
        /* QEMU 7.2 adds where the node's memory begins a second time. */
        uint64_t start = node_starts[index];

        if (at >= 2 * start && at < start + node_ends[index]) {
            *node = index;
            return (at - start) >> NK_LINE_SHIFT;
        }
    }
    return NO_LINE;
}

static void count(unsigned cpu, struct nk_section *now, uint64_t line, unsigned node, uint64_t address, bool store)
{
    struct nk_outcome outcome = nk_caches_access(&caches, &places[cpu], line, node, store);
    unsigned of = atomic_load_explicit(&book.range_of[line], memory_order_relaxed);

    nk_counts_add(&now->rows[of][cpu], &outcome, store);
    if (counts_pages && (outcome.source == NK_FAR_CACHE || outcome.source == NK_FAR_MEMORY)) {
        uint64_t page = line >> (PAGE_SHIFT - NK_LINE_SHIFT);

        atomic_fetch_add_explicit(&page_far[page * nodes + places[cpu].node], 1, memory_order_relaxed);
        atomic_store_explicit(&page_addresses[page], address >> PAGE_SHIFT, memory_order_relaxed);
    }
}

static void on_access(unsigned cpu, qemu_plugin_meminfo_t info, uint64_t address, void *data)
{
    struct nk_section *now = atomic_load_explicit(&section, memory_order_acquire);
    unsigned node = 0;

    (void)data;
    if (now == NULL || address >= FIRST_KERNEL_ADDRESS || cpu >= cpus)
        return;
    uint64_t line = find_line(info, address, &node);

    if (line == NO_LINE)
        return;
    bool store = qemu_plugin_mem_is_store(info);
    uint64_t last = address + (UINT64_C(1) << qemu_plugin_mem_size_shift(info)) - 1;

    count(cpu, now, line, node, address, store);
    /* One that reaches into the next line. The next page may be anywhere: such an access counts once. */
    if (address >> NK_LINE_SHIFT != last >> NK_LINE_SHIFT && address >> PAGE_SHIFT == last >> PAGE_SHIFT)
        count(cpu, now, line + 1, node, last, store);
}

/* One page: [address, node of its memory, [lines by the node that fetched them]]. False: none. */
static bool write_page(uint64_t page, unsigned home, const char *comma, FILE *file)
{
    uint64_t all = 0;

    for (unsigned node = 0; node < nodes; node++)
        all += page_far[page * nodes + node];
    if (all == 0)
        return false;
    fprintf(file, "%s[%" PRIu64 ",%u,", comma, page_addresses[page] << PAGE_SHIFT, home);
    for (unsigned node = 0; node < nodes; node++)
        fprintf(file, "%c%" PRIu32, node == 0 ? '[' : ',', page_far[page * nodes + node]);
    fputs("]]", file);
    return true;
}

/* The pages with lines that came from other nodes. */
static void write_pages(FILE *file)
{
    const char *comma = "";

    fputs(",\n\"pages\":[", file);
    for (unsigned node = 0; counts_pages && node < nodes; node++)
        for (uint64_t page = node_starts[node] >> PAGE_SHIFT; page < node_ends[node] >> PAGE_SHIFT; page++)
            if (write_page(page, node, comma, file))
                comma = ",\n  ";
    fputs("]", file);
}

static void write_counts(void)
{
    FILE *file = fopen(out, "w");

    if (file == NULL)
        fail("cannot write the counts");
    nk_book_write(&book, cpus, write_pages, file);
    if (fclose(file) != 0)
        fail("cannot write the counts");
}

/* Whether a byte goes on with a letter of UTF-8. */
static bool goes_on(uint64_t byte)
{
    return (byte & 0xc0) == 0x80;
}

/* Cuts the message before a byte that has no room, and with it the letter that the byte is of. */
static void cut(uint64_t byte)
{
    is_cut = true;
    if (!goes_on(byte))
        return;
    while (message_bytes > 0 && goes_on((uint8_t)message[message_bytes - 1]))
        message_bytes--;
    if (message_bytes > 0)
        message_bytes--;
}

static void on_letter(unsigned cpu, qemu_plugin_meminfo_t info, uint64_t address, void *data)
{
    (void)cpu, (void)info, (void)data;
    pthread_mutex_lock(&marking);
    if (message_bytes < MESSAGE_BYTES - 1 && !is_cut)
        message[message_bytes++] = (char)(address & 0xff);
    else if (!is_cut)
        cut(address & 0xff);
    message[message_bytes] = '\0';
    pthread_mutex_unlock(&marking);
}

/* What a word that could not be obeyed asked for. */
static const char *why_not(enum nk_word word, int status)
{
    if (status == -ENOMEM)
        return "no memory";
    switch (word) {
    case NK_WORD_BEGIN:
        return book.depth == NK_MAX_DEPTH ? "more than 8 sections within each other" : "more than 256 sections";
    case NK_WORD_RANGE:
        return "more than 255 ranges";
    case NK_WORD_END:
        return "an end without its begin: nk_mark_end without nk_mark_begin";
    case NK_WORD_WHOLE:
        return "a command that is counted cannot count another one";
    default:
        return "a mark that could not be obeyed";
    }
}

static void obey(enum nk_word word)
{
    int status = 0;

    if (word == NK_WORD_BEGIN || word == NK_WORD_WHOLE || word == NK_WORD_RANGE) {
        if (message_bytes == 0)
            fail("a section or a range has no name");
        if (is_cut)
            fail("the name of a section or a range has more than 127 bytes");
    }
    switch (word) {
    case NK_WORD_BEGIN:
        /* A section that is in no other one finds the caches empty. */
        if (book.depth == 0)
            nk_caches_reset(&caches);
        status = nk_book_begin(&book, message);
        break;
    case NK_WORD_WHOLE:
        nk_caches_reset(&caches);
        status = nk_book_begin_whole(&book, message);
        break;
    case NK_WORD_END:
        status = nk_book_end(&book);
        break;
    case NK_WORD_DONE:
        nk_book_end_all(&book, false);
        break;
    case NK_WORD_NOTE:
        status = nk_book_note(&book, message);
        break;
    case NK_WORD_RANGE:
        status = nk_book_range(&book, message);
        range = (unsigned)status;
        break;
    default:
        break;
    }
    if (status < 0)
        fail(why_not(word, status));
    atomic_store(&section, nk_book_section(&book));
    if ((word == NK_WORD_END || word == NK_WORD_DONE) && book.depth == 0)
        write_counts();
    message_bytes = 0;
    is_cut = false;
    message[0] = '\0';
}

static void on_word(unsigned cpu, qemu_plugin_meminfo_t info, uint64_t address, void *data)
{
    (void)cpu, (void)info, (void)data;
    pthread_mutex_lock(&marking);
    obey((enum nk_word)(address & 0xff));
    pthread_mutex_unlock(&marking);
}

static void on_line(unsigned cpu, qemu_plugin_meminfo_t info, uint64_t address, void *data)
{
    unsigned node = 0;
    uint64_t line = find_line(info, address, &node);

    (void)cpu, (void)data;
    if (line == NO_LINE)
        return;
    pthread_mutex_lock(&marking);
    nk_book_name(&book, range, line);
    pthread_mutex_unlock(&marking);
}

/* Writes what there is of sections that have not ended. What went wrong before is no measurement. */
static void on_exit_of_qemu(qemu_plugin_id_t id, void *data)
{
    (void)id, (void)data;
    if (has_failed)
        return;
    pthread_mutex_lock(&marking);
    if (book.depth > 0) {
        atomic_store(&section, NULL);
        nk_book_end_all(&book, true);
        write_counts();
    }
    pthread_mutex_unlock(&marking);
}

/* What is called at an instruction's accesses: a mark has a call of its own. */
static qemu_plugin_accessed callback_for(const struct qemu_plugin_insn *insn)
{
    static const unsigned char opcode[] = {NK_MARK_OPCODE}, rest[] = {NK_MARK_REST};
    const unsigned char *bytes = qemu_plugin_insn_data(insn);

    if (qemu_plugin_insn_size(insn) != NK_MARK_BYTES || memcmp(bytes, opcode, sizeof opcode) != 0 ||
        memcmp(bytes + sizeof opcode + 1, rest, sizeof rest) != 0)
        return on_access;
    switch (bytes[sizeof opcode]) {
    case NK_MARK_LETTER:
        return on_letter;
    case NK_MARK_WORD:
        return on_word;
    case NK_MARK_LINE:
        return on_line;
    default:
        return on_access;
    }
}

static void on_translated(qemu_plugin_id_t id, struct qemu_plugin_tb *block)
{
    size_t insns = qemu_plugin_tb_n_insns(block);

    (void)id;
    for (size_t index = 0; index < insns; index++) {
        struct qemu_plugin_insn *insn = qemu_plugin_tb_get_insn(block, index);

        qemu_plugin_register_vcpu_mem_cb(insn, callback_for(insn), QEMU_PLUGIN_CB_NO_REGS, QEMU_PLUGIN_MEM_RW, NULL);
    }
}

static bool parse_size(const char *text, struct nk_cache_size *size)
{
    int end = 0;

    return sscanf(text, "%ux%u%n", &size->sets, &size->ways, &end) == 2 && text[end] == '\0' && size->sets > 0 &&
           size->ways > 0;
}

/* Whether an option says something that can be. */
static bool parse(const char *name, const char *value)
{
    if (strcmp(name, "cpu") == 0 && cpus < NK_MAX_CPUS) {
        struct nk_place *place = &places[cpus++];
        int end = 0;

        return sscanf(value, "%u:%u:%u%n", &place->node, &place->domain, &place->core, &end) == 3 && value[end] == '\0';
    }
    if (strcmp(name, "memory") == 0 && nodes < MAX_NODES) {
        uint64_t bytes = strtoull(value, NULL, 10) << 20;

        node_starts[nodes] = nodes == 0 ? 0 : node_ends[nodes - 1];
        node_ends[nodes] = node_starts[nodes] + bytes;
        nodes++;
        return bytes > 0;
    }
    if (strcmp(name, "pages") == 0)
        return counts_pages = strcmp(value, "on") == 0;
    if (strcmp(name, "private") == 0)
        return parse_size(value, &private_size);
    if (strcmp(name, "l3") == 0)
        return parse_size(value, &l3_size);
    if (strcmp(name, "out") != 0)
        return false;
    out = strdup(value);
    return true;
}

int qemu_plugin_install(qemu_plugin_id_t id, const qemu_info_t *info, int argc, char **argv)
{
    (void)info;
    for (int index = 0; index < argc; index++) {
        char *value = strchr(argv[index], '=');

        if (value == NULL)
            return -1;
        *value++ = '\0';
        if (!parse(argv[index], value)) {
            fprintf(stderr, "counter: %s=%s cannot be\n", argv[index], value);
            return -1;
        }
    }
    uint64_t lines = nodes == 0 ? 0 : node_ends[nodes - 1] >> NK_LINE_SHIFT;

    if (counts_pages) {
        page_far = calloc((lines >> (PAGE_SHIFT - NK_LINE_SHIFT)) * nodes, sizeof *page_far);
        page_addresses = calloc(lines >> (PAGE_SHIFT - NK_LINE_SHIFT), sizeof *page_addresses);
    }
    if (nk_caches_init(&caches, places, cpus, lines, private_size, l3_size) != 0 || nk_book_init(&book, lines) != 0 ||
        (counts_pages && (page_far == NULL || page_addresses == NULL))) {
        fputs("counter: no memory, or a machine that cannot be\n", stderr);
        return -1;
    }
    qemu_plugin_register_vcpu_tb_trans_cb(id, on_translated);
    qemu_plugin_register_atexit_cb(id, on_exit_of_qemu, NULL);
    return 0;
}
