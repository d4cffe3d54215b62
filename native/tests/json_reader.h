/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A strict reader of JSON, so that the tests see what JSON.parse would refuse. skip_* return what follows the value at
 * their argument, or NULL. Numbers are whole and not negative: the helper writes no others.
 */
#ifndef NK_JSON_READER_H
#define NK_JSON_READER_H

#include <stddef.h>
#include <string.h>

static inline const char *skip_space(const char *at)
{
    return at + strspn(at, " \t\r\n");
}

static inline const char *skip_string(const char *at)
{
    if (*at++ != '"')
        return NULL;
    for (; *at != '"'; at++) {
        if ((unsigned char)*at < 0x20)
            return NULL;
        if (*at != '\\')
            continue;
        at++;
        if (*at == 'u' && strspn(at + 1, "0123456789abcdefABCDEF") >= 4)
            at += 4;
        else if (!*at || !strchr("\"\\/bfnrt", *at))
            return NULL;
    }
    return at + 1;
}

static inline const char *skip_number(const char *at)
{
    size_t digits = strspn(at, "0123456789");

    return digits == 0 || (digits > 1 && *at == '0') ? NULL : at + digits;
}

static inline const char *skip_value(const char *at);

static inline const char *skip_container(const char *at, char close)
{
    at = skip_space(at + 1);
    if (*at == close)
        return at + 1;
    for (;;) {
        if (close == '}') {
            at = skip_string(skip_space(at));
            if (!at || *(at = skip_space(at)) != ':')
                return NULL;
            at++;
        }
        at = skip_value(skip_space(at));
        if (!at)
            return NULL;
        at = skip_space(at);
        if (*at == close)
            return at + 1;
        if (*at++ != ',')
            return NULL;
    }
}

static inline const char *skip_value(const char *at)
{
    if (*at == '{')
        return skip_container(at, '}');
    if (*at == '[')
        return skip_container(at, ']');
    return *at == '"' ? skip_string(at) : skip_number(at);
}

static inline int is_json(const char *text)
{
    const char *end = skip_value(text);

    return end && *end == '\0';
}

#endif
