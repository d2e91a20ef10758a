/* What httpd and its helpers say to each other. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <sys/socket.h>

#include "common/base/clock.h"
#include "common/base/fd.h"
#include "common/base/mem.h"
#include "httpd/picture/wire.h"

#define LENGTH_N 4

static struct picture_ask ask;

static void jpeg(void)
{
    ask = (struct picture_ask){.id = 7, .kind = PICTURE_JPEG, .codec = CODEC_H265, .n_bytes = 30};
    ask.width = 320;
    ask.quality = PICTURE_QUALITY;
    ask.sar_w = 4;
    ask.sar_h = 3;
    ask.want_pts = -5;
    ask.n_units = 2;
    ask.units[0] = (struct picture_unit){10, -40};
    ask.units[1] = (struct picture_unit){20, INT64_MAX};
    ask.config_n = 3;
    memcpy(ask.config, "abc", 3);
}

static void aac(void)
{
    ask = (struct picture_ask){.id = 8, .kind = PICTURE_AAC, .codec = CODEC_PCMU};
    ask.rate = 8000;
    ask.channels = 1;
    ask.frames = 5;
    ask.n_bytes = (uint32_t)picture_aac_in(&ask);
}

/* As the other side reads it. */
static bool passes(struct picture_ask *ret)
{
    struct buf b;
    bool ok;

    buf_init(&b, 1 << 20);
    assert_true(picture_ask_write(&b, &ask));
    ok = picture_ask_read(span_from(buf_span(&b), LENGTH_N), ret);
    buf_done(&b);
    return ok;
}

static void test_jpeg_there_and_back(void **state)
{
    static struct picture_ask back;

    (void)state;
    jpeg();
    assert_true(passes(&back));
    assert_int_equal(back.id, 7);
    assert_int_equal(back.codec, CODEC_H265);
    assert_int_equal(back.width, 320);
    assert_int_equal(back.sar_w, 4);
    assert_int_equal(back.sar_h, 3);
    assert_int_equal(back.want_pts, -5);
    assert_int_equal(back.n_units, 2);
    assert_int_equal(back.units[1].size, 20);
    assert_true(back.units[1].pts == INT64_MAX && back.units[0].pts == -40);
    assert_memory_equal(back.config, "abc", 3);
    assert_int_equal(back.config_n, 3);
}

static void test_aac_there_and_back(void **state)
{
    static struct picture_ask back;

    (void)state;
    aac();
    assert_true(passes(&back));
    assert_int_equal(back.frames, 5);
    assert_int_equal(back.rate, 8000);
    assert_int_equal(picture_aac_in(&back), 8 * 1024);
    assert_int_equal(picture_aac_out(&back), 5 * 768);
}

/* Each limit at its edge and one above. */
static void test_limits_of_requests(void **state)
{
    static struct picture_ask back;

    (void)state;
    jpeg();
    ask.width = PICTURE_OUT_MAX;
    assert_true(passes(&back));
    ask.width = PICTURE_OUT_MAX + 1;
    assert_false(passes(&back));
    ask.width = PICTURE_OUT_MIN - 1;
    assert_false(passes(&back));
    jpeg();
    ask.n_bytes = 31; /* not the sum of the units */
    assert_false(passes(&back));
    jpeg();
    ask.quality = 101;
    assert_false(passes(&back));
    jpeg();
    ask.codec = CODEC_AAC;
    assert_false(passes(&back));
    jpeg();
    ask.units[0].size = PICTURE_BYTES_MAX - 20;
    ask.n_bytes = PICTURE_BYTES_MAX;
    assert_true(passes(&back));
    ask.units[0].size++;
    ask.n_bytes++;
    assert_false(passes(&back));
    jpeg();
    ask.n_units = 0;
    ask.n_bytes = 0;
    assert_false(passes(&back));
    jpeg();
    ask.id = 0;
    assert_false(passes(&back));
    aac();
    ask.n_bytes--;
    assert_false(passes(&back));
    aac();
    ask.channels = 3;
    ask.n_bytes = (uint32_t)picture_aac_in(&ask);
    assert_false(passes(&back));
}

static void test_answers(void **state)
{
    struct picture_answer a = {.id = 9, .width = 640, .height = 360, .pts = -3, .n_bytes = 100, .missing = 5};
    struct picture_answer back;
    struct buf b;

    (void)state;
    buf_init(&b, 1 << 20);
    assert_true(picture_answer_write(&b, &a));
    assert_true(picture_answer_read(span_from(buf_span(&b), LENGTH_N), &back));
    assert_int_equal(back.width, 640);
    assert_true(back.pts == -3);
    assert_int_equal(back.n_bytes, 100);
    assert_int_equal(back.missing, 5);
    buf_clear(&b);
    a.n_bytes = PICTURE_BYTES_MAX + 1;
    assert_true(picture_answer_write(&b, &a));
    assert_false(picture_answer_read(span_from(buf_span(&b), LENGTH_N), &back));
    buf_clear(&b);
    a.n_bytes = 1;
    a.err = PICTURE_E_BAD; /* nothing comes with an error */
    assert_true(picture_answer_write(&b, &a));
    assert_false(picture_answer_read(span_from(buf_span(&b), LENGTH_N), &back));
    buf_done(&b);
}

static void test_socket_has_deadlines(void **state)
{
    static uint8_t into[PICTURE_HEAD_MAX];
    const uint8_t too_long[] = {0, 1, 0, 1};
    struct span map;
    uint8_t *much = mem_new(4u << 20);
    int sv[2];

    (void)state;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, sv), 0);
    assert_int_equal(picture_recv_map(sv[0], into, &map, clock_mono_us() + 20 * US_PER_MS), -ETIMEDOUT);
    assert_int_equal(picture_send(sv[0], span(much, 4u << 20), clock_mono_us() + 20 * US_PER_MS), -ETIMEDOUT);
    assert_int_equal(picture_send(sv[1], span(too_long, 4), clock_mono_us() + 60 * US_PER_S), 0);
    assert_int_equal(picture_recv_map(sv[0], into, &map, clock_mono_us() + 60 * US_PER_S), -EPROTO);
    fd_close(&sv[1]);
    assert_true(picture_recv(sv[0], into, 1, clock_mono_us() + 60 * US_PER_S) < 0);
    fd_close(&sv[0]);
    mem_free(much);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_jpeg_there_and_back),
        cmocka_unit_test(test_aac_there_and_back),
        cmocka_unit_test(test_limits_of_requests),
        cmocka_unit_test(test_answers),
        cmocka_unit_test(test_socket_has_deadlines),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
