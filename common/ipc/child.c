#include "common/ipc/child.h"
#include "common/base/err.h"
#include "common/base/log.h"
#include "common/base/mem.h"

#include <errno.h>
#include <pthread.h>
#include <sys/socket.h>
#include <unistd.h>

#define BEAT_US      US_PER_S
#define MIRROR_LEVEL LOG_INFO /* lines of this level and worse are kept by the master */
#define LINE_KEPT    1000     /* of a kept line: fits LOG_LINE */

struct child {
    struct loop *loop;
    struct channel *control;
    enum role role;
    char process[16];
    char uid[64];
    uint32_t gen;
    uint64_t hash;
    const struct child_ops *ops;
    void *arg;
    struct loop_timer beat, deadline;
    struct loop_signal term, intr;
    pthread_t thread; /* of the loop */
    bool welcomed, stopping, orphaned, mirroring;
};

/* The log has no argument for its mirror: one process is one child. */
static struct child *the_child;

/* --- the log's copy for the master --- */

struct kept_line {
    enum log_level level;
    size_t n;
    char text[];
};

static void send_line(struct child *c, enum log_level level, const char *line, size_t n)
{
    struct packer *p;

    if (!c->control || c->mirroring || c->orphaned) return;
    c->mirroring = true;
    p = channel_begin(c->control, MSG_LOG_LINE, 2);
    pack_kv_u64(p, "level", (uint64_t)level);
    pack_kv_str(p, "line", span(line, n));
    channel_end(c->control, NULL, 0);
    c->mirroring = false;
}

static void send_kept(void *arg)
{
    struct kept_line *k = arg;

    if (the_child) send_line(the_child, k->level, k->text, k->n);
    mem_free(k);
}

/* Posted when the line comes from another thread, or from the middle of a message being packed. */
static void mirror(enum log_level level, const char *line, size_t n)
{
    struct child *c = the_child;
    struct kept_line *k;
    bool here;

    if (!c || level > MIRROR_LEVEL) return;
    here = pthread_equal(pthread_self(), c->thread) != 0;
    if (here && c->mirroring) return;
    n = MIN(n, LINE_KEPT);
    if (here && !channel_packing(c->control)) {
        send_line(c, level, line, n);
        return;
    }
    k = mem_new(sizeof(*k) + n);
    k->level = level;
    k->n = n;
    memcpy(k->text, line, n);
    loop_post(c->loop, send_kept, k);
}

/* --- life --- */

static void flush_over(struct loop_timer *t)
{
    struct child *c = t->arg;

    log_warn("flush-late", "after_ms=%d", (int)(CHILD_FLUSH_US / US_PER_MS));
    child_exit(c, c->orphaned ? CHILD_EXIT_ORPHAN : CHILD_EXIT_OK);
}

static void stop(struct child *c, bool orphaned)
{
    c->orphaned = c->orphaned || orphaned;
    if (c->stopping) return;
    c->stopping = true;
    loop_timer_stop(&c->beat);
    loop_timer_set(c->loop, &c->deadline, CHILD_FLUSH_US, flush_over, c);
    c->ops->on_stop(c, orphaned);
}

static void on_signal(struct loop_signal *s, int signo)
{
    (void)signo;
    stop(s->arg, false);
}

static void beat(struct loop_timer *t)
{
    struct child *c = t->arg;

    channel_send0(c->control, MSG_BEAT);
}

static void welcome(struct child *c, const struct packed *body)
{
    struct log_setup setup = {.process = c->process,
        .id = c->uid[0] ? c->uid : NULL,
        .level = (enum log_level)CLAMP(packed_u64(body, "log_level", LOG_INFO), LOG_ERROR, LOG_DEBUG),
        .json = packed_bool(body, "log_json", false),
        .journal = packed_bool(body, "log_journal", false),
        .fd = STDERR_FILENO};

    log_init(&setup);
    c->welcomed = true;
    if (c->ops->on_welcome) c->ops->on_welcome(c, body);
}

static void new_log(struct incoming *in)
{
    if (in->n_fds != 1) return;
    /* The contract's descriptors, so that whatever else writes there is seen too. */
    dup2(in->fds[0], STDOUT_FILENO);
    dup2(in->fds[0], STDERR_FILENO);
}

