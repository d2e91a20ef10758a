#include "httpd/api_calls.h"
#include "common/base/clock.h"
#include "common/base/list.h"
#include "common/base/mem.h"
#include "httpd/api_elsewhere.h"
#include "httpd/api_marks.h"
#include "httpd/api_tracks.h"
#include "httpd/auth.h"
#include "httpd/caller.h"
#include "httpd/held.h"
#include "httpd/master_ask.h"
#include "httpd/plugins.h"
#include "httpd/people_calls.h"
#include "httpd/stream_rows.h"
#include "httpd/token_calls.h"
#include "httpd/viewers.h"

#define HELD_MAX 16
#define HELD_US  (20 * US_PER_S)

/* Rows that a script has not had yet. */
struct held {
    struct list link;
    uint64_t id;
    usec_t until_us;
    struct master_answer answer;
    size_t page; /* the next one */
};

static struct {
    struct master_asks *master;
    struct loop *loop;
    struct server *server;
    struct stream_rows *rows;
    struct list held;
    size_t n_held;
    uint64_t last_id;
} calls;

/* --- rows in pages --- */

static void held_free(struct held *h)
{
    list_remove(&h->link);
    calls.n_held--;
    master_answer_done(&h->answer);
    mem_free(h);
}

/* Those that nobody came for; and the oldest, where there are too many. */
static void make_room(void)
{
    usec_t now_us = clock_mono_us();

    LIST_EACH(&calls.held, at)
    {
        struct held *h = LIST_ITEM(at, struct held, link);

        if (now_us >= h->until_us || calls.n_held >= HELD_MAX) held_free(h);
    }
}

static void pack_page(struct packer *p, const struct master_answer *a, size_t page)
{
    size_t from = page > 0 ? a->ends[page - 1] : 0;

    pack_key(p, "rows");
    if (page < a->n_pages)
        pack_ready(p, span_sub(buf_span(&a->rows), from, a->ends[page] - from));
    else
        pack_array(p, 0);
}

static void send_packed(const struct lua_call *c, struct buf *b, const struct packer *p)
{
    if (p->bad)
        lua_call_failed(c, "out of memory");
    else
        lua_call_done(c, buf_span(b));
    buf_done(b);
}

void api_calls_said(void *arg, struct master_answer *a)
{
    struct lua_call *c = arg;
    struct held *h = NULL;
    struct packer p;
    struct buf b;

    buf_init(&b, LUAHOST_MESSAGE_MAX);
    p = packer_of(&b);
    if (a->n_pages > 1) {
        make_room();
        h = NEW(struct held);
        h->id = ++calls.last_id;
        h->until_us = clock_mono_us() + HELD_US;
        h->page = 1;
        list_push(&calls.held, &h->link);
        calls.n_held++;
    }
    pack_map(&p, h ? 4 : 3);
    pack_kv_i64(&p, "code", a->code);
    pack_kv_text(&p, "text", a->text);
    pack_page(&p, a, 0);
    if (h) {
        pack_kv_u64(&p, "more", h->id);
        h->answer = *a;
        a->rows = (struct buf){0};
        a->ends = NULL;
    }
    send_packed(c, &b, &p);
    mem_free(c);
}

/* What a command of msctl's asks of the master; `changes`: the lists of streams are not what they were. */
/* apart: it is about no stream. */
static void ask_server(const struct lua_call *c, const struct packed *args, bool apart)
{
    const struct packed *body = packed_get(args, "body");
    const struct master_question q = {.cmd = packed_str(args, "cmd"),
        .args = packed_get(args, "args"),
        .body = packed_kind(body) == PACKED_NIL ? NULL : body,
        .caller = c->caller,
        .apart = apart};
    struct lua_call *own = mem_dup(c, sizeof(*c));

    if (master_ask(calls.master, &q, api_calls_said, own)) return;
    mem_free(own);
    lua_call_failed(c, "the server is busy, or the stream is not this account's");
}

