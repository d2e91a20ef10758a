#include "master/helpers.h"
#include "common/base/clock.h"
#include "common/base/err.h"
#include "common/base/fd.h"
#include "common/base/log.h"
#include "common/ipc/child.h"
#include "master/master.h"

#include <signal.h>
#include <sys/wait.h>

static const struct {
    const char *name, *program;
    size_t identity; /* in struct roles */
} kinds[HELPER_KINDS] = {
    [HELPER_PICTURE] = {"picture", "ms-picture", offsetof(struct roles, picture)},
    [HELPER_LUA] = {"luahost", "ms-luahost", offsetof(struct roles, lua)},
    [HELPER_PLUGINS] = {"luahost-plugins", "ms-luahost", offsetof(struct roles, lua)},
};

static void tell(struct helper *p, int err, int fd)
{
    struct channel *ch = services_channel(p->m, SERVICE_HTTPD);
    struct packer *to;

    if (!ch) return;
    to = channel_begin(ch, MSG_HELPER, 4);
    pack_kv_u64(to, "kind", p->kind);
    pack_kv_u64(to, "id", p->id);
    pack_kv_i64(to, "pid", p->pid);
    pack_kv_i64(to, "err", -err);
    channel_end(ch, &fd, err == 0 ? 1 : 0);
}

static void release(struct helper *p)
{
    loop_timer_stop(&p->turn);
    *p = (struct helper){.m = p->m};
}

static void bear(struct loop_timer *t)
{
    static char program[PATHS_MAX];
    struct helper *p = t->arg;
    struct master *m = p->m;
    struct spawn s = {.program = program, .name = kinds[p->kind].program, .log_fd = m->log_fd};
    int fd = -1, err;

    memcpy(&s.as, (const uint8_t *)&m->roles + kinds[p->kind].identity, sizeof(s.as));
    s.arg = m->conf->server.sandbox == CONF_SANDBOX_REQUIRED ? "required" : "best-effort";
    paths_program(&m->paths, s.name, program);
    err = spawn_child(&s, &p->pid, &fd);
    if (err < 0) log_error("helper-spawn", "program=%s err=%s", s.name, log_q(span_of(err_text(err))));
    tell(p, err, fd);
    fd_close(&fd);
    if (err < 0) release(p);
}

static unsigned most_of(const struct helpers *h, enum helper_kind kind)
{
    return kind != HELPER_PICTURE ? 2 : (unsigned)MIN(h->m->conf->server.pictures * 2, HELPERS_MAX - 4);
}

static struct helper *place(struct helpers *h, enum helper_kind kind)
{
    struct helper *free_one = NULL;
    unsigned n = 0;

    for (size_t i = 0; i < HELPERS_MAX; i++) {
        if (h->v[i].id == 0)
            free_one = free_one ? free_one : &h->v[i];
        else
            n += h->v[i].kind == kind;
    }
    return n < most_of(h, kind) ? free_one : NULL;
}

static void pump_kind(struct helpers *h, enum helper_kind kind)
{
    struct helper *p;

    while (h->wanted[kind] > 0 && (p = place(h, kind)) != NULL) {
        h->wanted[kind]--;
        p->id = ++h->last_id;
        p->kind = kind;
        loop_timer_set(h->m->loop, &p->turn, bucket_take(&h->turns[kind], clock_mono_us()), bear, p);
    }
}

static void pump(struct helpers *h)
{
    for (unsigned k = HELPER_PICTURE; k < HELPER_KINDS; k++) pump_kind(h, (enum helper_kind)k);
}

static void say_death(const struct helper *p, int status)
{
    const char *name = kinds[p->kind].name;

    if (WIFSIGNALED(status) && !p->killed)
        log_error("helper-died", "helper=%s pid=%d signal=%d", name, p->pid, WTERMSIG(status));
    else if (WIFEXITED(status) && WEXITSTATUS(status) == CHILD_EXIT_CONFIG)
        log_error("helper-refuses", "helper=%s pid=%d why=\"sandbox = required, and a layer is missing\"",
            name, p->pid);
    else if (WIFEXITED(status) && WEXITSTATUS(status) != CHILD_EXIT_OK)
        log_error("helper-died", "helper=%s pid=%d code=%d", name, p->pid, WEXITSTATUS(status));
}

static void died(void *arg, int pid, int status)
{
    struct helpers *h = arg;

    for (size_t i = 0; i < HELPERS_MAX; i++) {
        if (h->v[i].pid != pid) continue;
        say_death(&h->v[i], status);
        release(&h->v[i]);
        pump(h);
        return;
    }
}

void helpers_init(struct helpers *h, struct master *m)
{
    *h = (struct helpers){.m = m};
    for (size_t i = 0; i < HELPER_KINDS; i++) h->turns[i] = bucket_of(SERVICE_EVERY_US, SERVICE_BURST);
    for (size_t i = 0; i < HELPERS_MAX; i++) h->v[i].m = m;
    m->births.other_died = died;
    m->births.other_arg = h;
}

void helpers_want(struct helpers *h, uint64_t kind)
{
    if (kind == 0 || kind >= HELPER_KINDS) return;
    h->wanted[kind] = MIN(h->wanted[kind] + 1, (unsigned)HELPERS_MAX);
    pump(h);
}

static void end(struct helper *p)
{
    if (p->pid == 0) {
        release(p);
        return;
    }
    p->killed = true;
    (void)kill(p->pid, SIGKILL);
}

void helpers_kill(struct helpers *h, uint64_t id)
{
    for (size_t i = 0; i < HELPERS_MAX; i++)
        if (id != 0 && h->v[i].id == id) end(&h->v[i]);
    pump(h);
}

void helpers_end(struct helpers *h)
{
    memset(h->wanted, 0, sizeof(h->wanted));
    for (size_t i = 0; i < HELPERS_MAX; i++)
        if (h->v[i].id != 0) end(&h->v[i]);
}

unsigned helpers_alive(const struct helpers *h, enum helper_kind kind)
{
    unsigned n = 0;

    for (size_t i = 0; i < HELPERS_MAX; i++) n += h->v[i].pid != 0 && h->v[i].kind == kind;
    return n;
}
