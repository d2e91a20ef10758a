#include "master/mounts.h"
#include "common/base/fd.h"
#include "common/base/mem.h"
#include "common/base/wr.h"

#include <fcntl.h>

#define TEXT_MAX (1u << 20)

struct mounts *mounts_read(void)
{
    struct mounts *m = NEW(struct mounts);

    if (fd_read_file(AT_FDCWD, "/proc/self/mountinfo", TEXT_MAX, &m->text, &m->n) < 0)
        *m = (struct mounts){.n = 0};
    return m;
}

void mounts_free(void *mounts)
{
    struct mounts *m = mounts;

    if (m) mem_free(m->text);
    mem_free(m);
}

static bool octal(struct span s, uint8_t *ret)
{
    unsigned v = 0;

    if (s.n < 3) return false;
    for (size_t i = 0; i < 3; i++) {
        if (s.p[i] < '0' || s.p[i] > '7') return false;
        v = v * 8 + (unsigned)(s.p[i] - '0');
    }
    *ret = (uint8_t)v;
    return v > 0 && v < 256;
}

/* Blanks, tabs, line ends and backslashes stand there as \ooo. */
static bool unescape(struct span s, char dst[MOUNT_PATH_MAX])
{
    struct wr w = wr_of(dst, MOUNT_PATH_MAX);

    while (s.n > 0) {
        uint8_t c = s.p[0];
        bool escaped = c == '\\' && octal(span_from(s, 1), &c);

        wr_u8(&w, c);
        s = span_from(s, escaped ? 4 : 1);
    }
    return wr_cstr(&w)[0] != '\0';
}

static bool holds(const char *mount, struct span path)
{
    size_t n = strlen(mount);

    if (n == 1) return true; /* the root */
    return path.n >= n && memcmp(path.p, mount, n) == 0 && (path.n == n || path.p[n] == '/');
}

/* Number, parent, device, root, mount point, options, any number of others, "-", file system. */
static bool read_line(struct span line, struct mount *ret)
{
    enum { MOUNT_POINT = 4 };
    struct span piece = SPAN_NONE;

    for (int i = 0; i <= MOUNT_POINT; i++)
        if (!span_split(&line, ' ', &piece)) return false;
    if (!unescape(piece, ret->path)) return false;
    while (span_split(&line, ' ', &piece))
        if (span_is(piece, "-"))
            return span_split(&line, ' ', &piece) && span_copy(piece, ret->fs, sizeof(ret->fs));
    return false;
}

bool mounts_find(struct span mountinfo, struct span path, struct mount *ret)
{
    struct mount m;
    size_t best = 0;
    struct span line;

    if (path.n == 0 || path.p[0] != '/') return false;
    while (span_split(&mountinfo, '\n', &line)) {
        if (!read_line(line, &m) || m.path[0] != '/' || !holds(m.path, path)) continue;
        if (strlen(m.path) < best) continue;
        best = strlen(m.path);
        *ret = m;
    }
    return best > 0;
}
