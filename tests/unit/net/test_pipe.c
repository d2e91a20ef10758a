/* common/net/pipe: bytes both ways between a conn and its owner, on one loop and on two, under flow control;
 * ends of either side, while the conn moves and while it is lent. */
#include "common/net/pipe.h"
#include "common/base/fd.h"
#include "common/base/mem.h"

#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cmocka.h>

#define AHEAD 10000
#define MOST  (1u << 20)

struct rig {
    struct loop *owner, *other;
    pthread_t thread;
    struct conn *carrier;
    int peer;
    struct pipe *p;
    struct conn *c;
    /* the owner's side */
    uint8_t *out;
    size_t n_out, held, most_held, taken, most_piece;
    bool hold, shared; /* pieces are not passed on; one was a chunk of the conn's */
    int ended;         /* 1: whole, 2: not */
    size_t until;      /* the loop is left at so many bytes */
    struct chunk *watched;
    /* the conn's side */
    uint8_t in[4096];
    size_t n_in, on_sent;
    bool pause;
    _Atomic int closed;
    int err;
    void (*arrived)(struct conn *c);
    int file;
    uint64_t at, to;
};

/* --- the owner --- */

static void out(void *arg, struct chunk *c, size_t from, size_t n)
{
    struct rig *r = arg;

    assert_true(r->n_out + n <= MOST);
    memcpy(r->out + r->n_out, c->data + from, n);
    r->n_out += n;
    r->held += n;
    r->most_held = MAX(r->most_held, r->held);
    r->shared |= c == r->watched;
    chunk_unref(c);
    if (!r->hold) {
        pipe_passed(r->p, r->held);
        r->held = 0;
    }
    if (r->until > 0 && r->n_out >= r->until) loop_break(r->owner);
}

static void taken(void *arg, size_t n)
{
    ((struct rig *)arg)->taken += n;
}

static void end(void *arg, bool whole)
{
    struct rig *r = arg;

    r->ended = whole ? 1 : 2;
    loop_break(r->owner);
}

static const struct pipe_ops pipe_ops = {out, taken, end};

/* --- the conn --- */

static size_t on_data(struct conn *c, struct span data)
{
    struct rig *r = conn_arg(c);

    assert_true(r->n_in + data.n <= sizeof(r->in));
    memcpy(r->in + r->n_in, data.p, data.n);
    r->n_in += data.n;
    if (r->pause) conn_pause(c);
    if (r->arrived) conn_migrate(c, r->other, r->arrived);
    return data.n;
}

static void lend(struct rig *r)
{
    conn_lend(r->c);
    while (r->at < r->to) {
        ssize_t n = conn_lent_file(r->c, r->file, r->at, (size_t)(r->to - r->at));

        if (n == -EAGAIN) break;
        assert_true(n > 0);
        r->at += (uint64_t)n;
    }
    conn_lend_end(r->c);
    if (r->at < r->to)
        conn_wait_writable(r->c);
    else
        conn_close_after_send(r->c);
}

static void on_sent(struct conn *c)
{
    struct rig *r = conn_arg(c);

    r->on_sent++;
    if (r->at < r->to) lend(r);
}

static void on_close(struct conn *c, int err)
{
    struct rig *r = conn_arg(c);

    (void)c;
    r->closed++;
    r->err = err;
    r->c = NULL;
}

static const struct conn_ops ops = {on_data, on_sent, on_close};

/* --- the rig --- */

static size_t nothing(struct conn *c, struct span data)
{
    (void)c;
    return data.n;
}

static void carrier_closed(struct conn *c, int err)
{
    (void)c;
    (void)err;
}

static void *other_main(void *arg)
{
    loop_run(arg);
    return NULL;
}

static void open_rig(struct rig *r, size_t ahead)
{
    static const struct conn_ops carrier_ops = {.on_data = nothing, .on_close = carrier_closed};
    static const struct conn_limits limits = {.read_max = 4000, .queue_high = 1 << 20};
    int sv[2];

    *r = (struct rig){.owner = loop_new(), .other = loop_new(), .out = mem_new(MOST)};
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, sv), 0);
    r->peer = sv[1];
    r->carrier = conn_new(r->owner, sv[0], &carrier_ops, &limits, r);
    r->p = pipe_new(r->owner, ahead, r->carrier, &pipe_ops, r);
    r->c = conn_new_on(r->owner, conn_over_pipe(r->p), &ops, &limits, r);
    assert_int_equal(conn_peer(r->c)->ss_family, AF_UNIX);
    assert_false(conn_is_tls(r->c));
    assert_int_equal(pthread_create(&r->thread, NULL, other_main, r->other), 0);
}

