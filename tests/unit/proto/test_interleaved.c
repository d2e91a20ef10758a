/* common/proto/interleaved: messages and frames at any cut, and back into frame after a hole. */
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include "common/base/buf.h"
#include "common/proto/interleaved.h"

/* Everything that came out, as text: F<channel>/<slot>:<bytes> M:<bytes>+<body> S<bytes> L */
struct log {
    char text[4096];
    size_t n;
    size_t frames;
};

static void note(struct log *l, const struct interleaved_event *e)
{
    char *at = l->text + l->n;
    size_t cap = sizeof(l->text) - l->n;

    l->frames += e->kind == INTERLEAVED_FRAME;
    if (cap < 64) return;
    if (e->kind == INTERLEAVED_FRAME)
        l->n += (size_t)snprintf(at, cap, "F%u/%d:%zu ", e->channel, e->slot, e->data.n);
    if (e->kind == INTERLEAVED_MESSAGE) l->n += (size_t)snprintf(at, cap, "M:%zu+%zu ", e->head.n, e->body.n);
    if (e->kind == INTERLEAVED_SKIPPED) l->n += (size_t)snprintf(at, cap, "S%zu ", e->data.n);
    if (e->kind == INTERLEAVED_LOST) l->n += (size_t)snprintf(at, cap, "L ");
}

/* Gives `in` in pieces of `step` bytes. */
static void run(struct interleaved *il, struct span in, size_t step, struct log *l)
{
    struct buf b;

    buf_init(&b, 4u << 20);
    for (size_t at = 0; at < in.n; at += step) {
        assert_true(buf_put(&b, span_sub(in, at, step)));
        for (;;) {
            struct interleaved_event e;
            size_t took;

            interleaved_next(il, buf_span(&b), &took, &e);
            assert_true(took <= buf_n(&b));
            if (e.kind == INTERLEAVED_MORE) {
                assert_int_equal(took, 0);
                assert_true(buf_n(&b) == 0 || e.need > buf_n(&b));
                break;
            }
            assert_true(took > 0 || e.kind == INTERLEAVED_LOST);
            note(l, &e);
            buf_take(&b, took);
            if (e.kind == INTERLEAVED_LOST) break;
        }
    }
    buf_done(&b);
}

static void add_frame(struct buf *b, uint8_t channel, uint32_t ssrc, uint16_t seq, size_t payload)
{
    uint8_t h[INTERLEAVED_HEADER + 12] = {0};

    interleaved_write_header(h, channel, 12 + payload);
    h[4] = 0x80;
    h[5] = 96;
    h[6] = (uint8_t)(seq >> 8);
    h[7] = (uint8_t)seq;
    for (int i = 0; i < 4; i++) h[12 + i] = (uint8_t)(ssrc >> (24 - 8 * i));
    buf_put(b, span(h, sizeof(h)));
    for (size_t i = 0; i < payload; i++) buf_put(b, span(&(uint8_t){(uint8_t)(i * 7 + seq)}, 1));
}

static void ready(struct interleaved *il)
{
    interleaved_init(il);
    assert_int_equal(interleaved_channel(il, 0), 0);
    assert_int_equal(interleaved_channel(il, 1), 1);
    assert_int_equal(interleaved_channel(il, 0), 0);
}

/* C7, C4, P10 */
static void any_order_and_any_cut(void **state)
{
    static const char want[] = "M:28+0 F0/0:112 F9/-1:12 M:49+5 S2 F1/1:15 S4 M:32+0 F0/0:13 ";
    struct buf b;

    (void)state;
    buf_init(&b, 4096);
    buf_text(&b, "RTSP/1.0 200 OK\r\nCSeq: 1\r\n\r\n");
    add_frame(&b, 0, 5, 1, 100);
    add_frame(&b, 9, 6, 1, 0);
    buf_text(&b, "ANNOUNCE rtsp://h RTSP/1.0\r\nContent-Length: 5\r\n\r\nhello");
    buf_text(&b, "\r\n");
    add_frame(&b, 1, 5, 1, 3);
    buf_text(&b, "\n\r\r\nRTSP/1.0 454 Session gone\nA: b\n\n");
    add_frame(&b, 0, 5, 2, 1);
    for (size_t step = 1; step < buf_n(&b) + 2; step += step < 20 ? 1 : 37) {
        struct interleaved il;
        struct log l = {0};

        ready(&il);
        run(&il, buf_span(&b), step, &l);
        /* Stray line ends may come in one piece or more. */
        if (step > 40) assert_string_equal(l.text, want);
        assert_int_equal(l.frames, 4);
        assert_int_equal(il.unknown, 1);
        assert_int_equal(il.searches, 0);
    }
    buf_done(&b);
}

