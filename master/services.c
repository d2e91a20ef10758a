#include "master/services.h"
#include "common/base/cage.h"
#include "common/base/clock.h"
#include "common/base/err.h"
#include "common/base/log.h"
#include "common/base/mem.h"
#include "common/conf/nodes.h"
#include "master/cluster/records.h"
#include "master/master.h"
#include "master/pushes.h"

#include <sys/sysinfo.h>
#include <sys/wait.h>

#define HTTPD_LOOPS_MAX 8
#define HTTPD_NODES_MAX 64 /* whose archives it reads */

static void tell_connector(struct service *s);
static void tell_keeper(struct service *s);
static void tell_httpd(struct service *s);
static void tell_courier(struct service *s);

static const struct {
    const char *name, *program;
    enum role role;
    size_t identity; /* in struct roles */
    void (*tell)(struct service *s);
} kinds[] = {
    [SERVICE_CONNECTOR] = {"connector", "ms-connector", ROLE_CONNECTOR, offsetof(struct roles, connector),
        tell_connector},
    [SERVICE_KEEPER] = {"keeper", "ms-keeper", ROLE_KEEPER, offsetof(struct roles, keeper), tell_keeper},
    [SERVICE_HTTPD] = {"httpd", "ms-httpd", ROLE_HTTPD, offsetof(struct roles, httpd), tell_httpd},
    [SERVICE_COURIER] = {"courier", "ms-courier", ROLE_COURIER, offsetof(struct roles, courier),
        tell_courier},
};

static enum service_id id_of(const struct service *s)
{
    return (enum service_id)(s - s->m->services.v);
}

const char *services_name(enum service_id id)
{
    return kinds[id].name;
}

struct channel *services_channel(const struct master *m, enum service_id id)
{
    const struct proc *p = &m->services.v[id].proc;

    return proc_runs(p) ? p->ch : NULL;
}

bool services_wanted(const struct master *m, enum service_id id)
{
    return id != SERVICE_COURIER || m->cluster;
}

/* --- what each is told first --- */

void services_push_conf(struct master *m)
{
    struct channel *ch = services_channel(m, SERVICE_CONNECTOR);
    struct packer *p;

    if (!ch) return;
    p = channel_begin(ch, MSG_PUSH_CONF, 2);
    pack_kv_text(p, "whitelist", m->conf->delivery.whitelist_publishers.text);
    pack_kv_text(p, "proxies", m->conf->delivery.trusted_proxies.text);
    channel_end(ch, NULL, 0);
    listeners_send_push(&m->listeners, ch);
}

static void tell_connector(struct service *s)
{
    fleet_tell_connector(s->m);
    services_push_conf(s->m);
}

static void tell_keeper(struct service *s)
{
    storages_send(&s->m->storages, s->m->conf, s->proc.ch);
    fleet_tell_keeper(s->m);
    courier_meets(s->m, SERVICE_KEEPER);
}

static void pack_keys(struct packer *p, const struct master *m)
{
    struct token_keys keys = {.n = 0};

    if (!m->tokens.lost) tokens_keys(m->conf, &keys);
    pack_key(p, "keys");
    pack_array(p, (uint32_t)keys.n);
    for (size_t i = 0; i < keys.n; i++) {
        pack_map(p, 4);
        pack_kv_text(p, "kid", keys.v[i].kid);
        pack_kv_str(p, "secret", secret_reveal(&keys.v[i].secret));
        pack_kv_i64(p, "not_before_s", keys.v[i].not_before_s);
        pack_kv_i64(p, "not_after_s", keys.v[i].not_after_s);
    }
    token_keys_done(&keys);
}

static void pack_account(struct packer *p, const struct conf_module *c, const char *login,
    const struct secret *password, enum conf_role role)
{
    pack_map(p, 4);
    pack_kv_text(p, "login", login);
    pack_kv_str(p, "password", secret_reveal(password));
    pack_kv_text(p, "role", conf_role_word(role));
    pack_kv_text(p, "cameras", conf_cameras_of(&c->own, login));
}