static void too_late(struct loop_timer *t)
{
    (void)t;
    fail_msg("not reached within 10 s");
}

static void run(struct rig *r)
{
    struct loop_timer t = {0};

    loop_timer_set(r->owner, &t, 10 * US_PER_S, too_late, NULL);
    loop_run(r->owner);
    loop_timer_stop(&t);
}

static void stop(void *arg)
{
    loop_break(arg);
}

/* Twice around: what a turn posts is run too. */
static void turn(struct rig *r)
{
    for (int i = 0; i < 3; i++) {
        loop_post(r->owner, stop, r->owner);
        run(r);
    }
}

static void close_rig(struct rig *r)
{
    if (r->p) pipe_close(r->p);
    turn(r);
    conn_close(r->carrier, 0);
    turn(r);
    while (r->closed == 0) turn(r); /* it may be on the other loop */
    loop_post(r->other, stop, r->other);
    pthread_join(r->thread, NULL);
    assert_int_equal(r->closed, 1);
    loop_free(r->other);
    loop_free(r->owner);
    fd_close(&r->peer);
    mem_free(r->out);
}

static void fill(uint8_t *p, size_t n)
{
    for (size_t i = 0; i < n; i++) p[i] = (uint8_t)(i * 7 + (i >> 8));
}

/* --- tests --- */

static void both_ways_on_one_loop(void **state)
{
    struct chunk *shared = chunk_new(3000);
    struct rig r;

    (void)state;
    fill(shared->data, shared->n);
    open_rig(&r, AHEAD);
    r.watched = shared;
    assert_true(pipe_give(r.p, SPAN_LIT("question")));
    turn(&r);
    assert_int_equal(r.n_in, 8);
    assert_int_equal(r.taken, 8);
    conn_send(r.c, SPAN_LIT("head"));
    conn_send_chunk(r.c, shared, 10, 2000);
    conn_close_after_send(r.c);
    run(&r);
    assert_int_equal(r.ended, 1);
    assert_int_equal(r.n_out, 2004);
    assert_memory_equal(r.out, "head", 4);
    assert_memory_equal(r.out + 4, shared->data + 10, 2000);
    assert_true(r.shared); /* and not a copy of it */
    turn(&r);
    assert_int_equal(shared->refs, 1);
    chunk_unref(shared);
    close_rig(&r);
}

static void flow_is_bounded_both_ways(void **state)
{
    struct chunk *c = chunk_new(100000);
    struct rig r;

    (void)state;
    fill(c->data, c->n);
    open_rig(&r, AHEAD);
    r.hold = true;
    conn_send_chunk(r.c, c, 0, c->n);
    turn(&r);
    assert_int_equal(r.n_out, AHEAD);
    assert_int_equal(conn_queued(r.c), 90000);
    pipe_passed(r.p, AHEAD / 2 - 1); /* little: not worth a turn */
    turn(&r);
    assert_int_equal(r.n_out, AHEAD);
    pipe_passed(r.p, 1);
    r.held = AHEAD / 2;
    turn(&r);
    assert_int_equal(r.n_out, AHEAD + AHEAD / 2);
    r.hold = false;
    pipe_passed(r.p, r.held);
    r.held = 0;
    r.until = 100000;
    run(&r);
    assert_memory_equal(r.out, c->data, c->n);
    turn(&r);
    assert_int_equal(r.on_sent, 1);
    /* What it has paused is not taken. */
    r.pause = true;
    pipe_give(r.p, SPAN_LIT("a"));
    turn(&r);
    pipe_give(r.p, SPAN_LIT("b"));
    turn(&r);
    assert_int_equal(r.taken, 1);
    conn_resume(r.c);
    turn(&r);
    assert_int_equal(r.taken, 2);
    chunk_unref(c);
    close_rig(&r);
    assert_int_equal(r.err, -ECONNRESET);
}

static struct chunk *far_chunk;

static void speak_there(struct conn *c)
{
    struct rig *r = conn_arg(c);

    assert_ptr_equal(conn_loop(c), r->other);
    far_chunk = chunk_new(300000);
    fill(far_chunk->data, far_chunk->n);
    conn_send(c, SPAN_LIT("moved"));
    conn_send_chunk(c, far_chunk, 0, far_chunk->n);
    conn_close_after_send(c);
}

