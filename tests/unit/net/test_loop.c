/* common/net/loop: order, re-arming from within, posts from other threads. */
#include "common/net/loop.h"
#include "common/base/clock.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cmocka.h>

struct seen {
    struct loop *loop;
    struct loop_timer timer, other;
    struct loop_io io;
    struct loop_task task, second;
    int n, until;
    usec_t at_us;
};

static void count(struct seen *s)
{
    s->n++;
    s->at_us = clock_mono_us();
    if (s->n == s->until) loop_break(s->loop);
}

static void fired(struct loop_timer *t)
{
    count(t->arg);
}

static void timers_fire_and_move(void **state)
{
    struct seen s = {.loop = loop_new(), .until = 1};
    usec_t start_us = clock_mono_us();

    (void)state;
    assert_false(loop_timer_armed(&s.timer));
    loop_timer_stop(&s.timer);
    loop_timer_set(s.loop, &s.timer, US_PER_S * 60, fired, &s);
    loop_timer_set(s.loop, &s.timer, 20 * US_PER_MS, fired, &s);
    assert_true(loop_timer_armed(&s.timer));
    loop_run(s.loop);
    assert_true(s.at_us - start_us >= 19 * US_PER_MS);
    assert_false(loop_timer_armed(&s.timer));
    s.until = 4;
    loop_timer_every(s.loop, &s.timer, 2 * US_PER_MS, fired, &s);
    loop_run(s.loop);
    assert_int_equal(s.n, 4);
    assert_true(loop_timer_armed(&s.timer));
    loop_timer_stop(&s.timer);
    loop_timer_stop(&s.timer);
    loop_free(s.loop);
}

/* A long turn does not shorten the timers that it sets. */
static void long_turn(struct loop_timer *t)
{
    struct seen *s = t->arg;
    usec_t until_us = clock_mono_us() + 60 * US_PER_MS;

    while (clock_mono_us() < until_us) continue;
    s->at_us = clock_mono_us();
    loop_timer_set(s->loop, &s->other, 30 * US_PER_MS, fired, s);
}

static void timer_counts_from_its_setting(void **state)
{
    struct seen s = {.loop = loop_new(), .until = 1};
    usec_t set_us;

    (void)state;
    loop_timer_set(s.loop, &s.timer, 0, long_turn, &s);
    set_us = clock_mono_us() + 60 * US_PER_MS;
    loop_run(s.loop);
    assert_true(s.at_us - set_us >= 29 * US_PER_MS);
    loop_timer_stop(&s.timer);
    loop_timer_stop(&s.other);
    loop_free(s.loop);
}

static void readable(struct loop_io *io, unsigned events)
{
    struct seen *s = io->arg;

    assert_int_equal(events, LOOP_READ);
    loop_io_stop(io);
    count(s);
}

static void writable(struct loop_io *io, unsigned events)
{
    struct seen *s = io->arg;

    assert_int_equal(events, LOOP_WRITE);
    s->n++;
    loop_io_events(io, 0);
    loop_timer_set(s->loop, &s->timer, 5 * US_PER_MS, fired, s);
}

static void descriptors(void **state)
{
    struct seen s = {.loop = loop_new(), .until = 1};
    int sv[2];

    (void)state;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, sv), 0);
    loop_io_start(s.loop, &s.io, sv[0], LOOP_READ, readable, &s);
    assert_int_equal(write(sv[1], "x", 1), 1);
    loop_run(s.loop);
    loop_io_stop(&s.io);
    s.n = 0;
    s.until = 2;
    loop_io_start(s.loop, &s.io, sv[0], LOOP_WRITE, writable, &s);
    loop_run(s.loop); /* writable once, then paused until the timer */
    assert_int_equal(s.n, 2);
    loop_io_stop(&s.io);
    loop_timer_stop(&s.timer);
    loop_free(s.loop);
    close(sv[0]);
    close(sv[1]);
}

static void posted(void *arg)
{
    count(arg);
}

static void *poster(void *arg)
{
    struct seen *s = arg;

    for (int i = 0; i < 1000; i++) loop_post(s->loop, posted, s);
    return NULL;
}

static void posts_from_threads(void **state)
{
    struct seen s = {.loop = loop_new(), .until = 4000};
    pthread_t t[4];

    (void)state;
    for (int i = 0; i < 4; i++) assert_int_equal(pthread_create(&t[i], NULL, poster, &s), 0);
    loop_run(s.loop);
    for (int i = 0; i < 4; i++) pthread_join(t[i], NULL);
    assert_int_equal(s.n, 4000);
    loop_post(s.loop, posted, &s);
    loop_free(s.loop);
    assert_int_equal(s.n, 4000);
}

static void again(struct loop_task *t)
{
    struct seen *s = CONTAINER(t, struct seen, task);

    if (s->n < 99) loop_defer(s->loop, &s->task, again);
    count(s);
}

static void never(struct loop_task *t)
{
    (void)t;
    fail_msg("a stopped task ran");
}

static void tasks_run_at_the_end_of_the_turn(void **state)
{
    struct seen s = {.loop = loop_new(), .until = 100};

    (void)state;
    loop_defer(s.loop, &s.second, never);
    loop_defer(s.loop, &s.task, again);
    loop_defer(s.loop, &s.task, again);
    loop_defer_stop(s.loop, &s.second);
    loop_defer_stop(s.loop, &s.second);
    loop_run(s.loop);
    assert_int_equal(s.n, 100);
    loop_defer_stop(s.loop, &s.task);
    loop_free(s.loop);
}

static void on_signal(struct loop_signal *sig, int signo)
{
    assert_int_equal(signo, SIGUSR1);
    count(sig->arg);
}

static void signals(void **state)
{
    struct seen s = {.loop = loop_new(), .until = 1};
    struct loop_signal sig = {0};

    (void)state;
    loop_signal_start(s.loop, &sig, SIGUSR1, on_signal, &s);
    raise(SIGUSR1);
    loop_run(s.loop);
    assert_int_equal(s.n, 1);
    loop_signal_stop(&sig);
    loop_signal_stop(&sig);
    loop_free(s.loop);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(timers_fire_and_move),
        cmocka_unit_test(timer_counts_from_its_setting),
        cmocka_unit_test(descriptors),
        cmocka_unit_test(posts_from_threads),
        cmocka_unit_test(tasks_run_at_the_end_of_the_turn),
        cmocka_unit_test(signals),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
