#include "httpd/lua_impl.h"
#include "common/base/err.h"
#include "common/base/log.h"
#include "common/base/map.h"
#include "common/base/mem.h"
#include "common/base/rng.h"
#include "httpd/caller.h"

#include <errno.h>

#define LINES_EVERY_US (200 * US_PER_MS) /* lines of the log that scripts and requests cause */
#define LINES_BURST    20
#define INCIDENT_US    (60 * US_PER_S) /* the same error is one line for so long */
#define LOOK_US        (1 * US_PER_S)

static const struct {
    unsigned status;
    const char *why;
} errors[] = {
    [LUA_E_BUSY] = {503, "too many requests wait for the scripts"},
    [LUA_E_LATE] = {504, "the script did not answer in time"},
    [LUA_E_NONE] = {503, "there is no script that works"},
    [LUA_E_SCRIPT] = {500, "the script failed"},
    [LUA_E_KILLED] = {500, "the script was stopped"},
};

const char *lua_why(int err)
{
    return err > 0 && (size_t)err < ARRAY_N(errors) ? errors[err].why : "";
}

unsigned lua_status(int err)
{
    return err > 0 && (size_t)err < ARRAY_N(errors) ? errors[err].status : 200;
}

void *lua_arg(const struct lua *x)
{
    return x->arg;
}

unsigned lua_cage_missing(const struct lua *x)
{
    return x ? atomic_load(&x->cage_missing) : 0;
}

/* --- the log --- */

bool lua_may_log(struct lua *x)
{
    struct bucket after = x->lines;

    if (bucket_take(&after, loop_now_us(x->loop)) > 0) return false;
    x->lines = after;
    return true;
}

/* A flood of different errors shares the id of the last line. */
uint32_t lua_incident(struct lua *x, enum luahost_slot slot, struct span error)
{
    usec_t now_us = loop_now_us(x->loop);
    uint64_t hash = hash_fnv1a(error);
    unsigned at;

    for (unsigned i = 0; i < LUA_INCIDENTS; i++)
        if (x->incidents[i].hash == hash && now_us < x->incidents[i].until_us) return x->incidents[i].id;
    at = x->next_incident;
    if (!lua_may_log(x)) return x->incidents[(at + LUA_INCIDENTS - 1) % LUA_INCIDENTS].id;
    x->incidents[at].hash = hash;
    x->incidents[at].id = rng_u32();
    x->incidents[at].until_us = now_us + INCIDENT_US;
    x->next_incident = (at + 1) % LUA_INCIDENTS;
    log_error("script-error", "script=%s incident=%08x error=%s", luahost_slot_name(slot),
        x->incidents[at].id, log_q(error));
    return x->incidents[at].id;
}

/* --- the end of a request --- */

static void ask_free(struct lua_ask *a)
{
    buf_done(&a->args);
    buf_done(&a->value);
    mem_free((void *)(uintptr_t)a->who.caller);
    mem_free(a);
}

/* In the loop that asked. */
static void deliver(void *arg)
{
    struct lua_ask *a = arg;
    struct lua_answer answer = {.err = a->err, .incident = a->incident};
    struct unpack *u = NULL;

    if (a->err == 0 && unpack_new(buf_span(&a->value), &u) == 0) answer.value = unpack_root(u);
    a->who.done(a->who.arg, &answer);
    unpack_done(u);
    ask_free(a);
}

static void unlink_ask(struct lua_ask *a)
{
    list_remove(&a->link);
    if (a->state == LUA_QUEUED)
        a->x->n_queue--;
    else
        a->x->n_open--;
}

/* What the host still has of it is dropped there when it speaks of it again. */
static void give_back(struct lua_ask *a)
{
    struct lua *x = a->x;
    struct buf b;
    struct packer p;
    size_t at;

    if (a->state != LUA_CALLS || !lua_ready(x)) return;
    p = lua_begin(x, &b, LUAHOST_CANCEL, 1, &at);
    pack_kv_u64(&p, "id", a->id);
    lua_send(x, &p, at, (struct lua_flight){.op = LUAHOST_CANCEL, .id = a->id});
}

