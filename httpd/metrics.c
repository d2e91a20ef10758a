#include "httpd/metrics.h"
#include "common/base/clock.h"
#include "common/base/mem.h"
#include "common/base/metrics.h"
#include "httpd/answer.h"
#include "httpd/bytes.h"
#include "httpd/handlers.h"
#include "httpd/panel.h"
#include "httpd/viewers.h"

#define RELAXED(v) atomic_load_explicit(&(v), memory_order_relaxed)

/* A stream whose lines are written. */
struct about {
    const struct stream *s;
    const struct ring_status *st; /* NULL: its worker has told nothing yet */
    struct stream_now now;
    usec_t mono_us, wall_us;
};
struct family {
    const char *name;
    enum metrics_kind kind;
    const char *help;
    void (*write)(struct metrics *m, const struct family *f, const struct about *a);
    size_t at; /* of the counter in ring_status, where `write` is one of those that need no more */
};

/* --- values --- */

static uint64_t counter_at(const struct about *a, size_t at)
{
    const _Atomic uint64_t *v = (const void *)((const char *)a->st + at);

    return atomic_load_explicit(v, memory_order_relaxed);
}

static void one_u64(struct metrics *m, const struct family *f, const struct about *a, uint64_t v)
{
    const struct metrics_label l = {"stream", a->s->v.uid};

    metrics_u64(m, f->name, &l, 1, v);
}

static void one_us(struct metrics *m, const struct family *f, const struct about *a, usec_t v_us)
{
    const struct metrics_label l = {"stream", a->s->v.uid};

    metrics_us(m, f->name, &l, 1, v_us);
}

static void two(
    struct metrics *m, const struct family *f, const struct about *a, struct metrics_label second, uint64_t v)
{
    const struct metrics_label l[] = {{"stream", a->s->v.uid}, second};

    metrics_u64(m, f->name, l, ARRAY_N(l), v);
}

static void write_counter(struct metrics *m, const struct family *f, const struct about *a)
{
    if (a->st) one_u64(m, f, a, counter_at(a, f->at));
}

static void write_counter_us(struct metrics *m, const struct family *f, const struct about *a)
{
    if (a->st) one_us(m, f, a, (usec_t)MIN(counter_at(a, f->at), (uint64_t)INT64_MAX));
}

static void write_info(struct metrics *m, const struct family *f, const struct about *a)
{
    two(m, f, a, (struct metrics_label){"name", a->s->v.name}, 1);
}

static void write_state(struct metrics *m, const struct family *f, const struct about *a)
{
    two(m, f, a, (struct metrics_label){"state", ring_state_word(a->now.state)}, 1);
}

static void write_up(struct metrics *m, const struct family *f, const struct about *a)
{
    one_u64(m, f, a, a->now.state == STREAM_ACTIVE);
}

static void write_state_age(struct metrics *m, const struct family *f, const struct about *a)
{
    if (a->now.since_us > 0) one_us(m, f, a, MAX(a->wall_us - a->now.since_us, 0));
}

static void write_bitrate(struct metrics *m, const struct family *f, const struct about *a)
{
    if (a->st) one_u64(m, f, a, RELAXED(a->st->bitrate_in));
}

static void write_gop(struct metrics *m, const struct family *f, const struct about *a)
{
    if (a->st && RELAXED(a->st->gop_ms) > 0) one_us(m, f, a, (usec_t)RELAXED(a->st->gop_ms) * US_PER_MS);
}

static void write_frame_age(struct metrics *m, const struct family *f, const struct about *a)
{
    usec_t last_us = a->st ? RELAXED(a->st->last_frame_us) : 0;

    if (last_us > 0) one_us(m, f, a, MAX(a->wall_us - last_us, 0));
}

static void write_clock(struct metrics *m, const struct family *f, const struct about *a)
{
    if (a->st && RELAXED(a->st->clock_known)) one_us(m, f, a, RELAXED(a->st->clock_offset_us));
}

static void write_ends(struct metrics *m, const struct family *f, const struct about *a)
{
    for (unsigned i = 0; a->st && i < ENDS; i++)
        two(m, f, a, (struct metrics_label){"cause", ring_end_word((enum ring_end)i)},
            RELAXED(a->st->ends[i]));
}

