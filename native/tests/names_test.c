/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Names of memory where somebody does not play fair: other users in the way, and entries that lie.
 *
 * Other users are played by children that give up root, so without root there is nothing to do here.
 */
#include "users.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>

static char entry[96]; /* of the name "x" */

#define SEALS (F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL)

static void put_folder(uid_t owner, mode_t mode)
{
    clear();
    CHECK_EQ(mkdir(folder, 0700), 0);
    CHECK_EQ(chmod(folder, mode), 0);
    CHECK_EQ(chown(folder, owner, owner), 0);
}

/* ---- what users do ---- */

static void be_refused_with(int error)
{
    uint64_t out[NK_MAPPING_FACTS];
    char text[256] = "";

    CHECK_EQ(nk_mapping_open("x", out), error);
    CHECK_EQ(share("x", out), error);
    CHECK_EQ(nk_mapping_release(out[0], 1), 0);
    CHECK(nk_names_folder(text, sizeof text) > 0);
    CHECK(strstr(text, folder) != NULL);
}

static void be_refused(void)
{
    be_refused_with(-EPERM);
}

static void be_refused_for_the_entry(void)
{
    be_refused_with(-EUCLEAN);
}

static void be_served(void)
{
    uint64_t out[NK_MAPPING_FACTS], found[NK_MAPPING_FACTS];

    CHECK_EQ(share("x", out), 0);
    CHECK_EQ(nk_mapping_open("x", found), NK_MAPPING_FACTS);
    CHECK_EQ(nk_mapping_release(out[0], 1), 0);
    CHECK_EQ(nk_mapping_open("x", found), -ENOENT);
    CHECK_EQ(access(entry, F_OK), -1);
}

static void test_a_folder_of_others_is_refused(void)
{
    char behind[96];

    snprintf(behind, sizeof behind, "%s-behind", folder);
    put_folder(OTHER, 0700);
    as_user(USER, be_refused);
    put_folder(USER, 0777);
    as_user(USER, be_refused);
    put_folder(USER, 0710);
    as_user(USER, be_refused);
    put_folder(USER, 0700);
    CHECK_EQ(rename(folder, behind), 0);
    CHECK_EQ(symlink(behind, folder), 0);
    CHECK_EQ(lchown(folder, OTHER, OTHER), 0);
    as_user(USER, be_refused);
    CHECK_EQ(unlink(folder), 0);
    CHECK_EQ(rmdir(behind), 0);
    CHECK_EQ(close(open(folder, O_CREAT | O_WRONLY | O_CLOEXEC, 0600)), 0);
    as_user(USER, be_refused);
    clear();
    umask(0777);
    as_user(USER, be_served);
    umask(0022);
    as_user(USER, be_served);
    clear();
}

static void test_an_entry_of_others_is_refused(void)
{
    put_folder(USER, 0700);
    CHECK_EQ(close(open(entry, O_CREAT | O_WRONLY | O_CLOEXEC, 0600)), 0);
    as_user(USER, be_refused_for_the_entry);
    CHECK_EQ(chown(entry, OTHER, OTHER), 0);
    as_user(USER, be_refused_for_the_entry);
    CHECK_EQ(unlink(entry), 0);
    CHECK_EQ(mkfifo(entry, 0600), 0);
    CHECK_EQ(chown(entry, USER, USER), 0);
    as_user(USER, be_refused_for_the_entry);
    CHECK_EQ(unlink(entry), 0);
    CHECK_EQ(symlink("/etc/passwd", entry), 0);
    as_user(USER, be_refused_for_the_entry);
    CHECK_EQ(unlink(entry), 0);
    CHECK_EQ(mkdir(entry, 0700), 0);
    CHECK_EQ(chown(entry, USER, USER), 0);
    as_user(USER, be_refused_for_the_entry);
    CHECK_EQ(rmdir(entry), 0);
    /* One that nobody has is a leftover, whatever is in it. */
    CHECK_EQ(close(open(entry, O_CREAT | O_WRONLY | O_CLOEXEC, 0600)), 0);
    CHECK_EQ(chown(entry, USER, USER), 0);
    as_user(USER, be_served);
    clear();
}

