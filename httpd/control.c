#include "httpd/control.h"
#include "httpd/assets.h"
#include "httpd/audit.h"
#include "httpd/auth.h"
#include "httpd/away.h"
#include "httpd/doors.h"
#include "httpd/feed.h"
#include "httpd/h2_conn.h"
#include "httpd/hub.h"
#include "httpd/api_calls.h"
#include "httpd/webhooks.h"
#include "httpd/lua_scripts.h"
#include "httpd/pictures.h"
#include "httpd/plugins.h"
#include "httpd/pushes.h"
#include "httpd/storages.h"
#include "httpd/stream.h"
#include "httpd/viewers.h"
#include "common/base/err.h"
#include "common/base/fd.h"
#include "common/base/log.h"
#include "common/base/mem.h"
#include "common/conf/conf.h"
#include "common/net/tls.h"

#include <errno.h>
#include <sys/sysinfo.h>

#define WEBHOOK_LAST_US  (1500 * US_PER_MS) /* and for a last webhook */
#define GOODBYE_US       (50 * US_PER_MS)   /* for the hubs to say it */
#define AUTO_THREADS_MAX 8                  /* threads = 0: one a processor, at most so many */

struct control {
    struct child *child;
    struct loop *loop;
    struct server server;
    struct storages *storages;
    struct away *away;     /* other nodes of the cluster */
    bool running;          /* HTTPD_CONF has come */
    bool has_plugins;      /* or had: their process is looked after */
    uint64_t bytes_before; /* sent, a second ago */
    bool complete;         /* CONF_DONE has come: requests for known streams find them */
    struct door_set waiting[CONF_LISTENERS_MAX];
    size_t n_waiting;
    struct webhooks webhooks;
    struct audit audit;
    usec_t stopping_us;
    struct loop_timer second, stop;
};

static struct control control;

static int take_fd(struct incoming *in, int i)
{
    int fd = i < in->n_fds ? in->fds[i] : -1;

    if (fd >= 0) in->fds[i] = -1;
    return fd;
}

/* --- handlers; a negative return ends the channel --- */

static void open_door(struct control *c, const struct door_set *set)
{
    log_info("listening", "base=%s module=%d rtsp=%d tls=%d", set->base, set->module, set->rtsp, set->tls);
    if (!set->tls && !set->rtsp) atomic_store(&c->server.plain, true);
    server_each(&c->server, doors_open, mem_dup(set, sizeof(*set)));
}

static void open_waiting(struct control *c)
{
    if (!c->running || !c->complete) return;
    for (size_t i = 0; i < c->n_waiting; i++) open_door(c, &c->waiting[i]);
    c->n_waiting = 0;
}

static int on_listen(struct control *c, struct incoming *in)
{
    struct span kind = packed_str(in->body, "kind"), base = packed_str(in->body, "base");
    struct door_set set = {.module = span_is(kind, "module"), .tls = packed_bool(in->body, "tls", false)};

    set.rtsp = span_is(kind, "rtsp");
    set.push = span_is(kind, "publish");
    if (!set.module && !set.rtsp && !set.push && !span_is(kind, "web")) {
        log_note("listener-unused", "kind=%s", log_q(kind));
        return 0;
    }
    if (c->n_waiting == CONF_LISTENERS_MAX) return -1; /* the master has checked this */
    set.fd = take_fd(in, 0);
    if (set.fd < 0) return -1;
    /* The panel's base is the panel's business: its files stand below /cpanel/ in any case. */
    door_base(set.module ? SPAN_NONE : base, set.base, sizeof(set.base));
    c->waiting[c->n_waiting++] = set;
    open_waiting(c);
    return 0;
}

/* --- who pushes inside TLS --- */

struct push_given {
    int fd;
    char addr[ADDR_TEXT_MAX], base[64];
};

static void push_given(void *arg)
{
    struct push_given *g = arg;
    struct packer *p = channel_begin(child_control(control.child), MSG_PUSH_TLS, 2);

    pack_kv_text(p, "addr", g->addr);
    pack_kv_text(p, "base", g->base);
    channel_end(child_control(control.child), &g->fd, 1);
    fd_close(&g->fd);
    mem_free(g);
}