/* Those that have happened: most cameras have none of most kinds. */
static void write_faults(struct metrics *m, const struct family *f, const struct about *a)
{
    for (unsigned i = 0; a->st && i < FAULTS; i++)
        if (RELAXED(a->st->faults[i]) > 0)
            two(m, f, a, (struct metrics_label){"kind", ring_fault_word((enum ring_fault)i)},
                RELAXED(a->st->faults[i]));
}

static void write_recording(struct metrics *m, const struct family *f, const struct about *a)
{
    static const char *const words[] = {[RECORD_OFF] = "off",
        [RECORD_ON] = "on",
        [RECORD_PAUSED] = "paused",
        [RECORD_WAITING] = "waiting",
        [RECORD_ARMED] = "armed"};
    uint32_t is = a->st ? RELAXED(a->st->record_state) : RECORD_OFF;

    two(m, f, a, (struct metrics_label){"state", is < ARRAY_N(words) ? words[is] : "off"}, 1);
}

static void write_stall(struct metrics *m, const struct family *f, const struct about *a)
{
    usec_t beat_us = a->st ? RELAXED(a->st->record_beat_us) : 0, late_us = a->mono_us - beat_us;

    /* it beats every two seconds while it has nothing to do */
    if (beat_us > 0) one_us(m, f, a, late_us > 3 * US_PER_S ? late_us : 0);
}

static void write_errno(struct metrics *m, const struct family *f, const struct about *a)
{
    if (a->st) one_u64(m, f, a, (uint64_t)MAX(RELAXED(a->st->rec_errno), 0));
}

#define AT(field) offsetof(struct ring_status, field)

static const struct family families[] = {
    {"ms_stream_info", METRICS_GAUGE, "Name of the stream.", write_info, 0},
    {"ms_stream_state", METRICS_GAUGE, "1 for the state that it is in.", write_state, 0},
    {"ms_stream_up", METRICS_GAUGE, "1: pictures come.", write_up, 0},
    {"ms_stream_state_age_seconds", METRICS_GAUGE, "Time in this state.", write_state_age, 0},
    {"ms_stream_received_bytes_total", METRICS_COUNTER, "Bytes from the camera.", write_counter,
        AT(bytes_in)},
    {"ms_stream_bitrate_bits_per_second", METRICS_GAUGE, "Over the last 10 seconds.", write_bitrate, 0},
    {"ms_stream_frames_total", METRICS_COUNTER, "Frames.", write_counter, AT(frames_in)},
    {"ms_stream_frames_damaged_total", METRICS_COUNTER, "Frames with a part missing.", write_counter,
        AT(frames_damaged)},
    {"ms_stream_frames_dropped_total", METRICS_COUNTER, "Frames that could not be used.", write_counter,
        AT(frames_dropped)},
    {"ms_stream_packets_total", METRICS_COUNTER, "RTP packets.", write_counter, AT(packets_in)},
    {"ms_stream_packets_lost_total", METRICS_COUNTER, "RTP packets that never came.", write_counter,
        AT(packets_lost)},
    {"ms_stream_packets_reordered_total", METRICS_COUNTER, "RTP packets out of order.", write_counter,
        AT(packets_reordered)},
    {"ms_stream_timestamp_repairs_total", METRICS_COUNTER, "Timestamps put right.", write_counter,
        AT(ts_repairs)},
    {"ms_stream_faults_total", METRICS_COUNTER, "What came broken, by kind.", write_faults, 0},
    {"ms_stream_connects_total", METRICS_COUNTER, "Attempts to connect.", write_counter, AT(connects)},
    {"ms_stream_reconnects_total", METRICS_COUNTER, "Sessions that had played and ended.", write_counter,
        AT(reconnects)},
    {"ms_stream_ends_total", METRICS_COUNTER, "Attempts and sessions that ended, by cause.", write_ends, 0},
    {"ms_stream_key_frame_interval_seconds", METRICS_GAUGE, "The last whole group of pictures.", write_gop,
        0},
    {"ms_stream_last_frame_age_seconds", METRICS_GAUGE, "Since the last frame.", write_frame_age, 0},
    {"ms_stream_clock_offset_seconds", METRICS_GAUGE, "The camera's clock minus ours.", write_clock, 0},
    {"ms_recording_state", METRICS_GAUGE, "1 for the state that the recorder is in.", write_recording, 0},
    {"ms_recording_bytes_total", METRICS_COUNTER, "Bytes written.", write_counter, AT(recorded_bytes)},
    {"ms_recording_seconds_total", METRICS_COUNTER, "Media that went into files.", write_counter_us,
        AT(recorded_us)},
    {"ms_recording_expected_seconds_total", METRICS_COUNTER, "Time that was to be recorded.",
        write_counter_us, AT(wanted_us)},
    {"ms_recording_stall_seconds", METRICS_GAUGE, "The disk has not answered for so long.", write_stall, 0},
    {"ms_recording_errno", METRICS_GAUGE, "Of the last write that failed, 0: it went on since.", write_errno,
        0},
};
#define FAMILIES ARRAY_N(families)