/* ---- no file descriptors left ---- */

/* So many may be opened from now on; -1 as many as ever. */
static void leave_descriptors(int left)
{
    struct rlimit limit;
    int first;

    CHECK_EQ(getrlimit(RLIMIT_NOFILE, &limit), 0);
    limit.rlim_cur = limit.rlim_max;
    CHECK_EQ(setrlimit(RLIMIT_NOFILE, &limit), 0);
    if (left < 0)
        return;
    first = open("/dev/null", O_RDONLY | O_CLOEXEC);
    CHECK(first >= 0);
    CHECK_EQ(close(first), 0);
    limit.rlim_cur = (rlim_t)(first + left);
    CHECK_EQ(setrlimit(RLIMIT_NOFILE, &limit), 0);
}

static void run_out(void)
{
    uint64_t out[NK_MAPPING_FACTS], found[NK_MAPPING_FACTS];
    int published, opened, made = 0, seen = 0;

    CHECK_EQ(share("x", out), 0);
    /* Each of the calls that take one has its turn to get none. */
    for (int left = 0; left < 8; left++) {
        CHECK_EQ(nk_mapping_share("y", 0, NK_PAGES_SMALL, 0, small_page(), MIB, found), NK_MAPPING_FACTS);
        leave_descriptors(left);
        published = nk_mapping_publish(found[0], "y");
        CHECK(published == 0 || published == -EMFILE);
        CHECK(made <= (published == 0));
        made = published == 0;
        CHECK_EQ(nk_mapping_release(found[0], 1), 0);
        leave_descriptors(left);
        opened = nk_mapping_open("x", found);
        CHECK(opened == NK_MAPPING_FACTS || opened == -EMFILE);
        CHECK(seen <= (opened > 0));
        seen = opened > 0;
        leave_descriptors(-1);
    }
    CHECK(made == 1 && seen == 1);
}

static void test_no_descriptor_left_is_told(void)
{
    put_folder(USER, 0700);
    as_user(USER, run_out);
    clear();
}

/* ---- entries that lie ---- */

struct lie {
    int32_t version, process, numbers[2], kind, node;
    uint64_t pid_namespace, time_namespace, devices[2], inodes[2], page_bytes, data_bytes;
    int lock; /* byte, -1 none */
};

static int make_file(unsigned flags, uint64_t bytes, int seals)
{
    int fd = memfd_create("numakit-test", MFD_CLOEXEC | MFD_ALLOW_SEALING | flags);

    CHECK(fd >= 0);
    CHECK_EQ(ftruncate(fd, (off_t)bytes), 0);
    if (seals != 0)
        CHECK_EQ(fcntl(fd, F_ADD_SEALS, seals), 0);
    return fd;
}

/* What a fair maker would say of these files. */
static struct lie truth(int header, int data)
{
    struct lie lie = {.version = NK_ABI_VERSION, .process = getpid(), .numbers = {header, data},
                      .kind = NK_PAGES_SMALL, .page_bytes = small_page()};
    struct stat status;

    CHECK_EQ(stat("/proc/self/ns/pid", &status), 0);
    lie.pid_namespace = status.st_ino;
    lie.time_namespace = stat("/proc/self/ns/time", &status) == 0 ? status.st_ino : 0;
    for (int i = 0; i < 2; i++) {
        CHECK_EQ(fstat(lie.numbers[i], &status), 0);
        lie.devices[i] = status.st_dev;
        lie.inodes[i] = status.st_ino;
    }
    lie.data_bytes = (uint64_t)status.st_size;
    return lie;
}

