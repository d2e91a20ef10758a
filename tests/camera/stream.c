#include "tests/camera/stream.h"

#include <stdio.h>
#include <stdlib.h>

#include "common/base/clock.h"
#include "common/base/map.h"
#include "common/base/mem.h"

#define GOP_SPREAD 37 /* frames between the clocks of neighbours: their key frames do not meet */

static struct stream **all;
static size_t n_all;
static struct map by_name;
static uint32_t sessions, sessions_max; /* over all streams */

void streams_add(const struct stream_group *g)
{
    all = mem_renew(all, (n_all + g->count) * sizeof *all);
    for (unsigned i = 0; i < g->count; i++) {
        struct stream *s = NEW(struct stream);
        snprintf(s->name, sizeof s->name, "%s%u", g->name, i);
        s->index = (unsigned)n_all;
        s->k = s->k_start = g->k;
        for (unsigned t = 0; t < g->n_files; t++) s->source[t] = source_load(g->files[t], g->fps_milli);
        s->n_tracks = g->n_files;
        all[n_all++] = s;
        if (map_set(&by_name, span_of(s->name), s) != NULL) {
            fprintf(stderr, "ms-camera: two streams are called %s\n", s->name);
            exit(1);
        }
    }
    if (g->count > 0) map_set(&by_name, span_of(g->name), all[n_all - g->count]);
    usec_t now_us = clock_mono_us();
    for (size_t i = 0; i < n_all; i++) {
        usec_t frame_us = pack_due_us(stream_pack(all[i], 0), 1);
        usec_t phase_us = (usec_t)((int64_t)frame_us * (int64_t)i / (int64_t)n_all);
        all[i]->epoch_us = now_us - (usec_t)i * GOP_SPREAD * frame_us + phase_us;
    }
}

size_t streams_n(void)
{
    return n_all;
}
struct stream *stream_at(size_t i)
{
    return all[i];
}
struct stream *stream_by_name(struct span name)
{
    return map_get(&by_name, name);
}

struct stream *stream_by_path(struct span path)
{
    struct span name;

    while (span_starts(path, SPAN_LIT("/"))) path = span_from(path, 1);
    if (!span_split(&path, '?', &name)) return NULL;
    struct span rest = name;
    if (!span_split(&rest, '/', &name)) return NULL;
    return stream_by_name(name);
}

void streams_free(void)
{
    for (size_t i = 0; i < n_all; i++) mem_free(all[i]);
    mem_free(all);
    map_done(&by_name);
    all = NULL;
    n_all = 0;
}

void stream_reset(struct stream *s)
{
    s->k = s->k_start;
    s->version++;
    s->c = (struct stream_counters){0};
    s->late_max_us = 0;
    s->sessions_max = s->sessions;
    s->playing_since_us = 0;
}

void stream_session_opened(struct stream *s)
{
    s->c.sessions_opened++;
    s->sessions++;
    sessions++;
    s->sessions_max = MAX(s->sessions_max, s->sessions);
    sessions_max = MAX(sessions_max, sessions);
}

void stream_session_closed(struct stream *s)
{
    s->sessions--;
    sessions--;
}

uint8_t stream_pt(const struct stream *s, unsigned track)
{
    return (uint8_t)(pack_payload_type(s->source[track]->codec));
}

const struct pack *stream_pack(const struct stream *s, unsigned track)
{
    static const enum pack_params params[] = {[SETS_BOTH] = PARAMS_AS_IS,
        [SETS_SDP] = PARAMS_STRIPPED,
        [SETS_INBAND] = PARAMS_AS_IS,
        [SETS_FIRST] = PARAMS_STRIPPED,
        [SETS_EVERY_KEY] = PARAMS_EVERY_KEY};
    struct pack_opts o = {.mtu = (unsigned)s->k.mtu,
        .style = (enum pack_style)s->k.style,
        .params = params[s->k.sets],
        .aggregate = (unsigned)s->k.aggregate,
        .pt = stream_pt(s, track)};

    if (s->k.wire_pt >= 0 && source_is_video(s->source[track])) o.pt = (uint8_t)s->k.wire_pt;
    return pack_get(s->source[track], &o);
}

usec_t pack_due_us(const struct pack *p, uint64_t n)
{
    __extension__ typedef __int128 wide;

    return (usec_t)((wide)n * p->source->loop_ticks * US_PER_S / ((wide)p->n_frames * p->source->clock_hz));
}

int64_t pack_ticks(const struct pack *p, uint64_t n)
{
    return (int64_t)(n / p->n_frames) * p->source->loop_ticks + p->frames[n % p->n_frames].pts;
}

static void counters_json(struct buf *to, const struct stream_counters *c)
{
#define C(name) buf_fmt(to, "\"" #name "\":%llu,", (unsigned long long)c->name);
    STREAM_COUNTERS(C)
#undef C
}

void stream_json(struct buf *to, const struct stream *s)
{
    buf_fmt(to, "{\"name\":\"%s\",\"sessions\":%u,\"sessions_max\":%u,\"late_max_us\":%u,", s->name,
        s->sessions, s->sessions_max, s->late_max_us);
    buf_fmt(to, "\"playing_since_us\":%lld,", (long long)s->playing_since_us);
    counters_json(to, &s->c);
    buf_text(to, "\"knobs\":");
    knobs_json(to, &s->k);
    buf_text(to, "}");
}

void streams_sum_json(struct buf *to, usec_t now_us)
{
    struct stream_counters sum = {0};
    uint32_t late = 0, asked = 0;

    for (size_t i = 0; i < n_all; i++) {
#define C(name) sum.name += all[i]->c.name;
        STREAM_COUNTERS(C)
#undef C
        late = MAX(late, all[i]->late_max_us);
        if (all[i]->c.requests > 0) asked++;
    }
    buf_fmt(to, "{\"streams\":%zu,\"asked\":%u,\"sessions\":%u,\"late_max_us\":%u,\"now_us\":%lld,", n_all,
        asked, sessions, late, (long long)now_us);
    counters_json(to, &sum);
    buf_text(to, "\"sessions_max\":");
    buf_fmt(to, "%u}", sessions_max);
}
