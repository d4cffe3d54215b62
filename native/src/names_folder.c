/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Folder: the first of these that can be used.
 *
 *   /run/user/UID/numakit (of root: /run/numakit)   where others cannot get in the way; for some users, at some times
 *   /dev/shm/numakit-UID                            always there; whoever is first makes it, so its owner is checked
 *
 * /run/user/UID comes with a user's first login, so one process may use the first folder and another one the second:
 * both are looked at, and whoever takes a name looks at the other one again afterwards.
 */
#include "names_folder.h"
#include "numakit.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

/* The inode of the PID namespace that the kernel starts with: a constant of its interface to programs. */
#define FIRST_PID_NAMESPACE 0xeffffffcu

static void parts_of(int which, char *parent, char *child, size_t capacity)
{
    unsigned user = geteuid();

    if (which != 0)
        snprintf(parent, capacity, "/dev/shm"), snprintf(child, capacity, "numakit-%u", user);
    else if (user == 0)
        snprintf(parent, capacity, "/run"), snprintf(child, capacity, "numakit");
    else
        snprintf(parent, capacity, "/run/user/%u", user), snprintf(child, capacity, "numakit");
}

/* A folder into which nobody else can put anything: 0, or -EPERM. */
static int check_private(int folder, mode_t forbidden)
{
    struct stat status;

    if (fstat(folder, &status) < 0)
        return -errno;
    return S_ISDIR(status.st_mode) && status.st_uid == geteuid() && (status.st_mode & forbidden) == 0 ? 0 : -EPERM;
}

static int open_child(int parent, const char *child, bool make)
{
    int folder, error;

    if (make && mkdirat(parent, child, 0700) == 0)
        (void)fchmodat(parent, child, 0700, 0); /* whatever the umask took */
    else if (make && errno != EEXIST)
        return -ENOENT;
    folder = openat(parent, child, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (folder < 0)
        return errno == ELOOP || errno == ENOTDIR || errno == EACCES ? -EPERM : -errno;
    error = check_private(folder, 0077);
    if (error < 0)
        close(folder);
    return error < 0 ? error : folder;
}

int nk_folder_open(int which, bool make)
{
    char parent_path[64], child[64];
    int parent, folder;

    parts_of(which, parent_path, child, sizeof child);
    parent = open(parent_path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (parent < 0)
        return errno == ENOTDIR || errno == EACCES ? -ENOENT : -errno;
    /* In a parent that is this user's own nobody else can have made the folder. */
    if (which == 0 && check_private(parent, 0022) < 0) {
        close(parent);
        return -ENOENT;
    }
    folder = open_child(parent, child, make);
    close(parent);
    return folder;
}

int32_t nk_names_folder(char *out, uint64_t capacity)
{
    char parent[64], child[64], path[160];
    struct stat status = {0}, namespace;
    int which, folder = -ENOENT, contained, length;

    if (out == NULL && capacity != 0)
        return -EINVAL;
    for (which = 0; which < NK_FOLDERS; which++) {
        folder = nk_folder_open(which, true);
        if (folder != -ENOENT)
            break;
    }
    if (folder >= 0)
        close(folder);
    parts_of(which < NK_FOLDERS ? which : NK_FOLDERS - 1, parent, child, sizeof child);
    snprintf(path, sizeof path, "%s/%s", parent, child);
    (void)lstat(path, &status);
    contained = stat("/proc/self/ns/pid", &namespace) == 0 && namespace.st_ino != FIRST_PID_NAMESPACE;
    length = snprintf(out, capacity, "{\"path\":\"%s\",\"usable\":%s,\"owner\":%u,\"mode\":%u,\"contained\":%s}", path,
                      folder >= 0 ? "true" : "false", (unsigned)status.st_uid, (unsigned)status.st_mode & 07777,
                      contained ? "true" : "false");
    return length < 0 ? -EINVAL : length;
}