static int tell(const struct lie *lie)
{
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = lie->lock, .l_len = 1};
    char text[512];
    int length = snprintf(text, sizeof text,
                          "numakit %d\nprocess %d in %llu %llu\nheader %d %llu %llu\ndata %d %llu %llu\npages %d %llu\n"
                          "bytes %llu\nnode %d\n",
                          lie->version, lie->process, (unsigned long long)lie->pid_namespace,
                          (unsigned long long)lie->time_namespace, lie->numbers[0], (unsigned long long)lie->devices[0],
                          (unsigned long long)lie->inodes[0], lie->numbers[1], (unsigned long long)lie->devices[1],
                          (unsigned long long)lie->inodes[1], lie->kind, (unsigned long long)lie->page_bytes,
                          (unsigned long long)lie->data_bytes, lie->node);
    int fd = open(entry, O_CREAT | O_TRUNC | O_RDWR | O_CLOEXEC, 0600);

    CHECK(fd >= 0);
    CHECK_EQ(write(fd, text, (size_t)length), length);
    if (lie->lock >= 0)
        CHECK_EQ(fcntl(fd, F_OFD_SETLK, &lock), 0);
    return fd;
}

static int32_t hear(const struct lie *lie)
{
    uint64_t out[NK_MAPPING_FACTS];
    int fd = tell(lie);
    int32_t result = nk_mapping_open("x", out);

    close(fd);
    if (result > 0)
        CHECK_EQ(nk_mapping_release(out[0], 1), 0);
    return result;
}

static void hear_of_files(void)
{
    int header = make_file(0, small_page(), SEALS), data = make_file(0, MIB, SEALS), wrong;
    struct lie lie = truth(header, data);

    CHECK_EQ(hear(&lie), NK_MAPPING_FACTS);
    /* Seals: each of them, on both. */
    for (int seal = 0; seal < 3; seal++) {
        wrong = make_file(0, MIB, SEALS & ~(const int[]){F_SEAL_SHRINK, F_SEAL_GROW, F_SEAL_SEAL}[seal]);
        lie = truth(header, wrong);
        CHECK_EQ(hear(&lie), -EBADMSG);
        close(wrong);
    }
    wrong = make_file(0, small_page(), 0);
    lie = truth(wrong, data);
    CHECK_EQ(hear(&lie), -EBADMSG);
    close(wrong);
    /* Sizes. */
    wrong = make_file(0, 2 * small_page(), SEALS);
    lie = truth(wrong, data);
    CHECK_EQ(hear(&lie), -EBADMSG);
    close(wrong);
    lie = truth(header, data);
    lie.data_bytes *= 2;
    CHECK_EQ(hear(&lie), -EBADMSG);
    /* Kinds of pages. */
    lie = truth(header, data);
    lie.kind = NK_PAGES_HUGE, lie.page_bytes = 2 * MIB;
    CHECK_EQ(hear(&lie), -EBADMSG);
    lie.kind = NK_PAGES_THP;
    CHECK_EQ(hear(&lie), -EBADMSG);
    lie.kind = NK_PAGES_SMALL;
    CHECK_EQ(hear(&lie), -EBADMSG);
    lie = truth(header, data);
    lie.node = -1;
    CHECK_EQ(hear(&lie), -EBADMSG);
}

static void hear_of_processes(void)
{
    int header = make_file(0, small_page(), SEALS), data = make_file(0, MIB, SEALS);
    struct lie lie = truth(header, data);

    lie.version++;
    CHECK_EQ(hear(&lie), -EPROTO);
    lie = truth(header, data), lie.pid_namespace++;
    CHECK_EQ(hear(&lie), -EXDEV);
    lie = truth(header, data), lie.time_namespace++;
    CHECK_EQ(hear(&lie), -EXDEV);
    /* Other files by now: another number, another inode, another process, none. */
    lie = truth(header, data), lie.numbers[1] = header;
    CHECK_EQ(hear(&lie), -ENOENT);
    lie = truth(header, data), lie.inodes[0]++;
    CHECK_EQ(hear(&lie), -ENOENT);
    lie = truth(header, data), lie.process = INT32_MAX;
    CHECK_EQ(hear(&lie), -ENOENT);
    lie = truth(header, data), lie.process = 1;
    CHECK_EQ(hear(&lie), -EACCES);
    /* Nobody has it: neither a lock of a cleaner nor none is a maker's. */
    lie = truth(header, data), lie.lock = -1;
    CHECK_EQ(hear(&lie), -ENOENT);
    CHECK_EQ(access(entry, F_OK), -1);
    lie.lock = 1;
    CHECK_EQ(hear(&lie), -ENOENT);
}

