/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "counts.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static const char *const SOURCE_NAMES[NK_SOURCES] = {
    [NK_OWN] = "own",           [NK_L3] = "l3",           [NK_DOMAIN] = "domain",        [NK_NODE] = "node",
    [NK_FAR_CACHE] = "farCache", [NK_MEMORY] = "memory", [NK_FAR_MEMORY] = "farMemory",
};

int nk_book_init(struct nk_book *book, uint64_t lines)
{
    memset(book, 0, sizeof *book);
    book->lines = lines;
    book->range_count = 1;
    book->range_of = calloc(lines, sizeof *book->range_of);
    return book->range_of == NULL ? -ENOMEM : 0;
}

static void copy_name(char *to, const char *name)
{
    snprintf(to, NK_NAME_BYTES, "%s", name);
}

static int begin(struct nk_book *book, const char *name, bool whole)
{
    struct nk_section *section = NULL;

    if (book->depth == NK_MAX_DEPTH)
        return -ENOSPC;
    for (unsigned index = 0; index < book->section_count && section == NULL; index++)
        if (book->sections[index].whole == whole &&
            strncmp(book->sections[index].name, name, NK_NAME_BYTES - 1) == 0)
            section = &book->sections[index];
    if (section == NULL) {
        if (book->section_count == NK_MAX_SECTIONS)
            return -ENOSPC;
        section = &book->sections[book->section_count];
        section->rows = calloc(NK_MAX_RANGES, sizeof *section->rows);
        if (section->rows == NULL)
            return -ENOMEM;
        copy_name(section->name, name);
        section->whole = whole;
        book->section_count++;
    }
    section->times++;
    book->open[book->depth++] = section;
    return 0;
}

int nk_book_begin(struct nk_book *book, const char *name)
{
    return begin(book, name, false);
}

int nk_book_begin_whole(struct nk_book *book, const char *name)
{
    return book->depth > 0 ? -EINVAL : begin(book, name, true);
}

int nk_book_end(struct nk_book *book)
{
    if (book->depth == 0 || book->open[book->depth - 1]->whole)
        return -EINVAL;
    book->depth--;
    return 0;
}

void nk_book_end_all(struct nk_book *book, bool cut)
{
    unsigned kept = 0;

    for (unsigned index = 0; index < book->depth; index++)
        if (cut || !book->open[index]->whole)
            book->open[kept++] = book->open[index];
    book->left_open = kept;
    book->depth = 0;
}

struct nk_section *nk_book_section(const struct nk_book *book)
{
    return book->depth == 0 ? NULL : book->open[book->depth - 1];
}

/* Takes all lines of a range away from it: what was of it may have moved, or be somebody else's. */
static void forget(struct nk_book *book, unsigned range)
{
    book->range_named[range] = book->range_distinct[range] = 0;
    for (uint64_t line = 0; line < book->lines && book->range_lines[range] > 0; line++)
        if (atomic_load_explicit(&book->range_of[line], memory_order_relaxed) == range)
            nk_book_add(book, 0, line);
}

int nk_book_range(struct nk_book *book, const char *name)
{
    for (unsigned range = 1; range < book->range_count; range++)
        if (strncmp(book->ranges[range], name, NK_NAME_BYTES - 1) == 0) {
            forget(book, range);
            return (int)range;
        }
    if (book->range_count == NK_MAX_RANGES)
        return -ENOSPC;
    copy_name(book->ranges[book->range_count], name);
    return (int)book->range_count++;
}

void nk_book_name(struct nk_book *book, unsigned range, uint64_t line)
{
    book->range_named[range]++;
    book->range_distinct[range] += atomic_load_explicit(&book->range_of[line], memory_order_relaxed) != range;
    nk_book_add(book, range, line);
}

void nk_book_add(struct nk_book *book, unsigned range, uint64_t line)
{
    unsigned before = atomic_exchange_explicit(&book->range_of[line], (uint8_t)range, memory_order_relaxed);

    if (before == range)
        return;
    book->range_lines[before]--;
    book->range_lines[range]++;
}

