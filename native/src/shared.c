/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Names for memory between processes, such that nothing is left behind however a process ends.
 *
 * Header and data are memfds, sealed so that nobody can cut them short. Whoever made them listens on a socket in the
 * abstract namespace: that reserves the name, tells its process to who connects, and is gone with the process. The
 * memfds are then found in that process's /proc/PID/fd by their own names, which carry the ABI version, too. No
 * connection is ever accepted, so no thread has to serve them.
 */
#include "shared.h"
#include "numakit.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#ifndef MFD_HUGE_SHIFT
#define MFD_HUGE_SHIFT 26
#endif

#define NAME_MOST 64
#define SEALS (F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL)
#define MAGIC UINT64_C(0x74696b616d756e01)
/* In the header page, behind the label. */
#define FACTS_OFFSET 192

struct facts {
    uint64_t magic, page_bytes, data_bytes;
    int32_t kind, node;
};

static int check_name(const char *name)
{
    size_t length = name == NULL ? 0 : strnlen(name, NAME_MOST + 1);

    if (length == 0 || length > NAME_MOST)
        return -EINVAL;
    return name[strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-")] == 0 ? 0 : -EINVAL;
}

/* The socket's address: one namespace a user, so that nobody takes another user's names by accident. */
static socklen_t address_of(const char *name, struct sockaddr_un *address)
{
    int length;

    *address = (struct sockaddr_un){.sun_family = AF_UNIX};
    length = snprintf(address->sun_path + 1, sizeof address->sun_path - 1, "numakit.%u.%s", (unsigned)geteuid(), name);
    return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)length);
}

static void memory_name(const char *name, char part, int version, char *out, size_t capacity)
{
    snprintf(out, capacity, "numakit.%d.%c.%s", version, part, name);
}

static int make_file(const char *name, char part, unsigned flags, uint64_t bytes)
{
    char text[128];
    int fd;

    memory_name(name, part, NK_ABI_VERSION, text, sizeof text);
    fd = memfd_create(text, MFD_CLOEXEC | MFD_ALLOW_SEALING | flags);
    if (fd < 0)
        return -errno;
    if (ftruncate(fd, (off_t)bytes) < 0 || fcntl(fd, F_ADD_SEALS, SEALS) < 0) {
        int error = -errno;

        close(fd);
        return error;
    }
    return fd;
}

int nk_shared_make(const char *name, struct nk_range *range)
{
    unsigned flags = 0;
    int fd, error = check_name(name);

    if (error < 0)
        return error;
    if (range->kind == NK_PAGES_THP || (range->flags & NK_RESERVE) != 0)
        return -ENOTSUP;
    if (range->kind == NK_PAGES_HUGE)
        flags = MFD_HUGETLB | (unsigned)__builtin_ctzll(range->page_bytes) << MFD_HUGE_SHIFT;
    fd = make_file(name, 'h', 0, (uint64_t)sysconf(_SC_PAGESIZE));
    if (fd < 0)
        return fd;
    range->files[NK_HEADER_FILE] = fd;
    fd = make_file(name, 'd', flags, range->data_bytes);
    if (fd < 0)
        return fd;
    range->files[NK_DATA_FILE] = fd;
    return 0;
}

int nk_shared_publish(const char *name, struct nk_range *range)
{
    const struct facts facts = {.magic = MAGIC, .page_bytes = range->page_bytes, .data_bytes = range->data_bytes,
                                .kind = range->kind, .node = range->node};
    struct sockaddr_un address;
    socklen_t length = address_of(name, &address);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (fd < 0)
        return -errno;
    range->files[NK_SOCKET] = fd;
    memcpy(range->header + FACTS_OFFSET, &facts, sizeof facts);
    if (bind(fd, (const struct sockaddr *)&address, length) < 0)
        return errno == EADDRINUSE ? -EEXIST : -errno;
    return listen(fd, 64) < 0 ? -errno : 0;
}

