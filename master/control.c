#include "master/control.h"
#include "common/base/err.h"
#include "common/base/fd.h"
#include "common/base/log.h"
#include "common/base/mem.h"
#include "common/wire/token.h"
#include "master/edits.h"
#include "master/master.h"

#include <errno.h>
#include <unistd.h>

#define QUEUE_MOST   (256u << 10) /* of rows that msctl has not read; then it is waited for */
#define PAGE_BYTES   40000        /* of rows in one message: fits CTL_ROW with any row behind it */
#define PAGE_WAIT_US (5 * US_PER_MS)
#define ROW_BYTES    8192 /* of one row */

static const struct command nothing = {.row = NULL}; /* no more rows */

/* The keeper need not go on. */
static void keep_forget(struct session *s)
{
    struct channel *keeper = services_channel(s->m, SERVICE_KEEPER);
    struct packer *p;

    if (s->keep_id > 0 && keeper) {
        p = channel_begin(keeper, MSG_KEEP_END, 1);
        pack_kv_u64(p, "id", s->keep_id);
        channel_end(keeper, NULL, 0);
    }
    s->keep_id = 0;
}

static void session_free(struct session *s)
{
    struct control *c = &s->m->control;

    for (size_t i = 0; i < CONTROL_SESSIONS_MAX; i++)
        if (c->sessions[i] == s) c->sessions[i] = NULL;
    keep_forget(s);
    singular_forget(s);
    loop_timer_stop(&s->timer);
    if (s->data_free) s->data_free(s->data);
    channel_free(s->ch);
    buf_done(&s->body);
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
    audit_command_end(s);
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

void control_answer(struct session *s)
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
    control_answer(t->arg);
}

/* --- what the keeper answers --- */

static void keep_end(struct session *s, int code, struct span text)
{
    s->keep_id = 0;
    s->code = code;
    span_copy(span_sub(text, 0, sizeof(s->text) - 1), s->text, sizeof(s->text));
    if (code == CTL_USAGE) s->command = &nothing;
    control_answer(s);
}

static void keep_late(struct loop_timer *t)
{
    struct session *s = t->arg;

    keep_forget(s);
    keep_end(s, CTL_FAILED, SPAN_LIT("the keeper does not answer"));
}

void control_wait(struct session *s)
{
    loop_timer_set(s->m->loop, &s->timer, CONTROL_ANSWER_US, too_late, s);
}

uint64_t control_act(struct session *s)
{
    if (s->act_id == 0) s->act_id = ++s->m->control.asks;
    return s->act_id;
}

int control_wait_act(struct session *s)
{
    control_wait(s);
    return CONTROL_WAITS;
}

struct session *control_acting(const struct master *m, uint64_t act_id)
{
    for (size_t i = 0; act_id > 0 && i < CONTROL_SESSIONS_MAX; i++)
        if (m->control.sessions[i] && m->control.sessions[i]->act_id == act_id) return m->control.sessions[i];
    return NULL;
}

void control_answer_late(struct session *s, int code, const char *text, struct span rows)
{
    struct unpack *u = NULL;
    struct packer *p;

    if (rows.p && s->keep_rows && unpack_new(rows, &u) == 0) s->keep_rows(s, unpack_root(u));
    unpack_done(u);
    if (rows.p) {
        p = channel_begin(s->ch, MSG_CTL_ROW, 1);
        pack_key(p, "rows");
        pack_ready(p, rows);
        channel_end(s->ch, NULL, 0);
    }
    s->code = code;
    span_copy(span_sub(span_of(text), 0, sizeof(s->text) - 1), s->text, sizeof(s->text));
    control_answer(s);
}

const char *control_by(const struct session *s, char dst[static CONTROL_BY_MAX])
{
    unsigned uid = 0;
    int pid;

    (void)channel_peer(s->ch, &pid, &uid);
    if (s->api && s->audit.who[0])
        span_copy(span_sub(span_of(s->audit.who), 0, CONTROL_BY_MAX - 1), dst, CONTROL_BY_MAX);
    else
        snprintf(dst, CONTROL_BY_MAX, s->api ? "api" : "msctl, user %u", uid);
    return dst;
}

