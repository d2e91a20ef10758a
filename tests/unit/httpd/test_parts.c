/* Parts of segments: how long they are, whatever the camera's frames do. Fragments are made up. */
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include "common/base/mem.h"
#include "httpd/parts.h"

#define FRAMES_MAX 200

/* n fragments of these lengths in turn. */
struct run {
    struct fragment *p[FRAMES_MAX];
    size_t n;
    struct parts parts;
    size_t closed_at[FRAMES_MAX]; /* frames that were there when part i was closed */
};

static void play(struct run *r, size_t n, const usec_t *us, size_t n_us, usec_t target_us)
{
    int64_t at = 1000000;

    *r = (struct run){0};
    for (size_t i = 0; i < n; i++) {
        r->p[r->n++] = NEW(struct fragment);
        *r->p[i] = (struct fragment){.start_us = at, .end_us = at + us[i % n_us], .key = i == 0};
        at += us[i % n_us];
        if (parts_add(&r->parts, r->p, i, target_us)) r->closed_at[r->parts.n - 1] = i + 1;
    }
}

static void done(struct run *r)
{
    parts_done(&r->parts);
    for (size_t i = 0; i < r->n; i++) mem_free(r->p[i]);
}

/* Parts follow one another without a hole, none longer than the target, and they end in time. */
static void check(const struct run *r, size_t n, usec_t target_us)
{
    size_t at = 0;

    for (size_t i = 0; i < r->parts.n; i++) {
        const struct part *p = &r->parts.v[i];

        assert_int_equal(p->from, at);
        assert_true(p->n > 0 && p->n <= n - at);
        assert_true(p->dur_us <= target_us || p->n == 1);
        assert_int_equal(p->dur_us, r->p[at + p->n - 1]->end_us - r->p[at]->start_us);
        assert_int_equal(p->key, at == 0);
        at += p->n;
    }
    assert_true(at <= n);
}

static void even_frames_fill_the_target(void **state)
{
    static const struct {
        usec_t frame_us;
        size_t frames;
    } rows[] = {{40000, 8}, {33333, 10}, {66667, 5}, {83333, 4}, {100000, 3}, {125000, 2}, {166667, 2},
        {200000, 1}, {340000, 1}, {1000000, 1}, {16667, 21}, {8333, 43}};

    (void)state;
    for (size_t i = 0; i < ARRAY_N(rows); i++) {
        usec_t target_us = parts_target(rows[i].frame_us);
        struct run r;

        play(&r, 100, &rows[i].frame_us, 1, target_us);
        check(&r, 100, target_us);
        assert_int_equal(r.parts.n, 100 / rows[i].frames);
        for (size_t k = 0; k < r.parts.n; k++) {
            assert_int_equal(r.parts.v[k].n, rows[i].frames);
            assert_int_equal(r.closed_at[k], (k + 1) * rows[i].frames); /* not a frame later */
            assert_true(r.parts.v[k].dur_us * 100 >= target_us * 85);
        }
        done(&r);
    }
}

static void frames_that_are_not_evenly_apart(void **state)
{
    static const usec_t jitter[] = {40000, 44000, 36000, 41000, 39000, 47000, 33000};
    static const usec_t night[] = {40000, 40000, 40000, 500000, 500000, 500000, 10000, 700000};
    usec_t target_us = parts_target(40000);
    struct run r;

    (void)state;
    play(&r, 150, jitter, ARRAY_N(jitter), target_us);
    check(&r, 150, target_us);
    for (size_t k = 0; k < r.parts.n; k++) assert_true(r.parts.v[k].dur_us * 100 >= target_us * 80);
    done(&r);
    play(&r, 150, night, ARRAY_N(night), target_us);
    check(&r, 150, target_us);
    done(&r);
}

static void the_rest_of_a_segment_is_a_part(void **state)
{
    static const usec_t frame_us = 40000;
    struct run r;

    (void)state;
    play(&r, 20, &frame_us, 1, parts_target(frame_us));
    assert_int_equal(r.parts.n, 2);
    parts_end(&r.parts, r.p, 20);
    assert_int_equal(r.parts.n, 3);
    assert_int_equal(r.parts.v[2].n, 4);
    parts_end(&r.parts, r.p, 20);
    assert_int_equal(r.parts.n, 3);
    parts_done(&r.parts);
    done(&r);
}

/* Times that a hostile ring makes up: no division by zero, no endless target. */
static void targets(void **state)
{
    (void)state;
    assert_int_equal(parts_target(40000), 347000);
    assert_int_equal(parts_target(0), parts_target(1));
    assert_int_equal(parts_target(0), 369000);
    assert_int_equal(parts_target(1000 * US_PER_S), 2167000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(even_frames_fill_the_target),
        cmocka_unit_test(frames_that_are_not_evenly_apart),
        cmocka_unit_test(the_rest_of_a_segment_is_a_part),
        cmocka_unit_test(targets),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
