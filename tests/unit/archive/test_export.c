/* One MP4 out of segments: sizes, times, gaps, changes of codec, more than 4 GB, sound that is made, and
 * every byte of the footage where the tables say. ffprobe judges what real footage becomes. */
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include "archive/export.h"
#include "archive/segment.h"
#include "common/base/err.h"
#include "common/base/fd.h"
#include "common/base/mem.h"
#include "tests/support/footage.h"
#include "tests/support/media_file.h"
#include "tests/support/movie.h"
#include "tests/support/seg_place.h"
#include "tests/support/tool.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define T0       FOOTAGE_START_US
#define REELS    8
#define HEAD_MAX (64u << 20)

struct place {
    char storage[64];
    int records;
    struct reel reel[REELS];
    size_t n;
    struct export *x;
    struct movie movie;
    struct buf bytes;
};

static int set_up(void **state)
{
    struct place *p = NEW(struct place);

    tool_tmpdir(p->storage, sizeof(p->storage));
    p->records = seg_place_records(p->storage);
    buf_init(&p->bytes, HEAD_MAX);
    *state = p;
    return 0;
}

static void forget(struct place *p)
{
    for (size_t i = 0; i < p->n; i++) {
        seg_table_free(p->reel[i].t);
        fd_close(&p->reel[i].fd);
    }
    p->n = 0;
    export_free(p->x);
    p->x = NULL;
    movie_done(&p->movie);
    buf_clear(&p->bytes);
}

static int tear_down(void **state)
{
    struct place *p = *state;

    forget(p);
    buf_done(&p->bytes);
    fd_close(&p->records);
    tool_rmdir(p->storage);
    mem_free(p);
    return 0;
}

/* Frames [from, to) of the footage as a segment. */
static void put(
    struct place *p, const struct track_set *tracks, const struct frame *f, size_t n, unsigned flags)
{
    struct segw_setup setup = {.uid = "cam-1",
        .tracks = tracks,
        .first = f,
        .n_first = MIN(n, 50),
        .discont = flags & SEG_DISCONT,
        .continues = flags & SEG_CONTINUES};
    struct seg_info *info = NEW(struct seg_info);
    struct reel *r = &p->reel[p->n++];
    struct segw *w;

    r->fd = -1;
    assert_int_equal(segw_open(p->records, &setup, &w), 0);
    for (size_t at = 0, step; at < n; at += step) {
        step = MIN(n - at, 90);
        assert_int_equal(segw_append(w, f + at, step), SEGW_OK);
    }
    assert_int_equal(segw_close(w, info), 0);
    assert_int_equal(seg_open(p->storage, "cam-1", info->path, &r->fd), 0);
    assert_int_equal(seg_table_load(r->fd, info, &r->t), SEG_OK);
    mem_free(info);
}

static const struct export_facts *lay(struct place *p, const struct export_setup *setup)
{
    export_free(p->x);
    p->x = export_new(setup);
    for (size_t i = 0; i < p->n; i++)
        assert_int_equal(export_add(p->x, (uint32_t)i, p->reel[i].t), EXPORT_OK);
    assert_int_equal(export_end(p->x), EXPORT_OK);
    return export_facts(p->x);
}

static const struct export_setup everything = {.from_us = 0, .to_us = INT64_MAX};

/* The whole of it in p->bytes, read back. */
static void render(struct place *p)
{
    uint64_t n = export_facts(p->x)->bytes;

    buf_clear(&p->bytes);
    movie_done(&p->movie);
    assert_int_equal(movie_render(p->x, p->reel, 0, n, &p->bytes), 0);
    assert_int_equal(buf_n(&p->bytes), n);
    assert_true(movie_read(buf_span(&p->bytes), &p->movie));
    assert_int_equal(p->movie.mdat_at + p->movie.mdat_n, n);
}

