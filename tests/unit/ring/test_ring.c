/* The ring with one writer and one reader in turn: round trip, wrap, overtaking, resume, move, track
 * descriptions. */
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/fd.h"
#include "common/ring/ring_layout.h"
#include "tests/support/ring_help.h"

static const struct ring_geom SMALL = {RING_DATA_MIN, 512};

struct pair {
    int fd, ro;
    struct ring_writer *w;
    struct ring_reader *r;
    struct buf buf;
};

static int setup(void **state)
{
    static struct pair p;
    struct track_set *tracks = test_malloc(sizeof(*tracks));

    p = (struct pair){.fd = ring_help_create(1, SMALL), .ro = -1};
    assert_int_equal(ring_mem_reopen_ro(p.fd, &p.ro), 0);
    assert_int_equal(ring_writer_open(p.fd, &p.w), 0);
    assert_int_equal(ring_reader_open(p.ro, &p.r), 0);
    buf_init(&p.buf, RING_DATA_MIN);
    ring_help_tracks(tracks);
    assert_int_equal(ring_set_tracks(p.w, tracks), RING_OK);
    assert_int_equal(tracks->gen, 1);
    test_free(tracks);
    *state = &p;
    return 0;
}

static int teardown(void **state)
{
    struct pair *p = *state;

    ring_reader_close(p->r);
    ring_writer_close(p->w);
    buf_done(&p->buf);
    fd_close(&p->fd);
    fd_close(&p->ro);
    return 0;
}

static uint64_t hash_in_header(int fd)
{
    struct ring_map m;
    uint64_t hash;

    assert_int_equal(ring_map(fd, false, &m), 0);
    hash = atomic_load(&m.head->settings_hash);
    ring_unmap(&m);
    return hash;
}

static void header_says_the_settings(void **state)
{
    struct pair *p = *state;
    int fd;

    assert_int_equal(ring_mem_create("cam", 2, 77, SMALL, &fd), 0);
    assert_int_equal(hash_in_header(fd), 77);
    fd_close(&fd);
    ring_writer_settings(p->w, UINT64_MAX);
    assert_int_equal(hash_in_header(p->ro), UINT64_MAX);
}

static void pieces_become_a_frame_with_lengths(void **state)
{
    struct pair *p = *state;
    struct piece pieces[] = {
        {.s = SPAN_LIT("abc"), .nal_n = 3},
        {.s = SPAN_LIT("efg"), .nal_n = 8, .head_n = 1, .head = {'D'}},
        {.s = SPAN_LIT("hijk")},
    };
    struct frame f = {.dts = -12345678901,
                     .cts = -7,
                     .dur = 3600,
                     .wall_us = 1,
                     .arrival_us = 2,
                     .flags = FRAME_KEY | FRAME_NOT_IDR},
                 got;
    uint64_t seq = 0;

    assert_int_equal(ring_put(p->w, &f, pieces, 3, &seq), RING_OK);
    assert_int_equal(seq, 1);
    assert_int_equal(ring_read(p->r, seq, &p->buf, &got), RING_OK);
    assert_int_equal(got.data.n, piece_bytes(pieces, 3));
    assert_memory_equal(got.data.p, "\0\0\0\3abc\0\0\0\10Defghijk", 19);
    assert_true(got.dts == f.dts && got.cts == f.cts && got.dur == f.dur && got.flags == f.flags);
    assert_true(got.wall_us == 1 && got.arrival_us == 2 && got.gen == 1 && got.track == 0 && got.seq == 1);
    assert_int_equal(ring_read(p->r, 2, &p->buf, &got), RING_E_AGAIN);
    assert_int_equal(ring_read(p->r, 0, &p->buf, &got), RING_E_LOST);
    assert_int_equal(ring_peek(p->r, 1, &got), RING_OK);
    assert_null(got.data.p);
    assert_int_equal(got.data.n, 19);
}

static void a_frame_is_at_most_a_quarter(void **state)
{
    struct pair *p = *state;
    static uint8_t zeros[RING_DATA_MIN];
    struct frame f = {.flags = FRAME_KEY};
    struct piece piece = {.s = span(zeros, RING_DATA_MIN / 4)};
    uint64_t seq = 0;

    assert_int_equal(ring_put(p->w, &f, &piece, 1, &seq), RING_OK);
    piece.s.n++;
    assert_int_equal(ring_put(p->w, &f, &piece, 1, &seq), RING_E_LARGE);
    piece = (struct piece){.s = span(zeros, RING_DATA_MIN / 4 - 3), .nal_n = RING_DATA_MIN / 4 - 3};
    assert_int_equal(ring_put(p->w, &f, &piece, 1, &seq), RING_E_LARGE);
    assert_int_equal(ring_next(p->r), 2);
}