static void hear_of_hugepages(void)
{
    int header = make_file(0, small_page(), SEALS);
    int fd = memfd_create("numakit-test", MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_HUGETLB | 21u << 26);
    struct lie lie;

    if (fd < 0 || ftruncate(fd, (off_t)(2 * MIB)) < 0 || fcntl(fd, F_ADD_SEALS, SEALS) < 0) {
        printf("# no hugetlb files of 2 MiB here\n");
        return;
    }
    lie = truth(header, fd);
    CHECK_EQ(hear(&lie), -EBADMSG);
    lie.kind = NK_PAGES_HUGE;
    lie.page_bytes = 1024 * MIB;
    CHECK_EQ(hear(&lie), -EBADMSG);
}

static void hear_of_holes(void)
{
    /* More than any machine has: nothing may be touched, and no killer called. */
    int header = make_file(0, small_page(), SEALS), data = make_file(0, MIB << 24, SEALS);
    struct lie lie = truth(header, data);
    uint64_t out[NK_MAPPING_FACTS];

    CHECK_EQ(hear(&lie), -ENOMEM);
    /* A hole made afterwards takes room of its own, what is there does not. */
    data = make_file(0, MIB, SEALS);
    CHECK_EQ(fallocate(data, 0, 0, (off_t)MIB), 0);
    lie = truth(header, data);
    close(tell(&lie)); /* so that the entry is there */
    header = tell(&lie);
    CHECK_EQ(nk_mapping_open("x", out), NK_MAPPING_FACTS);
    CHECK_EQ(fallocate(data, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, (off_t)(MIB / 2)), 0);
    CHECK_EQ(nk_mapping_populate(out[0], 0, MIB), 0);
    CHECK_EQ(nk_mapping_release(out[0], 1), 0);
}

static void test_nothing_in_an_entry_is_believed(void)
{
    put_folder(USER, 0700);
    as_user(USER, hear_of_files);
    as_user(USER, hear_of_processes);
    as_user(USER, hear_of_hugepages);
    as_user(USER, hear_of_holes);
    clear();
}

static void hear_of_another_users_file(void)
{
    int header = make_file(0, small_page(), SEALS), data = 9;
    struct lie lie = truth(header, data);

    CHECK_EQ(hear(&lie), -EBADMSG);
}

static void test_memory_of_another_user_is_refused(void)
{
    pid_t child;

    put_folder(USER, 0700);
    child = fork();
    if (child == 0) {
        CHECK_EQ(seteuid(OTHER), 0);
        CHECK_EQ(dup2(make_file(0, MIB, SEALS), 9), 9);
        CHECK_EQ(seteuid(0), 0);
        become(USER);
        hear_of_another_users_file();
        leave(0);
    }
    finish(child);
    clear();
}

int main(void)
{
    if (geteuid() != 0) {
        printf("skipped: not root\n");
        return TEST_SKIPPED;
    }
    choose_user();
    snprintf(entry, sizeof entry, "%s/x.arena", folder);
    setvbuf(stdout, NULL, _IOLBF, 0);
    RUN(test_a_folder_of_others_is_refused);
    RUN(test_an_entry_of_others_is_refused);
    RUN(test_no_descriptor_left_is_told);
    RUN(test_nothing_in_an_entry_is_believed);
    RUN(test_memory_of_another_user_is_refused);
    return 0;
}
