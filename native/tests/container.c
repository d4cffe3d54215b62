/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Runs a command as in a default container: what Docker and, with seccompProfile RuntimeDefault, Kubernetes leave of the
 * system calls, capabilities, namespaces and files that concern numakit.
 *
 *   container [--cap-add SYS_NICE] [--refuse sched_setaffinity] COMMAND [ARGUMENT]...
 *
 * The real profile lists what is allowed; here stands what it refuses of today's system calls, after moby's
 * seccomp/default.json. Namespaces are made where this process may; without root, in a user namespace.
 */
#include <errno.h>
#include <linux/audit.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <net/if.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#if defined(__x86_64__)
#define THIS_ARCH AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define THIS_ARCH AUDIT_ARCH_AARCH64
#endif

#ifndef SYS_set_mempolicy_home_node
#define SYS_set_mempolicy_home_node 450
#endif
#define CLONE_NEW_ANY 0x7e020000u
#define COUNT(array) (sizeof(array) / sizeof *(array))

/* Given back to those who have CAP_SYS_NICE. */
static const uint32_t policy_calls[] = {SYS_get_mempolicy, SYS_mbind, SYS_set_mempolicy, SYS_set_mempolicy_home_node};

static const uint32_t refused_calls[] = {
    SYS_move_pages,    SYS_migrate_pages,  SYS_process_madvise, SYS_userfaultfd, SYS_perf_event_open,
    SYS_bpf,           SYS_keyctl,         SYS_add_key,         SYS_request_key, SYS_io_uring_setup,
    SYS_io_uring_enter, SYS_io_uring_register, SYS_kcmp,        SYS_pidfd_getfd, SYS_open_by_handle_at,
    SYS_mount,         SYS_umount2,        SYS_unshare,         SYS_setns,       SYS_pivot_root,
    SYS_fsopen,        SYS_fsmount,        SYS_move_mount,      SYS_open_tree,   SYS_swapon,
    SYS_swapoff,       SYS_syslog,         SYS_quotactl,        SYS_acct,        SYS_reboot,
    SYS_kexec_load,    SYS_init_module,    SYS_finit_module,    SYS_delete_module, SYS_settimeofday,
    SYS_clock_settime, SYS_sethostname,    SYS_setdomainname,   SYS_vhangup,
};

static const uint32_t kept_capabilities[] = {
    CAP_CHOWN,  CAP_DAC_OVERRIDE, CAP_FSETID,  CAP_FOWNER,           CAP_MKNOD,      CAP_NET_RAW,     CAP_SETGID,
    CAP_SETUID, CAP_SETFCAP,      CAP_SETPCAP, CAP_NET_BIND_SERVICE, CAP_SYS_CHROOT, CAP_KILL,        CAP_AUDIT_WRITE,
};

static const char *const masked[] = {
    "/proc/acpi",        "/proc/asound",     "/proc/interrupts",  "/proc/kcore",  "/proc/keys",
    "/proc/latency_stats", "/proc/sched_debug", "/proc/scsi",     "/proc/timer_list", "/proc/timer_stats",
    "/sys/firmware",     "/sys/devices/virtual/powercap",
};

static const char *const read_only[] = {"/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger", "/sys"};

static void fail(const char *what)
{
    fprintf(stderr, "container: %s: %s\n", what, strerror(errno));
    exit(125);
}

static void write_file(const char *path, const char *text)
{
    FILE *file = fopen(path, "we");

    if (file == NULL || fputs(text, file) < 0 || fclose(file) != 0)
        fail(path);
}

/* Returns whether there are namespaces of its own. */
static int unshare_what_may_be(void)
{
    int own = CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS;
    char map[64];
    unsigned user = geteuid(), group = getegid();

    if (unshare(own) == 0)
        return 1;
    if (unshare(own | CLONE_NEWUSER) < 0) {
        fprintf(stderr, "container: no namespaces (%s), only seccomp and capabilities\n", strerror(errno));
        return 0;
    }
    write_file("/proc/self/setgroups", "deny");
    snprintf(map, sizeof map, "0 %u 1", user);
    write_file("/proc/self/uid_map", map);
    snprintf(map, sizeof map, "0 %u 1", group);
    write_file("/proc/self/gid_map", map);
    return 1;
}