static void pack_users(struct packer *p, const struct conf_module *c)
{
    uint32_t n = (uint32_t)c->own.n;

    for (int i = 0; i < CONF_ROLES; i++) n += c->users[i].login && c->users[i].login[0];
    pack_key(p, "users");
    pack_array(p, n);
    for (int i = 0; i < CONF_ROLES; i++)
        if (c->users[i].login && c->users[i].login[0] != '\0')
            pack_account(p, c, c->users[i].login, &c->users[i].password, (enum conf_role)i);
    for (size_t i = 0; i < c->own.n; i++)
        pack_account(p, c, c->own.v[i].login, &c->own.v[i].password, c->own.v[i].role);
}

static void tell_auth(struct master *m, struct channel *ch)
{
    struct packer *p = channel_begin(ch, MSG_HTTPD_AUTH, 24);
    const struct conf_delivery *d = &m->conf->delivery;
    char audience[TOKEN_AUDIENCE_MAX + 1];

    pack_kv_text(p, "whitelist", d->whitelist_access.text);
    pack_kv_text(p, "proxies", d->trusted_proxies.text);
    pack_kv_text(p, "exempt", d->throttle_exempt.text);
    pack_keys(p, m);
    pack_users(p, &m->conf->module);
    pack_kv_text(p, "audience", tokens_audience(m->conf, audience));
    pack_kv_str(p, "link_key", secret_reveal(&d->secure_link_key));
    pack_kv_str(p, "backend", secret_reveal(&d->auth_backend));
    pack_kv_i64(p, "backend_timeout_us", d->auth_backend_timeout_us);
    pack_kv_bool(p, "backend_down_allows", d->auth_backend_down == CONF_DOWN_ALLOW);
    pack_kv_bool(p, "api", m->conf->module.api_enable);
    pack_kv_text(p, "api_whitelist", m->conf->module.api_whitelist.text);
    pack_kv_text(p, "api_base", m->conf->module.api_baseurl);
    pack_kv_i64(p, "api_rate", m->conf->module.api_rate);
    pack_kv_text(p, "api_exempt", m->conf->module.api_rate_exempt.text);
    pack_kv_text(p, "cpanel_base", m->conf->module.cpanel_baseurl);
    pack_kv_bool(p, "cpanel", m->conf->module.cpanel_enable);
    pack_kv_text(p, "cpanel_whitelist", m->conf->module.cpanel_whitelist.text);
    pack_kv_bool(p, "panel_basic", m->conf->module.cpanel_auth == CONF_SIGN_IN_BASIC);
    pack_kv_bool(p, "digest_md5", d->rtsp_digest_md5);
    pack_kv_bool(p, "web_login", d->web_login);
    pack_kv_i64(p, "address_limit", d->limit_address);
    pack_kv_i64(p, "connections_limit", d->limit_connections);
    pack_kv_i64(p, "bandwidth_limit", d->limit_bandwidth * 1000000);
    channel_end(ch, NULL, 0);
}

static void pack_plugins(struct packer *p, const struct conf *c)
{
    char hosts[CONF_VALUE_MAX];
    struct wr w = wr_of(hosts, sizeof(hosts));

    pack_key(p, "plugins");
    pack_array(p, (uint32_t)c->plugins.n);
    for (size_t i = 0; i < c->plugins.n; i++) pack_str(p, span_of(c->plugins.v[i]));
    for (size_t i = 0; i < c->plugin_hosts.n; i++) wr_fmt(&w, "%s,", c->plugin_hosts.v[i]);
    pack_kv_text(p, "plugin_hosts", wr_cstr(&w));
}

/* The other nodes, whose archives are one with ours. */
static void tell_nodes(const struct conf *c, struct channel *ch)
{
    size_t n = MIN(c->n_nodes, HTTPD_NODES_MAX);
    struct packer *p;

    if (!conf_clustered(c)) return;
    p = channel_begin(ch, MSG_NODES, 2);
    pack_kv_i64(p, "self", c->server.node_id);
    pack_key(p, "nodes");
    pack_array(p, (uint32_t)(2 * n));
    for (size_t i = 0; i < n; i++) {
        const struct conf_node *node = &c->nodes[i];

        /* ourselves are none of the others */
        pack_i64(p, node->id == c->server.node_id ? 0 : node->id);
        pack_str(p, span_of(c->server.cluster_redirect && node->n_paths > 0 ? node->paths[0].host : ""));
    }
    channel_end(ch, NULL, 0);
}

