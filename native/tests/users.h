/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Users and their names: what the tests of names play with. They are children that give up root. */
#ifndef NK_TEST_USERS_H
#define NK_TEST_USERS_H

#include "check.h"
#include "numakit.h"

#include <sys/prctl.h>
#include <unistd.h>

/* Of this run alone: others may run at the same time. */
#define USER test_user
#define OTHER (test_user + 1)

static uid_t test_user;
static char folder[64]; /* of USER's names */

static inline void choose_user(void)
{
    test_user = 20000 + (uid_t)getpid() % 20000 * 2;
    snprintf(folder, sizeof folder, "/dev/shm/numakit-%u", test_user);
}

/* Children do not look for leaks: the sanitizer cannot in namespaces of their own. */
static inline void leave(int status)
{
    fflush(stdout);
    _exit(status);
}

/* Whoever changes its user can be looked at by nobody, until it says otherwise. */
static inline void become(uid_t user)
{
    CHECK_EQ(setresgid(user, user, user), 0);
    CHECK_EQ(setresuid(user, user, user), 0);
    CHECK_EQ(prctl(PR_SET_DUMPABLE, 1), 0);
}

static inline void as_user(uid_t user, void (*body)(void))
{
    pid_t child = fork();

    if (child == 0) {
        become(user);
        body();
        leave(0);
    }
    finish(child);
}

static inline void clear(void)
{
    char command[96];

    snprintf(command, sizeof command, "rm -rf %s", folder);
    CHECK_EQ(system(command), 0);
}

static inline int32_t share(const char *name, uint64_t *out)
{
    CHECK_EQ(nk_mapping_share(name, 0, NK_PAGES_SMALL, 0, small_page(), MIB, out), NK_MAPPING_FACTS);
    CHECK_EQ(nk_mapping_populate(out[0], 0, MIB), 0);
    return nk_mapping_publish(out[0], name);
}

#endif