/* C8: `cut` bytes are missing inside a run of frames, or `again` bytes come twice. */
static void hole(size_t at, size_t cut, size_t again, size_t step)
{
    struct interleaved il;
    struct log l = {0};
    struct buf b, holed;

    buf_init(&b, 1 << 20);
    buf_init(&holed, 1 << 20);
    for (uint16_t i = 0; i < 40; i++) add_frame(&b, (uint8_t)(i % 4 == 3), 5 + i % 4 / 3, i, 200 + i);
    buf_put(&holed, span_sub(buf_span(&b), 0, at));
    buf_put(&holed, span_sub(buf_span(&b), at - again, again));
    buf_put(&holed, span_from(buf_span(&b), at + cut));
    ready(&il);
    run(&il, buf_span(&holed), step, &l);
    assert_false(il.lost);
    assert_true(il.searches >= 1 && il.searches <= 2);
    /* The broken one, the one the hole swallowed, and one whose follower could not be seen in small reads. */
    assert_true(l.frames >= 40 - 4 - cut / 200);
    assert_true(l.frames <= 40 + again / 200);
    buf_done(&b);
    buf_done(&holed);
}

static void holes_are_found(void **state)
{
    (void)state;
    for (size_t at = 1100; at < 1400; at += 13) {
        hole(at, 50, 0, 100000);
        hole(at, 777, 0, 100000);
        hole(at, 300, 0, 997);
        hole(at, 0, 60, 100000);
        hole(at, 0, 600, 1460);
    }
}

static void the_frame_with_the_hole_is_not_given(void **state)
{
    struct interleaved il;
    struct log l = {0};
    struct buf b;

    (void)state;
    buf_init(&b, 1 << 20);
    add_frame(&b, 0, 5, 1, 100);
    add_frame(&b, 0, 5, 2, 100);
    b.to -= 30;
    add_frame(&b, 0, 5, 3, 100);
    add_frame(&b, 0, 5, 4, 100);
    ready(&il);
    run(&il, buf_span(&b), 100000, &l);
    assert_string_equal(l.text, "F0/0:112 S86 F0/0:112 F0/0:112 ");
    assert_int_equal(il.bytes_skipped, 86);
    buf_done(&b);
}

static void foreign_ssrc_is_not_believed_while_searching(void **state)
{
    struct interleaved il;
    struct log l = {0};
    struct buf b;

    (void)state;
    buf_init(&b, 1 << 20);
    add_frame(&b, 0, 5, 0, 10);
    add_frame(&b, 0, 5, 1, 10);
    buf_text(&b, "\x01\x02\x03");
    add_frame(&b, 0, 99, 1, 10);
    add_frame(&b, 0, 5, 2, 10);
    ready(&il);
    run(&il, buf_span(&b), 100000, &l);
    assert_string_equal(l.text, "F0/0:22 S55 F0/0:22 ");
    buf_done(&b);
}

static void another_source_is_believed_when_it_goes_on(void **state)
{
    struct interleaved il;
    struct log l = {0};
    struct buf b;

    (void)state;
    buf_init(&b, 1 << 20);
    add_frame(&b, 0, 5, 0, 10);
    add_frame(&b, 0, 5, 1, 10);
    buf_text(&b, "\x01\x02\x03");
    add_frame(&b, 0, 99, 1, 10);
    add_frame(&b, 0, 99, 2, 10);
    add_frame(&b, 0, 99, 3, 10);
    ready(&il);
    run(&il, buf_span(&b), 100000, &l);
    assert_string_equal(l.text, "F0/0:22 S29 F0/0:22 F0/0:22 F0/0:22 ");
    l = (struct log){0};
    ready(&il);
    run(&il, buf_span(&b), 7,
        &l); /* seen in small pieces: the broken frame is given before its end is known */
    assert_true(il.frames >= 4 && !il.searching);
    buf_done(&b);
}