/* The frames of a track, from the `from`-th on, are those of the footage, byte for byte. */
static void check_bytes(
    const struct place *p, unsigned track, const struct footage *f, unsigned src, size_t from)
{
    const struct movie_track_read *t = &p->movie.t[track];
    struct span all = buf_span(&p->bytes);
    size_t k = 0;

    for (size_t i = 0; i < f->n && k < t->n; i++) {
        if (f->f[i].track != src || from-- > 0) {
            if (f->f[i].track != src) continue;
            continue;
        }
        from = 0;
        assert_true(span_eq(span_sub(all, (size_t)t->s[k].offset, t->s[k].size), f->f[i].data));
        k++;
    }
    assert_int_equal(k, t->n);
}

static uint64_t sum_of(const struct movie_track_read *t)
{
    uint64_t sum = 0;

    for (size_t i = 0; i < t->n; i++) sum += t->s[i].dur;
    return sum;
}

/* Three segments that follow each other: every frame once, exact times, no sound of G.711. */
static void test_segments_become_one(void **state)
{
    struct place *p = *state;
    struct footage f;
    const struct export_facts *facts;
    size_t cut[4] = {0}, n = 1;

    footage_make(&f, 12, 25, T0);
    for (size_t i = 1; i < f.n && n < 3; i++)
        if (f.f[i].track == 0 && f.f[i].flags & FRAME_KEY && f.f[i].wall_us >= T0 + (usec_t)n * 4 * US_PER_S)
            cut[n++] = i;
    cut[3] = f.n;
    for (size_t i = 0; i < 3; i++)
        put(p, &f.tracks, f.f + cut[i], cut[i + 1] - cut[i], i == 0 ? SEG_DISCONT : 0);
    facts = lay(p, &everything);
    assert_int_equal(facts->tracks, 2);
    assert_int_equal(facts->left_out, 1u << CODEC_PCMU);
    assert_int_equal(facts->gaps, 0);
    assert_int_equal(facts->changes, 0);
    assert_int_equal(facts->start_us, T0);
    render(p);
    assert_int_equal(p->movie.n, 2);
    assert_int_equal(p->movie.t[0].n, 12 * 25);
    assert_int_equal(p->movie.t[0].hz, 90000);
    assert_int_equal(sum_of(&p->movie.t[0]), 12 * 90000);
    assert_int_equal(p->movie.t[0].length, 12 * 90000);
    for (size_t i = 0; i < p->movie.t[0].n; i++) {
        assert_int_equal(p->movie.t[0].s[i].dur, 3600);
        assert_int_equal(p->movie.t[0].s[i].cts, i % 25 % 3 == 1 && i % 25 + 2 <= 25 ? 7199 : 0);
        assert_int_equal(p->movie.t[0].s[i].key, i % 25 == 0);
    }
    /* One block of sound begins before the first picture: left out with what lies before the key frame. */
    for (size_t i = 0; i < p->movie.t[1].n; i++) assert_int_equal(p->movie.t[1].s[i].dur, 1024);
    check_bytes(p, 0, &f, 0, 0);
    check_bytes(p, 1, &f, 1, 1);
    footage_done(&f);
}

/* Any range of it is what the whole has there. */
static void test_any_range(void **state)
{
    struct place *p = *state;
    struct footage f;
    uint64_t n, seed = 1;
    struct buf part;

    footage_make(&f, 8, 25, T0);
    put(p, &f.tracks, f.f, f.n, SEG_DISCONT);
    n = lay(p, &everything)->bytes;
    render(p);
    buf_init(&part, HEAD_MAX);
    for (unsigned i = 0; i < 400; i++) {
        uint64_t from, len;

        seed = seed * 6364136223846793005u + 1442695040888963407u;
        from = i < 40 ? i * (p->movie.mdat_at / 39) : (seed >> 20) % n;
        len = MIN(n - from, 1 + (seed >> 50) % 3000);
        buf_clear(&part);
        assert_int_equal(movie_render(p->x, p->reel, from, len, &part), 0);
        assert_true(span_eq(buf_span(&part), span_sub(buf_span(&p->bytes), (size_t)from, (size_t)len)));
    }
    buf_done(&part);
    footage_done(&f);
}

