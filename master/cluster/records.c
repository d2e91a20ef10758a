#include "master/cluster/records.h"
#include "common/base/clock.h"
#include "common/base/err.h"
#include "common/base/fd.h"
#include "common/base/map.h"
#include "common/base/mem.h"
#include "common/conf/nodes.h"
#include "common/conf/report.h"
#include "common/conf/store.h"
#include "master/cluster/cluster.h"
#include "master/master.h"
#include "master/reload.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#define FILE_NAME   "records" /* in state-dir: a line a stream, uid, revision, sum of its text, [kept] */
#define FILE_MOST   (2u << 20)
#define NODES_MOST  256
#define HOSTS_MOST  600
#define UID_MOST    40
#define TTL_LEAST_S 5

/* A stream that the store has, or had. */
struct stored {
    char uid[UID_MOST];
    uint64_t revision, sum; /* of the text that was judged last; 0: of none */
    uint64_t asked, asked_sum;
    bool ours; /* its file is from there */
    bool kept; /* the store had lost it: no read takes it away, only a delete that is seen */
    bool was;  /* before all was read anew */
    bool seen, gone;
};
struct stored_node {
    char id[8], hosts[HOSTS_MOST];
    bool kept, was, seen; /* as of a stream */
};
struct records {
    struct cluster *c;
    struct state_file *file;
    struct map streams;
    struct stored_node *nodes;
    size_t n_nodes;
    uint64_t told; /* hash of the settings that the courier has; 0: none */
    bool reading, unsaved, nodes_changed;
    uint64_t revision; /* highest that the store has said */
    usec_t until_us;   /* of the lease */
    struct log_rate rate;
};

static struct records *of(const struct master *m)
{
    return m->cluster ? m->cluster->records : NULL;
}

static bool configured(const struct cluster *c)
{
    return secret_set(&c->m->conf->server.cluster_store);
}

/* --- what is kept --- */

static void save(struct records *r)
{
    struct map_slot slot;
    size_t at = 0;
    struct buf b;
    bool ok = true;

    buf_init(&b, FILE_MOST);
    while (map_next(&r->streams, &at, &slot)) {
        const struct stored *v = slot.value;

        if (v->ours)
            ok = ok &&
                buf_fmt(&b, "%s %llu %llu%s\n", v->uid, (unsigned long long)v->revision,
                    (unsigned long long)v->sum, v->kept ? " kept" : "");
    }
    if (ok) state_file_write(r->file, buf_span(&b));
    buf_done(&b);
    r->unsaved = false;
}

static struct stored *record_of(struct records *r, struct span uid, bool make)
{
    struct stored *v = map_get(&r->streams, uid);

    if (v || !make || r->streams.n >= CONF_STREAMS_MAX) return v;
    v = NEW(struct stored);
    span_copy(uid, v->uid, sizeof(v->uid));
    map_set(&r->streams, uid, v);
    return v;
}

static void load_line(struct records *r, struct span line)
{
    struct span uid, revision, sum;
    struct stored *v;

    if (!span_split(&line, ' ', &uid) || !span_split(&line, ' ', &revision) ||
        !span_split(&line, ' ', &sum) || uid.n >= UID_MOST || conf_uid_refused(uid))
        return;
    v = record_of(r, uid, true);
    if (!v) return;
    v->ours = span_u64(revision, UINT64_MAX, &v->revision) && span_u64(sum, UINT64_MAX, &v->sum);
    v->kept = span_is(line, "kept");
    if (v->ours && !v->kept) r->revision = MAX(r->revision, v->revision);
}

static int load(struct records *r, int state_dir)
{
    struct span rest, line;
    uint8_t *bytes;
    size_t n;
    int err = fd_read_file(state_dir, FILE_NAME, FILE_MOST, &bytes, &n);

    if (err < 0) return err == -ENOENT ? 0 : err;
    rest = span(bytes, n);
    while (span_split(&rest, '\n', &line)) load_line(r, line);
    mem_free(bytes);
    return 0;
}

static struct stored_node *node_of(struct records *r, struct span id, bool make)
{
    for (size_t i = 0; i < r->n_nodes; i++)
        if (span_is(id, r->nodes[i].id)) return &r->nodes[i];
    if (!make || r->n_nodes == NODES_MOST) return NULL;
    r->nodes = mem_renew(r->nodes, (r->n_nodes + 1) * sizeof(*r->nodes));
    r->nodes[r->n_nodes] = (struct stored_node){.seen = false};
    span_copy(id, r->nodes[r->n_nodes].id, sizeof(r->nodes[0].id));
    return &r->nodes[r->n_nodes++];
}

