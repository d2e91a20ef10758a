/* master/past: what a stream's worker has told of its attempts, newest first, within limits. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "common/base/mem.h"
#include "master/past.h"

static struct past *x;
static struct unpack *u;
static struct buf b;

static int end(void **state)
{
    (void)state;
    past_free(x);
    x = NULL;
    return 0;
}

static const struct packed *pack(const char *name, bool ok, const char *cause, const char *text)
{
    struct packer p;

    buf_init(&b, 1 << 16);
    p = packer_of(&b);
    pack_map(&p, 5);
    pack_kv_text(&p, "name", name);
    pack_kv_bool(&p, "ok", ok);
    pack_kv_i64(&p, "took_us", 1500);
    pack_kv_text(&p, "cause", cause);
    pack_kv_text(&p, "text", text);
    assert_int_equal(unpack_new(buf_span(&b), &u), 0);
    return unpack_root(u);
}

static void done(void)
{
    unpack_done(u);
    buf_done(&b);
}

static void step(const char *name, const char *text, usec_t wall_us)
{
    past_step(&x, pack(name, strcmp(name, "TEARDOWN") != 0, "timeout", text), wall_us);
    done();
}

/* Row `at`; done() behind it. NULL: there is none. */
static const struct packed *row(size_t at)
{
    struct packer p;

    buf_init(&b, 1 << 16);
    p = packer_of(&b);
    if (!past_row(x, at, &p)) {
        buf_done(&b);
        return NULL;
    }
    assert_int_equal(unpack_new(buf_span(&b), &u), 0);
    return unpack_root(u);
}

static void nothing_yet(void **state)
{
    (void)state;
    assert_null(row(0));
    assert_int_equal(past_over_us(x), 0);
    assert_int_equal(past_ping_us(x), 0);
    past_free(NULL);
}

static void an_attempt(void **state)
{
    (void)state;
    step("begin", "", 10 * US_PER_S);
    step("connect", "192.0.2.1:554", 11 * US_PER_S);
    assert_int_equal(past_ping_us(x), 0);
    step("DESCRIBE", "401 Unauthorized", 12 * US_PER_S);
    assert_int_equal(past_over_us(x), 0);
    assert_int_equal(packed_n(row(0)), 2); /* it goes on: no end */
    done();
    assert_int_equal(past_ping_us(x), 1500);
    step("over", "wrong password", 13 * US_PER_S);
    assert_int_equal(past_over_us(x), 13 * US_PER_S);
    assert_true(span_is(packed_str(row(0), "text"), "wrong password"));
    assert_true(span_is(packed_str(unpack_root(u), "cause"), "timeout"));
    done();
    assert_true(span_is(packed_str(row(1), "name"), "connect"));
    done();
    assert_true(span_is(packed_str(row(2), "text"), "401 Unauthorized"));
    done();
    assert_null(row(3));
    step("begin", "", 20 * US_PER_S); /* another: the steps are its own */
    assert_int_equal((int)packed_as_f64(packed_get(row(0), "at"), 0), 20);
    done();
    assert_int_equal((int)packed_as_f64(packed_get(row(1), "at"), 0), 10);
    done();
    assert_null(row(2));
}

static void limits(void **state)
{
    static char text[PAST_SDP_MAX + 100];

    (void)state;
    memset(text, 'x', sizeof(text) - 1);
    for (int i = 0; i < PAST_ATTEMPTS + 5; i++) step("begin", "", i * US_PER_S);
    for (int i = 0; i < PAST_STEPS + 5; i++) step("PLAY", text, 0);
    assert_true(packed_str(row(PAST_ATTEMPTS), "text").n < PAST_TEXT_MAX);
    done();
    assert_null(row(PAST_ATTEMPTS + PAST_STEPS));
    past_sdp(&x, pack("", true, "", text));
    done();
    past_sdp(&x, pack("", true, "", text));
    done();
    assert_int_equal(packed_str(row(PAST_ATTEMPTS + PAST_STEPS), "text").n, PAST_SDP_MAX);
    done();
    assert_null(row(PAST_ATTEMPTS + PAST_STEPS + 1));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(nothing_yet, end),
        cmocka_unit_test_teardown(an_attempt, end),
        cmocka_unit_test_teardown(limits, end),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
