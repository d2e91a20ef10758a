#include "common/net/fdpass.h"
#include "common/base/err.h"
#include "common/base/fd.h"

#include <errno.h>
#include <sys/socket.h>

union control {
    struct cmsghdr align;
    uint8_t bytes[CMSG_SPACE(sizeof(int) * FDPASS_MAX)];
};

ssize_t fdpass_send(int fd, struct span bytes, const int *fds, int n_fds)
{
    union control control;
    struct iovec iov = {.iov_len = bytes.n};
    struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};
    ssize_t n;

    must(n_fds >= 0 && n_fds <= FDPASS_MAX);
    memcpy(&iov.iov_base, &bytes.p, sizeof(bytes.p));
    if (n_fds > 0) {
        struct cmsghdr *c = &control.align;

        memset(&control, 0, sizeof(control));
        msg.msg_control = control.bytes;
        msg.msg_controllen = CMSG_SPACE(sizeof(int) * (size_t)n_fds);
        c->cmsg_level = SOL_SOCKET;
        c->cmsg_type = SCM_RIGHTS;
        c->cmsg_len = CMSG_LEN(sizeof(int) * (size_t)n_fds);
        memcpy(CMSG_DATA(c), fds, sizeof(int) * (size_t)n_fds);
    }
    do n = sendmsg(fd, &msg, MSG_NOSIGNAL | MSG_DONTWAIT);
    while (n < 0 && errno == EINTR);
    return n < 0 ? -errno : n;
}

static int take_fds(struct msghdr *msg, int *fds)
{
    int n = 0;

    for (struct cmsghdr *c = CMSG_FIRSTHDR(msg); c; c = CMSG_NXTHDR(msg, c)) {
        size_t count = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);

        if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS) continue;
        for (size_t i = 0; i < count && n < FDPASS_MAX; i++)
            memcpy(&fds[n++], CMSG_DATA(c) + i * sizeof(int), sizeof(int));
    }
    return n;
}

ssize_t fdpass_recv(int fd, void *dst, size_t cap, int fds[FDPASS_MAX], int *ret_n_fds)
{
    union control control;
    struct iovec iov = {.iov_base = dst, .iov_len = cap};
    struct msghdr msg = {.msg_iov = &iov,
        .msg_iovlen = 1,
        .msg_control = control.bytes,
        .msg_controllen = sizeof(control.bytes)};
    ssize_t n;

    *ret_n_fds = 0;
    do n = recvmsg(fd, &msg, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    while (n < 0 && errno == EINTR);
    if (n < 0) return -errno;
    *ret_n_fds = take_fds(&msg, fds);
    if (!(msg.msg_flags & MSG_CTRUNC)) return n;
    while (*ret_n_fds > 0) fd_close(&fds[--*ret_n_fds]);
    return -EBADMSG;
}
