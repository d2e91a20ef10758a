#include "httpd/plugins.h"
#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/base/mem.h"
#include "common/ipc/channel.h"
#include "httpd/outgoing.h"

#include <stdatomic.h>
#include <time.h>

#define ARGS_MAX        65536
#define HTTP_US         (20 * US_PER_S)
#define HTTP_BODY_MAX_N (256u << 10) /* of an answer */
#define FIELDS_MAX      16

struct timer {
    unsigned every_s; /* 0: at a time of the day */
    unsigned minute;  /* of the day, local time */
    usec_t next_us;   /* monotonic */
    int day;          /* it ran on this day of the year */
    bool runs;
};
struct plugin {
    char entry[LUAHOST_PATH_MAX];
    struct caller caller;
    _Atomic unsigned hooks;
    struct timer timers[PLUGIN_TIMERS_MAX];
    unsigned n_timers, calls;
    struct log_rate rate;
};

static struct {
    struct loop *loop;
    struct lua *lua;
    struct outgoing *outgoing;
    struct channel *master;
    struct plugin_store *store;
    char hosts[PLUGIN_HOSTS_MAX];
    struct plugin v[LUAHOST_PLUGINS_MAX];
    struct loop_timer tick;
} all;

static const struct {
    const char *name, *event; /* what it is called, what it is told of */
    enum plugin_hook hook;
} hooks[] = {{"on_stream_state", "stream:state", PLUGIN_STREAM_STATE},
    {"on_event", "camera:event", PLUGIN_EVENT}, {"on_segment", "segment", PLUGIN_SEGMENT},
    {"on_viewer", "", PLUGIN_VIEWER}, {"on_request", "", PLUGIN_REQUEST}};

static struct plugin *of_slot(enum luahost_slot slot)
{
    return &all.v[slot - LUAHOST_PLUGIN];
}

static enum luahost_slot slot_of(const struct plugin *p)
{
    return (enum luahost_slot)(LUAHOST_PLUGIN + (p - all.v));
}

enum luahost_slot plugins_next(enum plugin_hook hook, enum luahost_slot after)
{
    unsigned i = after < LUAHOST_PLUGIN ? 0 : (unsigned)after - LUAHOST_PLUGIN + 1;

    for (; i < LUAHOST_PLUGINS_MAX; i++)
        if (atomic_load_explicit(&all.v[i].hooks, memory_order_relaxed) & hook)
            return (enum luahost_slot)(LUAHOST_PLUGIN + i);
    return LUAHOST_SLOTS;
}

const struct caller *plugins_caller(enum luahost_slot slot)
{
    return &of_slot(slot)->caller;
}

/* --- calls --- */

struct call {
    struct plugin *plugin;
    struct timer *timer; /* NULL: no timer's */
};

static void called(void *arg, const struct lua_answer *answer)
{
    struct call *c = arg;

    c->plugin->calls--;
    if (c->timer) c->timer->runs = false;
    if (answer->err != 0 && answer->incident == 0)
        log_warn(
            "plugin-call", "plugin=%s why=%s", c->plugin->caller.name, log_q(span_of(lua_why(answer->err))));
    mem_free(c);
}

/* args: a map with `hook`. */
static bool call(struct plugin *p, struct timer *t, struct span args)
{
    struct lua_asker who = {all.loop, called, NULL, &p->caller};
    uint32_t held;
    struct call *c;

    if (p->calls == PLUGIN_CALLS_MAX) {
        if (log_limited(&p->rate, loop_now_us(all.loop), &held))
            log_warn("plugin-busy", "plugin=%s calls=%u held=%u", p->caller.name, p->calls, held);
        return false;
    }
    c = NEW(struct call);
    *c = (struct call){p, t};
    who.arg = c;
    p->calls++;
    lua_ask(all.lua, slot_of(p), args, PLUGIN_US, &who);
    return true;
}

