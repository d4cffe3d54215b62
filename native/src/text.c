/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "text.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int nk_read_text(const char *path, char *text, size_t capacity)
{
    size_t length = 0;
    int file = open(path, O_RDONLY | O_CLOEXEC);

    if (file < 0)
        return -errno;
    while (length < capacity - 1) {
        ssize_t got = read(file, text + length, capacity - 1 - length);

        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0) {
            int error = errno;

            close(file);
            return -error;
        }
        if (got == 0)
            break;
        length += (size_t)got;
    }
    close(file);
    text[length] = '\0';
    return (int)length;
}

bool nk_text_bytes(const char *text, const char *label, uint64_t *bytes)
{
    const char *line = strstr(text, label);
    char *end;

    if (!line)
        return false;
    line += strlen(label);
    *bytes = strtoull(line, &end, 10) * 1024;
    return end != line;
}

int nk_read_number(const char *path, uint64_t *value)
{
    char text[64];
    char *end;
    int got = nk_read_text(path, text, sizeof text);

    if (got < 0)
        return got;
    errno = 0;
    *value = strtoull(text, &end, 10);
    if (end == text || text[0] == '-')
        return -ERANGE;
    return -errno;
}
