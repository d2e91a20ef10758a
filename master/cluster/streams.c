/* Which streams run here: their places, what others say of them, and what follows. */
#include "common/base/clock.h"
#include "common/base/mem.h"
#include "common/conf/nodes.h"
#include "master/cluster/cluster.h"
#include "master/master.h"
#include "master/tell.h"

#define HOUR_S 3600

/* A camera goes on with the session of a client that vanished until its timeout, 60 s as a rule. Until then
 * it is asked every beat, then every second; then as any camera that is full. */
#define ASK_SOON_US (10 * US_PER_S)
#define ASK_MOST_US (90 * US_PER_S)

/* --- places --- */

static int by_id(const void *a, const void *b)
{
    uint64_t x = (*(const struct cluster_stream *const *)a)->id;
    uint64_t y = (*(const struct cluster_stream *const *)b)->id;

    return x < y ? -1 : x > y;
}

static void add_names(const struct cluster *c, struct cluster_stream *s, const struct conf_list *names)
{
    const struct conf *conf = c->m->conf;
    struct place *p = &s->place;

    for (size_t i = 0; i < names->n && p->n < PLACE_NODES_MAX; i++) {
        int64_t id = conf_node_id(conf, span_of(names->v[i]));
        const struct cluster_node *n = cluster_node(c, id);
        bool before = false;

        for (size_t k = 0; k < p->n; k++) before |= s->nodes[k] == id && id != 0;
        if (before) continue;
        if (id == conf->server.node_id) p->me = p->n;
        s->nodes[p->n] = id;
        p->nodes[p->n++] = n ? &n->member : NULL;
    }
}

/* What was heard of it holds on, node by node. */
static void keep_said(struct cluster_stream *s, const struct cluster_stream *was)
{
    for (size_t i = 0; i < s->place.n; i++)
        for (size_t k = 0; k < was->place.n; k++)
            if (s->nodes[i] == was->nodes[k] && s->nodes[i] != 0) s->place.said[i] = was->place.said[k];
}

static void place_one(struct cluster *c, struct cluster_stream *s)
{
    const struct conf_stream *conf = s->s->conf;
    struct cluster_stream was = *s;

    s->place.n = 0;
    s->place.me = SIZE_MAX;
    memset(s->nodes, 0, sizeof(s->nodes));
    memset(s->place.said, 0, sizeof(s->place.said));
    add_names(c, s, &conf->primary_node);
    add_names(c, s, &conf->secondary_node);
    if (s->place.n == 0) { /* nobody is named: whoever has the file */
        s->place.n = 1;
        s->place.me = 0;
    }
    s->place.me = MIN(s->place.me, s->place.n);
    keep_said(s, &was);
}

static struct cluster_stream *of(const struct stream *s)
{
    return s->cluster;
}

static void decide(struct cluster *c, struct cluster_stream *s, usec_t now_us);
static void follow(struct cluster_stream *s);

void streams_place(struct cluster *c)
{
    const struct conf *conf = c->m->conf;

    c->streams = mem_renew(c->streams, (conf->n_streams + 1) * sizeof(struct cluster_stream *));
    c->n_streams = 0;
    c->told_stream = 0;
    for (size_t i = 0; i < conf->n_streams; i++) {
        struct stream *s = fleet_stream(c->m, span_of(conf->streams[i]->uid));

        if (!s || !of(s)) continue;
        place_one(c, of(s));
        decide(c, of(s), clock_mono_us());
        follow(of(s));
        tell_view(s); /* cluster-redirect, and the nodes' hosts, may be others */
        if (of(s)->place.n > 1 && of(s)->place.me < of(s)->place.n) c->streams[c->n_streams++] = of(s);
    }
    qsort(c->streams, c->n_streams, sizeof(struct cluster_stream *), by_id);
}

void cluster_add(struct stream *s)
{
    struct cluster *c = s->m->cluster;

    if (!c) return;
    s->cluster = NEW(struct cluster_stream);
    s->cluster->s = s;
    s->cluster->id = heartbeat_id(span_of(s->uid));
    place_one(c, s->cluster);
    decide(c, s->cluster, clock_mono_us());
}

void cluster_remove(struct stream *s)
{
    struct cluster *c = s->m->cluster;
    size_t n = 0;

    if (!c || !s->cluster) return;
    for (size_t i = 0; i < c->n_streams; i++)
        if (c->streams[i] != s->cluster) c->streams[n++] = c->streams[i];
    c->n_streams = n;
    courier_stream_gone(s);
    mem_free(s->cluster);
    s->cluster = NULL;
}

const char *cluster_rests(const struct stream *s)
{
    return s->cluster && !place_runs(s->cluster->why) ? s->cluster->text : NULL;
}

