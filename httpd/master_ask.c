#include "httpd/master_ask.h"
#include "common/base/fd.h"
#include "common/base/list.h"
#include "common/base/mem.h"
#include "common/ipc/channel.h"
#include "httpd/caller.h"

#include <sys/socket.h>
#include <unistd.h>

#define WORDS_OF_CALLER (300 + CAMERA_LIST_TEXT_MAX) /* bytes of a question beside its own words */

struct master_asks {
    struct loop *loop;
    void (*open)(void *arg, int fd);
    void *arg;
    struct list asks;
    size_t n;
};

struct ask {
    struct list link;
    struct master_asks *x;
    struct channel *ch;
    struct loop_timer late;
    struct caller caller;
    struct master_answer answer;
    void (*done)(void *arg, struct master_answer *a);
    void *arg;
};

void master_answer_done(struct master_answer *a)
{
    buf_done(&a->rows);
    mem_free(a->ends);
    a->ends = NULL;
    a->n_pages = 0;
}

static void ask_free(struct ask *a)
{
    list_remove(&a->link);
    a->x->n--;
    loop_timer_stop(&a->late);
    channel_free(a->ch);
    master_answer_done(&a->answer);
    mem_free(a);
}

static void end(struct ask *a, int code, struct span text)
{
    a->answer.code = code;
    span_copy(span_sub(text, 0, sizeof(a->answer.text) - 1), a->answer.text, sizeof(a->answer.text));
    a->done(a->arg, &a->answer);
    ask_free(a);
}

static void too_late(struct loop_timer *t)
{
    end(t->arg, CTL_FAILED, SPAN_LIT("the server did not answer in time"));
}

static bool is_seen(const struct caller *c, const struct packed *row)
{
    struct span uid = packed_str(row, "uid");

    return !uid.p || caller_sees(c, uid);
}

static void pack_seen(struct packer *p, const struct caller *c, const struct packed *rows)
{
    uint32_t n = 0;

    for (size_t i = 0; i < packed_n(rows); i++) n += is_seen(c, packed_at(rows, i));
    pack_array(p, n);
    for (size_t i = 0; i < packed_n(rows); i++)
        if (is_seen(c, packed_at(rows, i))) pack_value(p, packed_at(rows, i));
}

static bool keep_page(struct ask *ask, const struct packed *rows)
{
    struct master_answer *a = &ask->answer;
    struct packer p = packer_of(&a->rows);

    if (ask->caller.cameras.n > 0)
        pack_seen(&p, &ask->caller, rows);
    else
        pack_value(&p, rows);
    if (p.bad) return false;
    a->ends = mem_renew(a->ends, (a->n_pages + 1) * sizeof(a->ends[0]));
    a->ends[a->n_pages++] = buf_n(&a->rows);
    return true;
}

static int on_message(struct channel *ch, struct incoming *in)
{
    struct ask *a = channel_arg(ch);

    if (in->type == MSG_CTL_ROW) {
        if (!keep_page(a, packed_get(in->body, "rows")))
            end(a, CTL_FAILED, SPAN_LIT("the answer is too long"));
    } else {
        end(a, (int)MIN(packed_u64(in->body, "code", CTL_FAILED), 255), packed_str(in->body, "text"));
    }
    return 0;
}

static void on_close(struct channel *ch, int err)
{
    (void)err;
    end(channel_arg(ch), CTL_FAILED, SPAN_LIT("the server is busy"));
}

static const struct channel_ops ops = {.on_message = on_message, .on_close = on_close};

#define BODY_PIECE 60000 /* bytes in one CTL_BODY */

static bool send_body(struct ask *a, const struct packed *body)
{
    struct span rest;
    struct packer p;
    struct buf b;

    if (!body) return true;
    buf_init(&b, MASTER_BODY_MAX);
    p = packer_of(&b);
    pack_value(&p, body);
    for (rest = buf_span(&b); rest.n > 0 && !p.bad; rest = span_from(rest, MIN(rest.n, BODY_PIECE))) {
        struct packer *to = channel_begin(a->ch, MSG_CTL_BODY, 1);

        pack_kv_bin(to, "data", span_sub(rest, 0, MIN(rest.n, BODY_PIECE)));
        channel_end(a->ch, NULL, 0);
    }
    buf_done(&b);
    return !p.bad;
}

