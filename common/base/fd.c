#include "common/base/fd.h"
#include "common/base/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

void fd_close(int *fd)
{
    if (*fd >= 0) close(*fd);
    *fd = -1;
}

int fd_nonblock(int fd)
{
    int flags = fcntl(fd, F_GETFL);

    return flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0 ? -errno : 0;
}

int fd_write_all(int fd, struct span s)
{
    while (s.n > 0) {
        ssize_t n = write(fd, s.p, s.n);

        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return -errno;
        s = span_from(s, (size_t)n);
    }
    return 0;
}

int fd_read_file(int dirfd, const char *path, size_t limit, uint8_t **ret_p, size_t *ret_n)
{
    CLEANUP(fd_close) int fd = openat(dirfd, path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    size_t n = 0, cap = 4096;
    uint8_t *p;

    if (fd < 0) return -errno;
    p = mem_new(cap + 1);
    for (;;) {
        ssize_t got = read(fd, p + n, cap - n);

        if (got < 0 && errno == EINTR) continue;
        if (got < 0 || n + (size_t)got > limit) {
            int err = got < 0 ? -errno : -EFBIG;

            mem_free(p);
            return err;
        }
        if (got == 0) break;
        n += (size_t)got;
        if (n == cap) p = mem_renew(p, (cap *= 2) + 1);
    }
    p[n] = 0;
    *ret_p = p;
    *ret_n = n;
    return 0;
}
