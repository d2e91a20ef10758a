/* C18: a ring whose writer is hostile. Readers stay inside the memory, end, and say so. */
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "common/base/fd.h"
#include "common/ring/ring_layout.h"
#include "tests/support/ring_help.h"

static const struct ring_geom SMALL = {RING_DATA_MIN, 512};

struct hostile {
    int fd;
    struct ring_map map;
    struct ring_reader *r;
    struct buf buf;
};

static int setup(void **state)
{
    static struct hostile h;
    struct track_set *s = test_malloc(sizeof(*s));
    struct ring_writer *w;

    h = (struct hostile){.fd = ring_help_create(1, SMALL)};
    assert_int_equal(ring_writer_open(h.fd, &w), 0);
    ring_help_tracks(s);
    ring_set_tracks(w, s);
    for (int i = 0; i < 10; i++) ring_help_put(w, 0, FRAME_KEY, 1000);
    ring_writer_close(w);
    test_free(s);
    assert_int_equal(ring_map(h.fd, true, &h.map), 0);
    assert_int_equal(ring_reader_open(h.fd, &h.r), 0);
    buf_init(&h.buf, RING_DATA_MIN);
    *state = &h;
    return 0;
}

static int teardown(void **state)
{
    struct hostile *h = *state;

    ring_reader_close(h->r);
    ring_unmap(&h->map);
    buf_done(&h->buf);
    fd_close(&h->fd);
    return 0;
}

/* Every call of the reader's face; bounded by what the geometry allows. */
static void use(struct hostile *h)
{
    struct track_set *s = test_malloc(sizeof(*s));
    struct frame f;
    uint64_t seq = 0, next = ring_next(h->r), oldest = ring_oldest(h->r);
    char text[RING_REASON_MAX];

    assert_true(oldest <= next && next - oldest <= SMALL.frames);
    (void)ring_last_key(h->r, &seq);
    (void)ring_oldest_key(h->r, &seq);
    for (uint64_t at = oldest; at < next; at++) {
        (void)ring_peek(h->r, at, &f);
        if (ring_read(h->r, at, &h->buf, &f) == RING_OK) assert_true(f.data.n <= RING_DATA_MIN / 4);
    }
    for (uint32_t gen = 0; gen < 4; gen++) (void)ring_tracks(h->r, gen, s);
    ring_status_get_text(
        &h->map.head->status, h->map.head->status.reason, RING_REASON_MAX, text, sizeof(text));
    test_free(s);
}

static void set_meta(struct hostile *h, uint64_t seq, void (*change)(struct ring_meta *m), int expect)
{
    struct ring_meta before, m;
    struct frame f;

    ring_meta_load(ring_desc_at(&h->map, seq), &before);
    m = before;
    change(&m);
    ring_meta_store(ring_desc_at(&h->map, seq), &m);
    assert_int_equal(ring_read(h->r, seq, &h->buf, &f), expect);
    use(h);
    ring_meta_store(ring_desc_at(&h->map, seq), &before);
}

static void other_seq(struct ring_meta *m)
{
    m->seq += 512;
}
static void too_long(struct ring_meta *m)
{
    m->len = RING_DATA_MIN / 4 + 1;
}
static void longest(struct ring_meta *m)
{
    m->len = UINT32_MAX;
}
static void beyond_the_end(struct ring_meta *m)
{
    m->pos = RING_DATA_MIN - 999;
}
static void far_ahead(struct ring_meta *m)
{
    m->pos += (uint64_t)RING_DATA_MIN << 20;
}
static void far_behind(struct ring_meta *m)
{
    m->pos -= (uint64_t)RING_DATA_MIN << 20;
}
static void no_such_track(struct ring_meta *m)
{
    m->track = TRACK_MAX;
}
static void other_time(struct ring_meta *m)
{
    m->dts++;
}
static void shorter(struct ring_meta *m)
{
    m->len--;
}

static void descriptors_are_checked(void **state)
{
    struct hostile *h = *state;

    set_meta(h, 5, other_seq, RING_E_BAD);
    set_meta(h, 5, too_long, RING_E_BAD);
    set_meta(h, 5, longest, RING_E_BAD);
    set_meta(h, 5, beyond_the_end, RING_E_BAD);
    set_meta(h, 5, far_ahead, RING_E_LOST);
    set_meta(h, 5, far_behind, RING_E_LOST);
    set_meta(h, 5, no_such_track, RING_E_BAD);
    set_meta(h, 5, other_time, RING_E_BAD);
    set_meta(h, 5, shorter, RING_E_BAD);
}

