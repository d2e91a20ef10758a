#include "common/base/clock.h"
#include "common/base/mem.h"
#include "common/conf/nodes.h"
#include "common/conf/store.h"
#include "master/cluster/cluster.h"
#include "master/cluster/records_impl.h"
#include "master/cluster/takes.h"
#include "master/master.h"

#include <errno.h>

#define FILE_NAME   "records" /* in state-dir: records_kept.c */
#define TTL_LEAST_S 5
#define NAMED_BURST 1000              /* refused records that the log names at once, */
#define NAMED_US    (100 * US_PER_MS) /* and then one in so long */

struct records *records_of(const struct master *m)
{
    return m->cluster ? m->cluster->records : NULL;
}

bool records_wanted(const struct cluster *c)
{
    return secret_set(&c->m->conf->server.cluster_store);
}

struct stored *records_stream(struct records *r, struct span uid, bool make)
{
    struct stored *v = map_get(&r->streams, uid);

    if (v || !make || r->streams.n >= CONF_STREAMS_MAX) return v;
    v = NEW(struct stored);
    span_copy(uid, v->uid, sizeof(v->uid));
    map_set(&r->streams, uid, v);
    return v;
}

static void stream_free(void *p)
{
    mem_free(((struct stored *)p)->why);
    mem_free(p);
}

struct stored_node *records_node(struct records *r, struct span id, bool make)
{
    for (size_t i = 0; i < r->n_nodes; i++)
        if (span_is(id, r->nodes[i].id)) return &r->nodes[i];
    if (!make || r->n_nodes == RECORDS_NODES_MAX) return NULL;
    r->nodes = mem_renew(r->nodes, (r->n_nodes + 1) * sizeof(*r->nodes));
    r->nodes[r->n_nodes] = (struct stored_node){.seen = false};
    span_copy(id, r->nodes[r->n_nodes].id, sizeof(r->nodes[0].id));
    return &r->nodes[r->n_nodes++];
}

/* --- settings --- */

static void tell_courier(struct records *r)
{
    struct channel *ch = services_channel(r->c->m, SERVICE_COURIER);
    const struct conf_server *s = &r->c->m->conf->server;
    const struct certs *certs = &r->c->m->certs;
    struct conf_store store = {.n = 0};
    char self[32];
    struct packer *p;

    if (!ch) return;
    if (records_wanted(r->c)) (void)conf_store_read(secret_reveal(&s->cluster_store), &store);
    snprintf(self, sizeof(self), "%lld %016llx", (long long)s->node_id, (unsigned long long)r->c->boot);
    p = channel_begin(ch, MSG_ETCD_CONF, 9);
    pack_key(p, "urls");
    pack_array(p, (uint32_t)store.n);
    for (size_t i = 0; i < store.n; i++) pack_str(p, span_of(store.urls[i]));
    pack_kv_text(p, "prefix", store.prefix);
    pack_kv_text(p, "user", store.user);
    pack_kv_text(p, "password", store.password);
    pack_kv_u64(p, "ttl_s", (uint64_t)MAX(s->cluster_tolerance_us / US_PER_S, TTL_LEAST_S));
    pack_kv_text(p, "self", self);
    pack_kv_str(p, "authority", secret_reveal(&certs->store_authority));
    pack_kv_str(p, "cert", secret_reveal(&certs->v[CERT_STORE].cert));
    pack_kv_str(p, "key", secret_reveal(&certs->v[CERT_STORE].key));
    channel_end(ch, NULL, 0);
    explicit_bzero(&store, sizeof(store));
}

static uint64_t settings(const struct cluster *c)
{
    const struct conf_server *s = &c->m->conf->server;
    const struct certs *certs = &c->m->certs;
    const struct secret *all[] = {
        &s->cluster_store, &certs->store_authority, &certs->v[CERT_STORE].cert, &certs->v[CERT_STORE].key};
    uint64_t sum = (uint64_t)s->cluster_tolerance_us;

    for (size_t i = 0; i < ARRAY_N(all); i++) sum = sum * 31 ^ hash_fnv1a(secret_reveal(all[i]));
    return records_wanted(c) ? sum | 1 : 0;
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
    r->state = (struct store_state){.there = false};
    r->told = settings(c);
    if (r->told) tell_courier(r);
}