void services_httpd_conf(struct master *m)
{
    struct channel *ch = services_channel(m, SERVICE_HTTPD);
    int64_t threads = m->conf->server.threads;
    struct packer *p;

    if (!ch) return;
    if (threads == 0) threads = CLAMP(get_nprocs(), 1, HTTPD_LOOPS_MAX);
    p = channel_begin(ch, MSG_HTTPD_CONF, 12);
    pack_kv_i64(p, "threads", threads);
    pack_kv_text(p, "web_dir", m->paths.cpanel);
    pack_kv_text(p, "allow_origin", m->conf->delivery.web_allow_origin);
    pack_kv_u64(p, "export_max_us", (uint64_t)m->conf->dvr.export_max_us);
    pack_kv_i64(p, "pictures", m->conf->server.pictures);
    pack_kv_text(p, "lua_site", m->conf->dir);
    pack_kv_text(p, "lua_shipped", m->paths.lua);
    pack_kv_text(p, "auth_module", m->conf->delivery.auth_module);
    pack_kv_text(p, "api_module", m->conf->module.api_module);
    pack_plugins(p, m->conf);
    pack_kv_text(p, "cpanel_module", m->conf->module.cpanel_module);
    channel_end(ch, NULL, 0);
    tell_auth(m, ch);
    tell_nodes(m->conf, ch);
}

static void httpd_anew(struct loop_timer *t)
{
    struct master *m = t->arg;

    if (!m->stopping) proc_restart(&m->services.v[SERVICE_HTTPD].proc);
}

void services_httpd_anew(struct master *m, usec_t in_us)
{
    if (in_us > 0)
        loop_timer_set(m->loop, &m->services.httpd_anew, in_us, httpd_anew, m);
    else
        proc_restart(&m->services.v[SERVICE_HTTPD].proc);
}

static void tell_httpd(struct service *s)
{
    struct master *m = s->m;

    services_httpd_conf(m);
    keeps_send(&m->keeps, s->proc.ch);
    certs_send(&m->certs, s->proc.ch);
    tokens_tell(m, s->proc.ch);
    listeners_send(&m->listeners, s->proc.ch);
    storages_send(&m->storages, m->conf, s->proc.ch);
    fleet_tell_httpd(m);
    storages_send_indexes(&m->storages, m->conf, s->proc.ch);
    courier_meets(m, SERVICE_HTTPD);
}

static void tell_courier(struct service *s)
{
    storages_send(&s->m->storages, s->m->conf, s->proc.ch);
    storages_send_indexes(&s->m->storages, s->m->conf, s->proc.ch);
    courier_begin(s->m);
    courier_meets(s->m, SERVICE_KEEPER);
    courier_meets(s->m, SERVICE_HTTPD);
}

/* --- the process's calls --- */

static void prepare(struct proc *p, struct spawn *s)
{
    static char program[PATHS_MAX];
    struct service *sv = p->arg;
    struct master *m = sv->m;

    paths_program(&m->paths, kinds[id_of(sv)].program, program);
    s->program = program;
    s->name = kinds[id_of(sv)].program;
    memcpy(&s->as, (const uint8_t *)&m->roles + kinds[id_of(sv)].identity, sizeof(s->as));
    s->log_fd = m->log_fd;
}

static void on_hello(struct proc *p)
{
    struct service *s = p->arg;

    s->beat_us = clock_mono_us();
    log_note("service-runs", "service=%s pid=%d", p->id, p->pid);
    master_welcome(s->m, p->ch);
    kinds[id_of(s)].tell(s);
    channel_send0(p->ch, MSG_CONF_DONE);
    if (id_of(s) == SERVICE_HTTPD) pushes_again(s->m);
    master_service_runs(s->m);
}

static int on_beat(struct service *s, struct incoming *in)
{
    (void)in;
    s->beat_us = clock_mono_us();
    return 0;
}

static int on_line(struct service *s, struct incoming *in)
{
    lines_add(&s->lines, packed_str(in->body, "line"));
    return 0;
}

