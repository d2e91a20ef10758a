/* Small things about descriptors. */
#ifndef BASE_FD_H
#define BASE_FD_H

#include "common/base/span.h"

/* Closes and sets to -1; harmless on -1. For CLEANUP(fd_close) too. */
void fd_close(int *fd);
int fd_nonblock(int fd); /* 0 or -errno */
/* All bytes, or -errno; for files and other descriptors that block. */
int fd_write_all(int fd, struct span s);
/* A whole file of at most `limit` bytes into memory of the caller's (mem_free), with a NUL behind it that is
 * not counted. dirfd as in openat(2). 0, -EFBIG, or -errno. */
int fd_read_file(int dirfd, const char *path, size_t limit, uint8_t **ret_p, size_t *ret_n);

#endif
