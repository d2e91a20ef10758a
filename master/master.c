#include "master/master.h"
#include "master/metrics.h"
#include "common/base/clock.h"
#include "common/base/err.h"
#include "common/base/fd.h"
#include "common/base/log.h"
#include "common/ipc/child.h"
#include "master/host.h"
#include "master/reload.h"

#include <errno.h>
#include <unistd.h>

#define CHECK_US      US_PER_S
#define STOOD_US      (3 * US_PER_S)     /* between two checks: the master itself stood still */
#define STOOD_WAIT_US (2 * US_PER_S)     /* then, until somebody is judged: what they said is read first */
#define READY_US      (10 * US_PER_S)    /* without all services: ready all the same */
#define STOP_KILL_US  (8500 * US_PER_MS) /* from the order to stop: whatever is left is killed */
#define STOP_LEAVE_US (800 * US_PER_MS)  /* and left behind */

/* The log has no argument for its mirror. */
static struct master *the_master;

static void mirror(enum log_level level, const char *line, size_t n)
{
    if (the_master && level <= LOG_INFO) lines_add(&the_master->lines, span(line, n));
}

/* --- what children are told --- */

void master_welcome(struct master *m, struct channel *to)
{
    const struct conf_server *c = &m->conf->server;
    struct packer *p = channel_begin(to, MSG_WELCOME, 6);

    pack_kv_i64(p, "log_level", m->log_level);
    pack_kv_bool(p, "log_json", c->log_format == CONF_LOG_JSON);
    pack_kv_bool(p, "log_journal", m->log_journal);
    pack_kv_i64(p, "node", c->node_id);
    pack_kv_text(p, "state_dir", c->state_dir);
    pack_kv_text(p, "time_zone", c->time_zone);
    channel_end(to, NULL, 0);
}

static void each_child(struct master *m, void (*fn)(struct master *m, struct channel *ch))
{
    struct map_slot slot;
    size_t at = 0;

    for (int i = 0; i < SERVICES; i++) {
        struct channel *ch = services_channel(m, (enum service_id)i);

        if (ch) fn(m, ch);
    }
    while (map_next(&m->fleet.by_uid, &at, &slot)) {
        struct stream *s = slot.value;

        if (proc_runs(&s->proc)) fn(m, s->proc.ch);
    }
}

static void tell_level(struct master *m, struct channel *ch)
{
    struct packer *p = channel_begin(ch, MSG_LOG_LEVEL, 1);

    pack_kv_i64(p, "level", m->log_level);
    channel_end(ch, NULL, 0);
}

void master_log_level(struct master *m, int level)
{
    if (level == m->log_level) return;
    log_note("log-level", "from=%d to=%d", m->log_level, level);
    m->log_level = level;
    log_set_level((enum log_level)level);
    each_child(m, tell_level);
}

static void tell_log(struct master *m, struct channel *ch)
{
    channel_begin(ch, MSG_LOG_FD, 0);
    channel_end(ch, &m->log_fd, 1);
}

static void reopen_log(struct master *m)
{
    int fd, err;

    if (!m->conf->server.log_file[0]) return;
    err = host_log_open(m->conf->server.log_file, &fd);
    if (err < 0) {
        log_error("log-reopen", "err=%s", log_q(span_of(err_text(err))));
        return;
    }
    log_set_fd(fd); /* closes the one before */
    m->log_fd = fd;
    each_child(m, tell_log);
    log_note("log-reopened", "pid=%d", (int)getpid());
}

/* --- ready --- */

static void say_ready(struct master *m)
{
    if (m->ready || m->stopping) return;
    m->ready = true;
    setup_offer(m);
    log_note("ready", "streams=%zu ms=%lld", m->conf->n_streams,
        (long long)((clock_mono_us() - m->started_us) / US_PER_MS));
    notify_ready(&m->notify, m->conf->n_streams);
    hooks_say(
        m, "service:up", (const struct hooks_pair[]){{"version", m->version}, {"revision", m->revision}}, 2);
}

void master_service_runs(struct master *m)
{
    for (int i = 0; i < SERVICES; i++)
        if (services_wanted(m, (enum service_id)i) && !services_channel(m, (enum service_id)i)) return;
    say_ready(m);
}

/* --- once a second --- */

static void check(struct loop_timer *t)
{
    struct master *m = t->arg;
    usec_t now_us = clock_mono_us(), since_us = now_us - m->checked_us;

    m->checked_us = now_us;
    if (!m->ready && now_us - m->started_us > READY_US) say_ready(m);
    if (since_us > STOOD_US) {
        log_warn("stood-still", "ms=%lld", (long long)(since_us / US_PER_MS));
        m->stood_us = now_us; /* they may have stood still with us */
    }
    if (m->stood_us == 0 || now_us - m->stood_us >= STOOD_WAIT_US) {
        fleet_check(m, now_us);
        services_check(m, now_us);
    }
    storages_check(&m->storages);
    record_said(m);
    tokens_check(m);
    layouts_check(&m->layouts);
    exports_check(m);
    secondary_check(m);
    fleet_windows(m);
    certs_check(&m->certs, services_channel(m, SERVICE_HTTPD), now_us, clock_wall_us());
    metrics_tick(m);
    machine_tick(m);
    hooks_tick(m, now_us);
    keeps_tick(&m->keeps);
}