static int on_storage_state(struct service *s, struct incoming *in)
{
    storages_on_state(&s->m->storages, s->m->conf, in->body);
    return 0;
}

static int on_resolved(struct service *s, struct incoming *in)
{
    cluster_resolved(s->m, in->body);
    return 0;
}

static int on_index_ready(struct service *s, struct incoming *in)
{
    static const enum service_id readers[] = {SERVICE_HTTPD, SERVICE_COURIER};
    struct channel *to[ARRAY_N(readers)];

    for (size_t i = 0; i < ARRAY_N(readers); i++) to[i] = services_channel(s->m, readers[i]);
    storages_on_index(&s->m->storages, s->m->conf, in->body, to, ARRAY_N(to));
    return 0;
}

static int on_net_sent(struct service *s, struct incoming *in)
{
    net_on_sent(s->m, in->body);
    return 0;
}

static int on_net_got(struct service *s, struct incoming *in)
{
    net_on_got(s->m, in->body);
    return 0;
}

static int on_courier_state(struct service *s, struct incoming *in)
{
    courier_on_state(s->m, in->body);
    return 0;
}

static int on_courier_left(struct service *s, struct incoming *in)
{
    courier_on_left(s->m, in->body);
    return 0;
}

static int on_keep_row(struct service *s, struct incoming *in)
{
    control_keep_row(s->m, in->body);
    return 0;
}

static int on_keep_end(struct service *s, struct incoming *in)
{
    control_keep_end(s->m, in->body);
    return 0;
}

static int on_index_suspect(struct service *s, struct incoming *in)
{
    struct channel *keeper = services_channel(s->m, SERVICE_KEEPER);
    char name[CONF_NAME_MAX + 1];
    struct packer *p;

    if (!keeper || !packed_text(in->body, "name", name, sizeof(name))) return 0;
    p = channel_begin(keeper, MSG_INDEX_SUSPECT, 1);
    pack_kv_text(p, "name", name);
    channel_end(keeper, NULL, 0);
    return 0;
}

/* The keeper has it in its index. */
static int on_event(struct service *s, struct incoming *in)
{
    struct event *e = NEW(struct event);
    struct stream *stream = event_read(in->body, e) ? fleet_stream(s->m, span_of(e->uid)) : NULL;

    if (stream) events_stored(stream, e);
    mem_free(e);
    return 0;
}

static int on_stats(struct service *s, struct incoming *in)
{
    struct services *all = &s->m->services;

    all->connections = packed_u64(in->body, "connections", 0);
    all->viewers = packed_u64(in->body, "viewers", 0);
    all->bytes_out = packed_u64(in->body, "bytes_out", 0);
    all->requests = packed_u64(in->body, "requests", 0);
    all->cage_missing = (unsigned)packed_u64(in->body, "cage_missing", 0) & CAGE_ALL;
    return 0;
}

static int on_helper_want(struct service *s, struct incoming *in)
{
    helpers_want(&s->m->helpers, packed_u64(in->body, "kind", 0));
    return 0;
}

static int on_ctl_open(struct service *s, struct incoming *in)
{
    if (in->n_fds != 1) return -1;
    control_serve_api(s->m, in->fds[0]);
    in->fds[0] = -1;
    return 0;
}

static int on_helper_gone(struct service *s, struct incoming *in)
{
    helpers_kill(&s->m->helpers, packed_u64(in->body, "id", 0));
    return 0;
}

/* To the connector; while there is none the connection ends, and whoever pushes tries again. */
static int on_push_tls(struct service *s, struct incoming *in)
{
    struct channel *connector = services_channel(s->m, SERVICE_CONNECTOR);
    struct packer *p;

    if (!connector || in->n_fds != 1) return 0;
    p = channel_begin(connector, MSG_PUSH_TLS, 2);
    pack_kv_str(p, "addr", packed_str(in->body, "addr"));
    pack_kv_str(p, "base", packed_str(in->body, "base"));
    channel_end(connector, &in->fds[0], 1);
    return 0;
}

static int on_push_may(struct service *s, struct incoming *in)
{
    pushes_said(s->m, in->body);
    return 0;
}

static int on_hooks_done(struct service *s, struct incoming *in)
{
    hooks_on_done(s->m, in->body);
    return 0;
}