/* From the middle of a group of pictures: its key frame; up to the moment asked for. */
static void test_begins_with_a_key_frame(void **state)
{
    struct place *p = *state;
    struct footage f;
    struct export_setup setup = {.from_us = T0 + 2500 * US_PER_MS, .to_us = T0 + 5 * US_PER_S};
    const struct export_facts *facts;
    uint64_t tag;

    footage_make(&f, 8, 50, T0);
    put(p, &f.tracks, f.f, f.n, SEG_DISCONT);
    facts = lay(p, &setup);
    assert_int_equal(facts->start_us, T0 + 2 * US_PER_S);
    /* the last sound reaches over it */
    assert_in_range(facts->end_us, T0 + 5 * US_PER_S, T0 + 5064 * US_PER_MS);
    tag = facts->tag;
    render(p);
    assert_int_equal(p->movie.t[0].n, 3 * 25);
    assert_true(p->movie.t[0].s[0].key);
    assert_true(p->movie.t[1].n >= 46 && p->movie.t[1].n <= 48);
    assert_int_equal(lay(p, &setup)->tag, tag); /* the same again */
    setup.to_us += US_PER_S;
    assert_int_not_equal(lay(p, &setup)->tag, tag);
    footage_done(&f);
}

/* Footage of 4 s, 100 s later 4 s more. */
static void put_with_gap(struct place *p)
{
    struct footage a, b;

    footage_make(&a, 4, 25, T0);
    footage_make(&b, 4, 25, T0 + 104 * US_PER_S);
    put(p, &a.tracks, a.f, a.n, SEG_DISCONT);
    put(p, &b.tracks, b.f, b.n, SEG_DISCONT);
    footage_done(&a);
    footage_done(&b);
}

static void test_gaps(void **state)
{
    struct place *p = *state;
    struct export_setup setup = everything;
    const struct export_facts *facts;

    put_with_gap(p);
    facts = lay(p, &setup);
    assert_int_equal(facts->gaps, 1);
    assert_true(facts->gaps_us > 99 * US_PER_S && facts->gaps_us < 101 * US_PER_S);
    render(p);
    assert_int_equal(p->movie.t[0].n, 200);
    assert_true(sum_of(&p->movie.t[0]) >= 8 * 90000 && sum_of(&p->movie.t[0]) < 8 * 90000 + 9000);
    setup.keep_gaps = true;
    setup.gap_us = 101 * US_PER_S;
    lay(p, &setup);
    render(p);
    assert_int_equal(p->movie.t[0].hz, 90000);
    assert_int_equal(sum_of(&p->movie.t[0]), 108 * 90000);
    assert_int_equal(p->movie.t[0].s[99].dur, 100 * 90000 + 3600);
    /* sound meets its picture again: half an access unit apart at most, as before */
    assert_true(sum_of(&p->movie.t[1]) / 16 > 107900 && sum_of(&p->movie.t[1]) / 16 < 108100);
}

/* A gap that 31 bits of the track's clock do not hold: a coarser clock. */
static void test_long_gap(void **state)
{
    struct place *p = *state;
    struct export_setup setup = {.to_us = INT64_MAX, .keep_gaps = true, .gap_us = 20 * 3600 * US_PER_S};
    struct footage a, b;

    footage_make(&a, 2, 25, T0);
    footage_make(&b, 2, 25, T0 + 20 * 3600 * US_PER_S);
    put(p, &a.tracks, a.f, a.n, SEG_DISCONT);
    put(p, &b.tracks, b.f, b.n, SEG_DISCONT);
    lay(p, &setup);
    render(p);
    assert_int_equal(p->movie.t[0].hz, 90000 / 4);
    assert_int_equal(sum_of(&p->movie.t[0]), (20 * 3600 + 2) * (90000ull / 4));
    for (size_t i = 0; i < p->movie.t[0].n; i++) assert_true(p->movie.t[0].s[i].dur <= INT32_MAX);
    assert_int_equal(p->movie.t[0].s[0].dur, 900);
    footage_done(&a);
    footage_done(&b);
}