static void give_push(int fd, const char *addr, const char *base)
{
    struct push_given *g = NEW(struct push_given);

    g->fd = fd;
    span_copy(span_of(addr), g->addr, sizeof(g->addr));
    span_copy(span_of(base), g->base, sizeof(g->base));
    loop_post(control.loop, push_given, g);
}

/* --- who pushes by a token --- */

struct push_said {
    char uid[RING_UID_MAX + 1];
    uint64_t id;
    unsigned status;
};

static void tell_push_said(void *arg)
{
    const struct push_said *s = arg;
    struct packer *p = channel_begin(child_control(control.child), MSG_PUSH_MAY, 3);

    pack_kv_text(p, "uid", s->uid);
    pack_kv_u64(p, "id", s->id);
    pack_kv_u64(p, "status", s->status);
    channel_end(child_control(control.child), NULL, 0);
    mem_free(arg);
}

static void push_said(const char *uid, uint64_t id, unsigned status)
{
    struct push_said *s = NEW(struct push_said);

    span_copy(span_of(uid), s->uid, sizeof(s->uid));
    s->id = id;
    s->status = status;
    loop_post(control.loop, tell_push_said, s);
}

static int on_push_ask(struct control *c, struct incoming *in)
{
    struct span uid = packed_str(in->body, "uid");
    struct addr addr;

    if (!c->running) return -1;
    if (addr_parse(packed_str(in->body, "addr"), &addr))
        pushes_ask(&c->server, uid, packed_u64(in->body, "id", 0), &addr, packed_str(in->body, "token"));
    return 0;
}

static int on_push_over(struct control *c, struct incoming *in)
{
    if (c->running) pushes_over(&c->server, packed_str(in->body, "uid"), packed_u64(in->body, "id", 0));
    return 0;
}

/* Every hub holds the certificate for itself. */
static int on_tls(struct control *c, struct incoming *in)
{
    const struct tls_setup setup = {.cert = packed_str(in->body, "cert"),
        .key = packed_str(in->body, "key"),
        .kernel = packed_bool(in->body, "kernel", false)};
    enum hub_tls which = packed_bool(in->body, "module", false) ? HUB_TLS_MODULE : HUB_TLS_STREAM;
    struct tls_server *server;
    int why;

    if (!c->running) return -1;
    why = tls_server_new(&setup, &server);
    if (why != 0) { /* the master has looked at it */
        log_error("certificate", "module=%d what=%s", which == HUB_TLS_MODULE, tls_why(why));
        return 0;
    }
    for (unsigned i = 0; i < c->server.n_hubs; i++) {
        struct door_cert *d = NEW(struct door_cert);

        *d = (struct door_cert){which, tls_server_ref(server)};
        hub_post(&c->server.hubs[i], doors_cert, d);
    }
    tls_server_unref(server);
    return 0;
}

static void set_origin(struct hub *hub, void *arg)
{
    span_copy(span_of(arg), hub->allow_origin, sizeof(hub->allow_origin));
}

/* --- helpers: pictures are asked for by their threads, the Lua host on this loop --- */

static void send_want(struct control *c, enum helper_kind kind)
{
    struct packer *p = channel_begin(child_control(c->child), MSG_HELPER_WANT, 1);

    pack_kv_u64(p, "kind", kind);
    channel_end(child_control(c->child), NULL, 0);
}

static void send_gone(struct control *c, uint64_t id)
{
    struct packer *p = channel_begin(child_control(c->child), MSG_HELPER_GONE, 1);

    pack_kv_u64(p, "id", id);
    channel_end(child_control(c->child), NULL, 0);
}

static void picture_wanted(void *arg)
{
    send_want(arg, HELPER_PICTURE);
}

static void want_picture(void *arg)
{
    struct control *c = arg;

    loop_post(c->loop, picture_wanted, c);
}

static void picture_gone(void *arg)
{
    uint64_t *id = arg;

    send_gone(&control, *id);
    mem_free(id);
}

static void end_picture(void *arg, uint64_t id)
{
    struct control *c = arg;

    loop_post(c->loop, picture_gone, mem_dup(&id, sizeof(id)));
}

static const struct pictures_ops picture_ops = {want_picture, end_picture};

static void want_lua(void *arg)
{
    send_want(arg, HELPER_LUA);
}

static void want_plugins(void *arg)
{
    send_want(arg, HELPER_PLUGINS);
}

