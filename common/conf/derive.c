/* What follows from what is given: paths, thread numbers, how a stream is recorded, and what of it cannot
 * work with this version. */
#include "common/base/mem.h"
#include "common/base/wr.h"
#include "common/conf/load.h"
#include "common/conf/paths.h"
#include "common/conf/report.h"
#include "common/conf/value.h"
#include "common/wire/url.h"

#include <unistd.h>

#define THREADS_MAX  64
#define ZONES        "/usr/share/zoneinfo/" /* of the package tzdata */
#define ARCHIVE_TEXT 512                    /* a dvr-archive as a message carries it */
/* What dvr-capacity is worth is told for a camera of 2 Mbit/s. */
#define USUAL_BYTES_PER_S 250000

static unsigned line_of(const struct load *l, const char *section, const char *name)
{
    return l->given.lines[conf_row_index(conf_row_find(SCOPE_CONF, section, name))];
}

static void text_set(char **field, const char *text, const char *tail)
{
    char whole[PATHS_MAX + 32];

    snprintf(whole, sizeof(whole), "%s%s", text, tail);
    mem_free(*field);
    *field = mem_strdup(whole);
}

static void derive_paths(struct load *l)
{
    struct conf_server *v = &l->c->server;
    struct paths paths;

    if (v->state_dir[0] == 0)
        text_set(&v->state_dir, paths_find(&paths) == 0 ? paths.state : "/var/lib/media-server", "");
    if (v->control_socket[0] == 0) text_set(&v->control_socket, v->state_dir, "/control.sock");
    if (l->c->dvr.record_tmp_dir[0] == 0) text_set(&l->c->dvr.record_tmp_dir, v->state_dir, "/tmp");
    if (strlen(v->control_socket) > LOAD_SOCKET_MAX)
        report_add(l->r, CONF_MISTAKE, l->c->file,
            MAX(line_of(l, "server", "control-socket"), line_of(l, "server", "state-dir")),
            "server/control-socket", "%s is longer than the %d bytes that a socket's path may have",
            v->control_socket, LOAD_SOCKET_MAX);
}

static void derive_threads(struct load *l)
{
    struct conf_server *v = &l->c->server;
    unsigned media = line_of(l, "server", "threads-media");

    if (media == 0) return;
    if (line_of(l, "server", "threads") == 0) {
        v->threads = CLAMP(v->threads_media, 1, THREADS_MAX);
        report_add(l->r, CONF_NOTE, l->c->file, media, "server/threads-media", "taken for threads = %lld",
            (long long)v->threads);
    } else
        report_add(
            l->r, CONF_NOTE, l->c->file, media, "server/threads-media", "not applied: threads is given");
}

static void derive_ring(struct load *l)
{
    struct conf_size *max = &l->c->server.ring_max;
    uint64_t power = 1;

    while (power * 2 <= max->bytes) power *= 2;
    if (power != max->bytes)
        report_add(l->r, CONF_NOTE, l->c->file, line_of(l, "server", "ring-max"), "server/ring-max",
            "rounded down to a power of two: %llu bytes", (unsigned long long)power);
    max->bytes = power;
}

