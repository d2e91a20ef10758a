/* Which samples of G.711 are made into which frames of AAC (A8): over segments, gaps and chunks, whatever
 * part is asked for. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/err.h"
#include "common/base/fd.h"
#include "common/base/mem.h"
#include "common/media/aac.h"
#include "httpd/sound.h"

#define BLOCK  160 /* samples: 20 ms */
#define SILENT 0xd5

/* --- a helper that keeps what it was given, and answers with as many bytes as it must --- */

static struct {
    struct pictures *p;
    struct picture_ask ask;
    uint8_t *given;
    unsigned asked;
    pthread_t thread;
    bool born;
} site;

static void put(int fd, const struct picture_answer *a, const uint8_t *bytes)
{
    struct buf b;

    buf_init(&b, PICTURE_HEAD_MAX);
    must(picture_answer_write(&b, a));
    (void)picture_send(fd, buf_span(&b), clock_mono_us() + 60 * US_PER_S);
    (void)picture_send(fd, span(bytes, a->n_bytes), clock_mono_us() + 60 * US_PER_S);
    buf_done(&b);
}

static void *helper(void *arg)
{
    int fd = (int)(intptr_t)arg;
    uint8_t *head = mem_new(PICTURE_HEAD_MAX), *out = mem_new(PICTURE_BYTES_MAX);
    struct picture_answer a = {.id = 0};
    struct span map;

    put(fd, &a, NULL);
    while (picture_recv_map(fd, head, &map, clock_mono_us() + 60 * US_PER_S) == 0) {
        must(picture_ask_read(map, &site.ask));
        must(picture_recv(fd, site.given, site.ask.n_bytes, clock_mono_us() + 60 * US_PER_S) == 0);
        site.asked++;
        a = (struct picture_answer){.id = site.ask.id, .n_bytes = (uint32_t)picture_aac_out(&site.ask)};
        put(fd, &a, out);
    }
    close(fd);
    mem_free(head);
    mem_free(out);
    return NULL;
}

static void want(void *arg)
{
    int sv[2];

    (void)arg;
    must(!site.born && socketpair(AF_UNIX, SOCK_STREAM, 0, sv) == 0);
    site.born = true;
    must(pthread_create(&site.thread, NULL, helper, (void *)(intptr_t)sv[1]) == 0);
    pictures_helper(site.p, 1, 0, sv[0]);
}

static void gone(void *arg, uint64_t id)
{
    (void)arg;
    (void)id;
}

static const struct pictures_ops ops = {want, gone};

static int begin(void **state)
{
    (void)state;
    memset(&site, 0, sizeof(site));
    site.given = mem_new(PICTURE_BYTES_MAX);
    site.p = pictures_new(1, &ops, NULL);
    return 0;
}

static int end(void **state)
{
    (void)state;
    pictures_free(site.p);
    if (site.born) pthread_join(site.thread, NULL);
    mem_free(site.given);
    return 0;
}

static const struct track g711 = {
    .codec = CODEC_PCMA, .kind = TRACK_AUDIO, .clock_hz = 8000, .sample_rate = 8000, .channels = 1};

/* --- segments: the sample of media time v is the byte v % 199 --- */

static uint8_t byte_at(int64_t v)
{
    return (uint8_t)(v % 199);
}

static void segment(struct sound_source *s, int64_t from, unsigned blocks)
{
    struct seg_table *t = NEW(struct seg_table);

    s->fd = memfd_create("segment", MFD_CLOEXEC);
    assert_true(s->fd >= 0);
    t->tracks.n = 2;
    t->tracks.t[0] = (struct track){.codec = CODEC_H264, .kind = TRACK_VIDEO, .clock_hz = 90000};
    t->tracks.t[1] = g711;
    t->s = mem_new_n(blocks, sizeof(*t->s));
    for (t->n = 0; t->n < blocks; t->n++) {
        uint8_t bytes[BLOCK];
        int64_t dts = from + (int64_t)t->n * BLOCK;

        for (unsigned i = 0; i < BLOCK; i++) bytes[i] = byte_at(dts + i);
        t->s[t->n] = (struct mp4_sample){.offset = t->n * (uint64_t)BLOCK,
            .size = BLOCK,
            .dts = dts,
            .dur = BLOCK,
            .flags = FRAME_KEY,
            .track = 1};
        assert_int_equal(fd_write_all(s->fd, span(bytes, BLOCK)), 0);
    }
    s->t = t;
    s->track = 1;
}

static void segment_done(struct sound_source *s)
{
    struct seg_table *t = (struct seg_table *)(uintptr_t)s->t;

    close(s->fd);
    mem_free(t->s);
    mem_free(t);
}