void plugins_happened(struct span event, struct span data)
{
    for (size_t i = 0; i < ARRAY_N(hooks); i++) {
        if (!span_is(event, hooks[i].event)) continue;
        for (size_t k = 0; k < LUAHOST_PLUGINS_MAX; k++) {
            struct packer p;
            struct buf b;

            if (!(atomic_load(&all.v[k].hooks) & hooks[i].hook)) continue;
            buf_init(&b, ARGS_MAX);
            p = packer_of(&b);
            pack_map(&p, 2);
            pack_kv_text(&p, "hook", hooks[i].name);
            pack_kv_str(&p, "json", data);
            if (!p.bad) (void)call(&all.v[k], NULL, buf_span(&b));
            buf_done(&b);
        }
    }
}

/* --- timers --- */

static bool is_due(struct timer *t, usec_t now_us, const struct tm *local)
{
    unsigned minute = (unsigned)(local->tm_hour * 60 + local->tm_min);

    if (t->every_s > 0) {
        if (now_us < t->next_us) return false;
        t->next_us = now_us + t->every_s * US_PER_S;
        return true;
    }
    if (minute != t->minute || t->day == local->tm_yday) return false;
    t->day = local->tm_yday;
    return true;
}

static void run_timer(struct plugin *p, unsigned n)
{
    struct packer packer;
    struct buf b;

    if (p->timers[n].runs) return; /* it has not ended yet: this turn is left out */
    buf_init(&b, ARGS_MAX);
    packer = packer_of(&b);
    pack_map(&packer, 2);
    pack_kv_text(&packer, "hook", "timer");
    pack_kv_u64(&packer, "n", n + 1);
    p->timers[n].runs = call(p, &p->timers[n], buf_span(&b));
    buf_done(&b);
}

static void tick(struct loop_timer *unused)
{
    time_t now_s = (time_t)(clock_wall_us() / US_PER_S);
    usec_t now_us = loop_now_us(all.loop);
    struct tm local;

    (void)unused;
    if (!localtime_r(&now_s, &local)) return;
    for (size_t i = 0; i < LUAHOST_PLUGINS_MAX; i++)
        for (unsigned k = 0; k < all.v[i].n_timers; k++)
            if (is_due(&all.v[i].timers[k], now_us, &local)) run_timer(&all.v[i], k);
}

static void wind_up(void)
{
    unsigned n = 0;

    for (size_t i = 0; i < LUAHOST_PLUGINS_MAX; i++) n += all.v[i].n_timers;
    loop_timer_stop(&all.tick);
    if (n > 0) loop_timer_every(all.loop, &all.tick, US_PER_S, tick, NULL);
}

/* --- what a plug-in has --- */

static void read_timers(struct plugin *p, const struct packed *timers)
{
    usec_t now_us = loop_now_us(all.loop);

    p->n_timers = 0;
    for (size_t i = 0; i < MIN(packed_n(timers), (size_t)PLUGIN_TIMERS_MAX); i++) {
        const struct packed *t = packed_at(timers, i);
        struct span at = packed_str(t, "at");
        struct timer *to = &p->timers[p->n_timers++];
        uint64_t h = 0, m = 0;

        *to = (struct timer){.every_s = (unsigned)packed_u64(t, "every", 0), .day = -1, .runs = to->runs};
        to->next_us = now_us + to->every_s * US_PER_S;
        if (to->every_s == 0 && span_u64(span_sub(at, 0, 2), 23, &h) && span_u64(span_from(at, 3), 59, &m))
            to->minute = (unsigned)(h * 60 + m);
    }
    wind_up();
}