/* --- gathering --- */

/* One request, on its way through the hubs. */
struct gather {
    struct http *http; /* NULL: it has gone. The asking hub's */
    struct hub *asker;
    unsigned left; /* hubs that have not answered */
    struct part {
        struct gather *g;
        struct hub *hub;
        struct buf text[FAMILIES];
        uint32_t viewers[ROADS];
        bool bad;
    } part[];
};

static void write_streams(struct hub *hub, struct part *p)
{
    usec_t mono_us = clock_mono_us(), wall_us = clock_wall_us();
    struct map_slot slot;

    for (size_t at = 0; map_next(&hub->streams, &at, &slot);) {
        struct about a = {.s = slot.value, .mono_us = mono_us, .wall_us = wall_us};

        a.st = a.s->status;
        stream_now(a.s, &a.now);
        for (size_t i = 0; i < FAMILIES; i++) {
            struct metrics m = {&p->text[i], false};

            families[i].write(&m, &families[i], &a);
            p->bad |= m.bad;
        }
    }
}

static void gather_free(struct gather *g)
{
    for (unsigned k = 0; k < g->asker->server->n_hubs; k++)
        for (size_t i = 0; i < FAMILIES; i++) buf_done(&g->part[k].text[i]);
    mem_free(g);
}

/* Of the process that answers: roads and hubs together. */
static void write_own(struct metrics *m, struct server *s)
{
    uint64_t requests = 0, bytes = 0, viewers = 0;

    for (unsigned i = 0; i < s->n_hubs; i++) {
        requests += RELAXED(s->hubs[i].count.requests);
        bytes += RELAXED(s->hubs[i].count.bytes_out);
        viewers += RELAXED(s->hubs[i].count.viewers);
    }
    metrics_family(m, "ms_http_requests_total", METRICS_COUNTER, "Requests answered.");
    metrics_u64(m, "ms_http_requests_total", NULL, 0, requests);
    metrics_family(m, "ms_viewers_sent_bytes_total", METRICS_COUNTER, "Bytes sent to viewers on all roads.");
    metrics_u64(m, "ms_viewers_sent_bytes_total", NULL, 0, bytes);
    metrics_family(m, "ms_viewers", METRICS_GAUGE,
        "Viewers that follow a stream live, or are played its archive over RTSP.");
    metrics_u64(m, "ms_viewers", NULL, 0, viewers);
    metrics_family(m, "ms_viewer_connections", METRICS_GAUGE, "Connections of viewers and panels.");
    metrics_u64(m, "ms_viewer_connections", NULL, 0, server_connections(s));
    metrics_family(m, "ms_viewer_multiplexed_requests", METRICS_GAUGE,
        "Requests that are open on connections of HTTP/2.");
    metrics_u64(m, "ms_viewer_multiplexed_requests", NULL, 0, atomic_load(&s->carried));
}

static void one_road(struct metrics *m, const char *family, unsigned road, uint64_t v)
{
    const struct metrics_label l = {"road", access_road_name((enum access_road)road)};

    metrics_u64(m, family, &l, 1, v);
}

static void write_roads(struct metrics *m, const struct gather *g)
{
    const struct server *s = g->asker->server;

    metrics_family(m, "ms_road_viewers", METRICS_GAUGE, "Who watches now, by road; players of HLS too.");
    for (unsigned r = 0; r < ROADS; r++) {
        uint64_t n = 0;

        for (unsigned k = 0; k < s->n_hubs; k++) n += g->part[k].viewers[r];
        one_road(m, "ms_road_viewers", r, n);
    }
    metrics_family(m, "ms_road_requests_total", METRICS_COUNTER, "Requests of HTTP, by the road of the URL.");
    for (unsigned r = 0; r < ROADS; r++) {
        uint64_t n = 0;

        for (unsigned k = 0; k < s->n_hubs; k++) n += RELAXED(s->hubs[k].count.requests_of[r]);
        one_road(m, "ms_road_requests_total", r, n);
    }
}