const char *cluster_elsewhere(const struct stream *s)
{
    const struct cluster_stream *c = s->cluster;
    const struct cluster_node *n;

    if (!c || place_runs(c->why) || c->by >= c->place.n || !s->m->conf->server.cluster_redirect) return "";
    n = cluster_node(s->m->cluster, c->nodes[c->by]);
    return n && n->n_paths > 0 ? n->paths[0].host : "";
}

size_t cluster_others(const struct stream *s, int64_t ret[PLACE_NODES_MAX])
{
    const struct cluster_stream *c = s->cluster;
    size_t n = 0;

    for (size_t i = 0; c && i < c->place.n; i++)
        if (i != c->place.me && c->nodes[i] != 0) ret[n++] = c->nodes[i];
    return n;
}

/* --- what others say --- */

static struct cluster_stream *stream_of(const struct cluster *c, uint64_t id)
{
    const struct cluster_stream key = {.id = id}, *p = &key;
    struct cluster_stream **found = bsearch(&p, c->streams, c->n_streams, sizeof(*c->streams), by_id);

    return found ? *found : NULL;
}

static struct place_said *said_by(struct cluster_stream *s, int64_t id)
{
    for (size_t i = 0; i < s->place.n; i++)
        if (s->nodes[i] == id) return &s->place.said[i];
    return NULL;
}

void streams_heard(struct cluster *c, const struct cluster_node *n, const struct heartbeat *h, usec_t now_us)
{
    for (size_t i = 0; i < h->n_streams; i++) {
        const struct heartbeat_stream *v = &h->streams[i];
        struct cluster_stream *s = stream_of(c, v->id);
        struct place_said *said = s ? said_by(s, n->member.id) : NULL;

        uint32_t term = cluster_heard_term(c, v->term) ? v->term : 0;

        if (said) *said = (struct place_said){now_us, v->flags, v->age_100ms, v->rate, term};
    }
}

void streams_forget(struct cluster *c, const struct cluster_node *n)
{
    for (size_t i = 0; i < c->n_streams; i++) {
        struct place_said *said = said_by(c->streams[i], n->member.id);

        if (said) said->at_us = 0;
    }
}

/* --- what follows --- */

/* Of its camera, as it is here, or was where it was last. */
static uint64_t rate_of(const struct cluster_stream *s)
{
    uint64_t rate = s->is.flags & HEARTBEAT_RUNS ? s->is.rate : 0;

    for (size_t i = 0; i < s->place.n; i++) rate = MAX(rate, s->place.said[i].rate);
    return rate * HEARTBEAT_RATE_UNIT;
}

static bool is_full(const struct cluster *c)
{
    int64_t most = c->m->conf->server.cluster_max_streams;

    return most > 0 && (int64_t)c->m->fleet.alive >= most;
}

/* By what is known: limits of the configuration, and a storage that is in order. Tight: on none of them fits
 * an hour of it, and of what else was taken over, beside what is to stay; what a camera sends was measured by
 * who had it last. */
static bool has_room(const struct cluster *c, const struct cluster_stream *s, bool *ret_tight)
{
    uint64_t most = (uint64_t)c->m->conf->server.cluster_max_bitrate * 1000000, rate = rate_of(s);
    const struct conf_archive *a = &s->s->conf->dvr_archive;
    bool stored = !s->s->conf->record;

    *ret_tight = !stored;
    if (is_full(c) || (most > 0 && c->rate + rate > most)) return false;
    for (size_t i = 0; *ret_tight && i < a->n; i++) {
        const struct storage_seen *seen = storages_seen(&c->m->storages, a->v[i].storage);

        if (!seen || strcmp(seen->state, "ok") != 0) continue;
        stored = true;
        *ret_tight = (rate + c->rate_taken) / 8 * HOUR_S > seen->spare;
    }
    return stored;
}

static void say_why(struct cluster_stream *s)
{
    const struct place *p = &s->place;

    s->followed = false;
    if (s->by < p->n)
        snprintf(
            s->text, sizeof(s->text), "%s: node %lld has it", place_word(s->why), (long long)s->nodes[s->by]);
    else
        snprintf(s->text, sizeof(s->text), "%s", place_word(s->why));
}

/* Whose it was: the first before us that had it. */
static int64_t taken_from(const struct cluster_stream *s)
{
    for (size_t i = 0; i < s->place.n; i++)
        if (i != s->place.me && s->nodes[i] != 0) return s->nodes[i];
    return 0;
}

static void say_taken(struct cluster *c, struct cluster_stream *s, usec_t now_us)
{
    char from[24], ms[24];
    usec_t waited_us = s->place.unserved_us > 0 ? now_us - s->place.unserved_us : 0;

    s->taken_us = now_us;
    s->taken_from = taken_from(s);
    s->is.term = cluster_next_term(c);
    c->rate += rate_of(s);
    c->rate_taken += rate_of(s);
    c->taken++;
    snprintf(from, sizeof(from), "%lld", (long long)s->taken_from);
    snprintf(ms, sizeof(ms), "%lld", (long long)(waited_us / US_PER_MS));
    log_event_of(LOG_WARN, s->s->uid, "cluster-takes", "from=%s term=%u waited_ms=%s", from, s->is.term, ms);
    hooks_say(c->m, "server:capture",
        (const struct hooks_pair[]){{"uid", s->s->uid}, {"from", from}, {"waited_ms", ms}}, 3);
}