static void load_nodes_kept(struct records *r, int state_dir)
{
    struct span rest, line, id;
    uint8_t *bytes;
    size_t n;

    if (fd_read_file(state_dir, CONF_STORE_NODES, FILE_MOST, &bytes, &n) < 0) return;
    rest = span(bytes, n);
    while (span_split(&rest, '\n', &line)) {
        struct stored_node *v;

        if (!span_split(&line, '=', &id)) continue;
        id = span_trim(id);
        line = span_trim(line);
        v = conf_node_ok(id, line) && line.n < HOSTS_MOST ? node_of(r, id, true) : NULL;
        if (v) span_copy(line, v->hosts, sizeof(v->hosts));
    }
    mem_free(bytes);
}

/* In place, before a configuration is read that finds it. */
static int write_nodes(const struct records *r)
{
    int dir = r->c->m->state_dir, err = 0, fd;
    struct buf b;

    buf_init(&b, FILE_MOST);
    for (size_t i = 0; i < r->n_nodes; i++) (void)buf_fmt(&b, "%s = %s\n", r->nodes[i].id, r->nodes[i].hosts);
    fd = openat(dir, CONF_STORE_NODES ".new", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0644);
    if (fd < 0) err = -errno;
    if (err == 0) err = fd_write_all(fd, buf_span(&b));
    if (err == 0 && fsync(fd) < 0) err = -errno;
    if (fd >= 0) close(fd);
    if (err == 0 && renameat(dir, CONF_STORE_NODES ".new", dir, CONF_STORE_NODES) < 0) err = -errno;
    buf_done(&b);
    return err;
}

static void apply_nodes(struct records *r)
{
    struct conf_report report = {0};
    char what[RELOAD_TEXT_MAX];
    int err = write_nodes(r);

    r->nodes_changed = false;
    if (err < 0) {
        log_error("state-dir-write", "file=%s err=%s", CONF_STORE_NODES, log_q(span_of(err_text(err))));
        return;
    }
    (void)reload(r->c->m, &report, what); /* it says what came of it */
    conf_report_done(&report);
}

/* --- settings --- */

static void tell_courier(struct records *r)
{
    struct channel *ch = services_channel(r->c->m, SERVICE_COURIER);
    const struct conf_server *s = &r->c->m->conf->server;
    struct conf_store store = {.n = 0};
    char self[32];
    struct packer *p;

    if (!ch) return;
    if (configured(r->c)) (void)conf_store_read(secret_reveal(&s->cluster_store), &store);
    snprintf(self, sizeof(self), "%lld %016llx", (long long)s->node_id, (unsigned long long)r->c->boot);
    p = channel_begin(ch, MSG_ETCD_CONF, 6);
    pack_key(p, "urls");
    pack_array(p, (uint32_t)store.n);
    for (size_t i = 0; i < store.n; i++) pack_str(p, span_of(store.urls[i]));
    pack_kv_text(p, "prefix", store.prefix);
    pack_kv_text(p, "user", store.user);
    pack_kv_text(p, "password", store.password);
    pack_kv_u64(p, "ttl_s", (uint64_t)MAX(s->cluster_tolerance_us / US_PER_S, TTL_LEAST_S));
    pack_kv_text(p, "self", self);
    channel_end(ch, NULL, 0);
    explicit_bzero(&store, sizeof(store));
}

static uint64_t settings(const struct cluster *c)
{
    const struct conf_server *s = &c->m->conf->server;

    return configured(c)
        ? (hash_fnv1a(secret_reveal(&s->cluster_store)) ^ (uint64_t)s->cluster_tolerance_us) | 1
        : 0;
}

static bool shared(const struct cluster_stream *s)
{
    return s && (s->place.n > 1 || s->nodes[0] != 0);
}

static void forget_keys(struct records *r)
{
    struct map_slot slot;
    size_t at = 0;

    r->until_us = 0;
    while (map_next(&r->c->m->fleet.by_uid, &at, &slot)) {
        struct cluster_stream *s = ((struct stream *)slot.value)->cluster;

        if (!s) continue;
        s->key_wanted = false;
        s->key_term = 0;
    }
}

void records_begin(struct cluster *c)
{
    struct records *r = c->records;

    forget_keys(r);
    r->told = settings(c);
    if (r->told) tell_courier(r);
}

void records_conf(struct cluster *c)
{
    struct records *r = c->records;

    if (!r || r->told == settings(c)) return;
    forget_keys(r);
    r->told = settings(c);
    tell_courier(r);
}

/* --- stream records --- */

static void take_gone(struct records *r, struct stored *v, uint64_t revision)
{
    if (v->gone) return;
    v->gone = true;
    v->asked = revision;
    if (v->ours)
        files_take(r->c->m, v->uid, revision, SPAN_NONE);
    else
        records_stored(r->c->m, v->uid, revision, NULL);
}

