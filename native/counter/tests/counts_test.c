/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Sections and ranges without QEMU. */
#include "../../tests/check.h"
#include "../counts.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static void write_more(FILE *file)
{
    fputs(",\"more\":1", file);
}

static void test_sections_and_ranges(void)
{
    static struct nk_book book;
    struct nk_outcome hit = {.source = NK_OWN};
    char *text = NULL;
    size_t size = 0;

    CHECK_EQ(nk_book_init(&book, 64), 0);
    CHECK(nk_book_section(&book) == NULL);
    CHECK_EQ(nk_book_end(&book), -EINVAL);
    CHECK_EQ(nk_book_begin(&book, "outer"), 0);
    struct nk_section *outer = nk_book_section(&book);

    CHECK_EQ(nk_book_begin(&book, "in \"quotes\"\\\n"), 0);
    CHECK(nk_book_section(&book) != outer);
    nk_counts_add(&nk_book_section(&book)->rows[1][2], &hit, true);
    CHECK_EQ(nk_book_end(&book), 0);
    CHECK(nk_book_section(&book) == outer);
    CHECK_EQ(nk_book_end(&book), 0);
    CHECK_EQ(nk_book_begin(&book, "outer"), 0);
    CHECK(nk_book_section(&book) == outer);
    for (unsigned depth = 1; depth < NK_MAX_DEPTH; depth++)
        CHECK_EQ(nk_book_begin(&book, "deep"), 0);
    CHECK_EQ(nk_book_begin(&book, "deep"), -ENOSPC);
    CHECK_EQ(nk_book_range(&book, "lock"), 1);
    CHECK_EQ(nk_book_range(&book, "data"), 2);
    CHECK_EQ(nk_book_range(&book, "lock"), 1);
    nk_book_add(&book, 1, 7);
    nk_book_add(&book, 1, 7);
    nk_book_add(&book, 1, 8);
    nk_book_add(&book, 2, 8);
    CHECK_EQ(book.range_lines[1], 1);
    CHECK_EQ(book.range_lines[2], 1);
    FILE *file = open_memstream(&text, &size);

    CHECK_EQ(nk_book_note(&book, "a note"), 0);
    for (int note = 0; note < 100; note++)
        CHECK_EQ(nk_book_note(&book, "another"), 0);
    nk_book_write(&book, 4, write_more, file);
    CHECK_EQ(fclose(file), 0);
    CHECK(strstr(text, "{\"name\":\"lock\",\"lines\":1,\"named\":0,\"distinct\":0}") != NULL);
    CHECK(strstr(text, "{\"name\":\"outer\",\"whole\":false,\"times\":2,\"rows\":[]}") != NULL);
    CHECK(strstr(text, "{\"name\":\"in \\\"quotes\\\"\\\\\\u000a\",\"whole\":false,\"times\":1,\"rows\":[\n"
                       "  {\"range\":\"lock\",\"counts\":{\"cpu\":2,\"loads\":0,\"stores\":1,\"own\":1,") != NULL);
    CHECK(strstr(text, "\"notes\":[\n  \"a note\",\n  \"another\",") != NULL);
    CHECK(strstr(text, "\"another\"],\"more\":1}\n") != NULL);
    free(text);
    for (unsigned range = 3; range < NK_MAX_RANGES; range++) {
        char name[16];

        snprintf(name, sizeof name, "range %u", range);
        CHECK_EQ(nk_book_range(&book, name), (long long)range);
    }
    CHECK_EQ(nk_book_range(&book, "one more"), -ENOSPC);
}

static void test_names_that_begin_alike(void)
{
    static struct nk_book book;

    CHECK_EQ(nk_book_init(&book, 64), 0);
    CHECK_EQ(nk_book_begin(&book, "reads"), 0);
    struct nk_section *reads = nk_book_section(&book);

    CHECK_EQ(nk_book_begin(&book, "read"), 0);
    CHECK(nk_book_section(&book) != reads);
    CHECK_EQ(nk_book_begin(&book, "reads of all"), 0);
    CHECK(nk_book_section(&book) != reads);
    CHECK_EQ(book.section_count, 3);
    CHECK_EQ(nk_book_range(&book, "r 10"), 1);
    CHECK_EQ(nk_book_range(&book, "r 1"), 2);
    CHECK_EQ(nk_book_range(&book, "r 100"), 3);
    CHECK_EQ(nk_book_range(&book, "r 1"), 2);
}