/* What a plug-in keeps. */
static int on_store(struct service *s, struct incoming *in)
{
    keeps_put(&s->m->keeps, in->body);
    return 0;
}

static int on_segment(struct service *s, struct incoming *in)
{
    char storage[CONF_NAME_MAX + 1] = "", path[128] = "", uid[CONF_UID_MAX + 1] = "", times[3][24];
    const struct hooks_pair data[] = {{"uid", uid}, {"storage", storage}, {"path", path}, {"start", times[0]},
        {"end", times[1]}, {"bytes", times[2]}};

    packed_text(in->body, "uid", uid, sizeof(uid));
    packed_text(in->body, "storage", storage, sizeof(storage));
    packed_text(in->body, "path", path, sizeof(path));
    snprintf(times[0], sizeof(times[0]), "%lld", (long long)(packed_i64(in->body, "start_us", 0) / US_PER_S));
    snprintf(times[1], sizeof(times[1]), "%lld", (long long)(packed_i64(in->body, "end_us", 0) / US_PER_S));
    snprintf(times[2], sizeof(times[2]), "%llu", (unsigned long long)packed_u64(in->body, "bytes", 0));
    hooks_say_here(s->m, "segment", data, ARRAY_N(data));
    return 0;
}

static int on_footage_gone(struct service *s, struct incoming *in)
{
    hooks_deleted(s->m, in->body);
    return 0;
}

/* What happened in httpd. */
static int on_audit(struct service *s, struct incoming *in)
{
    char who[AUDIT_WHO_MAX], role[8], from[48], by[8], what[32], result[16];
    const struct {
        const char *key;
        char *to;
        size_t cap;
    } texts[] = {{"who", who, sizeof(who)}, {"role", role, sizeof(role)}, {"from", from, sizeof(from)},
        {"by", by, sizeof(by)}, {"what", what, sizeof(what)}, {"result", result, sizeof(result)}};

    for (size_t i = 0; i < ARRAY_N(texts); i++)
        span_copy(packed_str(in->body, texts[i].key), texts[i].to, texts[i].cap);
    audit_add(&s->m->audit, clock_wall_us(),
        &(struct audit_entry){.who = who,
            .role = role,
            .from = from,
            .by = by,
            .what = what,
            .result = result,
            .text = span_sub(packed_str(in->body, "text"), 0, AUDIT_WORD_MAX)});
    return 0;
}

static int on_token_made(struct service *s, struct incoming *in)
{
    tokens_made(s->m, in->body);
    return 0;
}

static const struct {
    enum message type;
    void (*fn)(struct master *m, const struct packed *body);
} etcd_handlers[] = {
    {MSG_ETCD_BEGIN, records_on_begin},
    {MSG_ETCD_ROW, records_on_row},
    {MSG_ETCD_READY, records_on_ready},
    {MSG_ETCD_STATE, records_on_state},
    {MSG_ETCD_CHANGED, records_on_changed},
    {MSG_ETCD_OWNS, records_on_owns},
    {MSG_ETCD_HELD, records_on_held},
};

static int on_etcd(struct service *s, struct incoming *in)
{
    for (size_t i = 0; i < ARRAY_N(etcd_handlers); i++)
        if (etcd_handlers[i].type == in->type) etcd_handlers[i].fn(s->m, in->body);
    return 0;
}