static void refuse(struct stored *v, uint64_t revision, const char *why)
{
    v->revision = revision;
    v->asked = 0;
    log_event_of(LOG_WARN, v->uid, "record-refused", "revision=%llu why=%s", (unsigned long long)revision,
        log_q(span_of(why)));
}

/* Names that are none: whoever writes to the store could write many. */
static void refuse_name(struct records *r, const char *kind, struct span name, const char *why)
{
    uint32_t more;

    if (log_limited(&r->rate, clock_mono_us(), &more))
        log_warn("record-refused", "%s=%s why=%s more=%u", kind, log_q(name), log_q(span_of(why)), more);
}

static void stream_row(struct records *r, const struct packed *row)
{
    struct span uid = packed_str(row, "name"), text = packed_str(row, "text");
    uint64_t revision = packed_u64(row, "revision", 0), sum = hash_fnv1a(text);
    bool gone = packed_bool(row, "gone", false);
    struct stored *v;

    if (uid.n >= UID_MOST || conf_uid_refused(uid)) {
        refuse_name(r, "name", uid, "it is no uid of a stream");
        return;
    }
    v = record_of(r, uid, !gone);
    if (!v) return;
    v->seen = true;
    r->unsaved |= v->kept;
    v->kept = false;
    if (!r->reading) r->revision = MAX(r->revision, revision);
    if (gone) {
        take_gone(r, v, revision);
    } else if (packed_bool(row, "large", false) || text.n == 0) {
        refuse(v, revision, text.n == 0 ? "it is empty" : "it is longer than 56 KiB");
    } else if (v->gone || v->revision != revision || v->sum != sum) {
        v->gone = false;
        v->asked = revision;
        v->asked_sum = sum;
        files_take(r->c->m, v->uid, revision, text);
    }
}

void records_stored(struct master *m, const char *uid, uint64_t revision, const char *why)
{
    struct records *r = of(m);
    struct stored *v = r ? record_of(r, span_of(uid), false) : NULL;

    if (!v || v->asked != revision) return; /* a newer one has come meanwhile */
    if (why) {
        refuse(v, revision, why);
        return;
    }
    r->unsaved = true;
    if (v->gone) {
        map_remove(&r->streams, span_of(uid));
        mem_free(v);
        return;
    }
    v->ours = true;
    v->revision = revision;
    v->sum = v->asked_sum;
}

/* --- node records --- */

static void node_row(struct records *r, const struct packed *row)
{
    struct span id = packed_str(row, "name"), hosts = span_trim(packed_str(row, "text"));
    struct stored_node *v;

    if (packed_bool(row, "gone", false)) {
        v = node_of(r, id, false);
        if (!v) return;
        *v = r->nodes[--r->n_nodes];
        r->nodes_changed = true;
        return;
    }
    if (!conf_node_ok(id, hosts) || hosts.n >= HOSTS_MOST) {
        refuse_name(r, "node", id, "it is no line of a nodes file");
        return;
    }
    v = node_of(r, id, true);
    if (!v) return;
    v->seen = true;
    v->kept = false;
    if (span_is(hosts, v->hosts)) return;
    span_copy(hosts, v->hosts, sizeof(v->hosts));
    r->nodes_changed = true;
}

/* --- all anew --- */

void records_on_begin(struct master *m, const struct packed *body)
{
    struct records *r = of(m);
    struct map_slot slot;
    size_t at = 0;

    (void)body;
    if (!r) return;
    r->reading = true;
    for (size_t i = 0; i < r->n_nodes; i++) {
        r->nodes[i].was = !r->nodes[i].kept;
        r->nodes[i].seen = false;
    }
    while (map_next(&r->streams, &at, &slot)) {
        struct stored *v = slot.value;

        v->was = !v->gone && !v->kept;
        v->seen = false;
    }
}

void records_on_row(struct master *m, const struct packed *body)
{
    struct records *r = of(m);

    if (!r || !configured(r->c)) return;
    if (packed_u64(body, "kind", 0) == ETCD_STREAM) stream_row(r, body);
    if (packed_u64(body, "kind", 0) == ETCD_NODE) node_row(r, body);
}

/* Taking one away may end its record: found again each time. */
static struct stored *next_unseen(const struct records *r)
{
    struct map_slot slot;
    size_t at = 0;

    while (map_next(&r->streams, &at, &slot)) {
        struct stored *v = slot.value;

        if (!v->seen && !v->gone && !v->kept) return v;
    }
    return NULL;
}

static bool lost(size_t known, size_t left)
{
    return left * 2 < known;
}