void records_conf(struct cluster *c)
{
    struct records *r = c->records;

    if (!r || r->told == settings(c)) return;
    forget_keys(r);
    r->state = (struct store_state){.there = false};
    r->told = settings(c);
    tell_courier(r);
}

/* --- stream records --- */

void records_take_gone(struct records *r, struct stored *v, uint64_t revision)
{
    if (v->gone) return;
    v->gone = true;
    v->asked = revision;
    if (v->ours)
        takes_add(r->c->takes, v->uid, revision, SPAN_NONE);
    else
        records_stored(r->c->m, v->uid, revision, NULL, 0);
}

/* Once for each text, and a fleet of them at once; whoever may write to the store could write without end. */
static void name_refused(struct records *r, struct stored *v)
{
    usec_t now_us = clock_mono_us();

    if (v->why_named == v->revision) return;
    v->why_named = v->revision;
    if (bucket_peek(&r->named, now_us) > 0) {
        r->unnamed++;
        return;
    }
    (void)bucket_take(&r->named, now_us);
    log_event_of(LOG_WARN, v->uid, "record-refused", "revision=%llu why=%s more=%u",
        (unsigned long long)v->revision, log_q(span_of(v->why)), r->unnamed);
    r->unnamed = 0;
}

static void refuse(struct records *r, struct stored *v, uint64_t revision, const char *why)
{
    char text[RECORDS_WHY_MAX];

    span_copy(span_sub(span_of(why), 0, sizeof(text) - 1), text, sizeof(text)); /* it may be v's own */
    mem_free(v->why);
    v->why = mem_strdup(text);
    v->revision = revision;
    name_refused(r, v);
    v->asked = 0;
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

    if (uid.n >= RECORDS_UID_MAX || conf_uid_refused(uid)) {
        refuse_name(r, "name", uid, "it is no uid of a stream");
        return;
    }
    v = records_stream(r, uid, !gone);
    if (!v) return;
    v->seen = true;
    r->unsaved |= v->kept;
    v->kept = false;
    if (!r->reading) r->revision = MAX(r->revision, revision);
    if (gone) {
        records_take_gone(r, v, revision);
    } else if (packed_bool(row, "large", false) || text.n == 0) {
        v->ours &= !v->gone; /* it was to go, and goes */
        v->gone = false;
        refuse(r, v, revision, text.n == 0 ? "it is empty" : "it is longer than 56 KiB");
    } else if (v->gone || v->why || v->revision != revision || v->sum != sum) {
        v->gone = false;
        v->asked = revision;
        v->asked_sum = sum;
        takes_add(r->c->takes, v->uid, revision, text);
    }
}

void records_stored(struct master *m, const char *uid, uint64_t revision, const char *why, uint64_t kept)
{
    struct records *r = records_of(m);
    struct stored *v = r ? records_stream(r, span_of(uid), false) : NULL;

    if (!v || v->asked != revision) return; /* a newer one has come meanwhile */
    if (why) {
        records_change_taken(r, v, why, 0);
        refuse(r, v, revision, why);
        return;
    }
    r->unsaved = true;
    records_change_taken(r, v, NULL, kept);
    mem_free(v->why);
    v->why = NULL;
    if (v->gone) {
        map_remove(&r->streams, span_of(uid));
        stream_free(v);
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
        v = records_node(r, id, false);
        if (!v) return;
        *v = r->nodes[--r->n_nodes];
        r->nodes_changed = r->unsaved = true;
        return;
    }
    if (!conf_node_ok(id, hosts) || hosts.n >= RECORDS_HOSTS_MAX) {
        refuse_name(r, "node", id, "it is no line of a nodes file");
        return;
    }
    v = records_node(r, id, true);
    if (!v) return;
    v->seen = true;
    r->unsaved |= v->kept;
    v->kept = false;
    if (span_is(hosts, v->hosts)) return;
    span_copy(hosts, v->hosts, sizeof(v->hosts));
    r->nodes_changed = true;
}

/* --- all anew --- */

void records_on_begin(struct master *m, const struct packed *body)
{
    struct records *r = records_of(m);
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
    struct records *r = records_of(m);

    if (!r || !records_wanted(r->c)) return;
    if (packed_u64(body, "kind", 0) == ETCD_STREAM) stream_row(r, body);
    if (packed_u64(body, "kind", 0) == ETCD_NODE) node_row(r, body);
}

static bool lost(size_t known, size_t left)
{
    return left * 2 < known;
}