/* What a segment repeats of the one before is there once; what nothing leads to is left out. */
static void test_repeated_and_cut_off(void **state)
{
    struct place *p = *state;
    struct footage f;
    size_t key = 0, inside = 0;

    footage_make(&f, 8, 50, T0);
    for (size_t i = 0; i < f.n; i++) {
        if (f.f[i].track != 0) continue;
        if (f.f[i].flags & FRAME_KEY && f.f[i].wall_us == T0 + 4 * US_PER_S) key = i;
        if (f.f[i].wall_us == T0 + 5 * US_PER_S) inside = i;
    }
    put(p, &f.tracks, f.f, inside, SEG_DISCONT);
    put(p, &f.tracks, f.f + key, f.n - key, 0);
    lay(p, &everything);
    render(p);
    assert_int_equal(p->movie.t[0].n, 200);
    assert_int_equal(sum_of(&p->movie.t[0]), 8 * 90000);
    check_bytes(p, 0, &f, 0, 0);
    forget(p);
    /* goes on inside a group: with the one before it nothing is missing, alone it begins at its key frame */
    put(p, &f.tracks, f.f, inside, SEG_DISCONT);
    put(p, &f.tracks, f.f + inside, f.n - inside, SEG_CONTINUES);
    lay(p, &everything);
    render(p);
    assert_int_equal(p->movie.t[0].n, 200);
    check_bytes(p, 0, &f, 0, 0);
    seg_table_free(p->reel[0].t);
    fd_close(&p->reel[0].fd);
    p->reel[0] = p->reel[--p->n];
    assert_int_equal(lay(p, &everything)->start_us, T0 + 6 * US_PER_S);
    render(p);
    assert_int_equal(p->movie.t[0].n, 50);
    footage_done(&f);
}

/* Pictures that are shown later than decoded from the start on: the edit list takes it back, and sound with
 * it. */
static void test_composition_offsets(void **state)
{
    struct place *p = *state;
    struct footage f;

    footage_make(&f, 4, 25, T0);
    for (size_t i = 0; i < f.n; i++)
        if (f.f[i].track == 0) f.f[i].cts += 7200;
    put(p, &f.tracks, f.f, f.n, SEG_DISCONT);
    lay(p, &everything);
    render(p);
    assert_int_equal(p->movie.t[0].s[0].cts, 7200);
    assert_int_equal(p->movie.t[0].skip, 7200);
    assert_int_equal(p->movie.t[0].empty, 0);
    assert_int_equal(p->movie.t[0].shown, 4 * 90000);
    /* The first sound begins 57 ms behind the first picture's decoding, 23 ms before it is shown. */
    assert_int_equal(p->movie.t[1].skip, (80 - 57) * 16);
    forget(p);
    for (size_t i = 0; i < f.n; i++)
        if (f.f[i].track == 0) f.f[i].cts -= 10800;
    put(p, &f.tracks, f.f, f.n, SEG_DISCONT);
    lay(p, &everything);
    render(p);
    assert_int_equal(p->movie.t[0].s[0].cts, -3600); /* version 1 */
    footage_done(&f);
}

/* A camera that comes back at once: what was cut off ends with a picture that is shown behind the next
 * footage's decoding; the next key frame is shown behind it all the same. */
static void test_cut_within_reordered_pictures(void **state)
{
    struct place *p = *state;
    struct footage a, b;
    const struct movie_track_read *t = &p->movie.t[0];
    size_t n = 0;

    footage_make(&a, 4, 25, T0);
    footage_make(&b, 4, 25, T0 + 2 * US_PER_S - 30 * US_PER_MS);
    while (a.f[n].wall_us < T0 + 2 * US_PER_S - 40 * US_PER_MS) n++;
    while (n > 0 && a.f[n - 1].track != 0) n--;
    a.f[n - 1].cts = 18000;
    put(p, &a.tracks, a.f, n, SEG_DISCONT);
    put(p, &b.tracks, b.f, b.n, 0);
    assert_int_equal(lay(p, &everything)->gaps, 0);
    render(p);
    for (int64_t i = 0, dts = 0, shown = -1, key = 0; i < (int64_t)t->n; dts += t->s[i++].dur) {
        if (t->s[i].key) key = dts + t->s[i].cts;
        assert_true(!t->s[i].key || key > shown);
        shown = MAX(shown, dts + t->s[i].cts);
    }
    footage_done(&a);
    footage_done(&b);
}

