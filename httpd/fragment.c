#include "httpd/fragment.h"
#include "httpd/bytes.h"
#include "common/base/err.h"
#include "common/base/map.h"
#include "common/base/mem.h"

#define BOX_HEAD 8

struct init *init_new(const struct track_set *tracks, unsigned without)
{
    unsigned mask = mp4_mask(tracks, MP4_PLAYABLE) & ~without;
    struct init *i;
    struct buf b;

    if (mask == 0) return NULL;
    buf_init(&b, INIT_MAX);
    if (!mp4_init_segment(&b, tracks, mask)) {
        buf_done(&b);
        return NULL;
    }
    i = NEW(struct init);
    i->refs = 1;
    i->tracks = *tracks;
    i->mask = mask;
    i->video = track_find(tracks, TRACK_VIDEO);
    if (i->video >= 0 && !(mask & 1u << i->video)) i->video = -1;
    ts_program_of(&i->ts, &i->tracks, mask);
    snprintf(i->id, sizeof(i->id), "%016llx", (unsigned long long)hash_fnv1a(buf_span(&b)));
    i->c = bytes_chunk(buf_span(&b));
    buf_done(&b);
    if (i->c) {
        i->forms = NEW(struct init_forms);
        return i;
    }
    mem_free(i);
    return NULL;
}

struct init *init_ref(struct init *i)
{
    i->refs++;
    return i;
}

void init_unref(struct init *i)
{
    if (!i || --i->refs > 0) return;
    chunk_unref(i->c);
    chunk_unref(i->forms->mse);
    mem_free(i->forms);
    mem_free(i);
}

/* Where the times stand, so that each viewer's copy of the head can have its own. */
static void find_tfdt(struct fragment *f, struct span moof)
{
    struct rd r = rd_of(moof);
    uint32_t track = 0;

    rd_skip(&r, BOX_HEAD);
    while (rd_left(&r) >= BOX_HEAD) {
        size_t at = r.at;
        uint32_t size = rd_u32(&r);
        struct span type = rd_bytes(&r, 4);

        if (span_is(type, "mdat") || size < BOX_HEAD) return;
        if (span_is(type, "traf")) continue; /* its boxes follow */
        if (span_is(type, "tfhd")) {
            rd_skip(&r, 4);
            track = rd_u32(&r) - 1;
        } else if (span_is(type, "tfdt") && f->n_tfdt < TRACK_MAX) {
            f->tfdt[f->n_tfdt].at = at + BOX_HEAD + 4;
            f->tfdt[f->n_tfdt++].track = (uint8_t)track;
        }
        r.at = at;
        rd_skip(&r, size);
    }
}

static int64_t us_of(const struct init *init, const struct mp4_sample *m)
{
    return ticks_us((struct ticks){m->dts, init->tracks.t[m->track].clock_hz});
}

static int64_t end_us_of(const struct init *init, const struct mp4_sample *m)
{
    return ticks_us((struct ticks){m->dts + m->dur, init->tracks.t[m->track].clock_hz});
}

static uint8_t main_track(const struct init *init, const struct sample *s, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (s[i].m.track == init->video) return s[i].m.track;
    return s[0].m.track;
}

static void describe(struct fragment *f, const struct init *init, const struct sample *s)
{
    uint8_t track = main_track(init, s, f->n);
    bool first = true;

    for (size_t i = 0; i < f->n; i++) {
        if (s[i].m.track != track) continue;
        f->end_us = end_us_of(init, &s[i].m);
        if (!first) continue;
        first = false;
        f->start_us = us_of(init, &s[i].m);
        f->wall_us = s[i].wall_us;
        f->key = (s[i].m.flags & FRAME_KEY) && (init->video < 0 || track == init->video);
    }
}

static bool fill(struct fragment *f, struct buf *head, const struct sample *s)
{
    size_t bytes = 0;
    uint8_t *at;

    for (size_t i = 0; i < f->n; i++) bytes += s[i].m.size;
    if (!mp4_fragment_head(head, (uint32_t)f->number, f->s, f->n, NULL)) return false;
    f->head_n = buf_n(head);
    f->c = chunk_new(f->head_n + bytes);
    if (!f->c) return false;
    at = bytes_put(f->c->data, buf_span(head));
    for (size_t i = 0; i < f->n; i++) at = bytes_put(at, span(s[i].data->data, s[i].m.size));
    find_tfdt(f, buf_span(head));
    return true;
}

struct fragment *fragment_new(const struct init *init, uint64_t number, const struct sample *s, size_t n)
{
    struct fragment *f = mem_try(sizeof(*f) + n * sizeof(f->s[0]));
    struct buf head;
    bool ok;