static int on_message(struct channel *ch, struct incoming *in)
{
    struct child *c = channel_arg(ch);

    if (in->type == MSG_WELCOME) {
        if (!c->welcomed) welcome(c, in->body);
        return 0;
    }
    if (in->type == MSG_STOP) {
        stop(c, false);
        return 0;
    }
    if (!c->welcomed) return -EPROTO;
    if (in->type == MSG_LOG_FD) {
        new_log(in);
        return 0;
    }
    if (in->type == MSG_LOG_LEVEL) {
        log_set_level((enum log_level)CLAMP(packed_u64(in->body, "level", LOG_INFO), LOG_ERROR, LOG_DEBUG));
        return 0;
    }
    return c->ops->on_message(c, in);
}

static void on_close(struct channel *ch, int err)
{
    struct child *c = channel_arg(ch);

    if (err != 0) log_error("control-lost", "err=%s", log_q(span_of(err_text(err))));
    stop(c, true);
}

static const struct channel_ops control_ops = {.on_message = on_message, .on_close = on_close};

static void hello(struct child *c)
{
    struct packer *p = channel_begin(c->control, MSG_HELLO, 6);

    pack_kv_u64(p, "proto", IPC_PROTO);
    pack_kv_u64(p, "role", (uint64_t)c->role);
    pack_kv_u64(p, "gen", c->gen);
    pack_kv_u64(p, "pid", (uint64_t)getpid());
    pack_kv_text(p, "uid", c->uid);
    pack_kv_u64(p, "hash", c->hash);
    channel_end(c->control, NULL, 0);
}

/* The descriptor is a connected socket, generation and hash are in the environment. */
static bool started_by_master(uint32_t *ret_gen, uint64_t *ret_hash)
{
    struct span hash = span_of(getenv("MS_SETTINGS"));
    struct sockaddr_storage peer = {.ss_family = AF_UNSPEC};
    socklen_t n = sizeof(peer);
    uint64_t gen;

    if (getpeername(CHILD_CONTROL_FD, (struct sockaddr *)&peer, &n) < 0 || peer.ss_family != AF_UNIX)
        return false;
    if (!span_u64(span_of(getenv("MS_GENERATION")), UINT32_MAX, &gen)) return false;
    if (!span_hex64(hash, ret_hash)) return false;
    *ret_gen = (uint32_t)gen;
    return true;
}

struct child *child_start(struct loop *l, const struct child_setup *setup)
{
    struct child *c = NEW(struct child);
    struct log_setup log = {.process = c->process, .id = setup->uid, .level = LOG_INFO, .fd = STDERR_FILENO};

    *c = (struct child){
        .loop = l, .role = setup->role, .ops = setup->ops, .arg = setup->arg, .thread = pthread_self()};
    span_copy(span_of(setup->process), c->process, sizeof(c->process));
    span_copy(span_of(setup->uid), c->uid, sizeof(c->uid));
    log_init(&log);
    if (!started_by_master(&c->gen, &c->hash)) {
        fprintf(stderr, "%s is started by media-server, not by hand\n", setup->process);
        mem_free(c);
        return NULL;
    }
    c->control = channel_new(l, CHILD_CONTROL_FD, setup->role, ROLE_MASTER, &control_ops, c);
    the_child = c;
    log_set_mirror(mirror);
    loop_signal_start(l, &c->term, SIGTERM, on_signal, c);
    loop_signal_start(l, &c->intr, SIGINT, on_signal, c);
    hello(c);
    if (setup->beat) loop_timer_every(l, &c->beat, BEAT_US, beat, c);
    return c;
}

void *child_arg(const struct child *c)
{
    return c->arg;
}

struct channel *child_control(struct child *c)
{
    return c->control;
}

void child_exit(struct child *c, int code)
{
    struct channel *control = c->control;

    log_set_mirror(NULL);
    the_child = NULL;
    c->control = NULL;
    channel_free(control);
    exit(c->orphaned && code == CHILD_EXIT_OK ? CHILD_EXIT_ORPHAN : code);
}