static const struct {
    enum message type;
    int (*fn)(struct service *s, struct incoming *in);
} handlers[] = {
    {MSG_BEAT, on_beat},
    {MSG_LOG_LINE, on_line},
    {MSG_STORAGE_STATE, on_storage_state},
    {MSG_RESOLVED, on_resolved},
    {MSG_INDEX_READY, on_index_ready},
    {MSG_INDEX_SUSPECT, on_index_suspect},
    {MSG_HTTPD_STATS, on_stats},
    {MSG_KEEP_ROW, on_keep_row},
    {MSG_KEEP_END, on_keep_end},
    {MSG_HELPER_WANT, on_helper_want},
    {MSG_HELPER_GONE, on_helper_gone},
    {MSG_CTL_OPEN, on_ctl_open},
    {MSG_EVENT, on_event},
    {MSG_HOOKS_DONE, on_hooks_done},
    {MSG_PUSH_TLS, on_push_tls},
    {MSG_PUSH_MAY, on_push_may},
    {MSG_AUDIT, on_audit},
    {MSG_TOKEN_MADE, on_token_made},
    {MSG_STORE, on_store},
    {MSG_SEGMENT, on_segment},
    {MSG_FOOTAGE_GONE, on_footage_gone},
    {MSG_NET_SENT, on_net_sent},
    {MSG_NET_GOT, on_net_got},
    {MSG_COURIER_STATE, on_courier_state},
    {MSG_COURIER_LEFT, on_courier_left},
    {MSG_ETCD_BEGIN, on_etcd},
    {MSG_ETCD_ROW, on_etcd},
    {MSG_ETCD_READY, on_etcd},
    {MSG_ETCD_STATE, on_etcd},
    {MSG_ETCD_CHANGED, on_etcd},
    {MSG_ETCD_OWNS, on_etcd},
    {MSG_ETCD_HELD, on_etcd},
};

/* The channel has checked that the message may come from this role. */
static int on_message(struct proc *p, struct incoming *in)
{
    for (size_t i = 0; i < ARRAY_N(handlers); i++)
        if (handlers[i].type == in->type) return handlers[i].fn(p->arg, in);
    return 0;
}

static usec_t beat_us(struct proc *p)
{
    return ((struct service *)p->arg)->beat_us;
}

static void on_death(struct proc *p, const struct proc_death *d)
{
    struct service *s = p->arg;

    if (id_of(s) == SERVICE_KEEPER) {
        storages_keeper_gone(&s->m->storages);
        control_keeper_gone(s->m);
    }
    if (id_of(s) == SERVICE_COURIER) net_courier_gone(s->m);
    if (id_of(s) == SERVICE_HTTPD) {
        s->m->services.viewers = s->m->services.connections = 0;
        fleet_httpd_gone(s->m);
        hooks_httpd_gone(s->m);
        helpers_end(&s->m->helpers);
    }
    if (d->err < 0) return;
    if (d->asked) {
        if (d->wanted)
            log_note(
                "service-restarts", "service=%s lived_s=%lld", p->id, (long long)(d->lived_us / US_PER_S));
        return;
    }
    log_error("service-died", "service=%s signal=%d code=%d lived_s=%lld next_ms=%lld", p->id,
        WIFSIGNALED(d->status) ? WTERMSIG(d->status) : 0, WIFEXITED(d->status) ? WEXITSTATUS(d->status) : 0,
        (long long)(d->lived_us / US_PER_S), (long long)(d->wanted ? d->wait_us / US_PER_MS : -1));
}

static void on_off(struct proc *p)
{
    master_one_off(((struct service *)p->arg)->m);
}

static const struct proc_ops ops = {.prepare = prepare,
    .on_hello = on_hello,
    .on_message = on_message,
    .beat_us = beat_us,
    .on_death = on_death,
    .on_off = on_off};

/* --- all of them --- */

void services_init(struct master *m)
{
    for (int i = 0; i < SERVICES; i++) {
        struct service *s = &m->services.v[i];

        s->m = m;
        s->turns = bucket_of(SERVICE_EVERY_US, SERVICE_BURST);
        proc_init(&s->proc, &m->births, kinds[i].role, kinds[i].name, &ops, s);
        s->proc.turns = &s->turns;
    }
}

void services_done(struct master *m)
{
    loop_timer_stop(&m->services.httpd_anew);
    for (int i = 0; i < SERVICES; i++) {
        proc_done(&m->services.v[i].proc);
        lines_done(&m->services.v[i].lines);
    }
}

void services_start(struct master *m)
{
    for (int i = 0; i < SERVICES; i++)
        if (services_wanted(m, (enum service_id)i)) proc_start(&m->services.v[i].proc);
}

void services_check(struct master *m, usec_t now_us)
{
    for (int i = 0; i < SERVICES; i++) proc_check(&m->services.v[i].proc, now_us);
}

bool services_off(const struct master *m)
{
    for (int i = 0; i < SERVICES; i++)
        if (m->services.v[i].proc.state != PROC_OFF) return false;
    return true;
}