/* --- the end --- */

static void leave(struct loop_timer *t)
{
    struct master *m = t->arg;

    log_error("left-behind", "workers=%zu", m->fleet.alive);
    control_close(m);
    exit(1);
}

static void kill_rest(struct loop_timer *t)
{
    struct master *m = t->arg;

    log_warn("stop-kills", "workers=%zu", m->fleet.alive);
    fleet_kill(m);
    for (int i = 0; i < SERVICES; i++) {
        proc_stop(&m->services.v[i].proc);
        proc_kill(&m->services.v[i].proc);
    }
    loop_timer_set(m->loop, &m->stop, STOP_LEAVE_US, leave, m);
}

/* The keeper goes last: workers that flush have segments to report. */
void master_one_off(struct master *m)
{
    if (!m->stopping) return;
    if (m->fleet.alive == 0) proc_stop(&m->services.v[SERVICE_KEEPER].proc);
    if (m->fleet.alive == 0 && services_off(m)) loop_break(m->loop);
}

static void stop(struct master *m, const char *why)
{
    if (m->stopping) {
        kill_rest(&m->stop);
        return;
    }
    m->stopping = true;
    log_note("stopping", "why=%s workers=%zu", why, m->fleet.alive);
    notify_stopping(&m->notify);
    hooks_say(m, "service:down", (const struct hooks_pair[]){{"reason", why}}, 1);
    hooks_flush(m);
    cluster_leave(m);
    loop_timer_set(m->loop, &m->stop, STOP_KILL_US, kill_rest, m);
    fleet_stop(m);
    proc_stop(&m->services.v[SERVICE_HTTPD].proc);
    proc_stop(&m->services.v[SERVICE_CONNECTOR].proc);
    proc_stop(&m->services.v[SERVICE_COURIER].proc);
    master_one_off(m);
}

/* --- signals --- */

static void on_terminate(struct loop_signal *s, int signo)
{
    stop(s->arg, signo == SIGTERM ? "SIGTERM" : "SIGINT");
}

static void on_hup(struct loop_signal *s, int signo)
{
    struct conf_report r = {0};
    char what[RELOAD_TEXT_MAX];

    (void)signo;
    if (((struct master *)s->arg)->stopping) return;
    reload(s->arg, &r, what);
    conf_report_done(&r);
}

static void on_usr1(struct loop_signal *s, int signo)
{
    (void)signo;
    reopen_log(s->arg);
}

static const struct {
    int signo;
    void (*fn)(struct loop_signal *s, int signo);
} signals[] = {{SIGTERM, on_terminate}, {SIGINT, on_terminate}, {SIGHUP, on_hup}, {SIGUSR1, on_usr1}};

/* --- the beginning --- */

static int start_log(struct master *m)
{
    const struct conf_server *c = &m->conf->server;
    int err = host_log_open(c->log_file, &m->log_fd);
    struct log_setup setup = {.process = "master", .json = c->log_format == CONF_LOG_JSON};

    if (err < 0) {
        fprintf(stderr, "media-server: %s: %s\n", c->log_file, err_text(err));
        return err;
    }
    m->log_level = m->log_level_fixed ? m->log_level_fixed : c->log_level;
    m->log_journal = host_is_journal(m->log_fd);
    setup.level = (enum log_level)m->log_level;
    setup.journal = m->log_journal;
    setup.fd = m->log_fd;
    log_init(&setup);
    log_set_mirror(mirror);
    return 0;
}

/* Without it nothing can be signed; recording does not need it. */
static void open_key(struct master *m)
{
    struct crypto_key k;

    if (node_key_open(m->state_dir, &k, m->key.why) < 0) {
        log_error("node-key", "dir=%s what=%s", log_q(span_of(m->conf->server.state_dir)),
            log_q(span_of(m->key.why)));
        return;
    }
    crypto_key_public_pem(&k, m->key.pem);
    crypto_key_print(&k, m->key.print);
    crypto_key_forget(&k);
}

/* Without it changes cannot be undone, and that is all. */
static void open_revisions(struct master *m)
{
    int err = revisions_open(&m->revisions, m->state_dir);

    if (err < 0) log_error("state-dir-read", "file=revisions err=%s", log_q(span_of(err_text(err))));
}

/* 0, or what keeps a server from working at all: no descriptor is left. */
static int opened(struct master *m, const char *name, int err)
{
    if (err == -EMFILE)
        log_error("state-dir-read", "file=%s err=%s", name, log_q(span_of(err_text(err))));
    else if (err < 0)
        state_file_set_aside(m->state_dir, name, err);
    return err == -EMFILE ? err : 0;
}

/* Its files are never renamed here: they are evidence, and what comes is added to them. */
static int open_audit(struct master *m)
{
    int err = audit_open(&m->audit, m->state_dir);

    if (err < 0) log_error("state-dir-read", "file=" AUDIT_FILE " err=%s", log_q(span_of(err_text(err))));
    return err == -EMFILE ? err : 0;
}

