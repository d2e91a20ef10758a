#include "common/conf/paths.h"
#include "common/base/wr.h"

#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

#define VARIANT_DEPTH 2 /* build/bin/X, build/asan/bin/X */

/* Cuts the last part off path. false: there is none. */
static bool up(char *path)
{
    char *slash = strrchr(path, '/');

    if (!slash || path[1] == 0) return false;
    slash[slash == path] = 0;
    return true;
}

static bool join(char dst[PATHS_MAX], const char *dir, const char *rest)
{
    struct wr w = wr_of(dst, PATHS_MAX);

    wr_fmt(&w, "%s%s", strcmp(dir, "/") == 0 ? "" : dir, rest);
    return wr_cstr(&w)[0] != 0;
}

static bool is_there(const char *dir, const char *rest)
{
    char path[PATHS_MAX];
    struct stat st;

    return join(path, dir, rest) && stat(path, &st) == 0;
}

/* A checkout has its Makefile and our table above the build folder. */
static bool is_checkout(const char *dir)
{
    return is_there(dir, "/Makefile") && is_there(dir, "/common/conf/keys.c");
}

static bool of_checkout(const char *programs, const char *root, struct paths *p)
{
    p->checkout = true;
    return join(p->programs, programs, "") && join(p->lua, root, "/lua") &&
        join(p->cpanel, root, "/cpanel") && join(p->state, root, "/var") &&
        join(p->control, root, "/var/control.sock");
}

static bool of_prefix(const char *folder, struct paths *p)
{
    char prefix[PATHS_MAX];

    if (!join(prefix, folder, "") || !up(prefix)) return false; /* sbin, bin */
    if (strcmp(strrchr(folder, '/'), "/media-server") == 0 && !up(prefix))
        return false; /* libexec/media-server */
    return join(p->programs, prefix, "/libexec/media-server") &&
        join(p->lua, prefix, "/share/media-server/lua") &&
        join(p->cpanel, prefix, "/share/media-server/cpanel") &&
        join(p->state, "/var/lib/media-server", "") &&
        join(p->control, "/var/lib/media-server/control.sock", "");
}

int paths_of(const char *exe, struct paths *ret)
{
    char folder[PATHS_MAX], root[PATHS_MAX];
    struct paths p = {0};

    if (!join(folder, exe, "") || !up(folder) || !join(root, folder, "")) return -ENAMETOOLONG;
    up(root);
    for (int i = 0; i < VARIANT_DEPTH && up(root); i++)
        if (is_checkout(root)) {
            if (!of_checkout(folder, root, &p)) return -ENAMETOOLONG;
            *ret = p;
            return 0;
        }
    if (!of_prefix(folder, &p)) return -ENAMETOOLONG;
    *ret = p;
    return 0;
}

int paths_find(struct paths *ret)
{
    char exe[PATHS_MAX];
    ssize_t n = readlink("/proc/self/exe", exe, sizeof(exe) - 1);

    if (n < 0) return -errno;
    exe[n] = 0;
    return paths_of(exe, ret);
}

bool paths_program(const struct paths *p, const char *name, char dst[PATHS_MAX])
{
    char tail[256];
    int n = snprintf(tail, sizeof(tail), "/%s", name);

    return n > 0 && (size_t)n < sizeof(tail) && join(dst, p->programs, tail);
}