static void call_server(const struct lua_call *c, const struct packed *args)
{
    static const char *const reads[] = {"status", "api streams", "api stream", "api config", "config show",
        "api revisions", "api revision", "api exports", "cluster", "cluster streams", "cluster acts",
        "cluster files", "cluster store", "cluster refused", "transfers", "api audit", "api server",
        "api history", "api keys", "storage list", "logs", "events", "archive list", "archive locks",
        "archive ranges", "archive segments"};

    for (size_t i = 0; i < ARRAY_N(reads); i++)
        if (span_is(packed_str(args, "cmd"), reads[i])) {
            ask_server(c, args, false);
            return;
        }
    lua_call_failed(c, "there is no such command, or it changes something (server.change)");
}

/* These have calls of their own, which say who may. */
static bool is_apart(struct span cmd)
{
    static const char *const names[] = {"api account", "api token", "api layout", "api signing", "api setup"};

    for (size_t i = 0; i < ARRAY_N(names); i++)
        if (span_starts(cmd, span_of(names[i]))) return true;
    return false;
}

static void call_change(const struct lua_call *c, const struct packed *args)
{
    if (!caller_changes(c->caller) || is_apart(packed_str(args, "cmd"))) {
        lua_call_failed(c, "this account may change nothing");
        return;
    }
    stream_rows_drop(calls.rows);
    ask_server(c, args, false);
}

/* What people keep: the master holds each to his own. Keys are a root's alone. */
static void call_people(const struct lua_call *c, const struct packed *args)
{
    struct span cmd = packed_str(args, "cmd");
    bool keys = span_starts(cmd, SPAN_LIT("api signing"));
    const char *refused = keys ? people_refused(c->caller, !span_is(cmd, "api signing keys")) : NULL;

    if (!c->caller || !(keys || span_starts(cmd, SPAN_LIT("api layout")))) refused = "forbidden";
    if (refused)
        lua_call_failed(c, refused);
    else
        ask_server(c, args, true);
}

/* --- lists of streams --- */

struct list_call {
    struct lua_call call;
    struct buf args;
    struct unpack *u;
};

/* The page that was made last: a fleet page that many look at is made once for each turn of the rows. */
static struct {
    uint64_t turn;
    struct buf question, text;
} last_page;

static void forget_page(void)
{
    buf_done(&last_page.question);
    buf_done(&last_page.text);
    last_page.turn = 0;
}

static const char *make_page(const struct list_call *l, const struct rows *rows)
{
    struct span question = buf_span(&l->args);
    const char *wrong;

    if (last_page.turn == rows->turn && span_eq(buf_span(&last_page.question), question)) return NULL;
    forget_page();
    buf_init(&last_page.question, LUAHOST_MESSAGE_MAX);
    buf_init(&last_page.text, ROWS_LIST_MAX * 2);
    wrong = stream_rows_list(rows, unpack_root(l->u), &last_page.text);
    if (!wrong && buf_put(&last_page.question, question)) last_page.turn = rows->turn;
    return wrong;
}

/* The page as text, or the name by which an answer has it. */
static void give_page(const struct list_call *l)
{
    struct packer p;
    struct buf b, copy;

    buf_init(&b, LUAHOST_MESSAGE_MAX);
    buf_init(&copy, ROWS_LIST_MAX * 2);
    p = packer_of(&b);
    if (packed_bool(unpack_root(l->u), "as_text", false)) {
        pack_str(&p, buf_span(&last_page.text));
    } else {
        p.bad = !buf_put(&copy, buf_span(&last_page.text));
        pack_u64(&p, p.bad ? 0 : held_put(&copy));
    }
    send_packed(&l->call, &b, &p);
    buf_done(&copy);
}

static void listed(void *arg, const struct rows *rows)
{
    struct list_call *l = arg;
    const char *wrong = rows->why;

    if (!wrong && last_page.turn != rows->turn) forget_page();
    if (!wrong) wrong = make_page(l, rows);
    if (wrong)
        lua_call_failed(&l->call, wrong);
    else
        give_page(l);
    unpack_done(l->u);
    buf_done(&l->args);
    mem_free(l);
}