static void searching_is_bounded(void **state)
{
    static uint8_t noise[1 << 17];
    struct interleaved il;
    struct log l = {0};
    struct buf b;

    (void)state;
    memset(noise, 0x55, sizeof(noise));
    ready(&il);
    for (size_t i = 0; i < INTERLEAVED_SKIP_MAX / sizeof(noise); i++)
        run(&il, span(noise, sizeof(noise)), sizeof(noise), &l);
    assert_false(il.lost);
    run(&il, span(noise, 1), 1, &l);
    assert_true(il.lost);

    ready(&il);
    buf_init(&b, 1 << 20);
    l = (struct log){0};
    for (uint16_t i = 0; i < INTERLEAVED_RESYNC_MAX; i++) {
        add_frame(&b, 0, 5, i, 10);
        add_frame(&b, 0, 5, i, 10);
        buf_text(&b, "\x01");
    }
    add_frame(&b, 0, 5, 100, 10);
    run(&il, buf_span(&b), 100000, &l);
    assert_false(il.lost);
    buf_text(&b, "\x01");
    run(&il, SPAN_LIT("\x01"), 1, &l);
    assert_true(il.lost);
    buf_done(&b);
}

static void good_frames_forgive(void **state)
{
    struct interleaved il;
    struct log l = {0};
    struct buf b;

    (void)state;
    ready(&il);
    buf_init(&b, 4 << 20);
    for (int round = 0; round < 2 * INTERLEAVED_RESYNC_MAX; round++) {
        for (uint16_t i = 0; i < 1010; i++) add_frame(&b, 0, 5, i, 1);
        buf_text(&b, "\x01");
    }
    run(&il, buf_span(&b), 10000, &l);
    assert_false(il.lost);
    assert_int_equal(il.searches, 2 * INTERLEAVED_RESYNC_MAX);
    buf_done(&b);
}

/* C6 */
static void junk_before_an_answer(void **state)
{
    struct interleaved il;
    struct log l = {0};

    (void)state;
    interleaved_init(&il);
    run(&il, SPAN_LIT("\x01\x02junk RTSP/1.0 200 OK\r\n\r\n"), 1000, &l);
    assert_string_equal(l.text, "S7 M:19+0 ");
}

