/* What msctl and /metrics show of the cluster; msctl drain. */
#include "common/base/clock.h"
#include "common/base/metrics.h"
#include "master/cluster/records.h"
#include "master/master.h"

#define PATHS_TEXT 16

/* --- msctl cluster --- */

static int run_cluster(struct session *s)
{
    if (s->m->cluster) return CTL_OK;
    span_copy(SPAN_LIT("this node works alone: cluster-enable is false, or there is no cluster-key"), s->text,
        sizeof(s->text));
    return CTL_FAILED;
}

static void add_word(struct wr *w, bool is, const char *word)
{
    if (is) wr_fmt(w, "%s%s", w->n ? "," : "", word);
}

static const char *flags_text(uint8_t flags, char dst[64])
{
    struct wr w = wr_of(dst, 64);

    add_word(&w, flags & HEARTBEAT_DRAINING, "drained");
    add_word(&w, flags & HEARTBEAT_FULL, "full");
    add_word(&w, flags & HEARTBEAT_TIGHT, "tight");
    add_word(&w, flags & HEARTBEAT_LEAVING, "ending");
    return wr_cstr(&w);
}

static void pack_self(const struct cluster *c, struct packer *p, usec_t now_us)
{
    const struct conf_server *s = &c->m->conf->server;
    bool twice = cluster_twice(c, now_us), warming = cluster_warming(c, now_us);
    char flags[64];
    struct wr w = wr_of(flags, sizeof(flags));

    add_word(&w, c->drained, "drained");
    add_word(&w, c->full, "full");
    add_word(&w, c->tight, "tight");
    add_word(&w, true, "self");
    pack_map(p, 8);
    pack_kv_i64(p, "node", s->node_id);
    pack_kv_text(p, "host", s->node_host);
    pack_kv_text(p, "state", node_state_word(twice ? NODE_INVALID : warming ? NODE_WARMING : NODE_ACTIVE));
    pack_kv_i64(p, "since_s", (clock_wall_us() - (now_us - c->started_us)) / US_PER_S);
    pack_kv_u64(p, "streams", c->m->fleet.alive);
    pack_kv_u64(p, "term", c->term);
    pack_kv_text(p, "flags", wr_cstr(&w));
    pack_kv_u64(p, "left", c->drained ? streams_left(c) : 0);
}

static const char *paths_text(const struct cluster *c, const struct cluster_node *n, usec_t now_us, char *dst)
{
    size_t heard = 0;

    for (size_t i = 0; i < MIN(n->n_paths, MEMBER_PATHS_MAX); i++)
        heard += n->member.path_us[i] > 0 && now_us - n->member.path_us[i] <= c->times.tolerance_us;
    snprintf(dst, PATHS_TEXT, "%zu/%zu", heard, n->n_paths);
    return dst;
}

static void pack_node(const struct cluster *c, const struct cluster_node *n, struct packer *p, usec_t now_us)
{
    const struct member *m = &n->member;
    char flags[64], paths[PATHS_TEXT], at[LINK_TEXT_MAX];
    bool heard = m->heard_us > 0;

    pack_map(p, 16 + (heard ? 5 : 0));
    pack_kv_i64(p, "node", m->id);
    pack_kv_text(p, "host", n->n_paths > 0 ? n->paths[0].host : "");
    pack_kv_text(p, "address", n->n_paths > 0 && n->paths[0].known ? link_text(&n->paths[0].at, at) : "");
    pack_kv_text(p, "state", node_state_word(m->state));
    pack_kv_i64(p, "since_s",
        (clock_wall_us() - (now_us - (m->since_us > 0 ? m->since_us : c->started_us))) / US_PER_S);
    pack_kv_text(p, "flags", flags_text(m->flags, flags));
    pack_kv_text(p, "paths", paths_text(c, n, now_us, paths));
    pack_kv_u64(p, "flaps", m->flaps);
    pack_kv_u64(p, "sent", n->sent);
    pack_kv_u64(p, "acts", singular_waiting(c, m->id));
    pack_kv_bool(p, "channel", n->courier.there);
    pack_kv_text(p, "channel_why", n->courier.there ? "" : n->courier.why);
    pack_kv_u64(p, "fill_left", n->courier.left);
    pack_kv_u64(p, "fill_left_bytes", n->courier.left_bytes);
    pack_kv_u64(p, "filled", n->courier.filled);
    pack_kv_u64(p, "fill_failed", n->courier.failed);
    if (!heard) return;
    pack_kv_u64(p, "streams", m->running);
    pack_kv_u64(p, "term", m->term);
    pack_kv_i64(p, "heard_ms", (now_us - m->heard_us) / US_PER_MS);
    pack_kv_i64(p, "clock_ms", m->clock_ahead_us / US_PER_MS);
    pack_kv_u64(p, "received", n->heard);
}

