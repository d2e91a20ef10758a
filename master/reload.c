#include "master/reload.h"
#include "common/base/clock.h"
#include "common/base/err.h"
#include "common/base/log.h"
#include "master/host.h"
#include "master/master.h"

#define PLACE_MAX 1024

static const enum log_level levels[] = {
    [CONF_MISTAKE] = LOG_ERROR, [CONF_WARNING] = LOG_WARN, [CONF_NOTE] = LOG_INFO};

/* "FILE:LINE", as compilers write it. */
static const char *place_of(const struct conf_remark *v, char dst[PLACE_MAX])
{
    snprintf(dst, PLACE_MAX, "%s:%u", v->file, v->line);
    return dst;
}

void reload_log_report(const struct conf_report *r)
{
    char place[PLACE_MAX];

    for (size_t i = 0; i < r->n; i++)
        log_event(levels[r->v[i].level], "configuration", "at=%s key=%s text=%s",
            log_q(span_of(place_of(&r->v[i], place))), log_q(span_of(r->v[i].key)),
            log_q(span_of(r->v[i].text)));
}

static void describe_refusal(const struct conf_report *r, char *what)
{
    snprintf(what, RELOAD_TEXT_MAX, "refused, what runs goes on");
    for (size_t i = 0; i < r->n; i++) {
        const struct conf_remark *v = &r->v[i];

        if (v->level != CONF_MISTAKE) continue;
        snprintf(what, RELOAD_TEXT_MAX,
            "refused, what runs goes on; mistakes: %zu, the first: %.160s:%u: %.60s%s%.160s", r->mistakes,
            v->file, v->line, v->key, v->key[0] ? ": " : "", v->text);
        return;
    }
}

static bool same_addresses(const struct conf_server *a, const struct conf_server *b)
{
    return strcmp(a->camera_allow.text, b->camera_allow.text) == 0 &&
        strcmp(a->camera_deny.text, b->camera_deny.text) == 0;
}

static void apply_streams(struct master *m, const struct conf *before, const struct conf_diff *d)
{
    for (size_t i = 0; i < d->n_streams; i++)
        if (d->streams[i].change == CONF_REMOVED) fleet_remove(m, span_of(d->streams[i].uid));
    /* Those that stay know the new configuration before anybody is told of it. */
    for (size_t i = 0; i < m->conf->n_streams; i++) {
        struct stream *s = fleet_stream(m, span_of(m->conf->streams[i]->uid));

        if (s) s->conf = m->conf->streams[i];
    }
    for (size_t i = 0; i < d->n_streams; i++) {
        struct span uid = span_of(d->streams[i].uid);
        const struct conf_stream *c = conf_stream(m->conf, uid);
        enum conf_change change = d->streams[i].change;

        if (change == CONF_ADDED) {
            fleet_add(m, c);
            hooks_say(m, "stream:create", (const struct hooks_pair[]){{"uid", c->uid}, {"name", c->name}}, 2);
        } else if (change != CONF_REMOVED) {
            fleet_change(fleet_stream(m, uid), conf_stream(before, uid), change);
        }
    }
}

static void apply_storages(struct master *m, const struct conf *before)
{
    static const enum service_id who[] = {SERVICE_KEEPER, SERVICE_HTTPD, SERVICE_COURIER};

    for (size_t i = 0; i < ARRAY_N(who); i++) {
        struct channel *ch = services_channel(m, who[i]);

        if (ch) storages_send_changes(&m->storages, before, m->conf, ch);
    }
}

static void apply(struct master *m, struct conf *after, const struct conf_diff *d,
    struct listeners *listeners, usec_t httpd_us)
{
    struct conf *before = m->conf;

    m->conf = after;
    m->conf_changes++;
    host_check_fds(after->n_streams);
    listeners_done(&m->listeners);
    m->listeners = *listeners;
    apply_storages(m, before);
    apply_streams(m, before, d);
    master_log_level(m, m->log_level_fixed ? m->log_level_fixed : after->server.log_level);
    if (!same_addresses(&before->server, &after->server)) fleet_tell_connector(m);
    if (before->dvr.capacity_enforce != after->dvr.capacity_enforce) fleet_tell_keeping(m);
    if (d->httpd)
        services_httpd_anew(m, httpd_us);
    else if (d->live)
        services_httpd_conf(m);
    cluster_conf(m);
    services_push_conf(m); /* their listener comes and goes with such streams */
    setup_offer(m);
    conf_free(before);
}

/* Files may be others under the same names. Connections that stand keep theirs. */
static void apply_certs(struct master *m, struct certs *after)
{
    struct channel *httpd = services_channel(m, SERVICE_HTTPD);
    bool same = certs_same(&m->certs, after);

    after->told_us = m->certs.told_us;
    certs_done(&m->certs);
    m->certs = *after;
    if (same || !httpd) return;
    certs_send(&m->certs, httpd);
    log_note("certificates-changed", "for=new-connections");
}

static void say_restart_keys(const struct conf_diff *d)
{
    for (size_t i = 0; i < d->restart.n; i++)
        log_warn("reload-needs-restart", "key=%s", log_q(span_of(d->restart.v[i])));
}

static bool take(struct master *m, struct conf *after, struct certs *certs, char *what, usec_t httpd_us)
{
    struct listeners listeners;
    struct conf_diff d = {.n_streams = 0};
    int err = listeners_open(after, &m->listeners, &listeners);

    if (err < 0) {
        snprintf(what, RELOAD_TEXT_MAX, "refused: a listener could not be bound: %s", err_text(err));
        certs_done(certs);
        conf_free(after);
        return false;
    }
    conf_diff(m->conf, after, &d);
    snprintf(what, RELOAD_TEXT_MAX, "applied: %zu stream%s changed%s%s%s", d.n_streams,
        d.n_streams == 1 ? "" : "s", d.storages ? ", storages changed" : "",
        d.httpd ? ", httpd restarted" : "",
        d.restart.n > 0 ? "; some keys need a restart of the server" : "");
    say_restart_keys(&d);
    apply_certs(m, certs);
    apply(m, after, &d, &listeners, httpd_us);
    conf_diff_done(&d);
    return true;
}

bool reload_take(struct master *m, struct conf *after, struct conf_report *r, char *what, usec_t httpd_us)
{
    struct certs certs;

    if (certs_read(after, clock_wall_us(), r, &certs)) return take(m, after, &certs, what, httpd_us);
    conf_free(after);
    describe_refusal(r, what);
    return false;
}

bool reload(struct master *m, struct conf_report *r, char *what)
{
    struct conf *after = NULL;
    bool ok = false;

    notify_reloading(&m->notify);
    if (conf_load(m->file, &after, r) == 0)
        ok = reload_take(m, after, r, what, 0);
    else
        describe_refusal(r, what);
    reload_log_report(r);
    log_event(ok ? LOG_NOTE : LOG_ERROR, "reload", "result=%s", log_q(span_of(what)));
    notify_ready(&m->notify, m->conf->n_streams);
    return ok;
}
