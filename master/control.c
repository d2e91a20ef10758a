#include "master/control.h"
#include "common/base/err.h"
#include "common/base/fd.h"
#include "common/base/log.h"
#include "common/base/mem.h"
#include "master/master.h"

#include <errno.h>
#include <unistd.h>

#define QUEUE_MOST   (256u << 10) /* of rows that msctl has not read; then it is waited for */
#define PAGE_BYTES   40000        /* of rows in one message: fits CTL_ROW with any row behind it */
#define PAGE_WAIT_US (5 * US_PER_MS)
#define ROW_BYTES    8192 /* of one row */

static const struct command nothing = {.row = NULL}; /* no more rows */

static void session_free(struct session *s)
{
    struct control *c = &s->m->control;

    for (size_t i = 0; i < CONTROL_SESSIONS_MAX; i++)
        if (c->sessions[i] == s) c->sessions[i] = NULL;
    loop_timer_stop(&s->timer);
    if (s->data_free) s->data_free(s->data);
    channel_free(s->ch);
    mem_free(s);
}

static void too_late(struct loop_timer *t)
{
    session_free(t->arg);
}

/* --- the answer --- */

static void send_end(struct session *s)
{
    struct packer *p = channel_begin(s->ch, MSG_CTL_END, 2);

    pack_kv_u64(p, "code", (uint64_t)s->code);
    pack_kv_text(p, "text", s->text);
    channel_end(s->ch, NULL, 0);
}

/* Rows until the page is full. The rows are packed aside, since their number comes first. */
static bool send_page(struct session *s)
{
    struct packer rows, *p;
    struct buf b;
    uint32_t n = 0;
    bool more = true;

    buf_init(&b, PAGE_BYTES + ROW_BYTES);
    rows = packer_of(&b);
    while (n < CTL_ROWS_MAX && buf_n(&b) < PAGE_BYTES) {
        more = s->command->row(s, &rows);
        if (!more || rows.bad) break;
        n++;
    }
    if (n > 0 && !rows.bad) {
        p = channel_begin(s->ch, MSG_CTL_ROW, 1);
        pack_key(p, "rows");
        pack_array(p, n);
        p->bad = p->bad || !buf_put(p->to, buf_span(&b));
        channel_end(s->ch, NULL, 0);
    }
    buf_done(&b);
    return more && !rows.bad;
}

static void answer_more(struct loop_timer *t);

static void answer(struct session *s)
{
    while (s->command->row && channel_queued(s->ch) < QUEUE_MOST)
        if (!send_page(s)) s->command = &nothing;
    if (s->command->row) {
        loop_timer_set(s->m->loop, &s->timer, PAGE_WAIT_US, answer_more, s);
        return;
    }
    send_end(s);
    loop_timer_set(s->m->loop, &s->timer, channel_queued(s->ch) > 0 ? CONTROL_ANSWER_US : 0, too_late, s);
}

static void answer_more(struct loop_timer *t)
{
    answer(t->arg);
}

/* --- the question --- */

static const struct command *command_of(struct span name)
{
    for (size_t i = 0; i < n_commands; i++)
        if (span_is(name, commands[i].cmd)) return &commands[i];
    return NULL;
}

static bool take_args(struct session *s, const struct packed *args)
{
    s->n_args = packed_n(args);
    if (s->n_args > CONTROL_ARGS_MAX) return false;
    for (size_t i = 0; i < s->n_args; i++)
        if (!packed_is_str(packed_at(args, i)) ||
            !span_copy(packed_as_str(packed_at(args, i)), s->args[i], CONTROL_ARG_MAX))
            return false;
    return s->n_args >= s->command->args_min && s->n_args <= s->command->args_max;
}

static void refuse(struct session *s, int code, const char *text)
{
    s->code = code;
    span_copy(span_of(text), s->text, sizeof(s->text));
    s->command = NULL;
}

static int on_message(struct channel *ch, struct incoming *in)
{
    struct session *s = channel_arg(ch);

    if (s->command) return -EPROTO; /* one question a connection */
    s->command = command_of(packed_str(in->body, "cmd"));
    if (packed_u64(in->body, "proto", 0) != IPC_PROTO)
        refuse(s, CTL_USAGE, "msctl and the server are of different versions");
    else if (!s->command)
        refuse(s, CTL_USAGE, "no such command");
    else if (!take_args(s, packed_get(in->body, "args")))
        refuse(s, CTL_USAGE, "wrong arguments");
    else
        s->code = s->command->run(s);
    /* A refused configuration still has its remarks to show. */
    if (!s->command || (s->code != CTL_OK && !s->data)) s->command = &nothing;
    answer(s);
    return 0;
}

static void on_close(struct channel *ch, int err)
{
    (void)err;
    session_free(channel_arg(ch));
}

static const struct channel_ops ops = {.on_message = on_message, .on_close = on_close};

/* --- sessions --- */

static struct session **free_slot(struct control *c)
{
    for (size_t i = 0; i < CONTROL_SESSIONS_MAX; i++)
        if (!c->sessions[i]) return &c->sessions[i];
    return NULL;
}

/* The socket's mode lets in root, our user and our group; children of ours are of that group and have no
 * business. */
static bool may_ask(const struct master *m, const struct channel *ch)
{
    unsigned uid;
    int pid;

    return channel_peer(ch, &pid, &uid) && !roles_is_child(&m->roles, uid);
}

static void accepted(void *arg, int fd)
{
    struct master *m = arg;
    struct session **slot = free_slot(&m->control), *s;

    if (!slot) {
        fd_close(&fd);
        return;
    }
    s = NEW(struct session);
    s->m = m;
    s->ch = channel_new(m->loop, fd, ROLE_MASTER, ROLE_CTL, &ops, s);
    *slot = s;
    if (!may_ask(m, s->ch)) {
        log_warn("control-refused", "why=\"a child of ours\"");
        session_free(s);
        return;
    }
    loop_timer_set(m->loop, &s->timer, CONTROL_ASK_US, too_late, s);
}

int control_open(struct master *m, const char *path)
{
    struct control *c = &m->control;
    int err;

    c->fd = -1;
    if (!span_copy(span_of(path), c->path, sizeof(c->path))) return -ENAMETOOLONG;
    err = listen_unix(path, 0660, &c->fd);
    if (err < 0) return err;
    if (m->roles.root && chown(path, (uid_t)-1, m->roles.group) < 0)
        log_warn("control-group", "err=%s", log_q(span_of(err_text(-errno))));
    c->listener = listener_new(m->loop, c->fd, accepted, m);
    return 0;
}

void control_close(struct master *m)
{
    struct control *c = &m->control;

    if (!c->listener) return;
    listener_free(c->listener);
    c->listener = NULL;
    unlink(c->path);
    fd_close(&c->fd);
    for (size_t i = 0; i < CONTROL_SESSIONS_MAX; i++)
        if (c->sessions[i]) session_free(c->sessions[i]);
}