/* This node first. */
static bool row_cluster(struct session *s, struct packer *p)
{
    const struct cluster *c = s->m->cluster;
    usec_t now_us = clock_mono_us();

    if (!c || s->at > c->n_nodes) return false;
    if (s->at++ == 0)
        pack_self(c, p, now_us);
    else
        pack_node(c, &c->nodes[s->at - 2], p, now_us);
    return true;
}

/* --- msctl cluster streams --- */

static const char *order_text(const struct cluster_stream *v, char dst[96])
{
    struct wr w = wr_of(dst, 96);

    for (size_t i = 0; i < v->place.n; i++)
        if (v->nodes[i] == 0)
            wr_fmt(&w, "%s?", i ? "," : "");
        else
            wr_fmt(&w, "%s%lld", i ? "," : "", (long long)v->nodes[i]);
    return wr_cstr(&w);
}

/* Those that record it, this one by what it is, others as they said. */
static const char *runs_text(const struct cluster_stream *v, int64_t self, char dst[96], uint32_t *ret_term)
{
    struct wr w = wr_of(dst, 96);

    *ret_term = 0;
    for (size_t i = 0; i < v->place.n; i++) {
        const struct place_said *said = &v->place.said[i];
        bool counts = v->place.nodes[i] && member_counts(v->place.nodes[i]) && said->at_us > 0;
        uint8_t flags = i == v->place.me ? v->is.flags : counts ? said->flags : 0;
        const char *word = flags & HEARTBEAT_READY ? "" : flags & HEARTBEAT_GOOD ? "+" : "!";

        if (!(flags & HEARTBEAT_RUNS)) continue;
        wr_fmt(&w, "%s%lld%s", w.n ? "," : "", (long long)(i == v->place.me ? self : v->nodes[i]), word);
        *ret_term = MAX(*ret_term, i == v->place.me ? v->is.term : said->term);
    }
    return wr_cstr(&w);
}

static bool row_streams(struct session *s, struct packer *p)
{
    const struct cluster *c = s->m->cluster;
    const struct conf_stream *conf = control_next_stream(s);
    const struct cluster_stream *v;
    char order[96], runs[96];
    uint32_t term;

    if (!c || !conf) return false;
    span_copy(span_of(conf->uid), s->last, sizeof(s->last));
    v = fleet_stream(s->m, span_of(conf->uid))->cluster;
    runs_text(v, s->m->conf->server.node_id, runs, &term);
    pack_map(p, 6);
    pack_kv_text(p, "uid", conf->uid);
    pack_kv_text(p, "nodes", order_text(v, order));
    pack_kv_text(p, "runs", runs);
    pack_kv_u64(p, "term", term);
    pack_kv_bool(p, "here", place_runs(v->why));
    pack_kv_text(p, "why", v->text);
    return true;
}

/* --- msctl drain [off] --- */

static int run_drain(struct session *s)
{
    struct cluster *c = s->m->cluster;
    bool off = s->n_args == 1 && strcmp(s->args[0], "off") == 0;

    if (s->n_args == 1 && !off) return CTL_USAGE;
    if (run_cluster(s) != CTL_OK) return CTL_FAILED;
    c->drained = !off;
    log_note("drain", "on=%d streams=%zu", c->drained, streams_left(c));
    if (off)
        span_copy(SPAN_LIT("this node takes its streams back"), s->text, sizeof(s->text));
    else
        snprintf(s->text, sizeof(s->text),
            "%zu streams are given to their other nodes, each once it is recorded there; msctl cluster says "
            "how "
            "many are left",
            streams_left(c));
    return CTL_OK;
}

const struct command commands_cluster[] = {
    {"cluster", 0, 0, run_cluster, row_cluster},
    {"cluster streams", 0, 0, run_cluster, row_streams},
    {"cluster acts", 0, 0, run_cluster, singular_row},
    {"cluster files", 0, 0, run_cluster, files_row},
    {"cluster store", 0, 0, records_run, records_row},
    {"cluster refused", 0, 0, records_run, records_row_refused},
    {"transfer", 2, 3, transfers_run, transfers_row},
    {"transfers", 0, 1, transfers_run_list, transfers_row},
    {"config push", 0, 1, files_run_push, files_row_push},
    {"drain", 0, 1, run_drain, NULL},
};
const size_t n_commands_cluster = ARRAY_N(commands_cluster);

/* --- /metrics --- */

static void of_nodes(
    const struct cluster *c, struct metrics *to, const char *family, int64_t (*of)(const struct member *m))
{
    for (size_t i = 0; i < c->n_nodes; i++) {
        char id[8];
        const struct metrics_label l = {"node", id};

        snprintf(id, sizeof(id), "%u", c->nodes[i].member.id);
        metrics_i64(to, family, &l, 1, of(&c->nodes[i].member));
    }
}

static int64_t up(const struct member *m)
{
    return member_counts(m);
}

static int64_t state(const struct member *m)
{
    return (int64_t)m->state;
}

