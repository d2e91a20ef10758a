#include "master/roles.h"
#include "common/base/log.h"

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

#define CAP(n) (1ull << (n))

static uid_t user_of(const char *name, uid_t otherwise)
{
    const struct passwd *p = name[0] ? getpwnam(name) : NULL;

    if (p) return p->pw_uid;
    log_note("user-missing", "user=%s uid=%u", log_q(span_of(name)), (unsigned)otherwise);
    return otherwise;
}

static gid_t group_of(const char *name)
{
    const struct group *g = name[0] ? getgrnam(name) : NULL;

    if (g) return g->gr_gid;
    log_note("group-missing", "group=%s gid=%u", log_q(span_of(name)), GROUP_NUMBER);
    return GROUP_NUMBER;
}

/* A user namespace may not map our range: then all workers share one user. */
static bool has_range(void)
{
    unsigned long inside, outside, count;
    char text[128];
    FILE *f = fopen("/proc/self/uid_map", "re");
    bool found = false;

    if (!f) return true;
    while (!found && fgets(text, sizeof(text), f))
        found = sscanf(text, "%lu %lu %lu", &inside, &outside, &count) == 3 && inside <= ROLES_WORKER_BASE &&
            inside + count > ROLES_WORKER_BASE + ROLES_WORKER_MASK;
    fclose(f);
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
