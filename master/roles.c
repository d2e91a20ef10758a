#include "master/roles.h"
#include "common/base/fd.h"
#include "common/base/log.h"
#include "common/base/mem.h"

#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <pwd.h>
#include <sys/stat.h>
#include <unistd.h>

/* Above the ranges of distributions and below the workers'. */
#define GROUP_NUMBER     0x5fff0000u
#define KEEPER_NUMBER    0x5fff0001u
#define HTTPD_NUMBER     0x5fff0002u
#define CONNECTOR_NUMBER 0x5fff0003u
#define WORKER_NUMBER    0x5fff0004u
#define PICTURE_NUMBER   0x5fff0005u
#define LUA_NUMBER       0x5fff0006u
#define COURIER_NUMBER   0x5fff0007u

#define UID_MAP_MAX 65536
#define NO_GROUP    ((gid_t)-1)

#define CAP(n) (1ull << (n))

static uid_t user_of(const char *name, uid_t otherwise)
{
    /* cppcheck-suppress getpwnamCalled ; the master has one thread */
    const struct passwd *p = name[0] ? getpwnam(name) : NULL;

    if (p) return p->pw_uid;
    log_note("user-missing", "user=%s uid=%u", log_q(span_of(name)), (unsigned)otherwise);
    return otherwise;
}

static gid_t group_of(const char *name)
{
    /* cppcheck-suppress getgrnamCalled ; the master has one thread */
    const struct group *g = name[0] ? getgrnam(name) : NULL;

    if (g) return g->gr_gid;
    log_note("group-missing", "group=%s gid=%u", log_q(span_of(name)), GROUP_NUMBER);
    return GROUP_NUMBER;
}

/* The next number of a line of blanks and numbers. */
static bool next_number(struct span *rest, uint64_t *ret)
{
    struct span word;

    *rest = span_trim(*rest);
    return span_split(rest, ' ', &word) && span_u64(word, UINT32_MAX, ret);
}

/* A user namespace may not map our range: then all workers share one user. */
static bool has_range(void)
{
    uint64_t inside, outside, count;
    struct span rest, line;
    bool found = false;
    uint8_t *p;
    size_t n;

    if (fd_read_file(AT_FDCWD, "/proc/self/uid_map", UID_MAP_MAX, &p, &n) < 0) return true;
    rest = span(p, n);
    while (!found && span_split(&rest, '\n', &line))
        found = next_number(&line, &inside) && next_number(&line, &outside) && next_number(&line, &count) &&
            inside <= ROLES_WORKER_BASE && inside + count > ROLES_WORKER_BASE + ROLES_WORKER_MASK;
    mem_free(p);
    return found;
}

/* The first folder on the way to path that lets through neither other users nor the group, in `part`; false:
 * none. What does not exist yet is made by us, and open. */
static bool shut_on_the_way(const char *path, gid_t group, char part[PATHS_MAX])
{
    struct stat st;
    size_t at = 0;

    while (path[0] == '/') {
        struct span rest = span_from(span_of(path), at + 1);
        ssize_t next = span_find(rest, '/');

        span_copy(span_sub(span_of(path), 0, at ? at : 1), part, PATHS_MAX);
        if (stat(part, &st) < 0) return false;
        if (!(st.st_mode & S_IXOTH) && !(st.st_gid == group && (st.st_mode & S_IXGRP))) return true;
        if (next < 0) return false;
        at += (size_t)next + 1;
    }
    return false;
}

static bool closed_to_others(const struct conf *c, const struct paths *paths, gid_t group)
{
    const char *ways[] = {paths->programs, paths->cpanel};
    char part[PATHS_MAX];
    bool shut = false;

    for (size_t i = 0; i < ARRAY_N(ways) && !shut; i++) shut = shut_on_the_way(ways[i], NO_GROUP, part);
    for (size_t i = 0; i < c->n_storages && !shut; i++)
        shut = shut_on_the_way(c->storages[i].path, group, part);
    if (shut)
        log_warn("closed-to-others", "folder=%s effect=\"all processes run as root; no user separates them\"",
            log_q(span_of(part)));
    return shut;
}

void roles_find(const struct conf *conf, const struct paths *paths, struct roles *ret)
{
    struct roles r = {.root = geteuid() == 0, .group = getegid()};
    const struct conf_server *c = &conf->server;

    if (!r.root) {
        log_note("not-root", "effect=\"all processes run as uid %u; no user separates them\"",
            (unsigned)geteuid());
        *ret = r;
        return;
    }
    r.group = group_of(c->group);
    if (closed_to_others(conf, paths, r.group)) {
        *ret = (struct roles){.group = getegid()};
        return;
    }
    r.keeper =
        (struct identity){.change = true, .gid = r.group, .uid = user_of(c->user_keeper, KEEPER_NUMBER)};
    r.keeper.caps = CAP(CAP_CHOWN) | CAP(CAP_DAC_OVERRIDE) | CAP(CAP_FOWNER);
    r.httpd = (struct identity){.change = true, .gid = r.group, .uid = user_of(c->user_httpd, HTTPD_NUMBER)};
    r.connector = (struct identity){
        .change = true, .gid = r.group, .uid = user_of(c->user_connector, CONNECTOR_NUMBER)};
    r.courier =
        (struct identity){.change = true, .gid = r.group, .uid = user_of(c->user_courier, COURIER_NUMBER)};
    /* In nobody's group: it has no business with files. */
    r.picture = (struct identity){
        .change = true, .uid = user_of(c->user_picture, PICTURE_NUMBER), .gid = PICTURE_NUMBER};
    r.lua = (struct identity){.change = true, .uid = user_of(c->user_lua, LUA_NUMBER), .gid = LUA_NUMBER};
    r.one_worker_user = !has_range();
    if (r.one_worker_user) {
        uid_t uid = user_of(c->user_worker, WORKER_NUMBER);

        log_note("no-user-range", "effect=\"all workers share uid %u\"", (unsigned)uid);
        r.worker = (struct identity){.change = true, .uid = uid, .gid = uid};
    }
    *ret = r;
}

struct identity roles_worker(const struct roles *r, const char *uid)
{
    uint32_t n = ROLES_WORKER_BASE + (uint32_t)(hash_fnv1a(span_of(uid)) & ROLES_WORKER_MASK);

    if (!r->root || r->one_worker_user) return r->worker;
    return (struct identity){.change = true, .uid = n, .gid = n};
}

bool roles_is_child(const struct roles *r, unsigned uid)
{
    if (!r->root || uid == 0) return false;
    if (uid >= ROLES_WORKER_BASE && uid <= ROLES_WORKER_BASE + ROLES_WORKER_MASK) return true;
    return uid == r->keeper.uid || uid == r->httpd.uid || uid == r->connector.uid || uid == r->courier.uid ||
        uid == r->picture.uid || uid == r->lua.uid || (r->one_worker_user && uid == r->worker.uid);
}