int nk_book_note(struct nk_book *book, const char *text)
{
    if (book->note_count == book->note_room) {
        size_t room = book->note_room == 0 ? 64 : 2 * book->note_room;
        char **notes = realloc(book->notes, room * sizeof *notes);

        if (notes == NULL)
            return -ENOMEM;
        book->notes = notes;
        book->note_room = room;
    }
    char *copy = strdup(text);

    if (copy == NULL)
        return -ENOMEM;
    book->notes[book->note_count++] = copy;
    return 0;
}

void nk_counts_add(struct nk_counts *counts, const struct nk_outcome *outcome, bool store)
{
    counts->loads += !store;
    counts->stores += store;
    counts->sources[outcome->source]++;
    counts->upgrades += outcome->upgrade;
    counts->far_upgrades += outcome->upgrade && outcome->far_invalidations > 0;
    counts->invalidations += outcome->invalidations;
    counts->far_invalidations += outcome->far_invalidations;
}

static void write_text(const char *text, FILE *file)
{
    fputc('"', file);
    for (; *text != '\0'; text++) {
        unsigned char letter = (unsigned char)*text;

        if (letter == '"' || letter == '\\')
            fprintf(file, "\\%c", letter);
        else if (letter < ' ')
            fprintf(file, "\\u%04x", letter);
        else
            fputc(letter, file);
    }
    fputc('"', file);
}

static void write_counts(const struct nk_counts *counts, unsigned cpu, FILE *file)
{
    fprintf(file, "{\"cpu\":%u,\"loads\":%" PRIu64 ",\"stores\":%" PRIu64, cpu, counts->loads, counts->stores);
    for (unsigned source = 0; source < NK_SOURCES; source++)
        fprintf(file, ",\"%s\":%" PRIu64, SOURCE_NAMES[source], counts->sources[source]);
    fprintf(file,
            ",\"upgrades\":%" PRIu64 ",\"farUpgrades\":%" PRIu64 ",\"invalidations\":%" PRIu64
            ",\"farInvalidations\":%" PRIu64 "}",
            counts->upgrades, counts->far_upgrades, counts->invalidations, counts->far_invalidations);
}

static void write_section(const struct nk_book *book, const struct nk_section *section, unsigned cpus, FILE *file)
{
    const char *comma = "";

    fputs("{\"name\":", file);
    write_text(section->name, file);
    fprintf(file, ",\"whole\":%s,\"times\":%" PRIu64 ",\"rows\":[", section->whole ? "true" : "false", section->times);
    for (unsigned range = 0; range < book->range_count; range++) {
        for (unsigned cpu = 0; cpu < cpus; cpu++) {
            const struct nk_counts *counts = &section->rows[range][cpu];

            if (counts->loads + counts->stores == 0)
                continue;
            fprintf(file, "%s\n  {\"range\":", comma);
            write_text(book->ranges[range], file);
            fputs(",\"counts\":", file);
            write_counts(counts, cpu, file);
            fputs("}", file);
            comma = ",";
        }
    }
    fputs("]}", file);
}

void nk_book_write(const struct nk_book *book, unsigned cpus, void (*more)(FILE *file), FILE *file)
{
    fputs("{\"ranges\":[", file);
    for (unsigned range = 1; range < book->range_count; range++) {
        fprintf(file, "%s\n  {\"name\":", range == 1 ? "" : ",");
        write_text(book->ranges[range], file);
        fprintf(file, ",\"lines\":%" PRIu64 ",\"named\":%" PRIu64 ",\"distinct\":%" PRIu64 "}",
                book->range_lines[range], book->range_named[range], book->range_distinct[range]);
    }
    fputs("],\n\"sections\":[", file);
    for (unsigned index = 0; index < book->section_count; index++) {
        fputs(index == 0 ? "\n" : ",\n", file);
        write_section(book, &book->sections[index], cpus, file);
    }
    fputs("],\n\"open\":[", file);
    for (unsigned index = 0; index < book->left_open; index++) {
        fputs(index == 0 ? "" : ",", file);
        write_text(book->open[index]->name, file);
    }
    fputs("],\n\"notes\":[", file);
    for (size_t index = 0; index < book->note_count; index++) {
        fputs(index == 0 ? "\n  " : ",\n  ", file);
        write_text(book->notes[index], file);
    }
    fputs("]", file);
    if (more != NULL)
        more(file);
    fputs("}\n", file);
}