static void test_codec_change(void **state)
{
    struct place *p = *state;
    struct footage a, b;
    struct track_set other;

    footage_make(&a, 4, 25, T0);
    footage_make(&b, 4, 25, T0 + 4 * US_PER_S);
    other = b.tracks;
    other.t[0].codec = CODEC_H265;
    other.t[0].width = 1920;
    put(p, &a.tracks, a.f, a.n, SEG_DISCONT);
    put(p, &other, b.f, b.n, SEG_DISCONT);
    put(p, &a.tracks, a.f, a.n, SEG_DISCONT); /* and back: the first entry again */
    assert_int_equal(lay(p, &everything)->changes, 2);
    render(p);
    assert_int_equal(p->movie.t[0].forms, 2);
    assert_int_equal(p->movie.t[1].forms, 1);
    for (size_t i = 0; i < 300; i++) assert_int_equal(p->movie.t[0].s[i].form, i / 100 == 1 ? 2 : 1);
    footage_done(&a);
    footage_done(&b);
}

/* A table of n pictures of `size` bytes each, a key frame every 25th, in no file. */
static struct seg_table *sparse(unsigned n, uint32_t size, usec_t start_us)
{
    struct seg_table *t = NEW(struct seg_table);
    struct footage f;

    footage_make(&f, 1, 25, T0);
    t->tracks = f.tracks;
    t->tracks.n = 1;
    footage_done(&f);
    t->info.start_us = start_us;
    t->info.id = (uint64_t)start_us;
    t->info.base_dts[0] = scale_i64(start_us, 90000, 1000000);
    t->s = mem_new_n(n, sizeof(*t->s));
    t->n = n;
    for (unsigned i = 0; i < n; i++)
        t->s[i] = (struct mp4_sample){.offset = 1000 + (uint64_t)i * ((uint64_t)size + (i % 5 == 0)),
            .size = size,
            .dts = t->info.base_dts[0] + (int64_t)i * 3600,
            .dur = 3600,
            .flags = i % 25 == 0 ? FRAME_KEY : 0};
    return t;
}

static void test_beyond_4_gigabytes(void **state)
{
    struct place *p = *state;
    const struct export_facts *facts;
    const struct movie_sample *last;
    struct export_piece piece;
    uint64_t head;

    for (unsigned i = 0; i < 3; i++)
        p->reel[p->n++] = (struct reel){sparse(100, 40u << 20, T0 + (usec_t)i * 4 * US_PER_S), -1};
    facts = lay(p, &everything);
    assert_int_equal(facts->gaps, 0);
    assert_true(facts->bytes > 300ull * (40u << 20));
    head = facts->bytes - 300ull * (40u << 20);
    assert_int_equal(movie_render(p->x, p->reel, 0, head, &p->bytes), 0);
    assert_true(movie_read(buf_span(&p->bytes), &p->movie));
    assert_int_equal(p->movie.mdat_at, head);
    assert_int_equal(p->movie.t[0].n, 300);
    last = &p->movie.t[0].s[299];
    assert_int_equal(last->offset + last->size, facts->bytes);
    assert_true(export_seek(p->x, facts->bytes - 1, &piece));
    assert_int_equal(piece.source, 2);
    assert_false(export_seek(p->x, facts->bytes, &piece));
}

