/* Bytes with descriptors over a Unix stream socket (unix(7), SCM_RIGHTS). The kernel ends a read behind the
 * bytes that the descriptors came with, so one read brings at most one batch. Tests:
 * tests/unit/ipc/test_channel.c. */
#ifndef NET_FDPASS_H
#define NET_FDPASS_H

#include "common/base/span.h"

#define FDPASS_MAX 8

/* Non-blocking. Bytes sent (the descriptors travel with the first of them), or -errno. */
ssize_t fdpass_send(int fd, struct span bytes, const int *fds, int n_fds);
/* Non-blocking. Bytes read, 0 at the end, -errno; -EBADMSG when more than FDPASS_MAX descriptors came (all
 * closed). Those that came are close-on-exec and the caller's. */
ssize_t fdpass_recv(int fd, void *dst, size_t cap, int fds[FDPASS_MAX], int *ret_n_fds);

#endif