static void described(void *arg, const struct lua_answer *answer)
{
    struct plugin *p = arg;
    const struct packed *names = packed_get(answer->value, "hooks");
    unsigned found = 0;

    if (answer->err != 0) {
        log_error("plugin-unread", "plugin=%s why=%s", p->caller.name, log_q(span_of(lua_why(answer->err))));
        return;
    }
    for (size_t i = 0; i < packed_n(names); i++)
        for (size_t k = 0; k < ARRAY_N(hooks); k++)
            if (span_is(packed_as_str(packed_at(names, i)), hooks[k].name)) found |= hooks[k].hook;
    atomic_store(&p->hooks, found);
    read_timers(p, packed_get(answer->value, "timers"));
    log_note("plugin-runs", "plugin=%s hooks=%zu timers=%u", p->caller.name, packed_n(names), p->n_timers);
}

void plugins_loaded(enum luahost_slot slot)
{
    const struct lua_asker who = {all.loop, described, slot < LUAHOST_PLUGIN ? NULL : of_slot(slot), NULL};
    struct packer p;
    struct buf b;

    if (slot < LUAHOST_PLUGIN) return;
    buf_init(&b, ARGS_MAX);
    p = packer_of(&b);
    pack_map(&p, 1);
    pack_kv_text(&p, "hook", "describe");
    lua_ask(all.lua, slot, buf_span(&b), PLUGIN_US, &who);
    buf_done(&b);
}

/* "modules/plugins/alarm.lua" is alarm. */
static void name_it(struct plugin *p)
{
    const char *slash = strrchr(p->entry, '/');
    struct span name = span_of(slash ? slash + 1 : p->entry);

    if (span_ends(name, SPAN_LIT(".lua"))) name = span_sub(name, 0, name.n - 4);
    p->caller = (struct caller){.role = "admin", .by = "plugin"};
    span_copy(name, p->caller.name, sizeof(p->caller.name));
}

void plugins_conf(const struct packed *body, char entry[][LUAHOST_PATH_MAX])
{
    const struct packed *paths = packed_get(body, "plugins");

    if (!packed_text(body, "plugin_hosts", all.hosts, sizeof(all.hosts))) all.hosts[0] = '\0';
    for (size_t i = 0; i < LUAHOST_PLUGINS_MAX; i++) {
        struct plugin *p = &all.v[i];

        entry[i][0] = '\0';
        span_copy(packed_as_str(packed_at(paths, i)), entry[i], LUAHOST_PATH_MAX);
        if (strcmp(p->entry, entry[i]) == 0) continue;
        atomic_store(&p->hooks, 0); /* until it has said what it has */
        p->n_timers = 0;
        memcpy(p->entry, entry[i], sizeof(p->entry));
        name_it(p);
    }
    wind_up();
}

/* --- what it asks for --- */

static const char *plugin_of(const struct lua_call *c)
{
    return of_slot(c->slot)->caller.name;
}

static void done_packed(const struct lua_call *c, struct buf *b, const struct packer *p)
{
    if (p->bad)
        lua_call_failed(c, "out of memory");
    else
        lua_call_done(c, buf_span(b));
    buf_done(b);
}

static void http_said(void *arg, const struct outgoing_answer *a)
{
    struct lua_call *c = arg;
    struct packer p;
    struct buf b;

    if (a->err != 0) {
        lua_call_failed(c, outgoing_why(a->err));
    } else {
        buf_init(&b, LUAHOST_MESSAGE_MAX);
        p = packer_of(&b);
        pack_map(&p, 2);
        pack_kv_u64(&p, "status", a->status);
        pack_kv_str(&p, "body", a->body);
        done_packed(c, &b, &p);
    }
    mem_free(c);
}

/* Names and values are copied into mem. */
static bool read_fields(const struct packed *map, struct wr *mem, struct outgoing_field *ret, size_t *ret_n)
{
    const struct packed *v;
    struct span name;

    *ret_n = 0;
    for (size_t i = 0; packed_pair(map, i, &name, &v); i++) {
        struct span pieces[2] = {name, packed_as_str(v)};
        const char *texts[2];

        if (*ret_n == FIELDS_MAX) return false;
        for (size_t k = 0; k < 2; k++) {
            texts[k] = (const char *)mem->p + mem->n;
            wr_bytes(mem, pieces[k]);
            wr_u8(mem, 0);
        }
        ret[(*ret_n)++] = (struct outgoing_field){texts[0], texts[1]};
    }
    return wr_ok(mem);
}

