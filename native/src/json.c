/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "json.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void put(struct nk_json *json, const char *bytes, size_t count)
{
    if (json->length < json->capacity) {
        uint64_t room = json->capacity - json->length;

        memcpy(json->out + json->length, bytes, count < room ? count : (size_t)room);
    }
    json->length += count;
}

static void put_text(struct nk_json *json, const char *text)
{
    put(json, text, strlen(text));
}

static bool is_continuation(unsigned char byte)
{
    return byte >= 0x80 && byte <= 0xbf;
}

/* Bytes of the well-formed UTF-8 character at text (Unicode table 3-7), 0 when there is none. */
static size_t utf8_length(const unsigned char *text)
{
    unsigned char low = 0x80, high = 0xbf;

    if (text[0] < 0x80)
        return 1;
    if (text[0] >= 0xc2 && text[0] <= 0xdf)
        return is_continuation(text[1]) ? 2 : 0;
    /* The second byte's narrower ranges keep out overlong forms, surrogates and what is above U+10FFFF. */
    if (text[0] == 0xe0)
        low = 0xa0;
    else if (text[0] == 0xed)
        high = 0x9f;
    else if (text[0] == 0xf0)
        low = 0x90;
    else if (text[0] == 0xf4)
        high = 0x8f;
    if (text[0] < 0xe0 || text[0] > 0xf4 || text[1] < low || text[1] > high || !is_continuation(text[2]))
        return 0;
    if (text[0] < 0xf0)
        return 3;
    return is_continuation(text[3]) ? 4 : 0;
}

static void put_string(struct nk_json *json, const char *text)
{
    put_text(json, "\"");
    while (*text) {
        size_t length = utf8_length((const unsigned char *)text);
        unsigned char byte = (unsigned char)*text;
        char escape[8];

        if (length == 0) {
            put_text(json, "\\ufffd");
            length = 1;
        } else if (byte == '"' || byte == '\\') {
            put_text(json, "\\");
            put(json, text, 1);
        } else if (byte < 0x20) {
            snprintf(escape, sizeof escape, "\\u%04x", byte);
            put_text(json, escape);
        } else {
            put(json, text, length);
        }
        text += length;
    }
    put_text(json, "\"");
}

static void put_key(struct nk_json *json, const char *key)
{
    if (json->comma)
        put_text(json, ",");
    json->comma = true;
    if (key) {
        put_string(json, key);
        put_text(json, ":");
    }
}

void nk_json_begin(struct nk_json *json, const char *key, char bracket)
{
    put_key(json, key);
    put(json, &bracket, 1);
    json->comma = false;
}

void nk_json_end(struct nk_json *json, char bracket)
{
    put(json, &bracket, 1);
    json->comma = true;
}

void nk_json_number(struct nk_json *json, const char *key, uint64_t value)
{
    char digits[24];

    put_key(json, key);
    snprintf(digits, sizeof digits, "%" PRIu64, value);
    put_text(json, digits);
}

void nk_json_string(struct nk_json *json, const char *key, const char *text)
{
    put_key(json, key);
    put_string(json, text);
}

void nk_json_set(struct nk_json *json, const char *key, hwloc_const_bitmap_t set)
{
    char *text;

    if (hwloc_bitmap_list_asprintf(&text, set) < 0) {
        json->error = -ENOMEM;
        return;
    }
    nk_json_string(json, key, text);
    free(text);
}

int32_t nk_json_finish(const struct nk_json *json)
{
    if (json->error)
        return json->error;
    return json->length > INT32_MAX ? -EOVERFLOW : (int32_t)json->length;
}