/* C18 */
static void bodies_with_a_wrong_length(void **state)
{
    static const struct {
        const char *text, *want, *want_flushed;
    } rows[] = {
        /* too long: ends where something else begins, or by the timer */
        {"RTSP/1.0 200 OK\r\nContent-Length: 99\r\n\r\nv=0\r\nRTSP/1.0 200 OK\r\n\r\n", "M:39+5 M:19+0 ", ""},
        {"RTSP/1.0 200 OK\r\nContent-Length: 99\r\n\r\nRTSP/1.0 200 OK\r\n\r\n", "M:39+0 M:19+0 ", ""},
        {"RTSP/1.0 200 OK\r\nContent-Length: 99\r\n\r\nv=0\r\ns=x", "", "M:39+8 "},
        {"RTSP/1.0 200 OK\r\nContent-Length: 99\r\n\r\n", "", "M:39+0 "},
        /* too short: line ends not counted */
        {"RTSP/1.0 200 OK\r\nContent-Type: application/sdp\r\nContent-Length: 3\r\n\r\nv=0\r\ns=x\r\n",
            "M:69+10 ", ""},
        {"RTSP/1.0 200 OK\r\nContent-Type: application/sdp\r\nContent-Length: 5\r\n\r\nv=0\r\ns=x\r\n",
            "M:69+10 ", ""},
        {"RTSP/1.0 200 OK\r\nContent-Type: application/sdp\r\nContent-Length: 4\r\n\r\nv=0\r\nRTSP/1.0 200 "
         "OK\r\n\r\n",
            "M:69+5 M:19+0 ", ""},
        /* none */
        {"RTSP/1.0 200 OK\r\nContent-Type: application/sdp\r\n\r\nv=0\r\n", "", "M:50+5 "},
        {"RTSP/1.0 200 OK\r\n\r\nv=0\r\n", "", "M:19+5 "},
        {"RTSP/1.0 200 OK\r\nContent-Type: application/sdp\r\n\r\nv=0\r\nRTSP/1.0 200 OK\r\n\r\n",
            "M:50+5 M:19+0 ", ""},
        /* C5: two equal ones */
        {"RTSP/1.0 200 OK\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nabRTSP/1.0 200 OK\r\n\r\n",
            "M:57+2 M:19+0 ", ""},
        {"RTSP/1.0 200 OK\r\nContent-Length: -2\r\n\r\nRTSP/1.0 200 OK\r\n\r\n", "M:39+0 M:19+0 ", ""},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_N(rows); i++) {
        struct interleaved il;
        struct interleaved_event e;
        struct log l = {0}, flushed = {0};
        size_t took;

        interleaved_init(&il);
        run(&il, span_of(rows[i].text), 1000, &l);
        assert_string_equal(l.text, rows[i].want);
        assert_int_equal(interleaved_in_body(&il), rows[i].want_flushed[0] != 0);
        if (rows[i].want_flushed[0] == 0) continue;
        interleaved_flush(&il);
        interleaved_next(&il, span_of(rows[i].text), &took, &e);
        note(&flushed, &e);
        assert_string_equal(flushed.text, rows[i].want_flushed);
        assert_false(interleaved_in_body(&il));
    }
}

static void limits(void **state)
{
    static char text[INTERLEAVED_BUFFER_MAX + 1000];
    struct interleaved il;
    struct interleaved_event e;
    struct log l = {0};
    size_t took, n;

    (void)state;
    /* The largest head with the largest body fits the buffer that the header names. */
    interleaved_init(&il);
    n = (size_t)snprintf(text, sizeof(text), "RTSP/1.0 200 OK\r\nContent-Length: 999999999\r\nX: ");
    memset(text + n, 'x', sizeof(text) - n);
    memcpy(text + 16384 - 4, "\r\n\r\n", 4);
    interleaved_next(&il, span(text, INTERLEAVED_BUFFER_MAX), &took, &e);
    assert_int_equal(e.kind, INTERLEAVED_MESSAGE);
    assert_int_equal(e.head.n, 16384);
    assert_int_equal(e.body.n, 262144);
    /* One byte more of head is no message. */
    interleaved_init(&il);
    memset(text + n, 'x', sizeof(text) - n);
    memcpy(text + 16385 - 4, "\r\n\r\n", 4);
    interleaved_next(&il, span(text, 20000), &took, &e);
    assert_int_equal(e.kind, INTERLEAVED_SKIPPED);
    /* No more than so many channels. */
    interleaved_init(&il);
    for (unsigned i = 0; i < INTERLEAVED_CHANNELS_MAX; i++)
        assert_int_equal(interleaved_channel(&il, (uint8_t)(i * 3)), i);
    assert_int_equal(interleaved_channel(&il, 255), -1);
    /* The longest frame. */
    ready(&il);
    memset(text, 0, sizeof(text));
    interleaved_write_header((uint8_t *)text, 0, 65535);
    run(&il, span(text, 65539), 65539, &l);
    assert_string_equal(l.text, "F0/0:65535 ");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(any_order_and_any_cut),
        cmocka_unit_test(holes_are_found),
        cmocka_unit_test(the_frame_with_the_hole_is_not_given),
        cmocka_unit_test(foreign_ssrc_is_not_believed_while_searching),
        cmocka_unit_test(another_source_is_believed_when_it_goes_on),
        cmocka_unit_test(searching_is_bounded),
        cmocka_unit_test(good_frames_forgive),
        cmocka_unit_test(junk_before_an_answer),
        cmocka_unit_test(bodies_with_a_wrong_length),
        cmocka_unit_test(limits),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
