#include "master/usage.h"
#include "common/base/fd.h"
#include "common/base/span.h"

#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

/* Fields behind the name, which may hold blanks and brackets: state is the first. */
enum { STAT_UTIME = 11, STAT_STIME = 12, STAT_RSS = 21 };

static uint64_t field(struct span rest, unsigned number)
{
    struct span piece = SPAN_NONE;
    uint64_t v;

    for (unsigned i = 0; i <= number; i++)
        if (!span_split(&rest, ' ', &piece)) return 0;
    return span_u64(piece, UINT64_MAX, &v) ? v : 0;
}

bool usage_read(pid_t pid, struct usage *ret)
{
    const uint64_t ticks = (uint64_t)sysconf(_SC_CLK_TCK);
    char path[32], text[1024];
    CLEANUP(fd_close) int fd = -1;
    struct span s;
    ssize_t n;

    snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return false;
    n = read(fd, text, sizeof(text));
    if (n <= 0) return false;
    s = span(text, (size_t)n);
    while (s.n > 0 && s.p[s.n - 1] != ')') s.n--;
    if (s.n == 0) return false;
    s = span(text + s.n, (size_t)n - s.n);
    if (s.n < 2) return false;
    s = span_from(s, 1);
    ret->rss = field(s, STAT_RSS) * (uint64_t)sysconf(_SC_PAGESIZE);
    ret->cpu_us = (usec_t)((field(s, STAT_UTIME) + field(s, STAT_STIME)) * US_PER_S / ticks);
    return true;
}