static void every_frame_the_ring_says_it_holds_reads_back(void **state)
{
    struct pair *p = *state;
    struct frame got;

    for (int i = 0; i < 3000; i++) {
        uint64_t seq = ring_help_put(p->w, i % 3 == 0, FRAME_KEY, (size_t)(i * 7919 % 9000)),
                 oldest = ring_oldest(p->r);

        assert_int_equal(oldest, ring_writer_oldest(p->w));
        assert_int_equal(ring_next(p->r), seq + 1);
        assert_int_equal(ring_read(p->r, oldest, &p->buf, &got), RING_OK);
        assert_true(ring_help_check(oldest, got.data));
        assert_int_equal(ring_view(p->w, oldest, &got), RING_OK);
        assert_true(ring_help_check(oldest, got.data) && ring_view_holds(p->w, oldest));
        if (oldest > 1) {
            assert_int_equal(ring_read(p->r, oldest - 1, &p->buf, &got), RING_E_LOST);
            assert_int_equal(ring_view(p->w, oldest - 1, &got), RING_E_LOST);
            assert_false(ring_view_holds(p->w, oldest - 1));
        }
    }
    assert_true(ring_oldest(p->r) > 2000);
    for (uint64_t seq = ring_oldest(p->r); seq < ring_next(p->r); seq++) {
        assert_int_equal(ring_read(p->r, seq, &p->buf, &got), RING_OK);
        assert_true(ring_help_check(seq, got.data));
    }
}

static void many_small_frames_are_bound_by_descriptors(void **state)
{
    struct pair *p = *state;

    for (int i = 0; i < 2000; i++) ring_help_put(p->w, 1, FRAME_KEY, 10);
    assert_int_equal(ring_next(p->r) - ring_oldest(p->r), SMALL.frames);
}

static void only_video_key_frames_are_entries(void **state)
{
    struct pair *p = *state;
    uint64_t key = 0;

    assert_int_equal(ring_last_key(p->r, &key), RING_E_AGAIN);
    ring_help_put(p->w, 1, FRAME_KEY, 10);
    assert_int_equal(ring_last_key(p->r, &key), RING_E_AGAIN);
    assert_int_equal(ring_oldest_key(p->r, &key), RING_E_AGAIN);
    ring_help_put(p->w, 0, FRAME_KEY, 10);
    ring_help_put(p->w, 0, 0, 10);
    ring_help_put(p->w, 0, FRAME_KEY, 10);
    ring_help_put(p->w, 1, FRAME_KEY, 10);
    assert_int_equal(ring_last_key(p->r, &key), RING_OK);
    assert_int_equal(key, 4);
    assert_int_equal(ring_oldest_key(p->r, &key), RING_OK);
    assert_int_equal(key, 2);
    /* Overwritten, the hint is not believed. */
    for (int i = 0; i < 600; i++) ring_help_put(p->w, 1, FRAME_KEY, 10);
    assert_int_equal(ring_last_key(p->r, &key), RING_E_AGAIN);
}

static void two_track_descriptions_are_kept(void **state)
{
    struct pair *p = *state;
    struct track_set *s = test_malloc(2 * sizeof(*s));

    ring_help_tracks(&s[0]);
    assert_int_equal(ring_set_tracks(p->w, &s[0]), RING_OK);
    assert_int_equal(s[0].gen, 1); /* same content, same number */
    s[0].t[0].width = 1280;
    assert_int_equal(ring_set_tracks(p->w, &s[0]), RING_OK);
    assert_int_equal(s[0].gen, 2);
    ring_help_put(p->w, 0, FRAME_KEY, 10);
    assert_int_equal(ring_tracks(p->r, 0, &s[1]), RING_OK);
    assert_int_equal(s[1].gen, 2);
    assert_int_equal(ring_tracks(p->r, 1, &s[1]), RING_OK);
    assert_int_equal(s[1].t[0].width, 640);
    assert_int_equal(ring_writer_tracks(p->w, 2, &s[1]), RING_OK);
    assert_true(track_set_same(&s[0], &s[1]));
    s[0].t[0].width = 1920;
    assert_int_equal(ring_set_tracks(p->w, &s[0]), RING_OK);
    assert_int_equal(ring_tracks(p->r, 1, &s[1]), RING_E_GEN);
    assert_int_equal(ring_tracks(p->r, 4, &s[1]), RING_E_GEN);
    test_free(s);
}