static void end_lua(void *arg, uint64_t id)
{
    send_gone(arg, id);
}

static void loaded_lua(void *arg, enum luahost_slot slot)
{
    (void)arg;
    plugins_loaded(slot);
}

static const struct lua_ops lua_ops = {want_lua, end_lua, NULL};
static const struct lua_ops plugin_ops = {want_plugins, end_lua, loaded_lua};

/* The master's end of a question's socket. */
static void open_question(void *arg, int fd)
{
    struct control *c = arg;

    channel_begin(child_control(c->child), MSG_CTL_OPEN, 0);
    channel_end(child_control(c->child), &fd, 1);
    fd_close(&fd);
}

static int on_helper(struct control *c, struct incoming *in)
{
    int fd = take_fd(in, 0), err = (int)CLAMP(packed_i64(in->body, "err", EPROTO), 0, 4095);
    uint64_t id = packed_u64(in->body, "id", 0), kind = packed_u64(in->body, "kind", 0);
    int pid = (int)packed_i64(in->body, "pid", 0);

    if (kind == HELPER_LUA)
        lua_host(c->server.lua, id, pid, err, fd);
    else if (kind == HELPER_PLUGINS)
        lua_host(c->server.plugins, id, pid, err, fd);
    else if (c->server.pictures)
        pictures_helper(c->server.pictures, id, err, fd);
    else
        fd_close(&fd); /* nobody has asked */
    return 0;
}

static void set_lua(struct control *c, const struct packed *body)
{
    struct lua_conf conf = {0};

    if (!packed_text(body, "lua_site", conf.site, sizeof(conf.site)) ||
        !packed_text(body, "lua_shipped", conf.shipped, sizeof(conf.shipped)))
        log_warn("script-folders", "why=\"a path is too long\"");
    packed_text(body, "auth_module", conf.entry[LUAHOST_AUTH], LUAHOST_PATH_MAX);
    packed_text(body, "api_module", conf.entry[LUAHOST_API], LUAHOST_PATH_MAX);
    packed_text(body, "cpanel_module", conf.entry[LUAHOST_CPANEL], LUAHOST_PATH_MAX);
    span_copy(SPAN_LIT(LUA_API3), conf.entry[LUAHOST_API3], LUAHOST_PATH_MAX);
    plugins_conf(body, &conf.entry[LUAHOST_PLUGIN]);
    conf.slots = (1u << LUAHOST_PLUGIN) - 1;
    lua_set_conf(c->server.lua, &conf);
    for (unsigned i = LUAHOST_PLUGIN; i < LUAHOST_SLOTS; i++) c->has_plugins |= conf.entry[i][0] != '\0';
    if (!c->has_plugins) return;
    conf.slots = LUAHOST_PLUGINS;
    lua_set_conf(c->server.plugins, &conf);
}

static int start(struct control *c, const struct packed *body)
{
    char dir[1024] = "", site[1024 + 8];
    uint64_t threads = packed_u64(body, "threads", 0);
    struct assets *assets;
    int err = 0;

    if (threads == 0) threads = CLAMP((uint64_t)get_nprocs(), 1, AUTO_THREADS_MAX);
    packed_text(body, "web_dir", dir, sizeof(dir));
    snprintf(site, sizeof(site), "%.*s/cpanel", SPAN_FMT(packed_str(body, "lua_site")));
    assets = assets_load(dir, strcmp(site, dir) == 0 ? NULL : site, &err);
    if (err != 0) log_warn("web-dir-unread", "dir=%s err=%s", log_q(span_of(dir)), err_text(err));
    c->server.pictures =
        pictures_new((unsigned)MIN(packed_u64(body, "pictures", 0), PICTURES_HELPERS_MAX), &picture_ops, c);
    c->server.give_push = give_push;
    c->server.push_said = push_said;
    c->server.lua = lua_new(c->loop, &lua_ops, api_calls, c);
    c->server.plugins = lua_new(c->loop, &plugin_ops, api_calls, c);
    api_calls_start(c->loop, &c->server, child_control(c->child), open_question, c);
    c->server.feed = feed_new(c->loop, api_calls_rows(), api_calls_master());
    c->audit = (struct audit){
        .loop = c->loop, .master = child_control(c->child), .bucket = bucket_of(AUDIT_EVERY_US, AUDIT_BURST)};
    c->server.audit = &c->audit;
    err = server_start(&c->server, (unsigned)MIN(threads, HUBS_MAX), assets, c->storages);
    if (err != 0) return err;
    plugins_start(c->loop, c->server.plugins, c->server.outgoing, child_control(c->child));
    viewers_start(&c->server, c->loop);
    c->running = true;
    log_info("httpd-ready", "threads=%u files=%zu", c->server.n_hubs, assets_n(assets));
    return 0;
}

