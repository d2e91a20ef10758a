/* master/events: which event a call or a camera means, who is told of it, and when it is forgotten. The
 * keeper and the worker are sockets of this test. */
#include "master/events.h"
#include "common/base/clock.h"
#include "common/base/mem.h"
#include "master/master.h"

#include <setjmp.h>
#include <stdarg.h>
#include <sys/socket.h>
#include <cmocka.h>

#define WAIT_US (60 * US_PER_S)
#define NONE    (-1)

/* Who is told. */
struct peer {
    struct loop *loop;
    struct channel *ch;
    struct event last;
    unsigned n, want;
};
struct world {
    struct master m;
    struct stream s;
    struct conf_stream conf;
    struct peer keeper, worker;
    struct loop_timer late;
};

static int on_message(struct channel *ch, struct incoming *in)
{
    struct peer *p = channel_arg(ch);

    assert_int_equal(in->type, MSG_EVENT);
    assert_true(event_read(in->body, &p->last));
    if (++p->n == p->want) loop_break(p->loop);
    return 0;
}

static void on_close(struct channel *ch, int err)
{
    (void)ch;
    fail_msg("closed: %d", err);
}

static const struct channel_ops ops = {.on_message = on_message, .on_close = on_close};

static void connect_to(struct world *w, struct peer *p, struct proc *proc, enum role role)
{
    int sv[2];

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, sv), 0);
    *p = (struct peer){.loop = w->m.loop};
    p->ch = channel_new(w->m.loop, sv[0], role, ROLE_MASTER, &ops, p);
    proc->ch = channel_new(w->m.loop, sv[1], ROLE_MASTER, role, &ops, p);
    proc->state = PROC_RUNNING;
}

static int setup(void **state)
{
    struct world *w = NEW(struct world);

    w->m.loop = loop_new();
    w->conf = (struct conf_stream){.dvr_mode = CONF_DVR_EVENT,
        .dvr_event_before_us = 10 * US_PER_S,
        .dvr_event_after_us = 30 * US_PER_S};
    w->s.m = &w->m;
    w->s.conf = &w->conf;
    span_copy(SPAN_LIT("cam-1"), w->s.uid, sizeof(w->s.uid));
    events_init(&w->s.events);
    connect_to(w, &w->keeper, &w->m.services.v[SERVICE_KEEPER].proc, ROLE_KEEPER);
    connect_to(w, &w->worker, &w->s.proc, ROLE_WORKER);
    *state = w;
    return 0;
}

static int teardown(void **state)
{
    struct world *w = *state;

    events_done(&w->s.events);
    loop_timer_stop(&w->late);
    channel_free(w->keeper.ch);
    channel_free(w->worker.ch);
    channel_free(w->s.proc.ch);
    channel_free(w->m.services.v[SERVICE_KEEPER].proc.ch);
    loop_free(w->m.loop);
    mem_free(w);
    return 0;
}

static void too_late(struct loop_timer *t)
{
    (void)t;
    fail_msg("nothing comes");
}

static void wait_for(struct world *w, struct peer *p, unsigned n)
{
    if (p->n >= n) return;
    p->want = n;
    loop_timer_set(w->m.loop, &w->late, WAIT_US, too_late, w);
    loop_run(w->m.loop);
    loop_timer_stop(&w->late);
}

/* As a call or a worker says it; end_us 0: it goes on. */
static const struct event *begin(struct world *w, const char *kind, usec_t start_us, usec_t end_us)
{
    CLEANUP(mem_freep) struct event *e = NEW(struct event);

    *e = (struct event){.start_us = start_us, .end_us = end_us, .before_us = NONE, .after_us = NONE};
    span_copy(span_of(kind), e->kind, sizeof(e->kind));
    span_copy(SPAN_LIT("call"), e->source, sizeof(e->source));
    return events_begin(&w->s, e, 0);
}

static const struct event *end(struct world *w, const char *kind, usec_t end_us, const char *payload)
{
    CLEANUP(mem_freep) struct event *e = NEW(struct event);

    *e = (struct event){.end_us = end_us};
    span_copy(span_of(kind), e->kind, sizeof(e->kind));
    span_copy(SPAN_LIT("call"), e->source, sizeof(e->source));
    span_copy(span_of(payload), e->payload, sizeof(e->payload));
    return events_end(&w->s, e, 0);
}

static void one_begins_is_renewed_and_ends(void **state)
{
    struct world *w = *state;
    usec_t now_us = clock_wall_us();
    const struct event *e = begin(w, "door", now_us, 0);
    uint64_t id = e->id;

    assert_true(id > 0 && e->before_us == 10 * US_PER_S && e->after_us == 30 * US_PER_S);
    assert_string_equal(e->uid, "cam-1");
    assert_true(begin(w, "door", now_us + 5, 0)->id == id);
    assert_true(begin(w, "gate", now_us, 0)->id > id);
    assert_int_equal(w->s.events.n, 2);
    assert_null(end(w, "window", now_us, ""));
    e = end(w, "door", now_us + 7, "closed");
    assert_true(e->id == id && e->end_us == now_us + 7);
    assert_string_equal(e->payload, "closed");
    assert_null(end(w, "door", now_us + 8, "")); /* it is over */
    assert_true(begin(w, "door", now_us + 9, 0)->id != id);
    wait_for(w, &w->keeper, 4);
    wait_for(w, &w->worker, 4);
    assert_string_equal(w->worker.last.kind, "door");
}