static void positions_are_checked(void **state)
{
    static const uint64_t values[] = {
        0, 1, 5, 11, 600, 1u << 20, UINT32_MAX, UINT64_MAX - 1, UINT64_MAX, UINT64_C(1) << 63};
    struct hostile *h = *state;
    struct ring_pos *pos = &h->map.head->pos;
    _Atomic uint64_t *fields[] = {
        &pos->next_seq, &pos->oldest_seq, &pos->reserve_seq, &pos->reserve_pos, &pos->last_key};

    for (size_t i = 0; i < ARRAY_N(fields); i++) {
        uint64_t before = *fields[i];

        for (size_t v = 0; v < ARRAY_N(values); v++) {
            *fields[i] = values[v];
            use(h);
        }
        *fields[i] = before;
    }
}

static void geometry_is_taken_once(void **state)
{
    struct hostile *h = *state;

    h->map.head->geom = (struct ring_geom){RING_DATA_MAX, 65536};
    use(h);
    h->map.head->geom = (struct ring_geom){0, 0};
    use(h);
}

static void track_descriptions_are_checked(void **state)
{
    struct hostile *h = *state;
    struct track_set *s = test_malloc(sizeof(*s));
    struct ring_tracks *slot = &h->map.tracks[1];

    assert_int_equal(ring_tracks(h->r, 1, s), RING_OK);
    slot->n = UINT32_MAX;
    assert_int_equal(ring_tracks(h->r, 1, s), RING_E_BAD);
    slot->n = TRACK_SET_WIRE_MAX;
    assert_int_equal(ring_tracks(h->r, 1, s), RING_E_BAD);
    slot->lock |= 1; /* for ever */
    assert_int_equal(ring_tracks(h->r, 1, s), RING_E_GEN);
    assert_int_equal(ring_tracks(h->r, 0, s), RING_E_GEN);
    test_free(s);
}

static uint64_t random_state = 88172645463325252u;

static void fill(void *dst, size_t n)
{
    uint8_t *p = dst;

    for (size_t i = 0; i < n; i++) {
        random_state ^= random_state << 13;
        random_state ^= random_state >> 7;
        random_state ^= random_state << 17;
        p[i] = (uint8_t)random_state;
    }
}

static void random_memory(void **state)
{
    struct hostile *h = *state;

    for (int i = 0; i < 50; i++) {
        fill(&h->map.head->pos, sizeof(h->map.head->pos));
        fill(&h->map.head->status, sizeof(h->map.head->status));
        fill(h->map.tracks, 2 * sizeof(*h->map.tracks));
        fill(h->map.desc, SMALL.frames * sizeof(*h->map.desc));
        if (i % 2 == 0) {
            h->map.head->pos.next_seq = 1000;
            h->map.head->pos.oldest_seq = 600;
            h->map.head->pos.reserve_seq = 1001;
            for (uint64_t seq = 600; seq < 1000; seq++) ring_desc_at(&h->map, seq)->word[0] = seq;
        }
        use(h);
    }
}

static int plain_memory(size_t bytes, unsigned seals)
{
    int fd = memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING);

    assert_int_equal(ftruncate(fd, (off_t)bytes), 0);
    assert_int_equal(fcntl(fd, F_ADD_SEALS, seals), 0);
    return fd;
}

static void what_is_not_a_ring_is_refused(void **state)
{
    static const struct {
        size_t bytes;
        unsigned seals;
    } cases[] = {{0, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL},
        {100, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL},
        {4 << 20, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL}, {4 << 20, F_SEAL_SHRINK}, {4 << 20, 0}};
    struct hostile *h = *state;
    const struct ring_status *s;
    struct ring_reader *r;
    struct ring_writer *w;
    struct demand *d;
    int pipes[2];

    for (size_t i = 0; i < ARRAY_N(cases); i++) {
        int fd = plain_memory(cases[i].bytes, cases[i].seals);

        assert_int_equal(ring_reader_open(fd, &r), RING_E_BAD);
        assert_int_equal(ring_writer_open(fd, &w), RING_E_BAD);
        assert_int_equal(ring_status_map(fd, &s), RING_E_BAD);
        assert_int_equal(demand_map(fd, false, &d), RING_E_BAD);
        close(fd);
    }
    assert_int_equal(pipe(pipes), 0);
    assert_int_equal(ring_reader_open(pipes[0], &r), RING_E_BAD);
    close(pipes[0]);
    close(pipes[1]);
    h->map.head->layout++;
    assert_int_equal(ring_reader_open(h->fd, &r), RING_E_BAD);
    h->map.head->layout--;
    h->map.head->geom.frames *= 2;
    assert_int_equal(ring_reader_open(h->fd, &r), RING_E_BAD);
    h->map.head->geom.frames = 511;
    assert_int_equal(ring_reader_open(h->fd, &r), RING_E_BAD);
    h->map.head->magic = 0;
    assert_int_equal(ring_status_map(h->fd, &s), RING_E_BAD);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(descriptors_are_checked),
        TEST(positions_are_checked),
        TEST(geometry_is_taken_once),
        TEST(track_descriptions_are_checked),
        TEST(random_memory),
        TEST(what_is_not_a_ring_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