static int64_t heard_ms(const struct member *m)
{
    return m->heard_us > 0 ? (clock_mono_us() - m->heard_us) / US_PER_MS : -1;
}

static int64_t clock_ms(const struct member *m)
{
    return m->clock_ahead_us / US_PER_MS;
}

static int64_t flaps(const struct member *m)
{
    return m->flaps;
}

static const struct {
    const char *name, *help;
    int64_t (*of)(const struct member *m);
} families[] = {
    {"ms_cluster_node_up", "1: what this node says of its streams counts.", up},
    {"ms_cluster_node_state",
        "0 undefined, 1 pending, 2 warming, 3 active, 4 unavailable, 5 invalid, 6 down.", state},
    {"ms_cluster_node_heard_milliseconds", "Since it was heard; -1: never.", heard_ms},
    {"ms_cluster_node_clock_milliseconds", "Its clock before ours.", clock_ms},
    {"ms_cluster_node_flaps", "How often it went lately.", flaps},
};

static uint64_t channel_up(const struct courier_seen *s)
{
    return s->there;
}

static uint64_t channel_in(const struct courier_seen *s)
{
    return s->in;
}

static uint64_t channel_out(const struct courier_seen *s)
{
    return s->out;
}

static uint64_t fill_left(const struct courier_seen *s)
{
    return s->left;
}

static uint64_t fill_left_bytes(const struct courier_seen *s)
{
    return s->left_bytes;
}

static uint64_t filled(const struct courier_seen *s)
{
    return s->filled;
}

static uint64_t filled_bytes(const struct courier_seen *s)
{
    return s->filled_bytes;
}

static uint64_t fill_failed(const struct courier_seen *s)
{
    return s->failed;
}

static const struct {
    const char *name, *help;
    enum metrics_kind kind;
    uint64_t (*of)(const struct courier_seen *s);
} channel_families[] = {
    {"ms_cluster_channel_up", "1: its courier answers ours.", METRICS_GAUGE, channel_up},
    {"ms_cluster_channel_received_bytes_total", "Bytes that came from it.", METRICS_COUNTER, channel_in},
    {"ms_cluster_channel_sent_bytes_total", "Bytes that went to it.", METRICS_COUNTER, channel_out},
    {"ms_cluster_fill_left_segments", "Known to be missing here, and to be copied from it.", METRICS_GAUGE,
        fill_left},
    {"ms_cluster_fill_left_bytes", "Of these.", METRICS_GAUGE, fill_left_bytes},
    {"ms_cluster_fill_segments_total", "Copied from it.", METRICS_COUNTER, filled},
    {"ms_cluster_fill_bytes_total", "Of these.", METRICS_COUNTER, filled_bytes},
    {"ms_cluster_fill_failed_total", "Segments that could not be copied.", METRICS_COUNTER, fill_failed},
};

static void of_channels(const struct cluster *c, struct metrics *to)
{
    for (size_t i = 0; i < ARRAY_N(channel_families); i++) {
        metrics_family(to, channel_families[i].name, channel_families[i].kind, channel_families[i].help);
        for (size_t k = 0; k < c->n_nodes; k++) {
            char id[8];
            const struct metrics_label l = {"node", id};

            snprintf(id, sizeof(id), "%u", c->nodes[k].member.id);
            metrics_u64(to, channel_families[i].name, &l, 1, channel_families[i].of(&c->nodes[k].courier));
        }
    }
}

static void one(struct metrics *to, const char *name, const char *help, uint64_t v)
{
    metrics_family(to, name, METRICS_COUNTER, help);
    metrics_u64(to, name, NULL, 0, v);
}

void cluster_metrics(const struct master *m, struct metrics *to)
{
    const struct cluster *c = m->cluster;

    if (!c) return;
    for (size_t i = 0; i < ARRAY_N(families); i++) {
        metrics_family(to, families[i].name, METRICS_GAUGE, families[i].help);
        of_nodes(c, to, families[i].name, families[i].of);
    }
    of_channels(c, to);
    one(to, "ms_cluster_channel_refused_total", "Connections of strangers, or of broken nodes.",
        c->channel_refused);
    one(to, "ms_cluster_channel_ignored_total",
        "Messages of a later version, or of a number that two servers have.", c->net_ignored);
    metrics_family(
        to, "ms_cluster_refused_total", METRICS_COUNTER, "Heartbeats that changed nothing, by why.");
    for (unsigned i = 0; i < CLUSTER_BADS; i++) {
        const struct metrics_label l = {"why", cluster_bad_word((enum cluster_bad)i)};

        metrics_u64(to, "ms_cluster_refused_total", &l, 1, c->bad[i]);
    }
    singular_metrics(c, to);
    records_metrics(c, to);
    one(to, "ms_cluster_taken_total", "Streams taken over.", c->taken);
    one(to, "ms_cluster_given_total", "Streams left to another node.", c->returned);
    one(to, "ms_cluster_late_total", "Times that this node's master stood still.", c->late);
}