/* Another node says it with its number, and may say it again; its end is called there, or here. */
static void one_of_another_node(void **state)
{
    struct world *w = *state;
    usec_t now_us = clock_wall_us();
    struct event e = {.id = 77, .uid = "cam-1", .kind = "door", .source = "call", .start_us = now_us};

    events_take(&w->s, &e);
    events_take(&w->s, &e);
    assert_int_equal(w->s.events.n, 1);
    wait_for(w, &w->keeper, 1);
    wait_for(w, &w->worker, 1);
    assert_int_equal(w->worker.last.id, 77);
    e.end_us = now_us + 5;
    events_take(&w->s, &e);
    events_take(&w->s, &e);
    wait_for(w, &w->keeper, 2);
    assert_int_equal(w->keeper.last.end_us, now_us + 5);
    e = (struct event){.id = 78, .uid = "cam-1", .kind = "gate", .source = "call", .start_us = now_us};
    events_take(&w->s, &e);
    assert_int_equal(end(w, "gate", now_us + 7, "shut")->id, 78);
    wait_for(w, &w->keeper, 4);
    assert_int_equal(w->keeper.last.id, 78);
    assert_int_equal(w->keeper.last.end_us, now_us + 7);
}

static void an_end_is_not_before_its_beginning_nor_a_day_behind(void **state)
{
    struct world *w = *state;
    usec_t now_us = clock_wall_us();

    begin(w, "door", now_us, 0);
    assert_true(end(w, "door", now_us - US_PER_S, "")->end_us == now_us);
    begin(w, "door", now_us, 0);
    assert_true(end(w, "door", now_us + 2 * EVENT_LENGTH_MAX_US, "")->end_us == now_us + EVENT_LENGTH_MAX_US);
}

/* A worker that does not record by events need not know. */
static void workers_of_other_modes_are_not_told(void **state)
{
    struct world *w = *state;

    w->conf.dvr_mode = CONF_DVR_CONTINUOUS;
    begin(w, "door", clock_wall_us(), 0);
    w->conf.dvr_mode = CONF_DVR_EVENT;
    begin(w, "gate", clock_wall_us(), 0);
    wait_for(w, &w->keeper, 2);
    wait_for(w, &w->worker, 1);
    assert_string_equal(w->worker.last.kind, "gate");
    events_tell_worker(&w->s); /* a new one: both */
    wait_for(w, &w->worker, 3);
    assert_string_equal(w->worker.last.kind, "gate");
}

/* A new keeper is told what no storage has, and what goes on: of others it may think that they were left
 * behind. */
static void a_new_keeper_is_told_what_goes_on(void **state)
{
    struct world *w = *state;
    usec_t now_us = clock_wall_us();
    const struct event *open = begin(w, "open", now_us, 0), *over = begin(w, "over", now_us, now_us + 1);

    begin(w, "wait", now_us, now_us + 1);
    events_stored(&w->s, open);
    events_stored(&w->s, over);
    wait_for(w, &w->keeper, 3);
    events_tell_keeper(&w->s);
    wait_for(w, &w->keeper, 5);
    assert_string_equal(w->keeper.last.kind, "wait");
    events_check(&w->s, clock_mono_us() + EVENTS_AGAIN_US + 1, now_us); /* this one again */
    wait_for(w, &w->keeper, 6);
    assert_string_equal(w->keeper.last.kind, "wait");
}

/* One whose end no storage has yet is not stored by what one says of its beginning. */
static void an_end_is_stored_by_itself(void **state)
{
    struct world *w = *state;
    usec_t now_us = clock_wall_us();
    struct event *was = mem_dup(begin(w, "door", now_us, 0), sizeof(*was));

    end(w, "door", now_us + 1, "");
    events_stored(&w->s, was);
    wait_for(w, &w->keeper, 2);
    events_tell_keeper(&w->s);
    wait_for(w, &w->keeper, 3);
    assert_true(w->keeper.last.end_us == now_us + 1);
    events_stored(&w->s, &w->keeper.last);
    events_check(&w->s, clock_mono_us(), w->keeper.last.end_us + 30 * US_PER_S + EVENTS_PAST_US);
    assert_int_equal(w->s.events.n, 1);
    events_check(&w->s, clock_mono_us(), w->keeper.last.end_us + 30 * US_PER_S + EVENTS_PAST_US + 1);
    assert_int_equal(w->s.events.n, 0);
    mem_free(was);
}