static void test_a_range_that_is_named_again(void)
{
    static struct nk_book book;

    CHECK_EQ(nk_book_init(&book, 64), 0);
    CHECK_EQ(nk_book_range(&book, "moved"), 1);
    CHECK_EQ(nk_book_range(&book, "other"), 2);
    nk_book_add(&book, 2, 0);
    nk_book_add(&book, 1, 7);
    nk_book_add(&book, 2, 8);
    nk_book_add(&book, 1, 63);
    CHECK_EQ(nk_book_range(&book, "moved"), 1);
    /* It has no lines until it gets new ones; those of others stay. */
    CHECK_EQ(book.range_lines[1], 0);
    CHECK_EQ(book.range_of[7], 0);
    CHECK_EQ(book.range_of[63], 0);
    CHECK_EQ(book.range_lines[2], 2);
    CHECK_EQ(book.range_of[0], 2);
    CHECK_EQ(book.range_of[8], 2);
    nk_book_add(&book, 1, 63);
    CHECK_EQ(book.range_lines[1], 1);
    CHECK_EQ(book.range_of[63], 1);
}

/* What is written of a book. */
static char *written(const struct nk_book *book)
{
    char *text = NULL;
    size_t size = 0;
    FILE *file = open_memstream(&text, &size);

    nk_book_write(book, 4, NULL, file);
    CHECK_EQ(fclose(file), 0);
    return text;
}

static void test_a_whole_command(void)
{
    static struct nk_book book;

    CHECK_EQ(nk_book_init(&book, 64), 0);
    CHECK_EQ(nk_book_begin_whole(&book, "bun"), 0);
    struct nk_section *whole = nk_book_section(&book);

    /* What the program calls so is another section, and it cannot end that of the command. */
    CHECK_EQ(nk_book_begin(&book, "bun"), 0);
    CHECK(nk_book_section(&book) != whole);
    CHECK_EQ(nk_book_begin_whole(&book, "bun"), -EINVAL);
    CHECK_EQ(nk_book_end(&book), 0);
    CHECK_EQ(nk_book_end(&book), -EINVAL);
    CHECK(nk_book_section(&book) == whole);
    CHECK_EQ(nk_book_begin(&book, "outer"), 0);
    CHECK_EQ(nk_book_begin(&book, "inner"), 0);
    nk_book_end_all(&book, false);
    CHECK(nk_book_section(&book) == NULL);
    char *text = written(&book);

    CHECK(strstr(text, "{\"name\":\"bun\",\"whole\":true,\"times\":1,") != NULL);
    CHECK(strstr(text, "{\"name\":\"bun\",\"whole\":false,\"times\":1,") != NULL);
    CHECK(strstr(text, "\n\"open\":[\"outer\",\"inner\"],") != NULL);
    free(text);
}

static void test_what_is_cut_off_is_open(void)
{
    static struct nk_book book;

    CHECK_EQ(nk_book_init(&book, 64), 0);
    CHECK_EQ(nk_book_begin_whole(&book, "bun"), 0);
    CHECK_EQ(nk_book_begin(&book, "inner"), 0);
    nk_book_end_all(&book, true);
    char *text = written(&book);

    CHECK(strstr(text, "\n\"open\":[\"bun\",\"inner\"],") != NULL);
    free(text);
}

/* Memory that has not been written is one page of zeros, again and again. */
static void test_lines_that_are_named_twice(void)
{
    static struct nk_book book;

    CHECK_EQ(nk_book_init(&book, 64), 0);
    for (int time = 0; time < 2; time++) {
        CHECK_EQ(nk_book_range(&book, "zeros"), 1);
        for (uint64_t line = 0; line < 9; line++)
            nk_book_name(&book, 1, line % 3);
        CHECK_EQ(book.range_named[1], 9);
        CHECK_EQ(book.range_distinct[1], 3);
        CHECK_EQ(book.range_lines[1], 3);
    }
    /* What another range takes later has been different. */
    CHECK_EQ(nk_book_range(&book, "other"), 2);
    nk_book_name(&book, 2, 0);
    CHECK_EQ(book.range_lines[1], 2);
    CHECK_EQ(book.range_distinct[1], 3);
    char *text = written(&book);

    CHECK(strstr(text, "{\"name\":\"zeros\",\"lines\":2,\"named\":9,\"distinct\":3}") != NULL);
    free(text);
}

int main(void)
{
    RUN(test_sections_and_ranges);
    RUN(test_names_that_begin_alike);
    RUN(test_a_range_that_is_named_again);
    RUN(test_a_whole_command);
    RUN(test_what_is_cut_off_is_open);
    RUN(test_lines_that_are_named_twice);
    return 0;
}