static bool send_question(struct ask *a, const struct master_question *q)
{
    const struct packed *args = q->args;
    char name[64], cameras[CAMERA_LIST_TEXT_MAX];
    struct packer *p;

    if (!span_copy(q->cmd, name, sizeof(name)) || packed_n(args) > MASTER_ARGS_MAX || !send_body(a, q->body))
        return false;
    p = channel_begin(a->ch, MSG_CTL, 9);
    pack_kv_u64(p, "proto", IPC_PROTO);
    pack_kv_text(p, "cmd", name);
    pack_kv_text(p, "who", a->caller.name);
    pack_kv_text(p, "role", a->caller.role);
    pack_kv_text(p, "from", a->caller.address);
    pack_kv_text(p, "by", a->caller.by);
    pack_kv_text(p, "cameras", camera_list_text(&a->caller.cameras, cameras));
    pack_kv_bool(p, "confirmed", !q->caller || caller_confirmed(q->caller));
    pack_key(p, "args");
    pack_array(p, (uint32_t)packed_n(args));
    for (size_t i = 0; i < packed_n(args); i++) pack_str(p, packed_as_str(packed_at(args, i)));
    channel_end(a->ch, NULL, 0);
    return true;
}

static size_t words_n(struct span cmd, const struct packed *args)
{
    size_t n = cmd.n + WORDS_OF_CALLER;

    for (size_t i = 0; i < packed_n(args); i++) n += packed_as_str(packed_at(args, i)).n + 5;
    return n;
}

/* The master holds these to the caller's streams: what they are about stands in the body, in a revision,
 * or is an export by its id. */
static bool master_decides(struct span cmd)
{
    static const char *const names[] = {"api edit", "api revisions", "api revision", "api undo",
        "api rollback", "config show", "api export end"};

    for (size_t i = 0; i < ARRAY_N(names); i++)
        if (span_is(cmd, names[i])) return true;
    return false;
}

/* Of a command about one stream that is the first word ("from=..." names none); a camera that is tried out is
 * nobody's yet, unless the fourth word is a stream. What goes along may name any. */
static bool may_ask(const struct master_question *q)
{
    size_t at = span_is(q->cmd, "api probe") ? 3 : 0;
    struct span uid = packed_as_str(packed_at(q->args, at));

    if (q->apart || !q->caller || q->caller->cameras.n == 0 || master_decides(q->cmd)) return true;
    return !q->body && (packed_n(q->args) <= at || span_find(uid, '=') >= 0 || caller_sees(q->caller, uid));
}

bool master_ask(struct master_asks *x, const struct master_question *q,
    void (*done)(void *arg, struct master_answer *a), void *arg)
{
    struct ask *a;
    int sv[2];

    if (!may_ask(q) || x->n == MASTER_ASKS_MAX || words_n(q->cmd, q->args) > message_row(MSG_CTL)->most ||
        socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sv) < 0)
        return false;
    a = NEW(struct ask);
    a->x = x;
    if (q->caller) a->caller = *q->caller;
    a->done = done;
    a->arg = arg;
    buf_init(&a->answer.rows, MASTER_ROWS_MAX);
    a->ch = channel_new(x->loop, sv[0], ROLE_CTL, ROLE_MASTER, &ops, a);
    list_push(&x->asks, &a->link);
    x->n++;
    x->open(x->arg, sv[1]);
    if (!send_question(a, q)) {
        ask_free(a);
        return false;
    }
    loop_timer_set(x->loop, &a->late, MASTER_ASK_US, too_late, a);
    return true;
}

struct master_asks *master_asks_new(struct loop *l, void (*open)(void *arg, int fd), void *arg)
{
    struct master_asks *x = NEW(struct master_asks);

    x->loop = l;
    x->open = open;
    x->arg = arg;
    list_init(&x->asks);
    return x;
}

void master_asks_free(struct master_asks *x)
{
    if (!x) return;
    LIST_EACH(&x->asks, at) end(LIST_ITEM(at, struct ask, link), CTL_FAILED, SPAN_LIT("the server ends"));
    mem_free(x);
}
