#include "master/usage.h"
#include "common/base/fd.h"
#include "common/base/span.h"

#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

/* Fields behind the name, which may hold blanks and brackets: state is the first. */
enum { STAT_UTIME = 11, STAT_STIME = 12, STAT_RSS = 21 };
enum { STATM_SHARED = 2 };

#define TEXT_MAX 1024

static uint64_t field(struct span rest, unsigned number)
{
    struct span piece = SPAN_NONE;
    uint64_t v;

    for (unsigned i = 0; i <= number; i++)
        if (!span_split(&rest, ' ', &piece)) return 0;
    return span_u64(piece, UINT64_MAX, &v) ? v : 0;
}

/* What the kernel says in /proc/PID/what; empty: there is no such process. */
static struct span read_text(pid_t pid, const char *what, char dst[TEXT_MAX])
{
    CLEANUP(fd_close) int fd = -1;
    char path[32];
    ssize_t n;

    snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, what);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return SPAN_NONE;
    n = read(fd, dst, TEXT_MAX);
    return n > 0 ? span(dst, (size_t)n) : SPAN_NONE;
}

bool usage_read(pid_t pid, struct usage *ret)
{
    const uint64_t ticks = (uint64_t)sysconf(_SC_CLK_TCK);
    char text[TEXT_MAX];
    struct span s = read_text(pid, "stat", text);
    size_t name = s.n; /* up to its closing bracket */

    while (name > 0 && s.p[name - 1] != ')') name--;
    if (name == 0 || s.n - name < 2) return false;
    s = span_from(s, name + 1);
    ret->rss = field(s, STAT_RSS) * (uint64_t)sysconf(_SC_PAGESIZE);
    ret->cpu_us = (usec_t)((field(s, STAT_UTIME) + field(s, STAT_STIME)) * US_PER_S / ticks);
    ret->system_us = (usec_t)(field(s, STAT_STIME) * US_PER_S / ticks);
    return true;
}

uint64_t usage_shared(pid_t pid)
{
    char text[TEXT_MAX];

    return field(read_text(pid, "statm", text), STATM_SHARED) * (uint64_t)sysconf(_SC_PAGESIZE);
}
