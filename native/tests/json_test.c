/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The JSON writer, and the reader that the tests judge it with. */
#include "check.h"
#include "json.h"
#include "json_reader.h"

#include <errno.h>

static void test_the_reader_of_this_test(void)
{
    CHECK(is_json("{\"a\":[1,\"x\\n\\u00e9\",{}],\"b\":0}"));
    CHECK(!is_json("{\"a\":1,}"));
    CHECK(!is_json("[1 2]"));
    CHECK(!is_json("[\"\n\"]"));
    CHECK(!is_json("[\"a]"));
    CHECK(!is_json("{\"a\" 1}"));
    CHECK(!is_json("{a:1}"));
    CHECK(!is_json("[\"\\x\"]"));
    CHECK(!is_json("[01]"));
    CHECK(!is_json("[1]]"));
}

static void expect_string(const char *text, const char *json)
{
    char out[128];
    struct nk_json writer = { .out = out, .capacity = sizeof out - 1 };

    nk_json_string(&writer, NULL, text);
    CHECK(nk_json_finish(&writer) > 0);
    out[writer.length] = '\0';
    if (strcmp(out, json))
        fprintf(stderr, "%s, not %s\n", out, json);
    CHECK(!strcmp(out, json));
    CHECK(is_json(out));
}

static void test_strings_are_escaped(void)
{
    expect_string("", "\"\"");
    expect_string("a \"b\" \\c/", "\"a \\\"b\\\" \\\\c/\"");
    expect_string("\n\t\x01\x1f\x7f", "\"\\u000a\\u0009\\u0001\\u001f\x7f\"");
    expect_string("\xc2\xb5 \xe2\x82\xac \xf0\x9f\x98\x80", "\"\xc2\xb5 \xe2\x82\xac \xf0\x9f\x98\x80\"");
    expect_string("\xff", "\"\\ufffd\"");
    expect_string("a\x80z", "\"a\\ufffdz\"");
    expect_string("\xc2", "\"\\ufffd\""); /* the text ends within the character */
    expect_string("\xe2\x82", "\"\\ufffd\\ufffd\"");
    expect_string("\xf0\x9f\x98", "\"\\ufffd\\ufffd\\ufffd\"");
    expect_string("\xc0\xaf", "\"\\ufffd\\ufffd\"");             /* overlong */
    expect_string("\xe0\x80\xaf", "\"\\ufffd\\ufffd\\ufffd\"");  /* overlong */
    expect_string("\xed\xa0\x80", "\"\\ufffd\\ufffd\\ufffd\"");  /* a surrogate */
    expect_string("\xf4\x90\x80\x80", "\"\\ufffd\\ufffd\\ufffd\\ufffd\""); /* above U+10FFFF */
}

static void test_numbers_and_errors(void)
{
    char out[32];
    struct nk_json writer = { .out = out, .capacity = sizeof out };

    nk_json_number(&writer, NULL, UINT64_MAX);
    CHECK_EQ(nk_json_finish(&writer), 20);
    CHECK(!memcmp(out, "18446744073709551615", 20));
    writer.length = (uint64_t)INT32_MAX + 1;
    CHECK_EQ(nk_json_finish(&writer), -EOVERFLOW);
    writer.error = -ENOMEM;
    CHECK_EQ(nk_json_finish(&writer), -ENOMEM);
}

/* Two containers and their commas, cut off after every number of bytes. */
static void test_truncation(void)
{
    static const char whole[] = "{\"a\":[4096,{},[]],\"b\":\"x\\\"y\"}";
    const size_t length = sizeof whole - 1;
    char out[64];
    uint64_t capacity;

    for (capacity = 0; capacity <= length; capacity++) {
        struct nk_json writer = { .out = capacity ? out : NULL, .capacity = capacity };

        memset(out, '#', sizeof out - 1);
        out[sizeof out - 1] = '\0';
        nk_json_begin(&writer, NULL, '{');
        nk_json_begin(&writer, "a", '[');
        nk_json_number(&writer, NULL, 4096);
        nk_json_begin(&writer, NULL, '{');
        nk_json_end(&writer, '}');
        nk_json_begin(&writer, NULL, '[');
        nk_json_end(&writer, ']');
        nk_json_end(&writer, ']');
        nk_json_string(&writer, "b", "x\"y");
        nk_json_end(&writer, '}');
        CHECK_EQ(nk_json_finish(&writer), length);
        CHECK(!memcmp(out, whole, capacity));
        CHECK_EQ(strspn(out + capacity, "#"), sizeof out - 1 - capacity);
    }
    CHECK(is_json(whole));
}

int main(void)
{
    RUN(test_the_reader_of_this_test);
    RUN(test_strings_are_escaped);
    RUN(test_numbers_and_errors);
    RUN(test_truncation);
    return 0;
}