bool control_sees(const struct session *s, const char *uid)
{
    struct span rest = span_of(s->caller.cameras), pattern;

    if (strcmp(uid, EDIT_SITE_UID) == 0) return s->caller.root && rest.n == 0;
    while (rest.n > 0 && span_split(&rest, ',', &pattern))
        if (token_pattern_fits(pattern, span_of(uid))) return true;
    return !s->caller.cameras[0];
}

/* A list that is too long to be kept lets nothing be seen. */
static void take_caller(struct session *s, const struct packed *body)
{
    s->caller.root = !s->api || span_is(packed_str(body, "role"), "root");
    s->caller.confirmed = !s->api || packed_bool(body, "confirmed", false);
    if (s->api && !span_copy(packed_str(body, "cameras"), s->caller.cameras, sizeof(s->caller.cameras)))
        span_copy(SPAN_LIT(","), s->caller.cameras, sizeof(s->caller.cameras));
}

uint64_t control_keeper(
    struct master *m, const char *cmd, const char *by, const struct span *args, size_t n_args)
{
    struct channel *keeper = services_channel(m, SERVICE_KEEPER);
    uint64_t id;
    struct packer *p;

    if (!keeper) return 0;
    id = ++m->control.asks;
    p = channel_begin(keeper, MSG_KEEP_ASK, 4);
    pack_kv_u64(p, "id", id);
    pack_kv_text(p, "cmd", cmd);
    pack_kv_text(p, "by", by);
    pack_key(p, "args");
    pack_array(p, (uint32_t)n_args);
    for (size_t i = 0; i < n_args; i++) pack_str(p, args[i]);
    channel_end(keeper, NULL, 0);
    return id;
}

int control_ask_keeper(struct session *s)
{
    struct span args[CONTROL_ARGS_MAX];
    char by[CONTROL_BY_MAX];

    for (size_t i = 0; i < s->n_args; i++) args[i] = span_of(s->args[i]);
    s->keep_id =
        control_keeper(s->m, s->keep_cmd ? s->keep_cmd : s->command->cmd, control_by(s, by), args, s->n_args);
    if (s->keep_id == 0) {
        span_copy(SPAN_LIT("the keeper is not running"), s->text, sizeof(s->text));
        return CTL_FAILED;
    }
    loop_timer_set(s->m->loop, &s->timer, CONTROL_KEEPER_US, keep_late, s);
    return CONTROL_WAITS;
}

/* NULL: it has gone meanwhile. */
static struct session *keep_session(struct master *m, const struct packed *body)
{
    uint64_t id = packed_u64(body, "id", 0);

    for (size_t i = 0; id > 0 && i < CONTROL_SESSIONS_MAX; i++)
        if (m->control.sessions[i] && m->control.sessions[i]->keep_id == id) return m->control.sessions[i];
    return NULL;
}

/* An msctl that does not read is closed by its channel's limit. */
void control_keep_row(struct master *m, const struct packed *body)
{
    struct session *s = keep_session(m, body);
    struct packer *p;

    if (!s && (singular_keep_row(m, body) || transfers_keep_row(m, body))) return;
    if (!s) return;
    loop_timer_set(m->loop, &s->timer, CONTROL_KEEPER_US, keep_late, s);
    if (s->keep_rows) s->keep_rows(s, packed_get(body, "rows"));
    p = channel_begin(s->ch, MSG_CTL_ROW, 1);
    pack_key(p, "rows");
    pack_value(p, packed_get(body, "rows"));
    channel_end(s->ch, NULL, 0);
}

void control_keep_end(struct master *m, const struct packed *body)
{
    struct session *s = keep_session(m, body);

    if (s)
        keep_end(s, (int)MIN(packed_u64(body, "code", CTL_FAILED), 255), packed_str(body, "text"));
    else if (!singular_keep_end(m, body) && !transfers_keep_end(m, body))
        exports_unlocked(m, packed_u64(body, "id", 0), (int)MIN(packed_u64(body, "code", CTL_FAILED), 255));
}

void control_keeper_gone(struct master *m)
{
    for (size_t i = 0; i < CONTROL_SESSIONS_MAX; i++) {
        struct session *s = m->control.sessions[i];

        if (s && s->keep_id > 0) keep_end(s, CTL_FAILED, SPAN_LIT("the keeper died while it was asked"));
    }
    singular_keeper_gone(m);
}

/* --- the question --- */

