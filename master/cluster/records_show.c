/* What msctl, the API and /metrics show of the site's etcd. */
#include "common/base/clock.h"
#include "common/base/metrics.h"
#include "master/cluster/cluster.h"
#include "master/cluster/records_impl.h"
#include "master/master.h"

#define SILENT_US (5 * US_PER_S) /* the courier says each second how the store is */

struct counts {
    size_t streams, refused, kept, keys;
};

static struct counts count(const struct records *r)
{
    struct counts n = {.streams = 0};
    struct map_slot slot;
    size_t at = 0;

    while (map_next(&r->streams, &at, &slot)) {
        const struct stored *v = slot.value;

        n.streams += !v->gone;
        n.refused += v->why != NULL;
        n.kept += v->kept;
    }
    at = 0;
    while (map_next(&r->c->m->fleet.by_uid, &at, &slot)) {
        const struct cluster_stream *s = ((const struct stream *)slot.value)->cluster;

        n.keys += s && s->key_term > 0;
    }
    return n;
}

static bool is_up(const struct records *r, usec_t now_us)
{
    return r->state.there && now_us - r->state.heard_us < SILENT_US;
}

/* away: nothing new is heard; what was read last counts. */
static const char *state_word(const struct records *r, usec_t now_us)
{
    return r->reading ? "reading" : is_up(r, now_us) ? "up" : "away";
}

/* Milliseconds since it said anything; -1: it never has. */
static int64_t answered_ms(const struct records *r, usec_t now_us)
{
    return r->state.answered_us > 0 ? (now_us - r->state.answered_us) / US_PER_MS : -1;
}

int records_run(struct session *s)
{
    const struct records *r = records_of(s->m);

    if (r && records_wanted(r->c)) return CTL_OK;
    span_copy(SPAN_LIT("this node has no store: cluster-store is not set, or it works alone"), s->text,
        sizeof(s->text));
    return CTL_FAILED;
}

/* One row. */
bool records_row(struct session *s, struct packer *p)
{
    const struct records *r = records_of(s->m);
    usec_t now_us = clock_mono_us();
    struct counts n;
    char cluster[20];

    if (!r || s->at++ > 0) return false;
    n = count(r);
    snprintf(cluster, sizeof(cluster), "%llx",
        (unsigned long long)(r->state.cluster ? r->state.cluster : r->cluster));
    pack_map(p, 11);
    pack_kv_text(p, "state", state_word(r, now_us));
    pack_kv_text(p, "at", r->state.at);
    pack_kv_text(p, "why", is_up(r, now_us) ? "" : r->state.why);
    pack_kv_u64(p, "revision", MAX(r->state.revision, r->revision));
    pack_kv_text(p, "cluster", cluster);
    pack_kv_i64(p, "answered_ms", answered_ms(r, now_us));
    pack_kv_u64(p, "streams", n.streams);
    pack_kv_u64(p, "nodes", r->n_nodes);
    pack_kv_u64(p, "refused", n.refused);
    pack_kv_u64(p, "kept", n.kept);
    pack_kv_u64(p, "keys", n.keys);
    return true;
}

/* A row for each record that is refused, by uid. */
bool records_row_refused(struct session *s, struct packer *p)
{
    const struct records *r = records_of(s->m);
    const struct stored *next = NULL;
    struct map_slot slot;
    size_t at = 0;

    while (r && map_next(&r->streams, &at, &slot)) {
        const struct stored *v = slot.value;

        if (v->why && strcmp(v->uid, s->last) > 0 && (!next || strcmp(v->uid, next->uid) < 0)) next = v;
    }
    if (!next) return false;
    span_copy(span_of(next->uid), s->last, sizeof(s->last));
    pack_map(p, 3);
    pack_kv_text(p, "uid", next->uid);
    pack_kv_u64(p, "revision", next->revision);
    pack_kv_text(p, "why", next->why);
    return true;
}

static int64_t up(const struct records *r, const struct counts *n)
{
    (void)n;
    return is_up(r, clock_mono_us());
}

static int64_t revision(const struct records *r, const struct counts *n)
{
    (void)n;
    return (int64_t)MIN(MAX(r->state.revision, r->revision), INT64_MAX);
}

static int64_t answered(const struct records *r, const struct counts *n)
{
    (void)n;
    return answered_ms(r, clock_mono_us());
}

static int64_t streams(const struct records *r, const struct counts *n)
{
    (void)r;
    return (int64_t)n->streams;
}

static int64_t refused(const struct records *r, const struct counts *n)
{
    (void)r;
    return (int64_t)n->refused;
}

static int64_t kept(const struct records *r, const struct counts *n)
{
    (void)r;
    return (int64_t)n->kept;
}

static int64_t keys(const struct records *r, const struct counts *n)
{
    (void)r;
    return (int64_t)n->keys;
}

static const struct {
    const char *name, *help;
    int64_t (*of)(const struct records *r, const struct counts *n);
} families[] = {
    {"ms_cluster_store_up", "1: what is new in the site's etcd is heard.", up},
    {"ms_cluster_store_revision", "Of the etcd, up to which all was heard.", revision},
    {"ms_cluster_store_answered_milliseconds", "Since the etcd said anything; -1: never.", answered},
    {"ms_cluster_store_streams", "Stream records that it has, or had.", streams},
    {"ms_cluster_store_refused", "Of these, refused as they are there.", refused},
    {"ms_cluster_store_kept", "Of these, kept here though it does not name them.", kept},
    {"ms_cluster_store_keys", "Streams whose key in the etcd this node holds.", keys},
};

void records_metrics(const struct cluster *c, struct metrics *to)
{
    const struct records *r = c->records;
    struct counts n;

    if (!r || !records_wanted(c)) return;
    n = count(r);
    for (size_t i = 0; i < ARRAY_N(families); i++) {
        metrics_family(to, families[i].name, METRICS_GAUGE, families[i].help);
        metrics_i64(to, families[i].name, NULL, 0, families[i].of(r, &n));
    }
}