void lua_end(struct lua_ask *a, int err, uint32_t incident, const struct packed *value)
{
    struct packer p;

    if (err == LUA_E_LATE) give_back(a);
    unlink_ask(a);
    a->err = err;
    a->incident = incident;
    buf_init(&a->value, LUAHOST_MESSAGE_MAX);
    p = packer_of(&a->value);
    if (err == 0) pack_value(&p, value);
    loop_post(a->who.loop, deliver, a);
}

/* --- from the queue to the host --- */

struct lua_ask *lua_open_ask(struct lua *x, uint64_t id)
{
    LIST_EACH(&x->open, at)
    {
        struct lua_ask *a = LIST_ITEM(at, struct lua_ask, link);

        if (a->id == id) return a;
    }
    return NULL;
}

static bool send_call(struct lua_ask *a)
{
    struct lua *x = a->x;
    struct buf b;
    struct packer p;
    size_t at;

    p = lua_begin(x, &b, LUAHOST_CALL, 3, &at);
    pack_kv_u64(&p, "id", a->id);
    pack_kv_u64(&p, "slot", a->slot);
    pack_key(&p, "args");
    pack_ready(&p, buf_span(&a->args));
    return lua_send(x, &p, at, (struct lua_flight){.op = LUAHOST_CALL, .id = a->id});
}

static void start(struct lua_ask *a)
{
    struct lua *x = a->x;

    unlink_ask(a);
    a->state = LUA_RUNS;
    a->id = ++x->last_id;
    list_push(&x->open, &a->link);
    x->n_open++;
    if (!send_call(a)) lua_end(a, LUA_E_BUSY, 0, NULL);
}

void lua_pump(struct lua *x)
{
    if (x->ending) return;
    if (x->n_queue > 0) lua_need_host(x);
    LIST_EACH(&x->queue, at)
    {
        struct lua_ask *a = LIST_ITEM(at, struct lua_ask, link);
        bool may_come;

        if (x->n_open == LUA_OPEN_MAX) return;
        if (!lua_has_script(x, a->slot, &may_come)) {
            if (!may_come) lua_end(a, LUA_E_NONE, 0, NULL);
        } else if (lua_ready(x)) {
            start(a);
        }
    }
}

static void end_late(struct list *l, usec_t now_us)
{
    LIST_EACH(l, at)
    {
        struct lua_ask *a = LIST_ITEM(at, struct lua_ask, link);

        if (now_us >= a->until_us) lua_end(a, LUA_E_LATE, 0, NULL);
    }
}

static void tick(struct loop_timer *t)
{
    struct lua *x = t->arg;
    usec_t now_us = loop_now_us(x->loop);

    end_late(&x->queue, now_us);
    end_late(&x->open, now_us);
    lua_pump(x);
    if (x->n_queue + x->n_open > 0) loop_timer_set(x->loop, &x->tick, LUA_TICK_US, tick, x);
}

static void submit(void *arg)
{
    struct lua_ask *a = arg;
    struct lua *x = a->x;

    a->until_us += loop_now_us(x->loop);
    list_push(&x->queue, &a->link);
    x->n_queue++;
    if (x->ending || x->n_queue > LUA_QUEUE_MAX) {
        lua_end(a, x->ending ? LUA_E_NONE : LUA_E_BUSY, 0, NULL);
        return;
    }
    if (!loop_timer_armed(&x->tick)) loop_timer_set(x->loop, &x->tick, LUA_TICK_US, tick, x);
    lua_pump(x);
}

void lua_ask(
    struct lua *x, enum luahost_slot slot, struct span args, usec_t deadline_us, const struct lua_asker *who)
{
    struct lua_ask *a = NEW(struct lua_ask);
    bool fits;

