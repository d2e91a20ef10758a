#include "master/spawn.h"
#include "common/base/err.h"
#include "common/base/fd.h"
#include "common/ipc/child.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#define ABOVE_CONTRACT 10 /* our descriptors stay above the child's numbers */
#define CAPS_MAX       64
#define EXIT_NO_EXEC   127

static struct {
    int null_fd;
    char path[64], lang[32], tz[80], generation[32], settings[40];
    char passed[4][256]; /* options of the sanitizers, in such builds */
    char *env[11];
} setup = {.null_fd = -1};

static void pass_sanitizer_options(size_t *n)
{
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    static const char *const names[] = {"ASAN_OPTIONS", "UBSAN_OPTIONS", "LSAN_OPTIONS", "TSAN_OPTIONS"};

    for (size_t i = 0; i < ARRAY_N(names); i++) {
        const char *value = getenv(names[i]);

        if (!value) continue;
        snprintf(setup.passed[i], sizeof(setup.passed[i]), "%s=%s", names[i], value);
        setup.env[(*n)++] = setup.passed[i];
    }
#else
    (void)n;
#endif
}

void spawn_setup(const char *time_zone)
{
    size_t n = 0;
    int fd = open("/dev/null", O_RDWR | O_CLOEXEC);

    must(fd >= 0);
    setup.null_fd = fcntl(fd, F_DUPFD_CLOEXEC, ABOVE_CONTRACT);
    must(setup.null_fd >= 0);
    fd_close(&fd);
    span_copy(SPAN_LIT("PATH=/usr/sbin:/usr/bin:/sbin:/bin"), setup.path, sizeof(setup.path));
    span_copy(SPAN_LIT("LANG=C.UTF-8"), setup.lang, sizeof(setup.lang));
    setup.env[n++] = setup.path;
    setup.env[n++] = setup.lang;
    setup.env[n++] = setup.generation;
    setup.env[n++] = setup.settings;
    if (time_zone[0]) {
        snprintf(setup.tz, sizeof(setup.tz), "TZ=%s", time_zone);
        setup.env[n++] = setup.tz;
    }
    pass_sanitizer_options(&n);
    setup.env[n] = NULL;
}

/* --- the child, between vfork and exec: system calls only, no memory of the master is changed but *ret_err
 * --- */

/* The C library's setresuid and its kin keep books about threads: not here. */
static long keep_caps(uint64_t caps)
{
    struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct data[2];

    for (unsigned i = 0; i < 2; i++) {
        uint32_t bits = (uint32_t)(caps >> (32 * i));

        data[i] = (struct __user_cap_data_struct){.effective = bits, .permitted = bits, .inheritable = bits};
    }
    if (syscall(SYS_capset, &head, data) < 0) return -1;
    for (unsigned i = 0; i < CAPS_MAX; i++)
        if ((caps >> i & 1) && prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, i, 0, 0) < 0) return -1;
    return 0;
}

static long become(const struct identity *as)
{
    if (!as->change) return 0;
    for (unsigned i = 0; i < CAPS_MAX; i++)
        if (!(as->caps >> i & 1) && prctl(PR_CAPBSET_DROP, i, 0, 0, 0) < 0 && errno != EINVAL) return -1;
    if (as->caps && prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) < 0) return -1;
    if (syscall(SYS_setgroups, 0, NULL) < 0) return -1;
    if (syscall(SYS_setresgid, as->gid, as->gid, as->gid) < 0) return -1;
    if (syscall(SYS_setresuid, as->uid, as->uid, as->uid) < 0) return -1;
    return as->caps ? keep_caps(as->caps) : 0;
}

static long take_descriptors(const struct spawn *s, int control)
{
    if (dup2(setup.null_fd, STDIN_FILENO) < 0) return -1;
    if (dup2(s->log_fd, STDOUT_FILENO) < 0 || dup2(s->log_fd, STDERR_FILENO) < 0) return -1;
    if (dup2(control, CHILD_CONTROL_FD) < 0) return -1;
    /* An old kernel has no close_range; all of ours are close-on-exec. */
    (void)syscall(SYS_close_range, CHILD_CONTROL_FD + 1, ~0u, 0);
    return 0;
}