static int open_state(struct master *m)
{
    const struct conf_server *c = &m->conf->server;
    int dir, err = host_state_dir(c->state_dir, &m->roles, &m->state_dir);

    if (err < 0) {
        log_error("state-dir", "path=%s err=%s", log_q(span_of(c->state_dir)), log_q(span_of(err_text(err))));
        return err;
    }
    open_key(m);
    dir = m->state_dir;
    err = opened(m, "storages", storages_open(&m->storages, dir));
    if (err == 0) err = opened(m, "record", record_open(&m->record, dir));
    if (err == 0) err = opened(m, TOKENS_FILE, tokens_open(&m->tokens, dir));
    m->tokens.lost |= state_file_is_aside(dir, TOKENS_FILE);
    if (m->tokens.lost)
        log_error("tokens-lost",
            "kept=" TOKENS_FILE
            ".bad effect=\"no token is taken until it is removed and the server restarted\"");
    if (err == 0) err = opened(m, "layouts", layouts_open(&m->layouts, dir));
    if (err == 0) err = opened(m, "exports", exports_open(&m->exports, dir));
    open_revisions(m);
    if (err == 0) err = opened(m, "secondary", secondary_open(&m->secondary, dir));
    if (err == 0) err = open_audit(m);
    return err < 0 ? err : opened(m, "plugins", keeps_open(&m->keeps, dir));
}

static int open_control(struct master *m)
{
    const char *path = m->conf->server.control_socket;
    int err = control_open(m, path);

    if (err == -EADDRINUSE)
        log_error("already-running", "socket=%s", log_q(span_of(path)));
    else if (err < 0)
        log_error("control-socket", "path=%s err=%s", log_q(span_of(path)), log_q(span_of(err_text(err))));
    return err;
}

/* Everything that can be refused, before anybody is born. 0 or -errno. */
static int open_all(struct master *m)
{
    int err = open_state(m);

    if (err == 0) err = open_control(m);
    if (err == 0) err = listeners_open(m->conf, NULL, &m->listeners);
    if (err == 0) err = cluster_open(m);
    return err;
}

static void start_all(struct master *m)
{
    host_check_fds(m->conf->n_streams);
    services_init(m);
    helpers_init(&m->helpers, m);
    services_start(m);
    fleet_init(m);
    fleet_start(m);
    cluster_start(m);
    for (size_t i = 0; i < ARRAY_N(signals); i++)
        loop_signal_start(m->loop, &m->signals[i], signals[i].signo, signals[i].fn, m);
    m->checked_us = clock_mono_us();
    loop_timer_every(m->loop, &m->second, CHECK_US, check, m);
}

static void close_all(struct master *m)
{
    the_master = NULL;
    control_close(m);
    cluster_close(m);
    loop_timer_stop(&m->second);
    loop_timer_stop(&m->stop);
    for (size_t i = 0; i < ARRAY_N(signals); i++) loop_signal_stop(&m->signals[i]);
    hooks_done(m);
    listeners_done(&m->listeners);
    certs_done(&m->certs);
    storages_done(&m->storages);
    record_close(&m->record);
    tokens_close(&m->tokens);
    layouts_close(&m->layouts);
    revisions_close(&m->revisions);
    exports_close(&m->exports);
    secondary_close(&m->secondary);
    audit_close(&m->audit);
    keeps_close(&m->keeps);
    births_done(&m->births);
    notify_done(&m->notify);
    lines_done(&m->lines);
    fd_close(&m->state_dir);
    conf_free(m->conf);
    loop_free(m->loop);
}

int master_run(const struct master_start *start)
{
    static struct master master;
    struct master *m = &master;
    int err;

    *m = (struct master){
        .file = start->file, .version = start->version, .build = start->build, .revision = start->revision};
    m->conf = start->conf;
    conf_hashes(m->conf, m->started_with);
    m->certs = start->certs;
    m->log_level_fixed = start->log_level;
    m->paths = *start->paths;
    m->state_dir = -1;
    m->started_us = clock_mono_us();
    host_setup();
    host_time_zone(m->conf->server.time_zone);
    if (start_log(m) < 0) return 1;
    the_master = m;
    m->loop = loop_new();
    log_note("start", "version=%s revision=%s pid=%d config=%s", m->version, m->revision, (int)getpid(),
        log_q(span_of(m->file)));
    reload_log_report(start->report);
    host_limit_fds(m->conf->server.sys_limit);
    roles_find(m->conf, &m->paths, &m->roles);
    spawn_setup(m->conf->server.time_zone);
    births_init(&m->births, m->loop);
    err = open_all(m);
    if (err == 0) {
        notify_init(&m->notify, m->loop);
        start_all(m);
        loop_run(m->loop);
        fleet_done(m);
        services_done(m);
        helpers_end(&m->helpers);
        log_note("stopped", "uptime_s=%lld", (long long)((clock_mono_us() - m->started_us) / US_PER_S));
    } else {
        m->notify.fd = -1;
    }
    close_all(m);
    return err == 0 ? 0 : 1;
}