static void the_next_worker_goes_on_behind_the_last_whole_frame(void **state)
{
    struct pair *p = *state;
    struct ring_writer *next;
    struct track_set *s = test_malloc(sizeof(*s));
    struct frame got;

    for (int i = 0; i < 700; i++) ring_help_put(p->w, 0, i % 50 == 0 ? FRAME_KEY : 0, 4000);
    ring_status_text(ring_writer_status(p->w), ring_writer_status(p->w)->reason, RING_REASON_MAX, "here");
    assert_int_equal(ring_writer_open(p->fd, &next), 0);
    assert_int_equal(ring_writer_next(next), ring_writer_next(p->w));
    assert_int_equal(ring_writer_oldest(next), ring_writer_oldest(p->w));
    ring_help_tracks(s);
    assert_int_equal(ring_set_tracks(next, s), RING_OK);
    assert_int_equal(s->gen, 1);
    for (int i = 0; i < 700; i++) ring_help_put(next, 0, 0, 3000);
    for (uint64_t seq = ring_oldest(p->r); seq < ring_next(p->r); seq++) {
        assert_int_equal(ring_read(p->r, seq, &p->buf, &got), RING_OK);
        assert_true(ring_help_check(seq, got.data));
    }
    assert_int_equal(ring_next(p->r), 1401);
    ring_writer_close(next);
    test_free(s);
}

static void damaged_frames_of_a_dead_worker_are_not_kept(void **state)
{
    struct pair *p = *state;
    struct ring_writer *next;
    struct frame got;

    for (int i = 0; i < 20; i++) ring_help_put(p->w, 0, FRAME_KEY, 1000);
    assert_int_equal(ring_view(p->w, 10, &got), RING_OK);
    *(uint8_t *)(uintptr_t)(got.data.p + 500) ^= 1;
    assert_int_equal(ring_read(p->r, 10, &p->buf, &got), RING_E_BAD);
    assert_int_equal(ring_writer_open(p->fd, &next), 0);
    assert_int_equal(ring_writer_oldest(next), 11);
    assert_int_equal(ring_writer_next(next), 21);
    assert_int_equal(ring_read(p->r, 10, &p->buf, &got), RING_E_LOST);
    ring_writer_close(next);
}

static void a_larger_ring_takes_over(void **state)
{
    struct pair *p = *state;
    struct ring_geom geom = ring_geom_for(3u << 20, 700, 32u << 20);
    struct ring_writer *large;
    struct ring_reader *r;
    struct track_set *s = test_malloc(sizeof(*s));
    struct frame got;
    uint64_t key = 0;
    char text[RING_REASON_MAX];
    int fd;

    assert_int_equal(geom.data_bytes, 4u << 20);
    assert_int_equal(geom.frames, 1024);
    for (int i = 0; i < 900; i++) ring_help_put(p->w, 0, i % 50 == 0 ? FRAME_KEY : 0, 5000);
    ring_status_text(
        ring_writer_status(p->w), ring_writer_status(p->w)->source, RING_REASON_MAX, "tcp 192.0.2.1:554");
    fd = ring_help_create(2, geom);
    assert_int_equal(ring_writer_open(fd, &large), 0);
    ring_writer_move(p->w, large);
    assert_int_equal(ring_writer_oldest(large), ring_writer_oldest(p->w));
    assert_int_equal(ring_writer_next(large), 901);
    assert_int_equal(ring_help_put(large, 0, FRAME_KEY, 200000), 901);
    for (int i = 0; i < 400; i++) ring_help_put(large, 0, 0, 5000);
    assert_int_equal(ring_reader_open(fd, &r), 0);
    for (uint64_t seq = ring_oldest(r); seq < ring_next(r); seq++) {
        assert_int_equal(ring_read(r, seq, &p->buf, &got), RING_OK);
        assert_true(ring_help_check(seq, got.data));
        assert_int_equal(got.gen, 1);
    }
    assert_int_equal(ring_last_key(r, &key), RING_OK);
    assert_int_equal(key, 901);
    assert_int_equal(ring_tracks(r, 1, s), RING_OK);
    ring_status_get_text(
        ring_writer_status(large), ring_writer_status(large)->source, RING_REASON_MAX, text, sizeof(text));
    assert_string_equal(text, "tcp 192.0.2.1:554");
    ring_reader_close(r);
    ring_writer_close(large);
    fd_close(&fd);
    test_free(s);
}

