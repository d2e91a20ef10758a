/* Runs other programs (ffmpeg, mkfs) in tests, and makes folders for them to work in. */
#ifndef SUPPORT_TOOL_H
#define SUPPORT_TOOL_H

#include "common/base/buf.h"

bool tool_exists(const char *name); /* in PATH */
/* Runs argv (NULL at its end) and waits. Its stdout goes into out (NULL: thrown away), stderr is thrown away.
 * Its exit code, 128 + signal, or -errno. */
int tool_run(const char *const *argv, struct buf *out);
/* A new folder under TMPDIR or /tmp, removed with everything in it by tool_rmdir. */
void tool_tmpdir(char *dst, size_t cap);
int tool_tmpdir_open(char *dst, size_t cap); /* the same, and its descriptor */
void tool_rmdir(const char *path);

#endif
