/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Writing JSON into a buffer of the caller's, or only counting the bytes it would take: what does not fit is counted
 * and dropped, so one pass answers both "what" and "how much room".
 *
 * Values go into the innermost open container; key is NULL inside an array. The first failure sticks and is what
 * nk_json_finish returns, so callers write on without looking.
 */
#ifndef NK_JSON_H
#define NK_JSON_H

#include <hwloc.h>
#include <stdbool.h>
#include <stdint.h>

struct nk_json {
    char *out;         /* may be NULL when capacity is 0 */
    uint64_t capacity; /* bytes of out */
    uint64_t length;   /* bytes of JSON so far, written or not */
    bool comma;        /* a value stands before the next one in the same container */
    int error;         /* 0 or the first -errno */
};

void nk_json_begin(struct nk_json *json, const char *key, char bracket); /* '{' or '[' */
void nk_json_end(struct nk_json *json, char bracket);                    /* '}' or ']' */
void nk_json_number(struct nk_json *json, const char *key, uint64_t value);

/* text in any encoding: bytes that are not UTF-8 become U+FFFD. */
void nk_json_string(struct nk_json *json, const char *key, const char *text);

/* As a list: "0-3,8". */
void nk_json_set(struct nk_json *json, const char *key, hwloc_const_bitmap_t set);

/* The bytes of the whole JSON, or -errno (-EOVERFLOW more than an int32_t can say). */
int32_t nk_json_finish(const struct nk_json *json);

#endif