static void keep_unseen(struct records *r, size_t known, size_t left, uint64_t revision)
{
    struct stored *v;

    while ((v = next_unseen(r))) v->kept = r->unsaved = true;
    log_warn(left == 0 ? "store-empty" : "store-lost", "kept=%zu of=%zu revision=%llu before=%llu",
        known - left, known, (unsigned long long)revision, (unsigned long long)r->revision);
}

static void take_unseen_nodes(struct records *r, bool doubtful)
{
    size_t known = 0, left = 0;

    for (size_t i = 0; i < r->n_nodes; i++) {
        known += r->nodes[i].was;
        left += r->nodes[i].was && r->nodes[i].seen;
    }
    doubtful |= lost(known, left);
    if (doubtful && left < known) log_warn("store-nodes-lost", "kept=%zu of=%zu", known - left, known);
    for (size_t i = r->n_nodes; i-- > 0;) {
        r->nodes[i].kept |= doubtful && !r->nodes[i].seen;
        if (r->nodes[i].seen || r->nodes[i].kept) continue;
        r->nodes[i] = r->nodes[--r->n_nodes];
        r->nodes_changed = true;
    }
}

/* A store that has lost most of what it had, or was set back to an earlier state, takes nothing away by not
 * naming it: a backup that is not whole must not stop cameras. */
void records_on_ready(struct master *m, const struct packed *body)
{
    struct records *r = of(m);
    uint64_t revision = packed_u64(body, "revision", 0);
    size_t known = 0, left = 0, at = 0;
    struct map_slot slot;
    struct stored *v;
    bool doubtful;

    if (!r || !r->reading) return;
    r->reading = false;
    while (map_next(&r->streams, &at, &slot)) {
        v = slot.value;
        known += v->was;
        left += v->was && v->seen;
    }
    doubtful = lost(known, left) || revision < r->revision;
    if (doubtful && left < known) keep_unseen(r, known, left, revision);
    while ((v = next_unseen(r))) take_gone(r, v, revision);
    take_unseen_nodes(r, doubtful);
    r->revision = revision;
}

/* --- who holds what --- */

void records_on_owns(struct master *m, const struct packed *body)
{
    const struct stream *s = m->cluster ? fleet_stream(m, packed_str(body, "uid")) : NULL;

    if (!s || !s->cluster) return;
    s->cluster->key_term = packed_u64(body, "term", 0);
    log_event_of(LOG_INFO, s->uid, s->cluster->key_term > 0 ? "store-key" : "store-key-lost", "term=%llu",
        (unsigned long long)s->cluster->key_term);
}

void records_on_held(struct master *m, const struct packed *body)
{
    struct records *r = of(m);

    if (r) r->until_us = packed_i64(body, "until_us", 0);
}

usec_t records_until(const struct cluster *c, const char *uid, usec_t until_us)
{
    const struct stream *s = fleet_stream(c->m, span_of(uid));

    if (!configured(c)) return until_us;
    return s && s->cluster && s->cluster->key_term > 0 && c->records->until_us > 0
        ? MIN(until_us, c->records->until_us)
        : 1;
}

static void want_keys(struct cluster *c)
{
    struct channel *ch = services_channel(c->m, SERVICE_COURIER);
    struct map_slot slot;
    size_t at = 0;

    while (ch && map_next(&c->m->fleet.by_uid, &at, &slot)) {
        struct cluster_stream *s = ((struct stream *)slot.value)->cluster;
        bool wanted = shared(s) && place_runs(s->why) && s->s->conf->enable != CONF_DISABLED;
        struct packer *p;

        if (!s || s->key_wanted == wanted) continue;
        s->key_wanted = wanted;
        p = channel_begin(ch, MSG_ETCD_OWN, 2);
        pack_kv_text(p, "uid", s->s->uid);
        pack_kv_bool(p, "wanted", wanted);
        channel_end(ch, NULL, 0);
    }
}

/* --- its life --- */

int records_start(struct cluster *c)
{
    struct records *r = c->records = NEW(struct records);
    int err;

    r->c = c;
    err = load(r, c->m->state_dir);
    load_nodes_kept(r, c->m->state_dir);
    r->file = state_file_new(c->m->state_dir, FILE_NAME);
    if (!r->file) err = -EMFILE;
    if (err < 0) log_error("state-dir-read", "file=%s err=%s", FILE_NAME, log_q(span_of(err_text(err))));
    return err;
}

void records_tick(struct cluster *c)
{
    struct records *r = c->records;

    if (r->unsaved) save(r);
    if (r->nodes_changed && !r->reading) apply_nodes(r);
    if (r->told) want_keys(c);
}

void records_stop(struct cluster *c)
{
    struct records *r = c->records;

    if (!r) return;
    if (r->unsaved && r->file) save(r);
    map_drop(&r->streams, mem_free);
    mem_free(r->nodes);
    state_file_free(r->file);
    mem_free(r);
    c->records = NULL;
}