/* What the API needs, and nothing that touches footage, storages or this server itself. */
static bool api_may(struct span name)
{
    static const char *const names[] = {"status", "api streams", "api stream", "api config", "api edit",
        "cluster", "cluster streams", "drain", "api export", "api exports", "api export end", "api probe",
        "api revisions", "api revision", "api undo", "api rollback", "api server", "api history", "api keys",
        "api audit", "storage list", "logs", "restart", "record", "pause", "resume", "broadcast",
        "archive vacuum", "event", "events", "archive list", "archive lock", "archive unlock",
        "archive locks", "archive delete", "archive ranges", "archive segments", "stream create",
        "stream set", "stream check", "stream remove", "secondary", "api layouts", "api layout get",
        "api layout put", "api layout remove", "api signing keys", "api signing rotate", "api signing remove",
        "api setup", "api accounts", "api account set", "api account remove", "api token create",
        "api tokens", "api token revoke", "config show"};

    for (size_t i = 0; i < ARRAY_N(names); i++)
        if (span_is(name, names[i])) return true;
    for (size_t i = 0; i < n_commands_cluster; i++)
        if (span_is(name, commands_cluster[i].cmd)) return true;
    return false;
}

static const struct command *command_of(struct span name)
{
    const struct {
        const struct command *v;
        size_t n;
    } lists[] = {{commands, n_commands}, {commands_events, n_commands_events},
        {commands_streams, n_commands_streams}, {commands_api, n_commands_api},
        {commands_edits, n_commands_edits}, {commands_server, n_commands_server},
        {commands_exports, n_commands_exports}, {commands_tokens, n_commands_tokens},
        {commands_cluster, n_commands_cluster}, {commands_audit, n_commands_audit},
        {commands_people, n_commands_people}, {commands_layouts, n_commands_layouts},
        {commands_keys, n_commands_keys}, {commands_setup, n_commands_setup}};

    for (size_t i = 0; i < ARRAY_N(lists); i++)
        for (size_t k = 0; k < lists[i].n; k++)
            if (span_is(name, lists[i].v[k].cmd)) return &lists[i].v[k];
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
    if (in->type == MSG_CTL_BODY) return buf_put(&s->body, packed_str(in->body, "data")) ? 0 : -EPROTO;
    s->command = command_of(packed_str(in->body, "cmd"));
    if (s->api && !api_may(packed_str(in->body, "cmd"))) s->command = NULL;
    if (packed_u64(in->body, "proto", 0) != IPC_PROTO)
        refuse(s, CTL_USAGE, "msctl and the server are of different versions");
    else if (!s->command)
        refuse(s, CTL_USAGE, "no such command");
    else if (!take_args(s, packed_get(in->body, "args")))
        refuse(s, CTL_USAGE, "wrong arguments");
    else {
        take_caller(s, in->body);
        audit_command_begin(s, in->body);
        s->code = s->command->run(s);
    }
    if (s->code == CONTROL_WAITS) return 0;
    /* A refused configuration still has its remarks to show. */
    if (!s->command || (s->code != CTL_OK && !s->data)) s->command = &nothing;
    control_answer(s);
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

/* NULL: there are too many, and fd is closed. */
static struct session *session_new(struct master *m, int fd, bool api)
{
    struct session **slot = free_slot(&m->control), *s;
    size_t n = 0;

    for (size_t i = 0; i < CONTROL_SESSIONS_MAX; i++)
        n += m->control.sessions[i] && m->control.sessions[i]->api;
    if (!slot || (api && n >= CONTROL_API_MAX)) {
        fd_close(&fd);
        return NULL;
    }
    s = NEW(struct session);
    s->m = m;
    s->api = api;
    buf_init(&s->body, CONTROL_BODY_MAX);
    s->ch = channel_new(m->loop, fd, ROLE_MASTER, ROLE_CTL, &ops, s);
    *slot = s;
    loop_timer_set(m->loop, &s->timer, CONTROL_ASK_US, too_late, s);
    return s;
}

static void accepted(void *arg, int fd)
{
    struct master *m = arg;
    struct session *s = session_new(m, fd, false);

    if (!s || may_ask(m, s->ch)) return;
    log_warn("control-refused", "why=\"a child of ours\"");
    session_free(s);
}

void control_serve_api(struct master *m, int fd)
{
    (void)session_new(m, fd, true);
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