/* Best effort from here on: which files there are, and what a user namespace may do, differs between machines. */
static void hide_files(void)
{
    struct stat facts;

    if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
        fail("make the mounts private");
    (void)mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL);
    for (size_t i = 0; i < COUNT(masked); i++) {
        if (stat(masked[i], &facts) < 0)
            continue;
        if (S_ISDIR(facts.st_mode))
            (void)mount("tmpfs", masked[i], "tmpfs", MS_RDONLY, NULL);
        else
            (void)mount("/dev/null", masked[i], NULL, MS_BIND, NULL);
    }
    for (size_t i = 0; i < COUNT(read_only); i++)
        if (mount(read_only[i], read_only[i], NULL, MS_BIND | MS_REC, NULL) == 0)
            (void)mount(NULL, read_only[i], NULL, MS_BIND | MS_REMOUNT | MS_RDONLY, NULL);
}

static void start_loopback(void)
{
    struct ifreq request = {.ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING};
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

    if (fd < 0)
        return;
    (void)ioctl(fd, SIOCSIFFLAGS, &request);
    close(fd);
}

static void keep_capabilities(int nice)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct data[2] = {{0}};
    uint64_t kept = nice ? UINT64_C(1) << CAP_SYS_NICE : 0;

    for (size_t i = 0; i < COUNT(kept_capabilities); i++)
        kept |= UINT64_C(1) << kept_capabilities[i];
    for (unsigned cap = 0; cap < 64; cap++)
        if ((kept >> cap & 1) == 0)
            (void)prctl(PR_CAPBSET_DROP, cap, 0, 0, 0);
    if (syscall(SYS_capget, &header, data) < 0)
        fail("read the capabilities");
    for (unsigned word = 0; word < 2; word++) {
        data[word].permitted &= (uint32_t)(kept >> 32 * word);
        data[word].effective = data[word].permitted;
        data[word].inheritable = 0;
    }
    if (syscall(SYS_capset, &header, data) < 0)
        fail("drop capabilities");
}

/* clone3 is told not to exist, so that C libraries use clone, whose flags a filter can see. */
static void refuse_calls(int nice, int unpinnable)
{
    enum { NUMBER = offsetof(struct seccomp_data, nr), ARCH = offsetof(struct seccomp_data, arch) };
    struct sock_filter code[2 * (COUNT(refused_calls) + COUNT(policy_calls)) + 16];
    struct sock_fprog program = {.filter = code};
    unsigned short length = 0;

#define EMIT(...) code[length++] = (struct sock_filter)__VA_ARGS__
#define REFUSE(error) BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (error))
    EMIT(BPF_STMT(BPF_LD | BPF_W | BPF_ABS, ARCH));
    EMIT(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, THIS_ARCH, 1, 0));
    EMIT(REFUSE(EPERM));
    EMIT(BPF_STMT(BPF_LD | BPF_W | BPF_ABS, NUMBER));
    for (size_t i = 0; i < COUNT(refused_calls); i++) {
        EMIT(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, refused_calls[i], 0, 1));
        EMIT(REFUSE(EPERM));
    }
    for (size_t i = 0; !nice && i < COUNT(policy_calls); i++) {
        EMIT(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, policy_calls[i], 0, 1));
        EMIT(REFUSE(EPERM));
    }
    if (unpinnable) {
        EMIT(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_sched_setaffinity, 0, 1));
        EMIT(REFUSE(EPERM));
    }
    EMIT(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_clone3, 0, 1));
    EMIT(REFUSE(ENOSYS));
    EMIT(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_clone, 0, 3));
    EMIT(BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[0])));
    EMIT(BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, CLONE_NEW_ANY, 0, 1));
    EMIT(REFUSE(EPERM));
    EMIT(BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW));
    program.len = length;
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) < 0)
        fail("install the filter");
}

static int wait_for(pid_t child)
{
    int status;

    while (waitpid(child, &status, 0) < 0)
        if (errno != EINTR)
            fail("wait");
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

int main(int argc, char **argv)
{
    int nice = 0, unpinnable = 0, own;
    char **command = argv + 1;
    pid_t child;

    for (; argc - (command - argv) > 2; command += 2) {
        if (strcmp(command[0], "--cap-add") == 0 && strcmp(command[1], "SYS_NICE") == 0)
            nice = 1;
        else if (strcmp(command[0], "--refuse") == 0 && strcmp(command[1], "sched_setaffinity") == 0)
            unpinnable = 1;
        else
            break;
    }
    if (argc < 2 || *command == NULL || command[0][0] == '-') {
        fprintf(stderr, "container [--cap-add SYS_NICE] [--refuse sched_setaffinity] COMMAND [ARGUMENT]...\n");
        return 125;
    }
    own = unshare_what_may_be();
    /* A new PID namespace begins with the next child. */
    child = fork();
    if (child < 0)
        fail("fork");
    if (child > 0)
        return wait_for(child);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (own) {
        start_loopback();
        hide_files();
    }
    keep_capabilities(nice);
    refuse_calls(nice, unpinnable);
    execvp(command[0], command);
    fail(command[0]);
}