/* What the helper was given: sample v of the media time at place v - from. */
static void assert_given(int64_t from, int64_t heard_from, int64_t heard_to)
{
    for (int64_t v = from; v < from + site.ask.n_bytes; v++) {
        bool heard = v >= heard_from && v < heard_to;

        assert_int_equal(site.given[v - from], heard ? byte_at(v) : SILENT);
    }
}

static void test_run_in_and_lookahead_come_from_the_neighbours(void **state)
{
    const int64_t at = 8000 * 1700000000ll;
    struct sound s = {.key = "k", .first = at, .frames = 10, .n_sources = 3, .like = g711};
    struct picture *made;
    uint32_t first;

    (void)state;
    segment(&s.source[0], at - 100 * BLOCK, 100);
    segment(&s.source[1], at, 64); /* ten frames exactly */
    segment(&s.source[2], at + 64 * BLOCK, 100);
    assert_int_equal(sound_make(site.p, &s, 3, &first, &made), 0);
    assert_int_equal(first, 0);
    assert_int_equal(made->n, 10 * PICTURE_AAC_BYTES);
    assert_int_equal(site.ask.frames, 10);
    assert_int_equal(site.ask.rate, 8000);
    assert_given(at - 2048, at - 2048, at + 11 * 1024);
    picture_unref(made);
    /* Any frame of the chunk is the same request. */
    assert_int_equal(sound_make(site.p, &s, 9, &first, &made), 0);
    assert_int_equal(site.asked, 1);
    picture_unref(made);
    for (int i = 0; i < 3; i++) segment_done(&s.source[i]);
}

static void test_what_is_missing_is_silent(void **state)
{
    struct sound s = {.key = "k", .first = 16000, .frames = 10, .n_sources = 1, .like = g711};
    struct seg_table *t;
    struct picture *made;
    uint32_t first;

    (void)state;
    segment(&s.source[0], 16000, 50);
    t = (struct seg_table *)(uintptr_t)s.source[0].t;
    assert_int_equal(sound_make(site.p, &s, 0, &first, &made), 0);
    assert_given(16000 - 2048, 16000, 16000 + 50 * BLOCK);
    picture_unref(made);
    t->s[49].offset = 1 << 20; /* the file is shorter than its table says */
    s.key = "other";
    assert_int_equal(sound_make(site.p, &s, 0, &first, &made), -EIO);
    assert_int_equal(sound_make(site.p, &s, 10, &first, &made), -EINVAL);
    segment_done(&s.source[0]);
}

static void test_chunks_have_run_in_of_their_own(void **state)
{
    struct sound s = {.key = "k", .first = 8000, .frames = 1000, .n_sources = 1, .like = g711};
    struct picture *made;
    uint32_t first;

    (void)state;
    segment(&s.source[0], 8000, 6400);
    assert_int_equal(sound_make(site.p, &s, 600, &first, &made), 0);
    assert_int_equal(first, SOUND_CHUNK);
    assert_int_equal(site.ask.frames, 1000 - SOUND_CHUNK);
    assert_given(8000 + (SOUND_CHUNK - 2) * 1024, 8000, 8000 + 6400 * BLOCK);
    picture_unref(made);
    segment_done(&s.source[0]);
}

static void test_tracks(void **state)
{
    struct track g = {.codec = CODEC_PCMU, .kind = TRACK_AUDIO, .clock_hz = 8000, .channels = 1}, t;
    struct aac_config c;

    (void)state;
    t = sound_track(&g);
    assert_int_equal(t.codec, CODEC_AAC);
    assert_int_equal(t.clock_hz, 8000);
    assert_true(aac_config_parse(span(t.config, t.config_n), &c));
    assert_int_equal(c.rate, 8000);
    assert_int_equal(c.channels, 1);
    assert_int_equal(sound_bytes(&g), 768);
    g.clock_hz = 16000;
    g.channels = 2;
    t = sound_track(&g);
    assert_true(aac_config_parse(span(t.config, t.config_n), &c));
    assert_int_equal(c.rate, 16000);
    assert_int_equal(c.channels, 2);
    assert_int_equal(sound_bytes(&g), 1536);
    g.clock_hz = 8001;
    assert_int_equal(sound_track(&g).codec, CODEC_NONE);
    g.clock_hz = 8000;
    g.channels = 3;
    assert_int_equal(sound_track(&g).codec, CODEC_NONE);
    g = (struct track){.codec = CODEC_OPUS, .clock_hz = 48000, .channels = 2};
    assert_int_equal(sound_track(&g).codec, CODEC_NONE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_run_in_and_lookahead_come_from_the_neighbours, begin, end),
        cmocka_unit_test_setup_teardown(test_what_is_missing_is_silent, begin, end),
        cmocka_unit_test_setup_teardown(test_chunks_have_run_in_of_their_own, begin, end),
        cmocka_unit_test(test_tracks),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