/* Those that are there and were not named: kept, or taken away, which may end a record. */
static void end_unseen(struct records *r, bool keep, uint64_t revision)
{
    struct stored **v = mem_renew(NULL, (r->streams.n + 1) * sizeof(*v));
    struct map_slot slot;
    size_t n = 0, at = 0;

    while (map_next(&r->streams, &at, &slot)) {
        v[n] = slot.value;
        n += !v[n]->seen && !v[n]->gone && !v[n]->kept;
    }
    for (size_t i = 0; i < n; i++) {
        v[i]->kept = keep;
        if (!keep) records_take_gone(r, v[i], revision);
    }
    mem_free(v);
}

static void say_lost(const struct records *r, size_t known, size_t left, uint64_t revision)
{
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

/* A backup that was restored is a cluster of its own, as is one that somebody has begun anew under the same
 * address. */
static bool other_cluster(const struct records *r, uint64_t cluster, uint64_t revision)
{
    if (r->cluster == 0 || cluster == 0 || cluster == r->cluster) return false;
    log_warn("store-other", "cluster=%llx before=%llx revision=%llu before_revision=%llu",
        (unsigned long long)cluster, (unsigned long long)r->cluster, (unsigned long long)revision,
        (unsigned long long)r->revision);
    return true;
}

/* A store that has lost most of what it had, was set back to an earlier state, or is another one, takes
 * nothing away by not naming it: a backup that is not whole must not stop cameras. */
void records_on_ready(struct master *m, const struct packed *body)
{
    struct records *r = records_of(m);
    uint64_t revision = packed_u64(body, "revision", 0), cluster = packed_u64(body, "cluster", 0);
    size_t known = 0, left = 0, at = 0;
    struct map_slot slot;
    bool doubtful;

    if (!r || !r->reading) return;
    r->reading = false;
    while (map_next(&r->streams, &at, &slot)) {
        const struct stored *v = slot.value;

        known += v->was;
        left += v->was && v->seen;
    }
    doubtful = other_cluster(r, cluster, revision) || lost(known, left) || revision < r->revision;
    if (doubtful && left < known) say_lost(r, known, left, revision);
    end_unseen(r, doubtful, revision);
    take_unseen_nodes(r, doubtful);
    r->revision = revision;
    r->cluster = cluster;
    r->unsaved = true;
}

void records_on_state(struct master *m, const struct packed *body)
{
    struct records *r = records_of(m);
    struct store_state *s = r ? &r->state : NULL;

    if (!s || !r->told) return;
    s->there = packed_bool(body, "there", false);
    span_copy(span_sub(packed_str(body, "at"), 0, sizeof(s->at) - 1), s->at, sizeof(s->at));
    span_copy(span_sub(packed_str(body, "why"), 0, sizeof(s->why) - 1), s->why, sizeof(s->why));
    s->revision = packed_u64(body, "revision", 0);
    s->cluster = packed_u64(body, "cluster", 0);
    s->answered_us = packed_i64(body, "answered_us", 0);
    s->heard_us = clock_mono_us();
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
    struct records *r = records_of(m);

    if (r) r->until_us = packed_i64(body, "until_us", 0);
}

usec_t records_until(const struct cluster *c, const char *uid, usec_t until_us)
{
    const struct stream *s = fleet_stream(c->m, span_of(uid));

    if (!records_wanted(c)) return until_us;
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

    r->c = c;
    list_init(&r->changes);
    r->named = bucket_of(NAMED_US, NAMED_BURST);
    r->file = state_file_new(c->m->state_dir, FILE_NAME);
    if (!r->file) return -EMFILE;
    records_load(r, c->m->state_dir);
    return 0;
}

void records_tick(struct cluster *c)
{
    struct records *r = c->records;

    if (r->unsaved) records_save(r);
    (void)state_file_say(r->file);
    if (r->nodes_changed && !r->reading) records_apply_nodes(r);
    if (r->told) want_keys(c);
    records_change_tick(r, clock_mono_us());
}

void records_stop(struct cluster *c)
{
    struct records *r = c->records;

    if (!r) return;
    if (r->unsaved && r->file) records_save(r);
    records_change_stop(r);
    map_drop(&r->streams, stream_free);
    mem_free(r->nodes);
    state_file_free(r->file);
    mem_free(r);
    c->records = NULL;
}
