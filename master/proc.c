#include "master/proc.h"
#include "common/base/clock.h"
#include "common/base/err.h"
#include "common/base/log.h"
#include "common/base/rng.h"

#include <errno.h>
#include <sys/wait.h>

#define BIT(s) (1u << (s))

static const struct {
    const char *name;
    unsigned next; /* legal moves */
} states[] = {
    [PROC_OFF] = {"off", BIT(PROC_QUEUED)},
    [PROC_QUEUED] = {"queued", BIT(PROC_STARTING) | BIT(PROC_WAITING) | BIT(PROC_OFF)},
    [PROC_STARTING] = {"starting", BIT(PROC_RUNNING) | BIT(PROC_STOPPING) | BIT(PROC_DEAD)},
    [PROC_RUNNING] = {"running", BIT(PROC_STOPPING) | BIT(PROC_DEAD)},
    [PROC_STOPPING] = {"stopping", BIT(PROC_DEAD)},
    [PROC_DEAD] = {"dead", BIT(PROC_OFF) | BIT(PROC_QUEUED) | BIT(PROC_WAITING) | BIT(PROC_HELD)},
    [PROC_WAITING] = {"waiting", BIT(PROC_QUEUED) | BIT(PROC_OFF)},
    [PROC_HELD] = {"held", BIT(PROC_QUEUED) | BIT(PROC_OFF)},
};

/* Every move: its timer ends, births hear of it. */
static void move(struct proc *p, enum proc_state to, const char *why)
{
    enum proc_state from = p->state;

    must((states[from].next & BIT(to)) != 0);
    loop_timer_stop(&p->timer);
    p->state = to;
    log_debug("proc-state", "of=%s from=%s to=%s why=\"%s\"", p->id, states[from].name, states[to].name, why);
    if (from == PROC_STARTING) births_shook_hands(p->births);
}

static void timer(struct proc *p, usec_t after_us, void (*fn)(struct loop_timer *))
{
    loop_timer_set(p->births->loop, &p->timer, after_us, fn, p);
}

/* --- birth --- */

static void queue(struct proc *p, bool first, const char *why)
{
    move(p, PROC_QUEUED, why);
    births_want(p->births, p, first);
}

static void waited(struct loop_timer *t)
{
    queue(t->arg, true, "its time has come");
}

static void wait_for(struct proc *p, usec_t wait_us, const char *why)
{
    move(p, PROC_WAITING, why);
    timer(p, wait_us, waited);
}

static void hello_late(struct loop_timer *t)
{
    struct proc *p = t->arg;

    log_error("no-handshake", "of=%s pid=%d after_s=%d", p->id, p->pid, (int)(PROC_HELLO_US / US_PER_S));
    p->hung = true;
    proc_kill(p);
}

static int on_message(struct channel *ch, struct incoming *in);
static void on_close(struct channel *ch, int err);
static const struct channel_ops channel_ops = {.on_message = on_message, .on_close = on_close};

/* How long until the next birth, or THROTTLE_CONFIG. */
static usec_t wait_after(struct proc *p, usec_t now_us, const struct proc_death *d)
{
    usec_t wait_us;

    if (p->turns) {
        wait_us = bucket_take(p->turns, now_us);
        return MAX(wait_us, d->err < 0 ? THROTTLE_FIRST_US : 0);
    }
    wait_us = throttle_died(&p->throttle, now_us, d->lived_us, d->err == 0 && p->ops->worked(p), d->how);
    return wait_us > 0 ? rng_jitter(wait_us, THROTTLE_JITTER) : wait_us;
}