static void one_that_is_not_said_again_is_over(void **state)
{
    struct world *w = *state;
    usec_t now_us = clock_wall_us(), mono_us = clock_mono_us();
    const struct event *e = begin(w, "door", now_us, 0);

    events_check(&w->s, mono_us + EVENTS_OPEN_US - US_PER_S, now_us + 1);
    assert_true(e->end_us == 0);
    events_check(&w->s, mono_us + EVENTS_OPEN_US + US_PER_S, now_us + 2);
    assert_true(e->end_us == now_us + 2);
    e = begin(w, "gate", now_us, 0);
    events_check(&w->s, mono_us, now_us + EVENT_LENGTH_MAX_US);
    assert_true(e->end_us == now_us + EVENT_LENGTH_MAX_US);
}

/* Those that are over go first; one that goes on is ended before it is forgotten: nobody else would. */
static void they_are_bounded(void **state)
{
    struct world *w = *state;
    usec_t now_us = clock_wall_us();
    char kind[32];

    begin(w, "first", now_us, 0);
    begin(w, "over", now_us, now_us);
    for (int i = 2; i < EVENTS_STREAM_MAX; i++) {
        snprintf(kind, sizeof(kind), "kind-%d", i);
        begin(w, kind, now_us, 0);
    }
    assert_int_equal(w->s.events.n, EVENTS_STREAM_MAX);
    begin(w, "next", now_us, 0);
    assert_int_equal(w->s.events.n, EVENTS_STREAM_MAX);
    assert_non_null(end(w, "first", now_us, ""));
    begin(w, "first", now_us, 0); /* takes the room of the one that ended */
    assert_int_equal(w->s.events.n, EVENTS_STREAM_MAX);
    w->keeper.n = 0;
    begin(w, "last", now_us, 0);
    wait_for(w, &w->keeper, EVENTS_STREAM_MAX + 5); /* all, two ends, and */
    assert_null(end(w, "kind-2", now_us, ""));
    assert_int_equal(w->s.events.n, EVENTS_STREAM_MAX);
}

static void all_end_with_the_server(void **state)
{
    struct world *w = *state;
    usec_t now_us = clock_wall_us();
    const struct event *a = begin(w, "a", now_us, 0), *b = begin(w, "b", now_us - 9, now_us - 5);

    events_stop(&w->s);
    assert_true(a->end_us >= now_us && b->end_us == now_us - 5);
    assert_ptr_equal(events_find(&w->s, a->id), a);
    assert_null(events_find(&w->s, 1));
}

static int said(struct world *w, const char *uid, uint64_t source, bool over)
{
    CLEANUP(mem_freep) struct event *e = NEW(struct event);
    struct unpack *u;
    struct packer p;
    struct buf b;
    int err;

    *e = (struct event){.id = source, .kind = "motion", .start_us = clock_wall_us()};
    e->end_us = over ? e->start_us : 0;
    span_copy(span_of(uid), e->uid, sizeof(e->uid));
    buf_init(&b, 1 << 16);
    p = packer_of(&b);
    pack_map(&p, EVENT_KEYS + 1);
    event_pack(&p, e);
    pack_kv_bool(&p, "over", over);
    assert_int_equal(unpack_new(buf_span(&b), &u), 0);
    err = events_said(&w->s, unpack_root(u));
    unpack_done(u);
    buf_done(&b);
    return err;
}

/* A worker speaks of its own stream only; two sources of one kind are two events. */
static void what_a_worker_says(void **state)
{
    struct world *w = *state;

    assert_true(said(w, "cam-2", 5, false) < 0);
    assert_true(said(w, "", 5, false) < 0);
    assert_int_equal(w->s.events.n, 0);
    assert_int_equal(said(w, "cam-1", 5, false), 0);
    assert_int_equal(said(w, "cam-1", 5, false), 0);
    assert_int_equal(w->s.events.n, 1);
    assert_int_equal(said(w, "cam-1", 6, false), 0);
    assert_int_equal(w->s.events.n, 2);
    assert_int_equal(said(w, "cam-1", 5, true), 0);
    wait_for(w, &w->keeper, 3);
    assert_string_equal(w->keeper.last.source, "onvif");
    assert_true(w->keeper.last.end_us != 0 && w->keeper.last.after_us == 30 * US_PER_S);
    assert_int_equal(said(w, "cam-1", 5, true), 0); /* again: nothing goes on */
    assert_int_equal(w->s.events.n, 2);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(one_begins_is_renewed_and_ends),
        TEST(one_of_another_node),
        TEST(an_end_is_not_before_its_beginning_nor_a_day_behind),
        TEST(workers_of_other_modes_are_not_told),
        TEST(a_new_keeper_is_told_what_goes_on),
        TEST(an_end_is_stored_by_itself),
        TEST(one_that_is_not_said_again_is_over),
        TEST(they_are_bounded),
        TEST(all_end_with_the_server),
        TEST(what_a_worker_says),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