static void say_given(struct cluster *c, struct cluster_stream *s, usec_t now_us)
{
    char to[24], held[24];

    snprintf(to, sizeof(to), "%lld", s->by < s->place.n ? (long long)s->nodes[s->by] : 0LL);
    snprintf(
        held, sizeof(held), "%lld", (long long)(s->taken_us > 0 ? (now_us - s->taken_us) / US_PER_S : 0));
    log_event_of(LOG_NOTE, s->s->uid, "cluster-gives", "to=%s why=\"%s\" held_s=%s", to, s->text, held);
    hooks_say(c->m, "server:release",
        (const struct hooks_pair[]){{"uid", s->s->uid}, {"to", to}, {"held_s", held}}, 3);
    c->returned++;
    s->taken_us = 0;
    s->is.term = 0;
}

static void decide(struct cluster *c, struct cluster_stream *s, usec_t now_us)
{
    enum place_why was = s->why;
    size_t by = s->by;
    struct place_here here = {.now_us = now_us,
        .times = &c->times,
        .runs = s->s->proc.wanted,
        .warming = cluster_warming(c, now_us),
        .draining = c->drained,
        .twice = cluster_twice(c, now_us)};

    here.full = !here.runs && !has_room(c, s, &here.tight);
    c->tight |= here.tight && !here.full;
    s->why = place_decide(&s->place, &here, &s->by);
    if (s->why != was || s->by != by || !s->text[0]) say_why(s);
    if (here.runs && !place_runs(s->why)) say_given(c, s, now_us);
    if (!here.runs && s->why == PLACE_TAKEN && s->taken_us == 0) say_taken(c, s, now_us);
}

/* Starts or stops its worker; where it rests, others are told why. */
static void follow(struct cluster_stream *s)
{
    if (s->followed && s->s->proc.wanted == place_runs(s->why)) return;
    s->followed = true;
    fleet_follow(s->s);
}

/* Nobody else holds it, and what is here plays: this node does, by a term above any before. */
static void claim(struct cluster *c, struct cluster_stream *s)
{
    uint32_t top = 0;

    if (!(s->is.flags & HEARTBEAT_READY)) return;
    for (size_t i = 0; i < s->place.n; i++) {
        const struct place_said *said = &s->place.said[i];
        bool counts = s->place.nodes[i] && member_counts(s->place.nodes[i]);

        if (said->at_us == 0) continue;
        if (counts && (said->flags & HEARTBEAT_RUNS) && said->term > 0) return;
        top = MAX(top, said->term);
    }
    if (s->is.term > top) return;
    s->is.term = cluster_next_term(c);
    log_event_of(LOG_INFO, s->s->uid, "cluster-holds", "term=%u", s->is.term);
}

/* The camera allows no further session here, and no other node has one: it is that of a node that has gone,
 * or has just stepped aside, and ends soon. */
static void ask_full_camera(struct cluster_stream *s, usec_t now_us)
{
    bool had = place_had(&s->place);

    if (had || (s->is.flags & HEARTBEAT_GOOD)) s->full_us = 0;
    if (had || !(s->is.flags & HEARTBEAT_REFUSED)) return;
    if (s->full_us == 0) s->full_us = now_us;
    if (now_us - s->full_us > ASK_MOST_US) return;
    if (now_us - s->full_us > ASK_SOON_US && now_us - s->asked_us < US_PER_S) return;
    s->asked_us = now_us;
    tell_camera_free(s->s);
}

void streams_tick(struct cluster *c, usec_t now_us)
{
    c->full = is_full(c);
    c->tight = false;
    c->rate = c->rate_taken = 0;
    for (size_t i = 0; i < c->n_streams; i++) {
        const struct cluster_stream *s = c->streams[i];

        if (s->is.flags & HEARTBEAT_RUNS) c->rate += rate_of(s);
        if (s->taken_us > 0) c->rate_taken += rate_of(s);
    }
    for (size_t i = 0; i < c->n_streams; i++) {
        struct cluster_stream *s = c->streams[i];

        health_look(s, now_us);
        if (s->s->conf->enable == CONF_DISABLED || s->s->conf->unready) continue;
        decide(c, s, now_us);
        follow(s);
        if (!place_runs(s->why)) continue;
        claim(c, s);
        ask_full_camera(s, now_us);
    }
}

size_t streams_left(const struct cluster *c)
{
    size_t n = 0;

    for (size_t i = 0; i < c->n_streams; i++) n += c->streams[i]->s->proc.wanted;
    return n;
}