void plugins_http(const struct lua_call *c, const struct packed *args)
{
    char url[OUTGOING_URL_MAX], method[16] = "GET", mem[8192];
    struct outgoing_field fields[FIELDS_MAX];
    struct wr w = wr_of(mem, sizeof(mem));
    struct outgoing_ask ask = {.method = method,
        .url = url,
        .fields = fields,
        .body = packed_str(args, "body"),
        .limit_us = CLAMP(packed_i64(args, "timeout", 20) * US_PER_S, US_PER_S, HTTP_US),
        .answer_max = HTTP_BODY_MAX_N,
        .loop = all.loop,
        .done = http_said};
    int err;

    if (packed_get(args, "method") && !packed_text(args, "method", method, sizeof(method))) method[0] = '\0';
    if (!packed_text(args, "url", url, sizeof(url)) || method[0] == '\0' ||
        !read_fields(packed_get(args, "headers"), &w, fields, &ask.n_fields)) {
        lua_call_failed(c, "url, method or headers: too long, or none");
        return;
    }
    if (!plugin_host_ok(span_of(all.hosts), span_of(url))) {
        lua_call_failed(c, "this host is not in hosts of [plugins]");
        return;
    }
    ask.arg = mem_dup(c, sizeof(*c));
    err = outgoing_send(all.outgoing, &ask);
    if (err == 0) return;
    mem_free(ask.arg);
    lua_call_failed(c, outgoing_why(err));
}

static void say_nothing(const struct lua_call *c)
{
    struct packer p;
    struct buf b;

    buf_init(&b, 16);
    p = packer_of(&b);
    pack_bool(&p, true);
    done_packed(c, &b, &p);
}

void plugins_get(const struct lua_call *c, const struct packed *args)
{
    struct span value = plugin_store_get(all.store, plugin_of(c), packed_as_str(args));
    struct packer p;
    struct buf b;

    buf_init(&b, PLUGIN_VALUE_MAX + 64);
    p = packer_of(&b);
    if (value.p)
        pack_str(&p, value);
    else
        pack_nil(&p);
    done_packed(c, &b, &p);
}

void plugins_set(const struct lua_call *c, const struct packed *args)
{
    struct span key = packed_str(args, "key"), value = packed_str(args, "value");
    struct packer *p;

    if (!plugin_store_set(all.store, plugin_of(c), key, value)) {
        lua_call_failed(c, "the key or the value is too long, or there are too many");
        return;
    }
    p = channel_begin(all.master, MSG_STORE, value.p ? 3 : 2);
    pack_kv_text(p, "plugin", plugin_of(c));
    pack_kv_str(p, "key", key);
    if (value.p) pack_kv_str(p, "value", value);
    channel_end(all.master, NULL, 0);
    say_nothing(c);
}

void plugins_keys(const struct lua_call *c, const struct packed *args)
{
    struct packer p;
    struct buf b;

    (void)args;
    buf_init(&b, LUAHOST_MESSAGE_MAX);
    p = packer_of(&b);
    plugin_store_keys(all.store, plugin_of(c), &p);
    done_packed(c, &b, &p);
}

void plugins_kept(const struct packed *body)
{
    char plugin[PLUGIN_NAME_MAX + 1];

    if (packed_text(body, "plugin", plugin, sizeof(plugin)))
        (void)plugin_store_set(all.store, plugin, packed_str(body, "key"), packed_str(body, "value"));
}

void plugins_start(struct loop *l, struct lua *lua, struct outgoing *o, struct channel *master)
{
    all.loop = l;
    all.lua = lua;
    all.outgoing = o;
    all.master = master;
    all.store = plugin_store_new();
}