    must(n > 0);
    if (!f) return NULL;
    f->refs = 1;
    f->number = number;
    f->n = n;
    for (size_t i = 0; i < n; i++) f->s[i] = s[i].m;
    describe(f, init, s);
    buf_init(&head, FRAGMENT_HEAD_MAX);
    ok = fill(f, &head, s);
    buf_done(&head);
    if (ok) return f;
    mem_free(f);
    return NULL;
}

struct fragment *fragment_ref(struct fragment *f)
{
    f->refs++;
    return f;
}

void fragment_unref(struct fragment *f)
{
    if (!f || --f->refs > 0) return;
    fragment_old(f);
    chunk_unref(f->c);
    mem_free(f);
}

void fragment_old(struct fragment *f)
{
    chunk_unref(f->mse.c);
    f->mse.c = NULL;
    chunk_unref(f->ts);
    f->ts = NULL;
}

size_t fragment_data_n(const struct fragment *f)
{
    size_t n = 0;

    for (size_t i = 0; i < f->n; i++) n += f->s[i].size;
    return n;
}

void fragment_shed(struct fragment *f, bool bytes)
{
    if (f->refs > 1) return;
    fragment_old(f);
    if (!bytes) return;
    chunk_unref(f->c);
    f->c = NULL;
}

void fragment_ts_put(const struct fragment *f, const struct init *init, struct span data, uint8_t *dst)
{
    struct ts_piece piece = {&init->ts, &f->ts_place, f->s, f->n, data};

    if (f->ts)
        bytes_put(dst, span(f->ts->data, f->ts->n));
    else
        ts_write(&piece, dst);
}

struct chunk *fragment_ts(struct fragment *f, const struct init *init)
{
    struct chunk *c = f->ts ? NULL : chunk_new((size_t)f->ts_place.packets * TS_PACKET);

    if (c) {
        fragment_ts_put(f, init, span_from(span(f->c->data, f->c->n), f->head_n), c->data);
        f->ts = c;
    }
    return f->ts;
}

int64_t fragment_origin_us(const struct fragment *f, const struct init *init)
{
    int64_t least = us_of(init, &f->s[0]);

    for (size_t i = 1; i < f->n; i++) least = MIN(least, us_of(init, &f->s[i]));
    return least;
}

static int64_t first_dts(const struct fragment *f, uint8_t track)
{
    for (size_t i = 0; i < f->n; i++)
        if (f->s[i].track == track) return f->s[i].dts;
    return 0;
}

void fragment_head(const struct fragment *f, const struct init *init, int64_t origin_us, uint8_t *dst)
{
    memcpy(dst, f->c->data, f->head_n);
    for (unsigned i = 0; i < f->n_tfdt; i++) {
        uint8_t track = f->tfdt[i].track;
        int64_t origin = scale_i64(origin_us, init->tracks.t[track].clock_hz, 1000000);
        struct wr w = wr_of(dst + f->tfdt[i].at, 8);

        wr_u64(&w, (uint64_t)MAX(first_dts(f, track) - origin, 0));
    }
}

static bool join_into(struct buf *head, struct mp4_sample *s, struct fragment *const *f, size_t n,
    uint32_t sequence, struct chunk **ret)
{
    size_t n_s = 0, bytes = 0;
    uint8_t *at;

    for (size_t i = 0; i < n; i++) {
        memcpy(s + n_s, f[i]->s, f[i]->n * sizeof(s[0]));
        n_s += f[i]->n;
        bytes += f[i]->c->n - f[i]->head_n;
    }
    if (!mp4_fragment_head(head, sequence, s, n_s, NULL)) return false;
    *ret = chunk_new(buf_n(head) + bytes);
    if (!*ret) return false;
    at = bytes_put((*ret)->data, buf_span(head));
    for (size_t i = 0; i < n; i++)
        at = bytes_put(at, span_from(span(f[i]->c->data, f[i]->c->n), f[i]->head_n));
    return true;
}

struct chunk *fragments_join(struct fragment *const *f, size_t n, uint32_t sequence)
{
    struct mp4_sample *s;
    struct chunk *ret = NULL;
    struct buf head;
    size_t n_s = 0;

    for (size_t i = 0; i < n; i++) n_s += f[i]->n;
    s = n_s > 0 ? mem_try(n_s * sizeof(*s)) : NULL;
    if (!s) return NULL;
    buf_init(&head, FRAGMENT_HEAD_MAX);
    join_into(&head, s, f, n, sequence, &ret);
    buf_done(&head);
    mem_free(s);
    return ret;
}
