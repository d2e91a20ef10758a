#include "master/roles.h"
#include "common/base/fd.h"
#include "common/base/log.h"
#include "common/base/mem.h"

#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <pwd.h>
#include <unistd.h>

/* Above the ranges of distributions and below the workers'. */
#define GROUP_NUMBER     0x5fff0000u
#define KEEPER_NUMBER    0x5fff0001u
#define HTTPD_NUMBER     0x5fff0002u
#define CONNECTOR_NUMBER 0x5fff0003u
#define WORKER_NUMBER    0x5fff0004u

#define UID_MAP_MAX 65536

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

void roles_find(const struct conf_server *c, struct roles *ret)
{
    struct roles r = {.root = geteuid() == 0, .group = getegid()};

    if (!r.root) {
        log_note("not-root", "effect=\"all processes run as uid %u; no user separates them\"",
            (unsigned)geteuid());
        *ret = r;
        return;
    }
    r.group = group_of(c->group);
    r.keeper =
        (struct identity){.change = true, .gid = r.group, .uid = user_of(c->user_keeper, KEEPER_NUMBER)};
    r.keeper.caps = CAP(CAP_CHOWN) | CAP(CAP_DAC_OVERRIDE) | CAP(CAP_FOWNER);
    r.httpd = (struct identity){.change = true, .gid = r.group, .uid = user_of(c->user_httpd, HTTPD_NUMBER)};
    r.connector = (struct identity){
        .change = true, .gid = r.group, .uid = user_of(c->user_connector, CONNECTOR_NUMBER)};
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
    return uid == r->keeper.uid || uid == r->httpd.uid || uid == r->connector.uid ||
        (r->one_worker_user && uid == r->worker.uid);
}