static void call_list(const struct lua_call *c, const struct packed *args)
{
    struct list_call *l = NEW(struct list_call);
    struct packer p;

    l->call = *c;
    buf_init(&l->args, LUAHOST_MESSAGE_MAX);
    p = packer_of(&l->args);
    pack_value(&p, args);
    if (p.bad || unpack_new(buf_span(&l->args), &l->u) != 0) {
        lua_call_failed(c, "out of memory");
        buf_done(&l->args);
        mem_free(l);
        return;
    }
    stream_rows_get(calls.rows, listed, l);
}

static void call_more(const struct lua_call *c, const struct packed *args)
{
    uint64_t id = packed_as_u64(args, 0);
    struct held *h = NULL;
    struct packer p;
    struct buf b;
    bool more;

    make_room();
    LIST_EACH(&calls.held, at)
    if (LIST_ITEM(at, struct held, link)->id == id) h = LIST_ITEM(at, struct held, link);
    if (!h) {
        lua_call_failed(c, "these rows are gone");
        return;
    }
    buf_init(&b, LUAHOST_MESSAGE_MAX);
    p = packer_of(&b);
    more = h->page + 1 < h->answer.n_pages;
    pack_map(&p, more ? 2 : 1);
    pack_page(&p, &h->answer, h->page++);
    if (more) pack_kv_u64(&p, "more", id);
    if (!more) held_free(h);
    send_packed(c, &b, &p);
}

static void call_tracks(const struct lua_call *c, const struct packed *args)
{
    api_tracks(calls.server, calls.loop, c, args);
}

static void call_elsewhere(const struct lua_call *c, const struct packed *args)
{
    api_elsewhere(calls.server, calls.loop, c, args, api_calls_said);
}

static void call_marks(const struct lua_call *c, const struct packed *args)
{
    api_marks(calls.server, calls.loop, c, args, api_calls_said);
}

void api_calls_auth(struct auth *a)
{
    people_auth(auth_ref(a));
    token_calls_auth(a);
}

#define BOTH (1u << LUAHOST_API | 1u << LUAHOST_API3)
const struct lua_row api_calls[] = {
    {"server", BOTH | LUAHOST_PLUGINS, false, call_server},
    {"server.change", BOTH | LUAHOST_PLUGINS, true, call_change},
    {"streams.list", BOTH | LUAHOST_PLUGINS, false, call_list},
    {"stream.tracks", BOTH, false, call_tracks},
    {"archive.elsewhere", BOTH, false, call_elsewhere},
    {"archive.marks", BOTH, false, call_marks},
    {"server.more", BOTH | LUAHOST_PLUGINS, false, call_more},
    {"viewers", BOTH | LUAHOST_PLUGINS, false, viewers_list},
    {"viewers.end", BOTH | LUAHOST_PLUGINS, true, viewers_end},
    {"http", LUAHOST_PLUGINS, true, plugins_http},
    {"store.get", LUAHOST_PLUGINS, false, plugins_get},
    {"store.set", LUAHOST_PLUGINS, false, plugins_set}, /* twice set, it is the same */
    {"store.keys", LUAHOST_PLUGINS, false, plugins_keys},
    {"accounts", 1u << LUAHOST_API3, false, people_list},
    {"account.set", 1u << LUAHOST_API3, true, people_set},
    {"account.remove", 1u << LUAHOST_API3, true, people_remove},
    {"people", 1u << LUAHOST_API3, true, call_people},
    {"token.mint", BOTH | LUAHOST_PLUGINS, false, token_mint_call}, /* twice made, one is given away */
    {"tokens", 1u << LUAHOST_API3, false, token_list},
    {"token.create", 1u << LUAHOST_API3, true, token_create},
    {"token.revoke", 1u << LUAHOST_API3, true, token_revoke},
    {0},
};

struct master_asks *api_calls_master(void)
{
    return calls.master;
}

struct stream_rows *api_calls_rows(void)
{
    return calls.rows;
}

void api_calls_start(struct loop *l, struct server *server, struct channel *control,
    void (*open)(void *arg, int fd), void *arg)
{
    calls.loop = l;
    calls.server = server;
    calls.master = master_asks_new(l, open, arg);
    calls.rows = stream_rows_new(l, calls.master);
    list_init(&calls.held);
    people_start(l, server, calls.master);
    token_calls_start(server, calls.master, control);
}