/* G.711 as frames of a fixed size: the length is known, the places are right. */
static void test_made_sound(void **state)
{
    struct place *p = *state;
    struct export_setup setup = everything;
    const struct track pcmu = {
        .codec = CODEC_PCMU, .kind = TRACK_AUDIO, .clock_hz = 8000, .sample_rate = 8000, .channels = 1};
    struct export_sound sound = {0};
    struct export_piece piece;
    struct footage f;
    uint64_t made = 0;

    setup.made = (struct export_made){.track = {.codec = CODEC_AAC,
                                          .kind = TRACK_AUDIO,
                                          .clock_hz = 16000,
                                          .sample_rate = 16000,
                                          .channels = 1,
                                          .config_n = 2,
                                          .config = {0x14, 0x08}},
        .bytes = 768,
        .ticks = 1024};
    footage_make(&f, 8, 25, T0);
    f.tracks.t[1] = pcmu; /* its "AAC" is not even looked at */
    f.tracks.n = 2;
    for (size_t i = 0; i < f.n; i++)
        f.f[i].track = (uint8_t)(f.f[i].track == 0 ? 0 : f.f[i].track == 2 ? 1 : 3);
    put(p, &f.tracks, f.f, f.n / 2, SEG_DISCONT);
    put(p, &f.tracks, f.f + f.n / 2, f.n - f.n / 2, SEG_CONTINUES);
    assert_int_equal(lay(p, &setup)->left_out, 0);
    render(p);
    assert_int_equal(p->movie.n, 2);
    for (size_t i = 0; i < p->movie.t[1].n; i++) {
        const struct movie_sample *s = &p->movie.t[1].s[i];

        assert_int_equal(s->size, 768);
        assert_memory_equal(buf_span(&p->bytes).p + s->offset, "mmmmmmmm", 8);
    }
    assert_true(sum_of(&p->movie.t[1]) / 16 >= 7900 && sum_of(&p->movie.t[1]) / 16 <= 8100);
    for (bool more = export_seek(p->x, 0, &piece); more; more = export_next(p->x, &piece)) {
        if (piece.kind != EXPORT_MADE) continue;
        sound = export_made_of(p->x, &piece);
        assert_int_equal(sound.track, 1);
        assert_int_equal(piece.n, sound.frames * 768ull);
        made += sound.frames;
    }
    assert_int_equal(made, p->movie.t[1].n);
    footage_done(&f);
}

/* Pictures alone, each as long as asked: no table is needed to send them. */
static void test_stills(void **state)
{
    struct place *p = *state;
    struct footage f;
    struct export_piece piece;

    footage_make(&f, 8, 50, T0);
    put(p, &f.tracks, f.f, f.n, SEG_DISCONT);
    p->x = export_new(&everything);
    for (unsigned i = 0; i < 4; i++) {
        size_t key = seg_key_at(p->reel[0].t, T0 + (usec_t)i * 2 * US_PER_S + 1);

        assert_int_equal(export_still(p->x, 0, p->reel[0].t, key, US_PER_S), EXPORT_OK);
    }
    assert_int_equal(export_end(p->x), EXPORT_OK);
    for (bool more = export_seek(p->x, 0, &piece); more; more = export_next(p->x, &piece))
        assert_false(piece.needs_table);
    render(p);
    assert_int_equal(p->movie.n, 1);
    assert_int_equal(p->movie.t[0].n, 4);
    assert_int_equal(sum_of(&p->movie.t[0]), 4 * p->movie.t[0].hz);
    for (size_t i = 0; i < 4; i++) assert_true(p->movie.t[0].s[i].size > 20000);
    footage_done(&f);
}

/* The segment that is there when it is sent is another than the one that was laid out. */
static void test_changed_segment(void **state)
{
    struct place *p = *state;
    struct seg_table *short_one = sparse(80, 1000, T0);
    struct export_piece piece;
    struct seg_range *r = NULL;
    unsigned refused = 0;
    struct buf to;
    size_t n;

    p->reel[p->n++] = (struct reel){sparse(100, 1000, T0), -1};
    lay(p, &everything);
    buf_init(&to, HEAD_MAX);
    for (bool more = export_seek(p->x, 0, &piece); more; more = export_next(p->x, &piece)) {
        int err = EXPORT_OK;

        if (piece.kind == EXPORT_ROWS) err = export_rows(p->x, &piece, short_one, &to);
        if (piece.kind == EXPORT_FILE) err = export_ranges(p->x, &piece, short_one, &r, &n);
        assert_true(err == EXPORT_OK || err == EXPORT_E_CHANGED);
        refused += err == EXPORT_E_CHANGED;
    }
    assert_int_equal(refused, 5); /* four tables (no ctts; sizes are all the same), and the media */
    assert_null(r);
    buf_done(&to);
    seg_table_free(short_one);
}

