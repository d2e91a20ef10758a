/* The process that runs the scripts: wanted, greeted, spoken to, watched, and killed when it hangs. */
#include "common/base/cage.h"
#include "common/base/err.h"
#include "common/base/fd.h"
#include "common/base/log.h"
#include "common/base/mem.h"
#include "common/net/conn.h"
#include "httpd/lua_impl.h"

static const struct conn_limits limits = {
    .read_max = LUAHOST_MESSAGE_MAX + 64, .queue_high = 4 * LUAHOST_MESSAGE_MAX};

#define STRIKES 2 /* what has come meanwhile is heard between them */

/* A connection may end later than the host it led to, and than all of this. */
struct lua_link {
    struct lua *x; /* NULL: let go */
};

/* --- what it is busy with --- */

static usec_t host_cpu_us(const struct lua *x)
{
    struct timespec t;

    if (!x->has_clock || clock_gettime(x->clock, &t) < 0) return 0;
    return (usec_t)t.tv_sec * US_PER_S + t.tv_nsec / 1000;
}

static void begin_wait(struct lua *x)
{
    x->since_us = loop_now_us(x->loop);
    x->cpu_us = host_cpu_us(x);
    x->strikes = 0;
}

static void ping(struct lua *x)
{
    struct buf b;
    size_t at;
    struct packer p = lua_begin(x, &b, LUAHOST_PING, 0, &at);

    lua_send(x, &p, at, (struct lua_flight){.op = LUAHOST_PING});
}

static void kill_host(struct lua *x, const struct lua_flight *f, bool hung)
{
    uint64_t busy_with = f ? f->id : 0;

    log_error("lua-host-killed", "host=%llu why=%s", (unsigned long long)x->host_id,
        hung ? "\"a script does not end\"" : "\"it does not answer\"");
    if (f && f->op == LUAHOST_LOAD && hung) lua_load_died(x, f);
    lua_stop_host(x);
    lua_host_died(x, hung ? busy_with : 0, busy_with);
    lua_need_host(x);
}

static struct lua_flight *first_flight(struct lua *x)
{
    return list_empty(&x->flights) ? NULL : LIST_ITEM(x->flights.next, struct lua_flight, link);
}

static void watch(struct loop_timer *t)
{
    struct lua *x = t->arg;
    usec_t waited_us = loop_now_us(x->loop) - x->since_us;
    struct lua_flight *f = first_flight(x);
    bool hung;

    if (!x->greeted) {
        if (waited_us >= LUA_BIRTH_US) kill_host(x, NULL, false);
        return;
    }
    if (!f) {
        if (waited_us >= LUA_PING_US) ping(x);
        return;
    }
    hung = waited_us >= LUA_STUCK_US && host_cpu_us(x) - x->cpu_us >= LUA_STUCK_US;
    if (!hung && waited_us < LUA_SILENT_US)
        x->strikes = 0;
    else if (++x->strikes == STRIKES)
        kill_host(x, f, hung);
}

/* --- speaking --- */

bool lua_ready(const struct lua *x)
{
    return x->conn && x->greeted;
}

struct packer lua_begin(struct lua *x, struct buf *b, enum luahost_op op, uint32_t pairs, size_t *ret_at)
{
    (void)x;
    buf_init(b, LUAHOST_MESSAGE_MAX + 64);
    return luahost_begin(b, op, pairs, ret_at);
}

void lua_send_ready(struct lua *x, struct span message, struct lua_flight f)
{
    struct lua_flight *own = mem_dup(&f, sizeof(f));

    if (list_empty(&x->flights)) begin_wait(x);
    own->link = (struct list){0};
    list_push(&x->flights, &own->link);
    conn_send(x->conn, message);
}

bool lua_send(struct lua *x, struct packer *p, size_t at, struct lua_flight f)
{
    bool ok = luahost_end(p, at);

    if (ok) lua_send_ready(x, buf_span(p->to), f);
    buf_done(p->to);
    return ok;
}

/* --- hearing --- */

static bool on_hello(struct lua *x, const struct packed *m)
{
    unsigned missing = (unsigned)packed_u64(m, "missing", CAGE_ALL) & CAGE_ALL;
    char text[CAGE_TEXT_MAX];

    if (x->greeted) return false;
    x->greeted = true;
    if (atomic_exchange(&x->cage_missing, missing) != missing)
        log_warn("sandbox-incomplete", "of=luahost missing=%s", cage_text(missing, text));
    begin_wait(x);
    lua_load_new_host(x);
    return true;
}

static bool on_log(struct lua *x, const struct packed *m)
{
    uint64_t slot = packed_u64(m, "slot", LUAHOST_SLOTS);

    if (slot >= LUAHOST_SLOTS) return false;
    if (lua_may_log(x))
        log_info("script-says", "script=%s text=%s", luahost_slot_name((enum luahost_slot)slot),
            log_q(packed_str(m, "text")));
    return true;
}

static void on_done(struct lua *x, const struct packed *m, const struct lua_flight *f)
{
    struct lua_ask *a = lua_open_ask(x, f->id);

    if (!a) return; /* its deadline has passed */
    if (packed_bool(m, "ok", false))
        lua_end(a, 0, 0, packed_get(m, "value"));
    else
        lua_end(a, LUA_E_SCRIPT, lua_incident(x, a->slot, packed_str(m, "error")), NULL);
}