static int on_conf(struct control *c, struct incoming *in)
{
    struct span origin = packed_str(in->body, "allow_origin");
    uint64_t threads = packed_u64(in->body, "threads", 0);

    if (!c->running) {
        int err = start(c, in->body);

        if (err != 0) return err;
    } else if (threads != 0 && threads != c->server.n_hubs) {
        log_note("threads-at-restart", "now=%u wanted=%llu", c->server.n_hubs, (unsigned long long)threads);
    }
    atomic_store(&c->server.export_max_us, (usec_t)packed_u64(in->body, "export_max_us", EXPORT_MAX_US));
    server_each(&c->server, set_origin, span_dup(span_sub(origin, 0, ALLOW_ORIGIN_MAX - 1)));
    set_lua(c, in->body);
    open_waiting(c);
    return 0;
}

static int on_auth(struct control *c, struct incoming *in)
{
    struct auth *a;

    if (!c->running) return -1;
    a = auth_read(in->body);
    api_calls_auth(auth_ref(a));
    auth_share(&c->server, a);
    return 0;
}

static int on_revoked(struct control *c, struct incoming *in)
{
    const struct packed *rows = packed_get(in->body, "rows");

    if (!c->running) return -1;
    for (size_t i = 0; i < packed_n(rows); i++)
        if (!revoked_read(&c->server, packed_at(rows, i))) log_error("revoked-unread", "row=%zu", i);
    return 0;
}

static bool uid_of(struct incoming *in, char *dst)
{
    return packed_text(in->body, "uid", dst, RING_UID_MAX + 1) && dst[0] != '\0';
}

static void cut_text(const struct packed *body, const char *key, char *dst, size_t cap)
{
    span_copy(packed_str(body, key), dst, cap);
}

/* A list that cannot be read lets nobody in. */
static void take_whitelist(struct span text, struct view *v)
{
    if (cidrs_parse(text, ACCESS_CIDRS_MAX, &v->rule.whitelist) == 0) return;
    log_error("whitelist-unread", "stream=%s", v->uid);
    v->rule.mode = ACCESS_NONE;
}

static void take_nodes(const struct packed *rows, struct view *v)
{
    for (size_t i = 0; i < packed_n(rows) && v->n_nodes < STREAM_NODES_MAX; i++)
        v->nodes[v->n_nodes++] = (uint16_t)MIN(packed_as_u64(packed_at(rows, i), 0), UINT16_MAX);
}

static int on_view(struct control *c, struct incoming *in)
{
    struct view *v = NEW(struct view);

    if (!c->running || !uid_of(in, v->uid)) {
        mem_free(v);
        return c->running ? 0 : -1;
    }
    cut_text(in->body, "name", v->name, sizeof(v->name));
    cut_text(in->body, "archive", v->archive, sizeof(v->archive));
    if (!packed_text(in->body, "camera", v->camera, sizeof(v->camera))) v->camera[0] = '\0';
    v->sub = packed_bool(in->body, "sub", false);
    cut_text(in->body, "state", v->state, sizeof(v->state));
    cut_text(in->body, "reason", v->reason, sizeof(v->reason));
    cut_text(in->body, "elsewhere", v->elsewhere, sizeof(v->elsewhere));
    take_nodes(packed_get(in->body, "nodes"), v);
    v->rule.mode = access_mode_of(packed_str(in->body, "access"));
    take_whitelist(packed_str(in->body, "whitelist"), v);
    v->rule.enabled = packed_bool(in->body, "enabled", true);
    v->rule.roads = access_roads_of(packed_str(in->body, "proto"));
    v->on_demand = packed_bool(in->body, "on_demand", false);
    v->record = packed_bool(in->body, "record", false);
    v->limit = (unsigned)CLAMP(packed_i64(in->body, "limit", 0), 0, INT32_MAX);
    hub_post(hub_home(&c->server, span_of(v->uid)), stream_view, v);
    return 0;
}

