#include "master/host.h"
#include "common/base/err.h"
#include "common/base/fd.h"
#include "common/base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#define FD_ABOVE  10 /* of the child contract's numbers */
#define PATH_LONG 4096
/* The master's own, and of a stream: six held, four under way to httpd, two to the worker's partners. */
#define FDS_BASE   256
#define FDS_STREAM 12

static void open_standard(void)
{
    int fd = open("/dev/null", O_RDWR | O_CLOEXEC);

    while (fd >= 0 && fd <= STDERR_FILENO) {
        (void)fcntl(fd, F_SETFD, 0);
        fd = open("/dev/null", O_RDWR | O_CLOEXEC);
    }
    fd_close(&fd);
}

void host_limit_fds(int64_t fds)
{
    struct rlimit want = {(rlim_t)fds, (rlim_t)fds}, have;

    if (setrlimit(RLIMIT_NOFILE, &want) == 0 || getrlimit(RLIMIT_NOFILE, &have) < 0) return;
    want = (struct rlimit){MIN((rlim_t)fds, have.rlim_max), have.rlim_max};
    (void)setrlimit(RLIMIT_NOFILE, &want);
    if (want.rlim_cur < (rlim_t)fds)
        log_note("fd-limit", "wanted=%lld got=%llu", (long long)fds, (unsigned long long)want.rlim_cur);
}

void host_check_fds(size_t streams)
{
    rlim_t need = FDS_BASE + (rlim_t)streams * FDS_STREAM;
    struct rlimit have;

    if (getrlimit(RLIMIT_NOFILE, &have) == 0 && have.rlim_cur < need)
        log_warn("fd-limit-low", "streams=%zu need=%llu have=%llu", streams, (unsigned long long)need,
            (unsigned long long)have.rlim_cur);
}

void host_setup(void)
{
    const struct rlimit none = {0, 0};

    open_standard();
    umask(027);
    (void)setrlimit(RLIMIT_CORE, &none);
    (void)sigaction(SIGPIPE, &(struct sigaction){.sa_handler = SIG_IGN}, NULL);
}

void host_time_zone(const char *name)
{
    if (name[0]) must(setenv("TZ", name, 1) == 0);
    tzset();
}

int host_log_open(const char *file, int *ret_fd)
{
    int fd, up;

    if (!file[0]) {
        *ret_fd = STDOUT_FILENO;
        return 0;
    }
    fd = open(file, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY, 0640);
    if (fd < 0) return -errno;
    up = fcntl(fd, F_DUPFD_CLOEXEC, FD_ABOVE);
    fd_close(&fd);
    if (up < 0) return -errno;
    *ret_fd = up;
    return 0;
}

bool host_is_journal(int fd)
{
    struct span rest = span_of(getenv("JOURNAL_STREAM")), dev_text;
    uint64_t dev, ino;
    struct stat st;

    if (!span_split(&rest, ':', &dev_text) || !span_u64(dev_text, UINT64_MAX, &dev) ||
        !span_u64(rest, UINT64_MAX, &ino) || fstat(fd, &st) < 0)
        return false;
    return st.st_dev == dev && st.st_ino == ino;
}

static int make_parents(const char *path)
{
    char part[PATH_LONG];

    if (!span_copy(span_of(path), part, sizeof(part))) return -ENAMETOOLONG;
    for (char *at = strchr(part + 1, '/'); at; at = strchr(at + 1, '/')) {
        *at = 0;
        if (mkdir(part, 0755) < 0 && errno != EEXIST) return -errno;
        *at = '/';
    }
    return 0;
}

int host_state_dir(const char *path, const struct roles *r, int *ret_fd)
{
    int err = make_parents(path), fd;
    bool fresh;

    if (err < 0) return err;
    fresh = mkdir(path, 0750) == 0;
    if (!fresh && errno != EEXIST) return -errno;
    fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) return -errno;
    if (fresh && r->root && (fchown(fd, (uid_t)-1, r->group) < 0 || fchmod(fd, 0750) < 0))
        log_warn("state-dir-group", "err=%s", log_q(span_of(err_text(-errno))));
    *ret_fd = fd;
    return 0;
}
