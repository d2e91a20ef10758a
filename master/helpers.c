#include "master/helpers.h"
#include "common/base/clock.h"
#include "common/base/err.h"
#include "common/base/fd.h"
#include "common/base/log.h"
#include "common/ipc/child.h"
#include "master/master.h"

#include <signal.h>
#include <sys/wait.h>

static void tell(struct helper *p, int err, int fd)
{
    struct channel *ch = services_channel(p->m, SERVICE_HTTPD);
    struct packer *to;

    if (!ch) return;
    to = channel_begin(ch, MSG_HELPER, 3);
    pack_kv_u64(to, "kind", HELPER_PICTURE);
    pack_kv_u64(to, "id", p->id);
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
    struct spawn s = {.program = program, .name = "ms-picture", .as = m->roles.picture, .log_fd = m->log_fd};
    int fd = -1, err;

    s.arg = m->conf->server.sandbox == CONF_SANDBOX_REQUIRED ? "required" : "best-effort";
    paths_program(&m->paths, s.name, program);
    err = spawn_child(&s, &p->pid, &fd);
    if (err < 0) log_error("helper-spawn", "program=%s err=%s", s.name, log_q(span_of(err_text(err))));
    tell(p, err, fd);
    fd_close(&fd);
    if (err < 0) release(p);
}

static struct helper *place(struct helpers *h)
{
    size_t most = MIN((size_t)h->m->conf->server.pictures * 2, (size_t)HELPERS_MAX);

    for (size_t i = 0; i < most; i++)
        if (h->v[i].id == 0) return &h->v[i];
    return NULL;
}

static void pump(struct helpers *h)
{
    struct helper *p;

    while (h->wanted > 0 && (p = place(h)) != NULL) {
        h->wanted--;
        p->id = ++h->last_id;
        loop_timer_set(h->m->loop, &p->turn, bucket_take(&h->turns, clock_mono_us()), bear, p);
    }
}

static void say_death(const struct helper *p, int status)
{
    if (WIFSIGNALED(status) && !p->killed)
        log_error("helper-died", "helper=picture pid=%d signal=%d", p->pid, WTERMSIG(status));
    else if (WIFEXITED(status) && WEXITSTATUS(status) == CHILD_EXIT_CONFIG)
        log_error("helper-refuses",
            "helper=picture pid=%d why=\"sandbox = required, and a layer is missing\"", p->pid);
    else if (WIFEXITED(status) && WEXITSTATUS(status) != CHILD_EXIT_OK)
        log_error("helper-died", "helper=picture pid=%d code=%d", p->pid, WEXITSTATUS(status));
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
    *h = (struct helpers){.m = m, .turns = bucket_of(SERVICE_EVERY_US, SERVICE_BURST)};
    for (size_t i = 0; i < HELPERS_MAX; i++) h->v[i].m = m;
    m->births.other_died = died;
    m->births.other_arg = h;
}

void helpers_want(struct helpers *h, uint64_t kind)
{
    if (kind != HELPER_PICTURE) return;
    h->wanted = MIN(h->wanted + 1, (unsigned)HELPERS_MAX);
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
    h->wanted = 0;
    for (size_t i = 0; i < HELPERS_MAX; i++)
        if (h->v[i].id != 0) end(&h->v[i]);
}

unsigned helpers_alive(const struct helpers *h)
{
    unsigned n = 0;

    for (size_t i = 0; i < HELPERS_MAX; i++) n += h->v[i].pid != 0;
    return n;
}