static int on_view_ring(struct control *c, struct incoming *in)
{
    struct view_ring *r = NEW(struct view_ring);

    if (!c->running || !uid_of(in, r->uid) || in->n_fds != 4) {
        mem_free(r);
        return -1;
    }
    r->gen = (uint32_t)packed_u64(in->body, "gen", 0);
    r->ring_fd = take_fd(in, 0);
    r->demand_fd = take_fd(in, 1);
    r->frame_event_fd = take_fd(in, 2);
    r->demand_event_fd = take_fd(in, 3);
    hub_post(hub_home(&c->server, span_of(r->uid)), stream_ring, r);
    return 0;
}

static int on_view_gone(struct control *c, struct incoming *in)
{
    char uid[RING_UID_MAX + 1];

    if (c->running && uid_of(in, uid))
        hub_post(hub_home(&c->server, span_of(uid)), stream_gone, mem_strdup(uid));
    return 0;
}

static int on_storage(struct control *c, struct incoming *in)
{
    storage_set(c->storages, packed_str(in->body, "name"), packed_str(in->body, "path"));
    return 0;
}

static int on_storage_gone(struct control *c, struct incoming *in)
{
    storage_remove(c->storages, packed_str(in->body, "name"));
    return 0;
}

static int on_index_ready(struct control *c, struct incoming *in)
{
    storage_index_ready(c->storages, packed_str(in->body, "name"), packed_str(in->body, "path"));
    return 0;
}

static int on_courier(struct control *c, struct incoming *in)
{
    int fd = take_fd(in, 0);

    if (fd < 0) return -1;
    away_socket(c->away, fd);
    return 0;
}

static int on_nodes(struct control *c, struct incoming *in)
{
    const struct packed *rows = packed_get(in->body, "nodes");
    CLEANUP(mem_freep) struct storage_node *v = mem_new_n(STORAGE_NODES, sizeof(*v));
    size_t n = 0;

    for (size_t i = 0; i + 1 < packed_n(rows) && n < STORAGE_NODES; i += 2) {
        v[n].node = (uint16_t)MIN(packed_as_u64(packed_at(rows, i), 0), UINT16_MAX);
        span_copy(packed_as_str(packed_at(rows, i + 1)), v[n].host, sizeof(v[n].host));
        n += v[n].node != 0;
    }
    storages_nodes(c->storages, c->away, (uint16_t)packed_u64(in->body, "self", 0), v, n);
    return 0;
}

static int on_conf_done(struct control *c, struct incoming *in)
{
    (void)in;
    c->complete = true;
    atomic_store(&c->server.metrics.ready, true);
    open_waiting(c);
    return 0;
}

static int on_hooks(struct control *c, struct incoming *in)
{
    c->webhooks.loop = c->loop;
    c->webhooks.master = child_control(c->child);
    webhooks_on(&c->webhooks, c->server.outgoing, in->body);
    return 0;
}

static int on_happened(struct control *c, struct incoming *in)
{
    struct span event = packed_str(in->body, "event"), data = packed_str(in->body, "data");

    if (!c->running) return 0;
    plugins_happened(event, data);
    feed_notice(c->server.feed, event, data);
    return 0;
}

static int on_store(struct control *c, struct incoming *in)
{
    if (!c->running) return -1;
    plugins_kept(in->body);
    return 0;
}

static int on_metrics(struct control *c, struct incoming *in)
{
    if (c->server.n_hubs > 0) metrics_master_set(&c->server.metrics, packed_str(in->body, "text"));
    return 0;
}

static const struct {
    enum message type;
    int (*fn)(struct control *c, struct incoming *in);
} rows[] = {
    {MSG_LISTEN, on_listen},
    {MSG_TLS, on_tls},
    {MSG_HTTPD_CONF, on_conf},
    {MSG_HTTPD_AUTH, on_auth},
    {MSG_REVOKED, on_revoked},
    {MSG_VIEW, on_view},
    {MSG_VIEW_RING, on_view_ring},
    {MSG_VIEW_GONE, on_view_gone},
    {MSG_STORAGE, on_storage},
    {MSG_STORAGE_GONE, on_storage_gone},
    {MSG_INDEX_READY, on_index_ready},
    {MSG_COURIER_SOCK, on_courier},
    {MSG_NODES, on_nodes},
    {MSG_CONF_DONE, on_conf_done},
    {MSG_HELPER, on_helper},
    {MSG_METRICS, on_metrics},
    {MSG_HOOKS, on_hooks},
    {MSG_HAPPENED, on_happened},
    {MSG_STORE, on_store},
    {MSG_PUSH_ASK, on_push_ask},
    {MSG_PUSH_OVER, on_push_over},
};