static bool join(struct gather *g, struct buf *all)
{
    struct server *s = g->asker->server;
    struct metrics m = {all, false};
    bool ok = true;

    for (size_t i = 0; i < FAMILIES; i++) {
        metrics_family(&m, families[i].name, families[i].kind, families[i].help);
        for (unsigned k = 0; k < s->n_hubs; k++)
            ok = ok && !g->part[k].bad && buf_put(all, buf_span(&g->part[k].text[i]));
    }
    write_own(&m, s);
    write_roads(&m, g);
    pthread_mutex_lock(&s->metrics.lock);
    ok = ok && buf_put(all, span(s->metrics.text, s->metrics.n));
    pthread_mutex_unlock(&s->metrics.lock);
    return ok && !m.bad;
}

static void answer_all(struct gather *g)
{
    struct http *h = g->http;
    const struct answer a = {.status = 200, .type = METRICS_TYPE, .cache = CACHE_NEVER};
    struct buf all;

    h->ask->abort = NULL;
    h->ask->work = NULL;
    buf_init(&all, FAMILIES * (size_t)METRICS_PART_MAX);
    if (join(g, &all))
        answer_bytes(h, &a, buf_span(&all));
    else
        answer_error(h, 503, "out of memory");
    buf_done(&all);
}

static void on_part(struct hub *hub, void *arg)
{
    struct part *p = arg;
    struct gather *g = p->g;

    (void)hub;
    if (--g->left > 0) return;
    if (g->http) answer_all(g);
    gather_free(g);
}

static void on_asked(struct hub *hub, void *arg)
{
    struct part *p = arg;

    write_streams(hub, p);
    viewers_by_road(hub, p->viewers);
    hub_post(p->g->asker, on_part, p);
}

static void on_gone(struct http *h)
{
    struct gather *g = h->ask->work;

    g->http = NULL;
}

void serve_metrics(struct http *h)
{
    struct server *s = h->hub->server;
    struct gather *g;

    if (!panel_open(h)) return;
    g = mem_try(sizeof(*g) + s->n_hubs * sizeof(g->part[0]));
    if (!g) {
        answer_error(h, 503, "out of memory");
        return;
    }
    *g = (struct gather){.http = h, .asker = h->hub, .left = s->n_hubs};
    h->ask->work = g;
    h->ask->abort = on_gone;
    for (unsigned k = 0; k < s->n_hubs; k++) {
        struct part *p = &g->part[k];

        *p = (struct part){.g = g, .hub = &s->hubs[k]};
        for (size_t i = 0; i < FAMILIES; i++) buf_init(&p->text[i], METRICS_PART_MAX);
        hub_post(p->hub, on_asked, p);
    }
}

/* --- health --- */

static void say(struct http *h, unsigned status, const char *text)
{
    const struct answer a = {.status = status, .type = "text/plain", .cache = CACHE_NEVER};

    answer_bytes(h, &a, span_of(text));
}

/* This process answers: that is what it says. */
void serve_healthz(struct http *h)
{
    if (panel_open(h)) say(h, 200, "ok\n");
}

void serve_readyz(struct http *h)
{
    bool ready = atomic_load(&h->hub->server->metrics.ready);

    if (!panel_open(h)) return;
    say(h, ready ? 200 : 503, ready ? "ready\n" : "not ready: the streams are not known yet\n");
}

/* --- the master's part --- */

void metrics_master_init(struct metrics_master *m)
{
    *m = (struct metrics_master){.n = 0};
    pthread_mutex_init(&m->lock, NULL);
}

void metrics_master_done(struct metrics_master *m)
{
    mem_free(m->text);
    pthread_mutex_destroy(&m->lock);
}

void metrics_master_set(struct metrics_master *m, struct span text)
{
    char *mine = mem_dup(text.p, text.n), *old;

    pthread_mutex_lock(&m->lock);
    old = m->text;
    m->text = mine;
    m->n = text.n;
    pthread_mutex_unlock(&m->lock);
    mem_free(old);
}