static long reset_signals(void)
{
    const struct sigaction normal = {.sa_handler = SIG_DFL}, ignored = {.sa_handler = SIG_IGN};
    sigset_t none;

    for (int signo = 1; signo < NSIG; signo++)
        if (signo != SIGKILL && signo != SIGSTOP)
            (void)sigaction(signo, signo == SIGPIPE ? &ignored : &normal, NULL);
    sigemptyset(&none);
    return sigprocmask(SIG_SETMASK, &none, NULL);
}

/* Never more than the master's own: a hard limit is not raised here. */
static long limit(const struct spawn *s)
{
    const struct rlimit none = {0, 0};
    struct rlimit files;

    if (setrlimit(RLIMIT_CORE, &none) < 0 || getrlimit(RLIMIT_NOFILE, &files) < 0) return -1;
    if (s->fd_limit == 0 || s->fd_limit >= files.rlim_max) return 0;
    files.rlim_cur = files.rlim_max = s->fd_limit;
    return setrlimit(RLIMIT_NOFILE, &files);
}

_Noreturn static void child_side(const struct spawn *s, int control, char *const *argv, volatile int *ret_err)
{
    /* A session of its own: Ctrl-C on a terminal is the master's to hear, which stops them in order. */
    if (setsid() >= 0 && take_descriptors(s, control) == 0 && limit(s) == 0 && become(&s->as) == 0 &&
        prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 && chdir("/") == 0 && reset_signals() == 0)
        execve(s->program, argv, setup.env);
    *ret_err = errno;
    _exit(EXIT_NO_EXEC);
}

/* --- the master --- */

static int above(int *fd)
{
    int up = fcntl(*fd, F_DUPFD_CLOEXEC, ABOVE_CONTRACT);

    fd_close(fd);
    *fd = up;
    return up < 0 ? -errno : 0;
}

__attribute__((noinline)) static int give_birth(
    const struct spawn *s, int control, char *const *argv, volatile int *ret_err)
{
    /* The child makes system calls only, and its errors come back by memory: posix_spawn has no capabilities.
     */
    pid_t pid = vfork(); /* NOLINT(clang-analyzer-security.insecureAPI.vfork) */

    /* NOLINTNEXTLINE(clang-analyzer-unix.Vfork) */
    if (pid == 0) child_side(s, control, argv, ret_err);
    return pid < 0 ? -errno : pid;
}

int spawn_child(const struct spawn *s, int *ret_pid, int *ret_control_fd)
{
    char name[32], arg[64] = "";
    char *argv[] = {name, s->arg ? arg : NULL, NULL};
    sigset_t all, before;
    volatile int err = 0;
    int sv[2], pid;

    span_copy(span_of(s->name), name, sizeof(name));
    span_copy(span_of(s->arg), arg, sizeof(arg));
    snprintf(setup.generation, sizeof(setup.generation), "MS_GENERATION=%u", s->generation);
    snprintf(
        setup.settings, sizeof(setup.settings), "MS_SETTINGS=%016llx", (unsigned long long)s->settings_hash);
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sv) < 0) return -errno;
    if (above(&sv[1]) < 0) {
        fd_close(&sv[0]);
        return -EMFILE;
    }
    /* A signal between vfork and exec would run our handlers in the child. */
    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, &before);
    pid = give_birth(s, sv[1], argv, &err);
    sigprocmask(SIG_SETMASK, &before, NULL);
    fd_close(&sv[1]);
    if (pid < 0 || err != 0) {
        fd_close(&sv[0]);
        return pid < 0 ? pid : -err;
    }
    *ret_pid = pid;
    *ret_control_fd = sv[0];
    return 0;
}