static int on_message(struct child *child, struct incoming *in)
{
    struct control *c = child_arg(child);

    for (size_t i = 0; i < ARRAY_N(rows); i++)
        if (rows[i].type == in->type) return rows[i].fn(c, in);
    return 0;
}

static void leave(struct loop_timer *t)
{
    struct control *c = t->arg;

    c->stopping_us += GOODBYE_US;
    if (c->webhooks.id != 0 && c->stopping_us < WEBHOOK_LAST_US)
        loop_timer_set(c->loop, &c->stop, GOODBYE_US, leave, c);
    else
        child_exit(c->child, CHILD_EXIT_OK);
}

/* The last webhook, which says that the server ends, is let through; viewers reconnect; those of HTTP/2 are
 * told that this is no failure. Threads that hang on a disk are not waited for. */
static void on_stop(struct child *child, bool orphaned)
{
    struct control *c = child_arg(child);

    if (orphaned || !c->running) child_exit(child, orphaned ? CHILD_EXIT_ORPHAN : CHILD_EXIT_OK);
    server_each(&c->server, h2_goodbye_all, NULL);
    loop_timer_set(c->loop, &c->stop, GOODBYE_US, leave, c);
}

/* The keeper looks at them. */
static void tell_suspects(struct control *c)
{
    char names[STORAGES_MAX][STORAGE_NAME_MAX];
    size_t n = storages_suspect(c->storages, names, STORAGES_MAX);

    for (size_t i = 0; i < n; i++) {
        struct packer *p = channel_begin(child_control(c->child), MSG_INDEX_SUSPECT, 1);

        pack_kv_text(p, "name", names[i]);
        channel_end(child_control(c->child), NULL, 0);
    }
}

/* Whether nobody new may watch, since as much is sent as may be. */
static void weigh(struct control *c, uint64_t bytes)
{
    uint64_t most = atomic_load(&c->server.bandwidth_max);
    uint64_t rate = bytes > c->bytes_before ? (bytes - c->bytes_before) * 8 : 0;

    c->bytes_before = bytes;
    atomic_store(&c->server.over_bandwidth, most > 0 && rate > most);
}

static void tell_stats(struct loop_timer *t)
{
    struct control *c = t->arg;
    uint64_t viewers = 0, bytes = 0, requests = 0;
    struct packer *p;

    for (unsigned i = 0; i < c->server.n_hubs; i++) {
        struct hub_count *n = &c->server.hubs[i].count;

        viewers += atomic_load_explicit(&n->viewers, memory_order_relaxed);
        bytes += atomic_load_explicit(&n->bytes_out, memory_order_relaxed);
        requests += atomic_load_explicit(&n->requests, memory_order_relaxed);
    }
    weigh(c, bytes);
    p = channel_begin(child_control(c->child), MSG_HTTPD_STATS, 5);
    pack_kv_u64(p, "connections", server_connections(&c->server));
    pack_kv_u64(p, "viewers", viewers);
    pack_kv_u64(p, "bytes_out", bytes);
    pack_kv_u64(p, "requests", requests);
    pack_kv_u64(p, "cage_missing",
        pictures_cage_missing(c->server.pictures) | lua_cage_missing(c->server.lua) |
            lua_cage_missing(c->server.plugins));
    channel_end(child_control(c->child), NULL, 0);
    tell_suspects(c);
}

static const struct child_ops ops = {NULL, on_message, on_stop};

bool control_start(struct loop *loop)
{
    struct control *c = &control;
    const struct child_setup setup = {
        .role = ROLE_HTTPD, .process = "httpd", .beat = true, .ops = &ops, .arg = c};

    c->loop = loop;
    c->storages = storages_new();
    c->away = away_new(loop);
    c->child = child_start(loop, &setup);
    if (!c->child) return false;
    loop_timer_every(loop, &c->second, US_PER_S, tell_stats, c);
    return true;
}