static void on_ask(struct lua *x, const struct packed *m, const struct lua_flight *f)
{
    struct lua_ask *a = lua_open_ask(x, f->id);
    struct buf b;
    struct packer p;
    size_t at;

    if (a) {
        a->state = LUA_CALLS;
        lua_asked(x, a, m);
        return;
    }
    p = lua_begin(x, &b, LUAHOST_CANCEL, 1, &at);
    pack_kv_u64(&p, "id", f->id);
    lua_send(x, &p, at, (struct lua_flight){.op = LUAHOST_CANCEL, .id = f->id});
}

/* Does this message answer what was sent first? */
static bool answers(uint64_t op, const struct packed *m, const struct lua_flight *f)
{
    switch (op) {
    case LUAHOST_LOADED: return f->op == LUAHOST_LOAD && packed_u64(m, "slot", LUAHOST_SLOTS) == f->slot;
    case LUAHOST_DONE:
    case LUAHOST_ASK:
        return (f->op == LUAHOST_CALL || f->op == LUAHOST_REPLY) && packed_u64(m, "id", 0) == f->id;
    case LUAHOST_CANCELLED: return f->op == LUAHOST_CANCEL;
    case LUAHOST_PONG: return f->op == LUAHOST_PING;
    default: return false;
    }
}

static bool on_answer(struct lua *x, uint64_t op, const struct packed *m)
{
    struct lua_flight *first = first_flight(x), f;

    if (!first || !answers(op, m, first)) return false;
    f = *first;
    list_remove(&first->link);
    mem_free(first);
    begin_wait(x);
    if (op == LUAHOST_LOADED) lua_loaded(x, &f, packed_bool(m, "ok", false), packed_str(m, "error"));
    if (op == LUAHOST_DONE) on_done(x, m, &f);
    if (op == LUAHOST_ASK) on_ask(x, m, &f);
    return true;
}

static bool on_map(struct lua *x, struct span map)
{
    const struct packed *m;
    struct unpack *u;
    uint64_t op;
    bool ok;

    if (unpack_new(map, &u) != 0) return false;
    m = unpack_root(u);
    op = packed_u64(m, "op", 0);
    if (op == LUAHOST_HELLO)
        ok = on_hello(x, m);
    else if (op == LUAHOST_LOG)
        ok = on_log(x, m);
    else
        ok = x->greeted && on_answer(x, op, m);
    unpack_done(u);
    return ok;
}

static size_t on_data(struct conn *c, struct span data)
{
    struct lua_link *link = conn_arg(c);
    struct span in = data, map;
    struct lua *x = link->x;
    size_t n;
    int err = 0;

    if (!x) return data.n;
    while (x->conn == c && (err = luahost_next(in, &map, &n)) == 0) {
        in = span_from(in, n);
        if (!on_map(x, map)) {
            err = LUAHOST_E_BAD;
            break;
        }
    }
    if (x->conn != c) return data.n;
    if (err == LUAHOST_E_BAD) {
        log_error("lua-host-broken", "host=%llu", (unsigned long long)x->host_id);
        kill_host(x, NULL, false);
        return data.n;
    }
    lua_pump(x);
    return data.n - in.n;
}

static void on_sent(struct conn *c)
{
    (void)c;
}

/* It has died; or was let go, and another one may be there. */
static void on_close(struct conn *c, int err)
{
    struct lua_link *link = conn_arg(c);
    struct lua *x = link->x;
    struct lua_flight *f;
    uint64_t busy_with;

    (void)err;
    mem_free(link);
    if (!x) return;
    log_warn("lua-host-gone", "host=%llu", (unsigned long long)x->host_id);
    f = first_flight(x);
    busy_with = f ? f->id : 0;
    if (f && f->op == LUAHOST_LOAD) lua_load_died(x, f);
    x->conn = NULL;
    lua_stop_host(x);
    lua_host_died(x, 0, busy_with);
    lua_need_host(x);
}

static const struct conn_ops conn_calls = {on_data, on_sent, on_close};

/* --- birth and death --- */

void lua_need_host(struct lua *x)
{
    usec_t now_us = loop_now_us(x->loop);

    if (x->conn || x->ending) return;
    if (x->wanted && now_us - x->since_us < LUA_BIRTH_US) return;
    x->wanted = true;
    x->since_us = now_us;
    x->ops->want(x->arg);
}

void lua_host(struct lua *x, uint64_t id, int pid, int err, int fd)
{
    if (!x || !x->wanted || x->conn || err != 0 || fd < 0) {
        if (err != 0) log_error("lua-host", "err=%s", log_q(span_of(err_text(-err))));
        if (x && fd >= 0) x->ops->gone(x->arg, id);
        fd_close(&fd);
        return;
    }
    x->wanted = false;
    x->host_id = id;
    x->greeted = false;
    x->has_clock = pid > 0 && clock_getcpuclockid(pid, &x->clock) == 0;
    x->link = NEW(struct lua_link);
    x->link->x = x;
    x->conn = conn_new(x->loop, fd, &conn_calls, &limits, x->link);
    begin_wait(x);
    loop_timer_every(x->loop, &x->watch, LUA_TICK_US, watch, x);
}

void lua_stop_host(struct lua *x)
{
    struct conn *c = x->conn;

    loop_timer_stop(&x->watch);
    LIST_EACH(&x->flights, at)
    {
        list_remove(at);
        mem_free(LIST_ITEM(at, struct lua_flight, link));
    }
    if (c) x->link->x = NULL;
    x->conn = NULL;
    x->greeted = false;
    if (x->host_id != 0) x->ops->gone(x->arg, x->host_id);
    x->host_id = 0;
    if (c) conn_close(c, 0);
}