static void texts_are_cut_and_clean(void **state)
{
    struct pair *p = *state;
    struct ring_status *s = ring_writer_status(p->w);
    char text[RING_REASON_MAX], small[5];
    char longer[300];

    memset(longer, 'x', sizeof(longer) - 1);
    longer[sizeof(longer) - 1] = '\0';
    longer[3] = '\n';
    ring_status_text(s, s->reason, sizeof(s->reason), longer);
    ring_status_get_text(s, s->reason, sizeof(s->reason), text, sizeof(text));
    assert_int_equal(strlen(text), RING_REASON_MAX - 1);
    assert_int_equal(text[3], '?');
    ring_status_get_text(s, s->reason, sizeof(s->reason), small, sizeof(small));
    assert_string_equal(small, "xxx?");
    s->text_seq++; /* a writer that died in it */
    ring_status_get_text(s, s->reason, sizeof(s->reason), small, sizeof(small));
    assert_string_equal(small, "xxx?");
}

static void memory_is_sealed_and_cannot_be_opened_for_writing(void **state)
{
    struct pair *p = *state;
    const struct ring_status *s;
    struct stat st;

    assert_int_equal(ftruncate(p->fd, 0), -1);
    assert_int_equal(ftruncate(p->fd, 64 << 20), -1);
    assert_int_equal(fcntl(p->fd, F_ADD_SEALS, F_SEAL_WRITE), -1);
    assert_int_equal(fstat(p->fd, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0);
    assert_int_equal(write(p->ro, "x", 1), -1);
    assert_ptr_equal(mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, p->ro, 0), MAP_FAILED);
    assert_int_equal(ring_status_map(p->ro, &s), 0);
    atomic_store(&ring_writer_status(p->w)->state, STREAM_STALE);
    assert_int_equal(s->state, STREAM_STALE);
    ring_status_unmap(s);
}

static void demand_page_is_shared(void **state)
{
    struct demand *rw, *ro;
    int fd, ro_fd;

    (void)state;
    assert_int_equal(demand_create(&fd), 0);
    assert_int_equal(ring_mem_reopen_ro(fd, &ro_fd), 0);
    assert_int_equal(demand_map(fd, true, &rw), 0);
    assert_int_equal(demand_map(ro_fd, false, &ro), 0);
    assert_int_equal(demand_map(ro_fd, true, &rw), -EACCES);
    atomic_fetch_add(&rw->followers, 2);
    assert_int_equal(ro->followers, 2);
    demand_unmap(rw);
    demand_unmap(ro);
    demand_unmap(NULL);
    fd_close(&fd);
    fd_close(&ro_fd);
}

static void geometry_stays_in_its_limits(void **state)
{
    (void)state;
    assert_int_equal(ring_geom_for(0, 0, 0).data_bytes, RING_DATA_MIN);
    assert_int_equal(ring_geom_for(0, 0, 0).frames, 512);
    assert_int_equal(ring_geom_for(RING_DATA_MIN + 1, 513, 32u << 20).data_bytes, 2u << 20);
    assert_int_equal(ring_geom_for(RING_DATA_MIN + 1, 513, 32u << 20).frames, 1024);
    assert_int_equal(ring_geom_for(UINT64_MAX, UINT64_MAX, 32u << 20).data_bytes, 32u << 20);
    assert_int_equal(ring_geom_for(UINT64_MAX, UINT64_MAX, 48u << 20).data_bytes, 32u << 20);
    assert_int_equal(ring_geom_for(UINT64_MAX, UINT64_MAX, UINT32_MAX).data_bytes, RING_DATA_MAX);
    assert_int_equal(ring_geom_for(1, UINT64_MAX, UINT32_MAX).frames, 65536);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(header_says_the_settings),
        TEST(pieces_become_a_frame_with_lengths),
        TEST(a_frame_is_at_most_a_quarter),
        TEST(every_frame_the_ring_says_it_holds_reads_back),
        TEST(many_small_frames_are_bound_by_descriptors),
        TEST(only_video_key_frames_are_entries),
        TEST(two_track_descriptions_are_kept),
        TEST(the_next_worker_goes_on_behind_the_last_whole_frame),
        TEST(damaged_frames_of_a_dead_worker_are_not_kept),
        TEST(a_larger_ring_takes_over),
        TEST(texts_are_cut_and_clean),
        TEST(memory_is_sealed_and_cannot_be_opened_for_writing),
        cmocka_unit_test(demand_page_is_shared),
        cmocka_unit_test(geometry_stays_in_its_limits),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