/* The process that has the name. */
static int find_process(const char *name)
{
    struct sockaddr_un address;
    struct ucred peer = {0};
    socklen_t length = address_of(name, &address), size = sizeof peer;
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), error = 0;

    if (fd < 0)
        return -errno;
    /* EAGAIN: many come at once; each is gone from the queue as soon as it closes. */
    if (connect(fd, (const struct sockaddr *)&address, length) < 0)
        error = errno == ECONNREFUSED ? -ENOENT : -errno;
    else if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) < 0)
        error = -errno;
    close(fd);
    if (error < 0)
        return error;
    return peer.pid > 0 ? peer.pid : -ENOENT;
}

/* Whether a link in /proc/PID/fd is to a part of that name: 1 with this ABI version, -EPROTO with another. */
static int is_part(const char *link, const char *name, char part)
{
    char wanted[160], text[128];
    int version;
    const char *rest = "";

    memory_name(name, part, NK_ABI_VERSION, text, sizeof text);
    snprintf(wanted, sizeof wanted, "/memfd:%s (deleted)", text);
    if (strcmp(link, wanted) == 0)
        return 1;
    if (sscanf(link, "/memfd:numakit.%d.", &version) != 1)
        return 0;
    rest = strchr(link + strlen("/memfd:numakit."), '.');
    snprintf(wanted, sizeof wanted, ".%c.%s (deleted)", part, name);
    return rest != NULL && strcmp(rest, wanted) == 0 ? -EPROTO : 0;
}

static int open_part(int process, const char *name, char part)
{
    char folder[64], path[128], link[256];
    int found = -ENOENT;
    struct dirent *entry;
    DIR *files;

    snprintf(folder, sizeof folder, "/proc/%d/fd", process);
    files = opendir(folder);
    if (files == NULL)
        return errno == ENOENT ? -ENOENT : -EACCES;
    while (found == -ENOENT && (entry = readdir(files)) != NULL) {
        ssize_t length;
        int match;

        snprintf(path, sizeof path, "%s/%.32s", folder, entry->d_name);
        length = readlink(path, link, sizeof link - 1);
        if (length < 0)
            continue;
        link[length] = 0;
        match = is_part(link, name, part);
        if (match == 1) {
            found = open(path, O_RDWR | O_CLOEXEC);
            if (found < 0)
                found = -errno;
        } else if (match < 0) {
            found = match;
        }
    }
    closedir(files);
    return found;
}

/* Only what cannot be cut short may be mapped: a touch behind the end of a file is fatal. */
static int check_file(int fd, uint64_t bytes)
{
    struct stat status;
    int seals = fcntl(fd, F_GET_SEALS);

    if (seals < 0 || (seals & F_SEAL_SHRINK) == 0 || fstat(fd, &status) < 0)
        return -EPROTO;
    return (uint64_t)status.st_size >= bytes ? 0 : -EPROTO;
}

static int read_facts(struct nk_range *range)
{
    uint64_t small = (uint64_t)sysconf(_SC_PAGESIZE);
    struct facts facts;
    int error = check_file(range->files[NK_HEADER_FILE], small);

    if (error < 0)
        return error;
    if (pread(range->files[NK_HEADER_FILE], &facts, sizeof facts, FACTS_OFFSET) != (ssize_t)sizeof facts ||
        facts.magic != MAGIC)
        return -EPROTO;
    range->page_bytes = facts.page_bytes;
    range->data_bytes = facts.data_bytes;
    range->kind = facts.kind;
    range->node = facts.node;
    return check_file(range->files[NK_DATA_FILE], facts.data_bytes);
}

int nk_shared_find(const char *name, struct nk_range *wanted)
{
    int process, fd, error = check_name(name);

    if (error < 0)
        return error;
    process = find_process(name);
    if (process < 0)
        return process;
    fd = open_part(process, name, 'h');
    if (fd < 0)
        return fd;
    wanted->files[NK_HEADER_FILE] = fd;
    fd = open_part(process, name, 'd');
    if (fd < 0)
        return fd;
    wanted->files[NK_DATA_FILE] = fd;
    return read_facts(wanted);
}

void nk_shared_close(const struct nk_range *range)
{
    for (int file = 0; file < NK_FILES; file++)
        if (range->files[file] >= 0)
            close(range->files[file]);
}