void proc_bear(struct proc *p)
{
    struct spawn s = {.generation = ++p->births->generation};
    struct proc_death d = {.how = DEATH_EXIT, .wanted = true};
    int fd, err;

    p->ops->prepare(p, &s);
    err = spawn_child(&s, &p->pid, &fd);
    if (err < 0) {
        log_error("spawn-failed", "of=%s program=%s err=%s", p->id, s.program, log_q(span_of(err_text(err))));
        d.err = err;
        d.wait_us = wait_after(p, clock_mono_us(), &d);
        p->ops->on_death(p, &d);
        wait_for(p, d.wait_us, "could not be born");
        return;
    }
    p->gen = s.generation;
    p->settings_hash = s.settings_hash;
    p->born_us = clock_mono_us();
    p->hung = p->again = false;
    births_born(p->births, p, p->pid);
    p->ch = channel_new(p->births->loop, fd, ROLE_MASTER, p->role, &channel_ops, p);
    move(p, PROC_STARTING, "born");
    timer(p, PROC_HELLO_US, hello_late);
}

/* --- its words --- */

static const char *refuse_hello(const struct proc *p, const struct packed *body)
{
    if (packed_u64(body, "proto", 0) != IPC_PROTO)
        return "another protocol: program and master are of different versions";
    if (packed_u64(body, "role", 0) != p->role) return "another role";
    if (packed_u64(body, "gen", 0) != p->gen) return "another generation";
    if (packed_u64(body, "pid", 0) != (uint64_t)p->pid) return "another process";
    if (packed_u64(body, "hash", 0) != p->settings_hash) return "other settings";
    if (p->role == ROLE_WORKER && !span_is(packed_str(body, "uid"), p->id)) return "another stream";
    return NULL;
}

static int on_message(struct channel *ch, struct incoming *in)
{
    struct proc *p = channel_arg(ch);
    const char *why;

    if (p->state == PROC_STARTING) {
        why = in->type == MSG_HELLO ? refuse_hello(p, in->body) : "no HELLO first";
        if (why) {
            log_error("handshake-refused", "of=%s pid=%d why=\"%s\"", p->id, p->pid, why);
            return -EPROTO;
        }
        move(p, PROC_RUNNING, "shook hands");
        log_debug(
            "handshake", "of=%s pid=%d us=%lld", p->id, p->pid, (long long)(clock_mono_us() - p->born_us));
        p->ops->on_hello(p);
        return 0;
    }
    return in->type == MSG_HELLO ? -EPROTO : p->ops->on_message(p, in);
}

static void buried(struct proc *p);

static void stop_late(struct loop_timer *t)
{
    struct proc *p = t->arg;

    log_warn("stop-late", "of=%s pid=%d", p->id, p->pid);
    proc_kill(p);
}

static void on_close(struct channel *ch, int err)
{
    struct proc *p = channel_arg(ch);
    bool refused = err < 0 && p->state != PROC_DEAD;

    /* Before its socket closes: it must not leave in order, as one whose master died. */
    if (refused) {
        log_error("child-refused", "of=%s pid=%d err=%s", p->id, p->pid, log_q(span_of(err_text(err))));
        proc_kill(p);
    }
    channel_free(ch);
    p->ch = NULL;
    if (p->state == PROC_DEAD) {
        buried(p);
        return;
    }
    if (p->state == PROC_STOPPING) return;
    move(p, PROC_STOPPING, "its socket closed");
    timer(p, PROC_STOP_US, stop_late);
}

/* --- death --- */

static enum death how_died(const struct proc *p)
{
    if (p->hung) return DEATH_HANG;
    if (WIFSIGNALED(p->status)) return DEATH_SIGNAL;
    return WEXITSTATUS(p->status) == 78 ? DEATH_CONFIG : DEATH_EXIT;
}

static void off(struct proc *p)
{
    move(p, PROC_OFF, "not wanted");
    p->ops->on_off(p);
}

/* In order, or by our own SIGKILL: what the log says of that stands in stop_late. */
static bool ended_as_asked(const struct proc *p)
{
    int s = p->status;

    return (!p->wanted || p->again) &&
        (WIFSIGNALED(s) ? WTERMSIG(s) == SIGKILL : WIFEXITED(s) && WEXITSTATUS(s) == 0);
}