/* Shared chunks are counted without atomics: of another loop's the owner gets copies. */
static void moves_to_another_loop(void **state)
{
    struct rig r;

    (void)state;
    for (int i = 0; i < 20; i++) {
        uint8_t *want = mem_new(300000);

        fill(want, 300000);
        open_rig(&r, AHEAD);
        r.arrived = speak_there;
        pipe_give(r.p, SPAN_LIT("go"));
        run(&r);
        assert_int_equal(r.ended, 1);
        assert_int_equal(r.n_out, 300005);
        assert_memory_equal(r.out + 5, want, 300000);
        assert_true(r.most_held <= AHEAD);
        close_rig(&r);
        assert_int_equal(r.err, 0);
        assert_int_equal(far_chunk->refs, 1);
        chunk_unref(far_chunk);
        mem_free(want);
    }
}

static void arrived_and_quiet(struct conn *c)
{
    conn_pause(c);
}

/* The owner goes at any moment of the move, also one that is paused and reads nothing. */
static void the_owner_goes(void **state)
{
    struct rig r;

    (void)state;
    for (int i = 0; i < 30; i++) {
        open_rig(&r, AHEAD);
        r.arrived = arrived_and_quiet;
        pipe_give(r.p, SPAN_LIT("go"));
        for (int k = 0; k < i % 4; k++) turn(&r);
        pipe_close(r.p);
        r.p = NULL;
        close_rig(&r);
        assert_int_equal(r.err, -ECONNRESET);
        assert_int_equal(r.ended, 0);
    }
}

static void the_conn_goes(void **state)
{
    struct rig r;

    (void)state;
    open_rig(&r, AHEAD);
    r.hold = true;
    conn_send(r.c, SPAN_LIT("part"));
    conn_flush(r.c);
    conn_close(r.c, -EIO);
    run(&r);
    assert_int_equal(r.ended, 2);
    assert_int_equal(r.n_out, 4);
    assert_true(pipe_give(r.p, SPAN_LIT("too late"))); /* and nobody reads it */
    pipe_passed(r.p, 4);
    close_rig(&r);
}

static void a_conn_that_is_not_taken(void **state)
{
    struct conn_over over;
    struct rig r;

    (void)state;
    open_rig(&r, AHEAD);
    conn_close(r.c, 0);
    run(&r);
    pipe_close(r.p);
    r.ended = 0;
    r.p = pipe_new(r.owner, AHEAD, r.carrier, &pipe_ops, &r);
    over = conn_over_pipe(r.p);
    conn_over_close(&over);
    run(&r);
    assert_int_equal(r.ended, 2);
    close_rig(&r);
}

static void files_while_it_is_lent(void **state)
{
    char name[] = "/tmp/test-pipe-XXXXXX";
    uint8_t *want = mem_new(500000);
    struct rig r;

    (void)state;
    fill(want, 500000);
    open_rig(&r, AHEAD);
    r.file = mkstemp(name);
    unlink(name);
    assert_int_equal(write(r.file, want, 500000), 500000);
    r.to = 500000;
    lend(&r);
    run(&r);
    assert_int_equal(r.ended, 1);
    assert_int_equal(r.n_out, 500000);
    assert_memory_equal(r.out, want, 500000);
    assert_true(r.most_held <= AHEAD);
    fd_close(&r.file);
    mem_free(want);
    close_rig(&r);
}

/* Closed while lent: the borrower's next write fails, and it lives until it is given back. */
static void cut_while_it_is_lent(void **state)
{
    struct rig r;

    (void)state;
    open_rig(&r, AHEAD);
    conn_lend(r.c);
    assert_int_equal(conn_lent_send(r.c, SPAN_LIT("some"), false), 4);
    pipe_close(r.p);
    r.p = NULL;
    turn(&r);
    assert_int_equal(r.closed, 0);
    assert_int_equal(conn_lent_send(r.c, SPAN_LIT("more"), false), -EPIPE);
    conn_lend_end(r.c);
    close_rig(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(both_ways_on_one_loop),
        cmocka_unit_test(flow_is_bounded_both_ways),
        cmocka_unit_test(moves_to_another_loop),
        cmocka_unit_test(the_owner_goes),
        cmocka_unit_test(the_conn_goes),
        cmocka_unit_test(a_conn_that_is_not_taken),
        cmocka_unit_test(files_while_it_is_lent),
        cmocka_unit_test(cut_while_it_is_lent),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