static void test_limits(void **state)
{
    struct place *p = *state;
    struct seg_table *t = sparse(50, 1000, T0);
    int err = EXPORT_OK;

    p->x = export_new(&everything);
    assert_int_equal(export_end(p->x), EXPORT_E_NONE);
    t->info.flags = SEG_DISCONT;
    for (unsigned i = 0; i < EXPORT_FORMS_MAX; i++) {
        t->tracks.t[0].width = (uint16_t)(100 + i);
        assert_int_equal(export_add(p->x, i, t), EXPORT_OK);
    }
    t->tracks.t[0].width = 1;
    assert_int_equal(export_add(p->x, 0, t), EXPORT_E_MANY);
    export_free(p->x);
    p->x = export_new(&everything);
    for (unsigned i = 0; i < EXPORT_PARTS_MAX && err == EXPORT_OK; i++) err = export_add(p->x, i, t);
    assert_int_equal(err, EXPORT_OK);
    assert_int_equal(export_add(p->x, 0, t), EXPORT_E_MANY);
    seg_table_free(t);
}

/* Real footage with B-frames and AAC: the decoder takes all of it, and counts as many frames. */
static void test_decodes(void **state)
{
    struct place *p = *state;
    struct media_file m = {0};
    struct frame *f;
    char in[96], out[96];
    int fd;

    snprintf(in, sizeof(in), "%s/in.mp4", p->storage);
    snprintf(out, sizeof(out), "%s/out.mp4", p->storage);
    if (!media_file_make(in, "libx264", "aac", 8) || media_file_load(in, &m) != 0) skip();
    f = mem_new_n(m.n, sizeof(*f));
    for (unsigned k = 0; k < 2; k++) {
        for (size_t i = 0; i < m.n; i++) {
            f[i] = media_file_frame(&m, i, T0 + (usec_t)k * 100 * US_PER_S);
            f[i].wall_us = ticks_us((struct ticks){f[i].dts, m.movie.tracks.t[f[i].track].clock_hz});
        }
        put(p, &m.movie.tracks, f, m.n, SEG_DISCONT);
    }
    lay(p, &everything);
    render(p);
    fd = open(out, O_WRONLY | O_CREAT | O_TRUNC, 0644);
    must(fd >= 0 && fd_write_all(fd, buf_span(&p->bytes)) == 0);
    fd_close(&fd);
    assert_int_equal(tool_run((const char *[]){"ffmpeg", "-v", "error", "-xerror", "-err_detect", "explode",
                                  "-i", out, "-f", "null", "-", NULL},
                         NULL),
        0);
    buf_clear(&p->bytes);
    assert_int_equal(
        tool_run((const char *[]){"ffprobe", "-v", "error", "-count_frames", "-select_streams", "v",
                     "-show_entries", "stream=nb_frames,nb_read_frames", "-of", "csv=p=0", out, NULL},
            &p->bytes),
        0);
    assert_true(span_starts(buf_span(&p->bytes), SPAN_LIT("400,400")));
    mem_free(f);
    media_file_done(&m);
}

#define WITH_PLACE(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_PLACE(test_segments_become_one),
        WITH_PLACE(test_any_range),
        WITH_PLACE(test_begins_with_a_key_frame),
        WITH_PLACE(test_gaps),
        WITH_PLACE(test_long_gap),
        WITH_PLACE(test_repeated_and_cut_off),
        WITH_PLACE(test_composition_offsets),
        WITH_PLACE(test_cut_within_reordered_pictures),
        WITH_PLACE(test_codec_change),
        WITH_PLACE(test_beyond_4_gigabytes),
        WITH_PLACE(test_made_sound),
        WITH_PLACE(test_stills),
        WITH_PLACE(test_changed_segment),
        WITH_PLACE(test_limits),
        WITH_PLACE(test_decodes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