/* Its end was told: what comes now. */
static void after_death(struct proc *p, const struct proc_death *d)
{
    if (!p->wanted)
        off(p);
    else if (d->wait_us == THROTTLE_CONFIG)
        move(p, PROC_HELD, "its configuration is refused");
    else if (d->wait_us == 0)
        queue(p, true, "again");
    else
        wait_for(p, d->wait_us, "died");
}

static void buried(struct proc *p)
{
    usec_t now_us = clock_mono_us();
    struct proc_death d = {.how = how_died(p),
        .status = p->status,
        .lived_us = now_us - p->born_us,
        .wanted = p->wanted,
        .asked = ended_as_asked(p)};

    p->pid = 0;
    p->restarts++;
    if (p->wanted && !p->again) {
        d.wait_us = wait_after(p, now_us, &d);
        if (d.wait_us != THROTTLE_CONFIG) {
            usec_t turn_us = births_after_death(p->births);

            d.wait_us = MAX(d.wait_us, turn_us);
        }
    }
    d.quarantined = p->throttle.quarantined;
    p->ops->on_death(p, &d);
    after_death(p, &d);
}

static void socket_late(struct loop_timer *t)
{
    struct proc *p = t->arg;

    channel_free(p->ch);
    p->ch = NULL;
    buried(p);
}

void proc_died(struct proc *p, int status)
{
    p->status = status;
    move(p, PROC_DEAD, "died");
    if (p->ch)
        timer(p, PROC_SOCKET_US, socket_late);
    else
        buried(p);
}

void proc_kill(struct proc *p)
{
    /* A pid stays ours until it is reaped: proc_died comes first. */
    if (p->pid > 0 && p->state != PROC_DEAD) kill(p->pid, SIGKILL);
}

/* --- what is asked of it --- */

static void tell_to_stop(struct proc *p)
{
    if (p->state == PROC_RUNNING && p->ch)
        channel_send0(p->ch, MSG_STOP);
    else
        proc_kill(p);
    move(p, PROC_STOPPING, "asked to");
    timer(p, PROC_STOP_US, stop_late);
}

void proc_start(struct proc *p)
{
    if (!p->wanted && (p->state == PROC_STOPPING || p->state == PROC_DEAD)) p->again = true;
    p->wanted = true;
    if (p->state == PROC_OFF || p->state == PROC_HELD) queue(p, false, "wanted");
}

void proc_stop(struct proc *p)
{
    p->wanted = p->again = false;
    switch (p->state) {
    case PROC_STARTING:
    case PROC_RUNNING: tell_to_stop(p); break;
    case PROC_QUEUED:
    case PROC_WAITING:
    case PROC_HELD:
        births_cancel(p->births, p);
        off(p);
        break;
    case PROC_OFF:
    case PROC_STOPPING:
    case PROC_DEAD: break;
    }
}

void proc_restart(struct proc *p)
{
    p->wanted = p->again = true;
    p->throttle = (struct throttle){.next_us = 0};
    if (p->state == PROC_STARTING || p->state == PROC_RUNNING) tell_to_stop(p);
    if (p->state == PROC_OFF || p->state == PROC_HELD || p->state == PROC_WAITING) queue(p, true, "asked to");
}

void proc_check(struct proc *p, usec_t now_us)
{
    usec_t last_us;

    if (p->state != PROC_RUNNING) return;
    throttle_lives(&p->throttle, now_us - p->born_us);
    last_us = MAX(p->ops->beat_us(p), p->born_us);
    if (now_us - last_us <= PROC_SILENT_US || p->hung) return;
    log_error(
        "hangs", "of=%s pid=%d silent_ms=%lld", p->id, p->pid, (long long)((now_us - last_us) / US_PER_MS));
    p->hung = true;
    proc_kill(p);
}

void proc_init(
    struct proc *p, struct births *b, enum role role, const char *id, const struct proc_ops *ops, void *arg)
{
    *p = (struct proc){.ops = ops, .arg = arg, .births = b, .role = role};
    span_copy(span_of(id), p->id, sizeof(p->id));
}

void proc_done(struct proc *p)
{
    must(p->state == PROC_OFF);
    loop_timer_stop(&p->timer);
}