    a->x = x;
    a->slot = slot;
    a->until_us = deadline_us;
    a->who = *who;
    if (who->caller) a->who.caller = mem_dup(who->caller, sizeof(*who->caller));
    buf_init(&a->args, LUAHOST_ARGS_MAX);
    fits = buf_put(&a->args, args);
    a->err = x ? LUA_E_BUSY : LUA_E_NONE;
    if (x && fits)
        loop_post(x->loop, submit, a);
    else
        loop_post(who->loop, deliver, a);
}

/* --- when the host has died --- */

static bool again(const struct lua_ask *a, uint64_t guilty, uint64_t busy_with)
{
    if (a->id == guilty || a->changed) return false;
    return a->id != busy_with || a->tries + 1 < LUA_TRIES_MAX;
}

void lua_host_died(struct lua *x, uint64_t guilty, uint64_t busy_with)
{
    struct list back;

    list_init(&back);
    LIST_EACH(&x->open, at)
    {
        struct lua_ask *a = LIST_ITEM(at, struct lua_ask, link);

        if (again(a, guilty, busy_with)) {
            if (a->id == busy_with) a->tries++;
            unlink_ask(a);
            list_push(&back, &a->link);
        } else {
            lua_end(a, LUA_E_KILLED,
                lua_incident(x, a->slot,
                    a->id == guilty ? SPAN_LIT("the script hung and was killed")
                                    : SPAN_LIT("the script's process died")),
                NULL);
        }
    }
    /* They were first. */
    while (!list_empty(&back)) {
        struct lua_ask *a = LIST_ITEM(back.prev, struct lua_ask, link);

        list_remove(&a->link);
        a->state = LUA_QUEUED;
        list_push(x->queue.next, &a->link);
        x->n_queue++;
    }
    lua_pump(x);
}

/* --- birth and end --- */

/* Nothing is to run: no process is needed. */
static bool is_idle(const struct lua *x)
{
    for (unsigned i = 0; i < LUAHOST_SLOTS; i++)
        if (buf_n(&x->scripts[i].good) + buf_n(&x->scripts[i].candidate) > 0) return false;
    return true;
}

static void found(void *arg, struct lua_found *f)
{
    struct lua *x = arg;

    for (unsigned i = 0; i < LUAHOST_SLOTS; i++) lua_load_found(x, (enum luahost_slot)i, &f[i]);
    if (lua_ready(x))
        lua_load_all(x);
    else if (!is_idle(x))
        lua_need_host(x);
    lua_pump(x);
}

static void look(struct loop_timer *t)
{
    struct lua *x = t->arg;

    lua_finder_look(x->finder, &x->conf, found, x);
}

struct lua *lua_new(struct loop *l, const struct lua_ops *ops, const struct lua_row *calls, void *arg)
{
    struct lua *x = NEW(struct lua);

    x->loop = l;
    x->ops = ops;
    x->calls = calls;
    x->arg = arg;
    x->lines = bucket_of(LINES_EVERY_US, LINES_BURST);
    list_init(&x->queue);
    list_init(&x->open);
    list_init(&x->flights);
    x->finder = lua_finder_new(l);
    return x;
}

void lua_set_conf(struct lua *x, const struct lua_conf *conf)
{
    x->conf = *conf;
    lua_finder_look(x->finder, &x->conf, found, x);
    loop_timer_every(x->loop, &x->look, LOOK_US, look, x);
}

void lua_free(struct lua *x)
{
    if (!x) return;
    x->ending = true;
    loop_timer_stop(&x->look);
    lua_finder_free(x->finder);
    lua_stop_host(x);
    LIST_EACH(&x->open, at) lua_end(LIST_ITEM(at, struct lua_ask, link), LUA_E_NONE, 0, NULL);
    LIST_EACH(&x->queue, at) lua_end(LIST_ITEM(at, struct lua_ask, link), LUA_E_NONE, 0, NULL);
    loop_timer_stop(&x->tick);
    for (unsigned i = 0; i < LUAHOST_SLOTS; i++) {
        buf_done(&x->scripts[i].good);
        buf_done(&x->scripts[i].candidate);
    }
    mem_free(x);
}