static void check_zone(struct load *l)
{
    const char *zone = l->c->server.time_zone;
    size_t n = strspn(zone, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_+-/");
    char file[sizeof(ZONES) + VALUE_TEXT_MAX];

    snprintf(file, sizeof(file), ZONES "%s", zone);
    if (zone[n] != 0 || zone[0] == '/' || (zone[0] && access(file, R_OK) < 0))
        report_add(l->r, CONF_MISTAKE, l->c->file, line_of(l, "server", "time-zone"), "server/time-zone",
            "%s is not the name of a time zone, such as Europe/Berlin", report_q(span_of(zone)));
}

/* beside: a key that wants TLS, whatever ssl-enable says; NULL: none does. */
static void derive_tls(struct load *l, const char *section, const char *beside, struct conf_tls *t)
{
    const char *wants = t->enable ? "ssl-enable" : beside;
    char key[64];

    t->cert_line = line_of(l, section, "ssl-cert");
    t->key_line = line_of(l, section, "ssl-key");
    t->used = t->enable || beside;
    if (!t->used) return;
    snprintf(key, sizeof(key), "%s/%s", section, t->cert[0] ? "ssl-key" : "ssl-cert");
    if (!t->cert[0] || !t->key[0])
        report_add(l->r, CONF_MISTAKE, l->c->file, line_of(l, section, wants), key,
            "is missing: %s needs ssl-cert and ssl-key", t->enable ? "ssl-enable = true" : wants);
}

/* Certificates between nodes: all three files, or none. */
static void derive_cluster_tls(struct load *l)
{
    struct conf_server *s = &l->c->server;
    struct conf_tls *t = &s->cluster_tls;

    t->cert_line = line_of(l, "server", "cluster-cert");
    t->key_line = line_of(l, "server", "cluster-cert-key");
    s->cluster_ca_line = line_of(l, "server", "cluster-ca");
    t->used = s->cluster_ca[0] != '\0';
    if (t->used && (!t->cert[0] || !t->key[0]))
        report_add(l->r, CONF_MISTAKE, l->c->file, s->cluster_ca_line,
            t->cert[0] ? "server/cluster-cert-key" : "server/cluster-cert",
            "is missing: cluster-ca needs cluster-cert and cluster-cert-key");
    if (!t->used && (t->cert[0] || t->key[0]))
        report_add(l->r, CONF_WARNING, l->c->file, t->cert[0] ? t->cert_line : t->key_line,
            t->cert[0] ? "server/cluster-cert" : "server/cluster-cert-key",
            "has no effect without cluster-ca");
}

/* To the site's etcd: a certificate and its key, or neither; an authority with or without them. */
static void derive_store_tls(struct load *l)
{
    struct conf_server *s = &l->c->server;
    struct conf_tls *t = &s->cluster_store_tls;
    bool tls = secret_set(&s->cluster_store) && span_istarts(secret_reveal(&s->cluster_store), "etcds://");

    t->cert_line = line_of(l, "server", "cluster-store-cert");
    t->key_line = line_of(l, "server", "cluster-store-cert-key");
    s->cluster_store_ca_line = line_of(l, "server", "cluster-store-ca");
    t->used = t->cert[0] != '\0' || t->key[0] != '\0';
    if (t->used && (!t->cert[0] || !t->key[0]))
        report_add(l->r, CONF_MISTAKE, l->c->file, t->cert[0] ? t->cert_line : t->key_line,
            t->cert[0] ? "server/cluster-store-cert-key" : "server/cluster-store-cert",
            "is missing: cluster-store-cert and cluster-store-cert-key belong together");
    if (!tls && (t->used || s->cluster_store_ca[0]))
        report_add(l->r, CONF_WARNING, l->c->file, t->used ? t->cert_line : s->cluster_store_ca_line,
            t->used ? "server/cluster-store-cert" : "server/cluster-store-ca",
            "has no effect: cluster-store does not begin with etcds://");
}

/* The first listener that speaks TLS beside the plain ones; NULL: none. */
static const char *tls_beside(const struct conf_delivery *d)
{
    if ((d->enable & CONF_ROAD_RTSP) && d->rtsp_tls.n > 0) return "rtsp-tls";
    if ((d->enable & CONF_ROAD_PUBLISH) && d->publish_tls.n > 0) return "publish-tls";
    return (d->enable & CONF_ROAD_WEB) && d->web_tls.n > 0 ? "web-tls" : NULL;
}

/* Two listeners that cannot be bound at once, or more than httpd opens. */
static void check_listeners(struct load *l)
{
    const struct conf_delivery *d = &l->c->delivery;
    const struct {
        const char *section, *name;
        const struct conf_listens *list;
        bool on;
    } roads[] = {{"server/stream", "rtsp", &d->rtsp, d->enable & CONF_ROAD_RTSP},
        {"server/stream", "rtsp-tls", &d->rtsp_tls, d->enable & CONF_ROAD_RTSP},
        {"server/stream", "publish", &d->publish, d->enable & CONF_ROAD_PUBLISH},
        {"server/stream", "publish-tls", &d->publish_tls, d->enable & CONF_ROAD_PUBLISH},
        {"server/stream", "web", &d->web, d->enable & CONF_ROAD_WEB},
        {"server/stream", "web-tls", &d->web_tls, d->enable & CONF_ROAD_WEB},
        {"server/module", "listen", &l->c->module.listen, true}};
    const struct conf_listen *seen[CONF_LISTENERS_MAX];
    size_t n = 0;

    for (size_t i = 0; i < ARRAY_N(roads); i++)
        for (size_t k = 0; roads[i].on && k < roads[i].list->n; k++) {
            const struct conf_listen *one = &roads[i].list->v[k];
            char key[64];

            snprintf(key, sizeof(key), "%s/%s", roads[i].section, roads[i].name);
            if (n == CONF_LISTENERS_MAX) {
                report_add(l->r, CONF_MISTAKE, l->c->file, line_of(l, roads[i].section, roads[i].name), key,
                    "more than %d listeners together", CONF_LISTENERS_MAX);
                return;
            }
            for (size_t j = 0; j < n; j++)
                if (seen[j]->port == one->port &&
                    (strcmp(seen[j]->host, one->host) == 0 || strcmp(seen[j]->host, "*") == 0 ||
                        strcmp(one->host, "*") == 0)) {
                    report_add(l->r, CONF_MISTAKE, l->c->file, line_of(l, roads[i].section, roads[i].name),
                        key, "two listeners want port %u of %s", one->port, one->host);
                    break;
                }
            seen[n++] = one;
        }
}

/* API and control panel share a listener with streams, health and metrics. */
static void check_bases(struct load *l)
{
    static const char *const names[] = {"api-baseurl", "cpanel-baseurl"};
    const struct conf_module *m = &l->c->module;
    const char *const bases[] = {m->api_baseurl, m->cpanel_baseurl};

    for (size_t i = 0; i < ARRAY_N(bases); i++)
        if (strcmp(bases[i], "/") == 0)
            report_add(l->r, CONF_MISTAKE, l->c->file, line_of(l, "server/module", names[i]),
                i ? "server/module/cpanel-baseurl" : "server/module/api-baseurl",
                "/ is where streams stand: give it a path of its own");
    if (strcmp(bases[0], bases[1]) == 0)
        report_add(l->r, CONF_MISTAKE, l->c->file, line_of(l, "server/module", names[1]),
            "server/module/cpanel-baseurl", "is where the API stands");
}

void derive_server(struct load *l)
{
    struct conf *c = l->c;

    derive_paths(l);
    derive_threads(l);
    derive_ring(l);
    check_zone(l);
    derive_cluster_tls(l);
    derive_store_tls(l);
    derive_tls(l, "server/stream", tls_beside(&c->delivery), &c->delivery.tls);
    c->delivery.tls.kernel_line = line_of(l, "server/stream", "tls-kernel");
    derive_tls(l, "server/module", NULL, &c->module.tls);
    check_listeners(l);
    check_bases(l);
    derive_accounts(l);
    if (c->plugins.n > CONF_PLUGINS_MAX)
        report_add(l->r, CONF_MISTAKE, c->file, line_of(l, "plugins", "load"), "plugins/load",
            "there are more than %d", CONF_PLUGINS_MAX);
    for (size_t i = 0; i < c->n_storages; i++) {
        struct conf_storage *st = &c->storages[i];
        char text[32];

        snprintf(text, sizeof(text), "%llu",
            st->free.percent ? st->free.percent : (unsigned long long)st->free.bytes);
        text_set(&st->free_text, st->free.automatic ? "" : text, st->free.percent ? "%" : "");
    }
}

/* --- streams
 * -------------------------------------------------------------------------------------------------- */

static size_t row_of(const char *name)
{
    return conf_row_index(conf_row_find(SCOPE_STREAM, "", name));
}

/* tcp://rest and udp://rest are rtsp://rest over that transport. */
static void url_over(struct conf_stream *st, enum conf_transport transport)
{
    struct span text = secret_reveal(&st->url);
    size_t n = text.n + 4;
    char *again = mem_new(n);
    struct wr w = wr_of(again, n);

    wr_text(&w, "rtsp");
    wr_bytes(&w, span_from(text, (size_t)span_find(text, ':')));
    secret_done(&st->url);
    st->url = secret_of(wr_span(&w));
    explicit_bzero(again, n);
    mem_free(again);
    st->transport = transport;
}

/* A stream that is switched off lacks nothing. */
static void lack(
    struct load *l, enum lack what, const struct conf_stream *st, const char *key, const struct given *given)
{
    char name[CONF_UID_MAX + 32];

    if (st->enable == CONF_DISABLED) return;
    snprintf(name, sizeof(name), "%s/%s", st->uid, key);
    load_lack(l, what, st->file, given->lines[row_of(key)], name);
}

/* Is there anything that lets somebody watch a private stream? */
static bool has_key(const struct conf *c)
{
    bool account = c->module.own.n > 0;

    for (size_t i = 0; i < CONF_ROLES; i++)
        account |= c->module.users[i].login && c->module.users[i].login[0];
    return account || secret_set(&c->delivery.secure_link_key) || secret_set(&c->delivery.auth_backend) ||
        secret_set(&c->delivery.auth_secret) || c->delivery.n_keys > 0;
}

static void derive_access(struct load *l, const struct conf_stream *st, const struct given *given)
{
    if (st->whitelist.n > 0 && st->access != CONF_PROTECTED)
        lack(l, LACK_WHITELIST, st, "stream-whitelist", given);
    if (st->access == CONF_PROTECTED && st->whitelist.n == 0)
        lack(l, LACK_PROTECTED, st, "stream-access", given);
    if (st->access == CONF_PRIVATE && !has_key(l->c)) lack(l, LACK_KEY, st, "stream-access", given);
}

static void derive_url(
    struct load *l, const struct source *s, struct conf_stream *st, const struct given *given)
{
    struct span text = secret_reveal(&st->url);
    struct url u;

    if (!secret_set(&st->url)) {
        if (st->enable != CONF_DISABLED && given->lines[row_of("stream-url")] == 0)
            load_mistake(l, s, st->line, st->uid, "stream-url", "is missing");
        return;
    }
    if (url_parse(text, &u) != 0) return; /* reported where it was read */
    if (u.scheme == URL_PUBLISH) {
        st->source = CONF_SOURCE_PUBLISH;
        if (!(l->c->delivery.enable & CONF_ROAD_PUBLISH)) lack(l, LACK_PUSH, st, "stream-url", given);
        if (!u.has_user) lack(l, LACK_LOGIN, st, "stream-url", given);
        if (st->enable == CONF_ON_DEMAND) {
            lack(l, LACK_DEMAND, st, "stream-enable", given);
            st->enable = CONF_ENABLED;
        }
        return;
    }
    mem_free(st->host);
    st->host = span_dup(u.host);
    st->port = u.port;
    if (u.scheme == URL_RTSPS) {
        st->unready = "rtsps is not part of this version";
        lack(l, LACK_RTSPS, st, "stream-url", given);
    }
    if (u.scheme == URL_TCP) url_over(st, CONF_TRANSPORT_TCP);
    if (u.scheme == URL_UDP) url_over(st, CONF_TRANSPORT_UDP);
}

static void derive_mode(
    struct load *l, const struct source *s, struct conf_stream *st, const struct given *given)
{
    unsigned mode = given->lines[row_of("dvr-mode")];

    if (mode == 0)
        st->dvr_mode = !st->dvr_enable ? CONF_DVR_OFF
            : st->dvr_ondemand         ? CONF_DVR_ONDEMAND
                                       : CONF_DVR_CONTINUOUS;
    st->record = st->dvr_mode != CONF_DVR_OFF && st->enable != CONF_DISABLED && !st->unready;
    if (st->dvr_mode == CONF_DVR_SCHEDULE && st->dvr_schedule.n == 0)
        load_mistake(
            l, s, mode, st->uid, "dvr-schedule", "is missing: dvr-mode = schedule needs its windows");
}

/* The storage of a path: one of [storages], or one that is added and named by its path. */
static const char *storage_of_path(struct load *l, const char *path, const struct source *s, unsigned line)
{
    for (size_t i = 0; i < l->c->n_storages; i++)
        if (strcmp(l->c->storages[i].path, path) == 0) return l->c->storages[i].name;
    if (l->c->n_storages == LOAD_STORAGES_MAX || strlen(path) > LOAD_STORAGE_PATH_MAX) return NULL;
    load_storage_add(l, path, path, s->file, line);
    l->c->storages[l->c->n_storages - 1].free.automatic = true;
    text_set(&l->c->storages[l->c->n_storages - 1].free_text, "", "");
    return path;
}

static void archive_default(struct load *l, struct conf_archive *a)
{
    const struct conf_storage *st = conf_storage(l->c, SPAN_LIT("default"));

    if (!st && l->c->n_storages > 0) st = &l->c->storages[0];
    if (!st) return;
    a->v = NEW(struct conf_archive_part);
    a->v[0] = (struct conf_archive_part){mem_strdup(st->name), 1};
    a->n = 1;
}

static void archive_text(struct load *l, const struct source *s, struct conf_stream *st, unsigned line)
{
    char text[ARCHIVE_TEXT];
    struct wr w = wr_of(text, sizeof(text));

    for (size_t i = 0; i < st->dvr_archive.n; i++) {
        const struct conf_archive_part *part = &st->dvr_archive.v[i];

        wr_fmt(&w, "%s%s", i ? ", " : "", part->storage);
        if (part->weight != 1) wr_fmt(&w, "*%u", part->weight);
    }
    wr_cstr(&w);
    if (!wr_ok(&w))
        load_mistake(l, s, line, st->uid, "dvr-archive", "is longer than %d bytes in all", ARCHIVE_TEXT - 1);
    text_set(&st->dvr_archive.text, wr_ok(&w) ? text : "", "");
}

static void derive_archive(
    struct load *l, const struct source *s, struct conf_stream *st, const struct given *given)
{
    unsigned line = MAX(given->lines[row_of("dvr-archive")], st->line);
    struct conf_archive *a = &st->dvr_archive;

    if (a->n == 0 && st->dvr_mode != CONF_DVR_OFF) {
        archive_default(l, a);
        if (a->n == 0)
            load_mistake(
                l, s, st->line, st->uid, "dvr-archive", "is missing, and [storages] names no storage");
    }
    if (a->n > LOAD_ARCHIVES_MAX)
        load_mistake(l, s, line, st->uid, "dvr-archive", "names more than %d storages", LOAD_ARCHIVES_MAX);
    for (size_t i = 0; i < a->n; i++) {
        bool path = a->v[i].storage[0] == '/';
        const struct conf_storage *known = conf_storage(l->c, span_of(a->v[i].storage));
        const char *name = known ? known->name : path ? storage_of_path(l, a->v[i].storage, s, line) : NULL;

        if (name)
            text_set(&a->v[i].storage, name, "");
        else
            load_mistake(l, s, line, st->uid, "dvr-archive",
                path ? "%s is too long a path, or one storage too many"
                     : "%s is no storage of [storages], and no path",
                report_q(span_of(a->v[i].storage)));
    }
    archive_text(l, s, st, line);
}

static void derive_capacity(
    struct load *l, const struct source *s, const struct conf_stream *st, const struct given *given)
{
    unsigned line = given->lines[row_of("dvr-capacity")];
    double days = (double)st->dvr_capacity.bytes / USUAL_BYTES_PER_S / 86400,
           wanted = (double)st->dvr_duration_us / 86400e6;

    if (line == 0 || line_of(l, "dvr", "capacity-enforce") > 0 || st->dvr_mode == CONF_DVR_OFF) return;
    if (st->dvr_capacity.percent > 0 || st->dvr_capacity.bytes == 0) return;
    if (l->short_capacity.n++ > 0 && days >= l->short_capacity.days) return;
    mem_free(l->short_capacity.file);
    mem_free(l->short_capacity.key);
    l->short_capacity.file = mem_strdup(s->file);
    l->short_capacity.key = mem_strdup(st->uid);
    l->short_capacity.line = line;
    l->short_capacity.days = days;
    l->short_capacity.of_days = wanted;
}

void derive_stream(struct load *l, const struct source *s, struct conf_stream *st, const struct given *given)
{
    derive_url(l, s, st, given);
    derive_access(l, st, given);
    derive_mode(l, s, st, given);
    derive_archive(l, s, st, given);
    derive_capacity(l, s, st, given);
    if (st->reconnect.timeout_us > st->reconnect.interval_us)
        load_mistake(l, s, MAX(given->lines[row_of("reconnect-timeout")], st->line), st->uid,
            "reconnect-timeout", "the first wait is longer than reconnect-interval, the longest");
    hash_stream(l->c, st);
}
