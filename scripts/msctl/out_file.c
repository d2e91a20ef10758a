#include "scripts/msctl/out_file.h"
#include "common/base/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static int open_dir(struct out_file *o, const char *path)
{
    const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
    char dir[OUT_PATH_MAX];

    *o = (struct out_file){.dir = -1, .fd = -1};
    if (!name[0] || strcmp(name, ".") == 0 || strcmp(name, "..") == 0) return -EISDIR;
    if (strlen(path) >= sizeof(dir) || strlen(name) + sizeof(".part") > sizeof(o->name)) return -ENAMETOOLONG;
    snprintf(o->name, sizeof(o->name), "%s", name);
    snprintf(dir, sizeof(dir), "%.*s", slash ? (int)(slash - path) + 1 : 1, slash ? path : ".");
    o->dir = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return o->dir < 0 ? -errno : 0;
}

static int open_part(struct out_file *o)
{
    char part[sizeof(o->part)];

    snprintf(part, sizeof(part), "%.*s.part", (int)(sizeof(part) - sizeof(".part")), o->name);
    if (unlinkat(o->dir, part, 0) < 0 && errno != ENOENT) return -errno; /* of one that was killed */
    o->fd = openat(o->dir, part, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0666);
    if (o->fd < 0) return -errno;
    memcpy(o->part, part, sizeof(part));
    return 0;
}

int out_file_open_named(struct out_file *o, const char *path)
{
    int err = open_dir(o, path);

    if (!err) err = open_part(o);
    if (err) out_file_done(o);
    return err;
}

int out_file_open(struct out_file *o, const char *path)
{
    int err = open_dir(o, path);

    if (!err) o->fd = openat(o->dir, ".", O_RDWR | O_TMPFILE | O_CLOEXEC, 0666);
    if (!err && o->fd < 0)
        err = errno == EOPNOTSUPP || errno == EISDIR || errno == EINVAL ? open_part(o) : -errno;
    if (err) out_file_done(o);
    return err;
}

/* A file system without RENAME_NOREPLACE has but this machine's programs to fear in between. */
static int rename_new(const struct out_file *o)
{
    if (renameat2(o->dir, o->part, o->dir, o->name, RENAME_NOREPLACE) == 0) return 0;
    if (errno != EINVAL && errno != ENOSYS) return -errno;
    if (faccessat(o->dir, o->name, F_OK, AT_SYMLINK_NOFOLLOW) == 0) return -EEXIST;
    return renameat(o->dir, o->part, o->dir, o->name) < 0 ? -errno : 0;
}

static int link_as(const struct out_file *o, const char *name)
{
    char self[64];

    snprintf(self, sizeof(self), "/proc/self/fd/%d", o->fd);
    return linkat(AT_FDCWD, self, o->dir, name, AT_SYMLINK_FOLLOW) < 0 ? -errno : 0;
}

static int give_name(struct out_file *o, bool replace)
{
    int err = 0;

    if (!o->part[0] && !replace) return link_as(o, o->name);
    if (!o->part[0]) { /* a link cannot replace; a name beside can be renamed onto it */
        char part[sizeof(o->part)];

        snprintf(part, sizeof(part), "%.*s.part", (int)(sizeof(part) - sizeof(".part")), o->name);
        (void)unlinkat(o->dir, part, 0);
        err = link_as(o, part);
        if (!err) memcpy(o->part, part, sizeof(part));
    }
    if (!err && !replace) err = rename_new(o);
    if (!err && replace && renameat(o->dir, o->part, o->dir, o->name) < 0) err = -errno;
    if (!err) o->part[0] = 0;
    return err;
}

int out_file_keep(struct out_file *o, bool replace)
{
    int err = fsync(o->fd) < 0 ? -errno : give_name(o, replace);

    if (!err && fsync(o->dir) < 0 && errno != EINVAL) err = -errno; /* EINVAL: it cannot be synced there */
    return err;
}

void out_file_done(struct out_file *o)
{
    if (o->part[0]) (void)unlinkat(o->dir, o->part, 0);
    o->part[0] = 0;
    fd_close(&o->fd);
    fd_close(&o->dir);
}
