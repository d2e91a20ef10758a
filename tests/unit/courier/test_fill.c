/* courier/fill, fill_round and fill_copy: node 1 gets what node 2 recorded; the test is node 1's keeper. */
#include "common/base/fd.h"
#include "common/base/mem.h"
#include "courier/fill.h"
#include "courier/serve.h"
#include "tests/support/courier_disk.h"
#include "tests/support/courier_pair.h"
#include "tests/support/segments.h"
#include "tests/support/tool.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#define UID     "cam-1"
#define SPANS   4000
#define EVENTS  (2 * SERVE_EVENTS_MAX + 100) /* and as many locks: three pages of each */
#define HOUR_US (3600 * US_PER_S)

static struct {
    char own_dir[128];
    struct index *own;
    struct courier_disk disk;
    struct shelves theirs, ours;
    struct serve serve;
    struct fill *fill;
    struct channel *keeper, *courier; /* the test's end; fill's */
    usec_t known_us;                  /* as node 2 was told */
    /* the keeper's */
    struct seg_info open;
    int fd, refuse; /* refuse: with this errno */
    uint64_t order[64];
    size_t n_opened, n_stored, die_at; /* die_at: before it has stored so many; 0: never */
    bool died;
    usec_t refuse_from_us; /* only what begins there or later */
    bool written;          /* what node 2 says of its segments first: the last of the four is still written */
    bool silent;           /* the keeper does not answer FILL_OPEN: */
    uint64_t asked;        /* that is its id */
    size_t given_up;
    bool events[EVENTS], locks[EVENTS]; /* by id - 1 */
    size_t n_events, n_locks;
    size_t n_before; /* of events and locks, when the first FILL_OPEN came */
} rig;

/* --- the nodes --- */

static void nothing(void *arg, struct peer *p)
{
    (void)arg;
    (void)p;
}

static void on_gone(void *arg, struct peer *p)
{
    (void)arg;
    if (rig.fill) fill_gone(rig.fill, p);
}

static void say_written(struct trunk *t, uint64_t id)
{
    struct packer *p = trunk_begin(t, WIRE_FOUND, id, 3);

    rig.written = false;
    pack_kv_text(p, "storage", "disk");
    pack_key(p, "infos");
    pack_array(p, DISK_SEGMENTS - 1);
    for (size_t i = 0; i < DISK_SEGMENTS - 1; i++) {
        struct seg_info info = rig.disk.infos[i];
        uint8_t bytes[SEG_INFO_WIRE_MAX];
        struct wr w = wr_of(bytes, sizeof(bytes));

        if (i == DISK_SEGMENTS - 2) info.flags |= SEG_OPEN;
        seg_info_write(&w, &info);
        pack_bin(p, wr_span(&w));
    }
    pack_kv_bool(p, "more", false);
    trunk_send(t);
    serve_say_end(t, id, 0);
}

static void on_question(void *arg, struct trunk *t, const struct wire_frame *f)
{
    (void)arg;
    if (f->type == WIRE_FIND && rig.written) {
        say_written(t, f->id);
        return;
    }
    if (f->type == WIRE_KNOWN) {
        rig.known_us = packed_i64(f->body, "until_us", -1);
        serve_say_end(t, f->id, 0);
    } else if (!serve_ask(&rig.serve, t, f)) {
        serve_say_end(t, f->id, ENOSYS);
    }
}

static void on_room(void *arg, struct trunk *t)
{
    (void)arg;
    serve_room(&rig.serve, t);
}

static void on_trunk_end(void *arg, struct trunk *t)
{
    (void)arg;
    serve_end(&rig.serve, t);
}

static const struct nodes_ops nodes_ops = {nothing, nothing, on_gone, on_question, on_room, on_trunk_end};

/* --- node 1's keeper --- */

static void same_bytes(void)
{
    uint8_t *there, *here = mem_new(rig.open.bytes);
    size_t n;

    assert_int_equal(fd_read_file(rig.disk.records, rig.open.path, 64u << 20, &there, &n), 0);
    assert_int_equal(n, rig.open.bytes);
    assert_int_equal(pread(rig.fd, here, n, 0), (ssize_t)n);
    assert_memory_equal(here, there, n);
    mem_free(there);
    mem_free(here);
}

static void say(enum message type, uint64_t id, int err, int fd)
{
    struct packer *p = channel_begin(rig.keeper, type, 2);

    pack_kv_u64(p, "id", id);
    pack_kv_u64(p, "err", (uint64_t)err);
    channel_end(rig.keeper, &fd, fd >= 0);
}

static int on_open(const struct packed *body)
{
    int refuse;

    assert_true(seg_info_read(packed_str(body, "info"), &rig.open));
    assert_int_equal(packed_u64(body, "node", 0), 2);
    if (rig.n_opened == 0) rig.n_before = rig.n_events + rig.n_locks;
    rig.order[rig.n_opened++ % ARRAY_N(rig.order)] = rig.open.id;
    rig.asked = packed_u64(body, "id", 0);
    if (rig.silent) return 0;
    refuse = rig.open.start_us >= rig.refuse_from_us ? rig.refuse : 0;
    fd_close(&rig.fd);
    if (!refuse) rig.fd = memfd_create("fill", MFD_CLOEXEC);
    say(MSG_FILL_FILE, rig.asked, refuse, refuse ? -1 : rig.fd);
    return 0;
}

static void once(bool *had, size_t *n, uint64_t id)
{
    assert_in_range(id, 1, EVENTS);
    *n += !had[id - 1];
    had[id - 1] = true;
}

static int on_done(const struct packed *body)
{
    const struct seg_info *list[] = {&rig.open};

    if (packed_u64(body, "err", 0) != 0) {
        rig.given_up++;
        return 0;
    }
    if (rig.die_at > 0 && rig.n_stored + 1 == rig.die_at && !rig.died) {
        rig.died = true;
        return -ECONNRESET;
    }
    same_bytes();
    assert_int_equal(index_put(rig.own, list, 1), 0);
    rig.n_stored++;
    say(MSG_FILL_STORED, packed_u64(body, "id", 0), 0, -1);
    return 0;
}

static int on_message(struct channel *ch, struct incoming *in)
{
    (void)ch;
    if (in->type == MSG_FILL_OPEN) return on_open(in->body);
    if (in->type == MSG_FILL_EVENT) once(rig.events, &rig.n_events, packed_u64(in->body, "id", 0));
    if (in->type == MSG_FILL_LOCK) once(rig.locks, &rig.n_locks, packed_u64(in->body, "id", 0));
    return in->type == MSG_FILL_DONE ? on_done(in->body) : 0;
}

static void on_close(struct channel *ch, int err)
{
    (void)err;
    channel_free(ch);
    rig.keeper = NULL;
}

static int on_answer(struct channel *ch, struct incoming *in)
{
    (void)ch;
    return fill_message(rig.fill, in);
}

static void on_keeper_gone(struct channel *ch, int err)
{
    (void)err;
    fill_keeper(rig.fill, NULL);
    channel_free(ch);
    rig.courier = NULL;
}

static const struct channel_ops keeper_ops = {on_message, on_close},
                                courier_ops = {on_answer, on_keeper_gone};

static void meet_keeper(void)
{
    int sv[2];

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sv), 0);
    rig.keeper = channel_new(pair.loop, sv[0], ROLE_KEEPER, ROLE_COURIER, &keeper_ops, NULL);
    rig.courier = channel_new(pair.loop, sv[1], ROLE_COURIER, ROLE_KEEPER, &courier_ops, NULL);
    fill_keeper(rig.fill, rig.courier);
}

static void on_suspect(void *arg, const char *name)
{
    (void)arg;
    (void)name;
}

static void tell_stream_of(usec_t duration_us, usec_t event_duration_us)
{
    struct buf b;
    struct packer p = pair_pack(&b, 5);
    struct unpack *u;

    pack_kv_text(&p, "uid", UID);
    pack_kv_bool(&p, "fill", true);
    pack_kv_i64(&p, "duration_us", duration_us);
    pack_kv_i64(&p, "event_duration_us", event_duration_us);
    pack_key(&p, "nodes");
    pack_array(&p, 1);
    pack_u64(&p, 2);
    u = pair_unpack(&b);
    fill_stream(rig.fill, unpack_root(u));
    unpack_done(u);
    buf_done(&b);
}

static void tell_stream(void)
{
    tell_stream_of(0, 0);
}

static int set_up(void **state)
{
    (void)state;
    memset(&rig, 0, sizeof(rig));
    rig.fd = -1;
    pair_start(&nodes_ops, NULL, NULL);
    courier_disk_make(&rig.disk);
    snprintf(rig.own_dir, sizeof(rig.own_dir), "%s/own", rig.disk.dir);
    assert_int_equal(mkdir(rig.own_dir, 0755), 0);
    assert_int_equal(index_open(rig.own_dir, &rig.own), 0);
    shelves_init(&rig.theirs, pair.loop, on_suspect, NULL);
    shelves_init(&rig.ours, pair.loop, on_suspect, NULL);
    courier_disk_tell(&rig.theirs, "disk", rig.disk.dir, rig.disk.index_dir);
    courier_disk_tell(&rig.ours, "disk", rig.own_dir, rig.own_dir);
    serve_init(&rig.serve, pair.loop, &rig.theirs);
    rig.fill = fill_new(pair.loop, pair.a, &rig.ours);
    tell_stream();
    meet_keeper();
    return 0;
}

static bool at_rest(void)
{
    static unsigned turns;

    return list_empty(&rig.serve.questions) && list_empty(&rig.serve.flows) && ++turns % 100 == 0;
}

static int tear_down(void **state)
{
    (void)state;
    fill_keeper(rig.fill, NULL);
    channel_free(rig.courier);
    channel_free(rig.keeper);
    pair_conf(pair.a, 1, "x", 0, 0); /* nobody is asked any more */
    pair_wait(at_rest);
    fill_free(rig.fill);
    rig.fill = NULL;
    shelves_done(&rig.ours);
    shelves_done(&rig.theirs);
    pair_stop();
    fd_close(&rig.fd);
    index_close(rig.own);
    courier_disk_done(&rig.disk);
    return 0;
}

/* --- tests --- */

static bool all_stored(void)
{
    return rig.n_stored == DISK_SEGMENTS;
}

static bool all_known(void)
{
    return rig.known_us >= rig.disk.infos[DISK_SEGMENTS - 1].end_us;
}

static void all_of_it_the_newest_first(void **state)
{
    const struct fill_counts *n;

    (void)state;
    pair_meet("x", "x");
    pair_wait(all_stored);
    assert_int_equal(rig.n_opened, DISK_SEGMENTS);
    assert_int_equal(rig.order[0], rig.disk.infos[DISK_SEGMENTS - 1].id); /* behind the gap */
    for (size_t i = 2; i < DISK_SEGMENTS; i++) assert_true(rig.order[i] < rig.order[i - 1]);
    pair_wait(all_known); /* another round finds nothing */
    assert_int_equal(rig.n_opened, DISK_SEGMENTS);
    n = fill_counts(rig.fill, pair_of_a());
    assert_int_equal(n->filled, DISK_SEGMENTS);
    assert_int_equal(n->left, 0);
    assert_int_equal(n->failed, 0);
}

static bool keeper_gone(void)
{
    return rig.died && !rig.keeper && !rig.courier;
}

static void a_keeper_that_dies(void **state)
{
    (void)state;
    rig.die_at = 3;
    pair_meet("x", "x");
    pair_wait(keeper_gone);
    meet_keeper();
    pair_wait(all_stored);
}

static bool all_refused(void)
{
    const struct fill_counts *n = fill_counts(rig.fill, pair_of_a());

    return n->failed == DISK_SEGMENTS && n->left == 0;
}

/* What there is no room for is not asked for again and again: another round leaves it. */
static void no_room(void **state)
{
    (void)state;
    rig.refuse = ENOSPC;
    pair_meet("x", "x");
    pair_wait(all_refused);
    rig.known_us = 0;
    tell_stream(); /* a round at once */
    while (rig.known_us == 0) pair_wait(at_rest);
    assert_int_equal(rig.n_opened, DISK_SEGMENTS);
}

/* What is older than the gaps of one round is not said to be here. */
static void more_gaps_than_a_round_has(void **state)
{
    (void)state;
    segments_scatter(rig.disk.ix, &rig.disk.infos[0], DISK_T0 + 3600 * US_PER_S, FILL_GAPS_MAX);
    rig.refuse = ENOSPC;
    pair_meet("x", "x");
    while (rig.known_us == 0) pair_wait(at_rest);
    assert_int_equal(rig.known_us, rig.disk.infos[0].start_us);
}

static bool one_opened(void)
{
    return rig.n_opened == 1;
}

/* What is here too, in more spans than a message holds, hides nothing that is newer. */
static void spans_in_pages(void **state)
{
    const struct seg_info *list[DISK_SEGMENTS];
    struct seg_info newest = rig.disk.infos[0];

    (void)state;
    for (size_t i = 0; i < DISK_SEGMENTS; i++) list[i] = &rig.disk.infos[i];
    assert_int_equal(index_put(rig.own, list, DISK_SEGMENTS), 0);
    segments_scatter(rig.own, &rig.disk.infos[0], DISK_T0 + 3600 * US_PER_S, SPANS);
    newest = segments_scatter(rig.disk.ix, &rig.disk.infos[0], DISK_T0 + 3600 * US_PER_S, SPANS + 1);
    rig.refuse = ENOSPC;
    pair_meet("x", "x");
    pair_wait(one_opened);
    assert_int_equal(rig.order[0], newest.id);
}

/* A storage that cannot be read may have anything: what it had been told still holds. */
static void a_storage_that_is_not_open(void **state)
{
    (void)state;
    courier_disk_tell(&rig.theirs, "other", rig.disk.dir, NULL);
    pair_meet("x", "x");
    pair_wait(all_stored);
    tell_stream(); /* a round at once: it finds nothing */
    for (unsigned i = 0; i < 20; i++) pair_wait(at_rest);
    assert_int_equal(rig.known_us, 0);
    courier_disk_tell(&rig.theirs, "other", rig.disk.dir, rig.disk.index_dir);
    tell_stream();
    pair_wait(all_known);
}

/* --- events and locks --- */

static void put_events(usec_t at_us, size_t n)
{
    struct event *list = mem_new_n(EVENTS, sizeof(*list));
    struct index_lock *locks = mem_new_n(EVENTS, sizeof(*locks));

    for (size_t i = 0; i < n; i++) {
        list[i] = (struct event){.id = i + 1,
            .uid = UID,
            .kind = "motion",
            .source = "call",
            .start_us = at_us + (usec_t)i / 2, /* pages end between two of the same begin */
            .end_us = at_us + US_PER_S};
        locks[i] = (struct index_lock){.uid = UID,
            .id = i + 1,
            .start_us = list[i].start_us,
            .end_us = list[i].end_us,
            .version_us = at_us};
    }
    assert_int_equal(index_events_put(rig.disk.ix, list, n), 0);
    assert_int_equal(index_locks_put(rig.disk.ix, locks, n), 0);
    mem_free(list);
    mem_free(locks);
}

/* All of them, whatever a page has, and before the first segment. */
static void more_events_than_a_page_has(void **state)
{
    (void)state;
    put_events(rig.disk.infos[DISK_SEGMENTS - 1].start_us, EVENTS);
    pair_meet("x", "x");
    pair_wait(all_stored);
    assert_int_equal(rig.n_events, EVENTS);
    assert_int_equal(rig.n_locks, EVENTS);
    assert_int_equal(rig.n_before, 2 * EVENTS);
}

static bool a_page_of_events(void)
{
    return rig.n_events >= SERVE_EVENTS_MAX;
}

/* Node 2 goes when it has said a page of them: nothing is fetched without the rest. */
static void a_donor_that_dies_between(void **state)
{
    (void)state;
    put_events(rig.disk.infos[DISK_SEGMENTS - 1].start_us, EVENTS);
    pair_meet("x", "x");
    pair_wait(a_page_of_events);
    pair_conf(pair.a, 1, "x", 0, 0);
    pair_wait(at_rest);
    assert_in_range(rig.n_events, SERVE_EVENTS_MAX, EVENTS - 1);
    assert_int_equal(rig.n_opened, 0);
    pair_meet("x", "x");
    tell_stream(); /* a round at once */
    pair_wait(all_stored);
    assert_int_equal(rig.n_before, 2 * EVENTS);
}

/* A round that begins before the courier knows that asks for them again, and the keeper says EEXIST. */
static bool one_filled(void)
{
    return fill_counts(rig.fill, pair_of_a())->filled == 1;
}

static bool two_filled(void)
{
    return fill_counts(rig.fill, pair_of_a())->filled == 2;
}

/* What is older than the stream is kept comes where a lock or an event keeps it, and nothing else. */
static void only_what_is_kept(void **state)
{
    const struct seg_info *locked = &rig.disk.infos[1], *of_event = &rig.disk.infos[3];
    const struct index_lock locks[] = {{.uid = UID,
                                           .id = 1,
                                           .start_us = locked->start_us + US_PER_S,
                                           .end_us = locked->start_us + 2 * US_PER_S,
                                           .version_us = 1},
        {.uid = UID,
            .id = 2,
            .start_us = rig.disk.infos[4].start_us,
            .end_us = rig.disk.infos[4].end_us,
            .version_us = 2,
            .released_us = 2}};
    const struct event e = {.id = 1,
        .uid = UID,
        .kind = "motion",
        .source = "call",
        .start_us = of_event->start_us + US_PER_S,
        .end_us = of_event->start_us + 2 * US_PER_S};

    (void)state;
    assert_int_equal(index_locks_put(rig.disk.ix, locks, ARRAY_N(locks)), 0);
    assert_int_equal(index_events_put(rig.disk.ix, &e, 1), 0);
    tell_stream_of(HOUR_US, 0);
    pair_meet("x", "x");
    pair_wait(one_filled);
    assert_int_equal(rig.order[0], locked->id);
    tell_stream_of(HOUR_US, 100 * 365 * 24 * HOUR_US); /* events keep theirs so long */
    pair_wait(two_filled);
    assert_int_equal(rig.order[1], of_event->id);
    rig.known_us = 0;
    tell_stream_of(HOUR_US, 100 * 365 * 24 * HOUR_US);
    pair_wait(all_known); /* another round finds nothing that is missing */
    assert_int_equal(rig.n_opened, 2);
}

static bool gaps_refused(void)
{
    return fill_counts(rig.fill, pair_of_a())->failed >= FILL_GAPS_MAX;
}

/* A round's gaps are all of segments that were refused: the older ones have their turn all the same. */
static void behind_what_was_refused(void **state)
{
    (void)state;
    rig.refuse_from_us = DISK_T0 + HOUR_US;
    segments_scatter(rig.disk.ix, &rig.disk.infos[0], rig.refuse_from_us, FILL_GAPS_MAX);
    rig.refuse = ENOSPC;
    pair_meet("x", "x");
    pair_wait(gaps_refused);
    tell_stream(); /* a round at once */
    pair_wait(all_stored);
    assert_true(rig.n_opened >= FILL_GAPS_MAX + DISK_SEGMENTS);
}

static bool three_stored(void)
{
    return rig.n_stored == DISK_SEGMENTS - 2;
}

static bool four_stored(void)
{
    return rig.n_stored == DISK_SEGMENTS - 1;
}

/* This node's own recording begins 0.4 s after node 2 began another segment, which that still writes: when
 * the one before has come, what is missing is shorter than ranges show. */
static const struct seg_info *still_written(void)
{
    const struct seg_info *last = &rig.disk.infos[DISK_SEGMENTS - 2],
                          *list[2] = {&rig.disk.infos[DISK_SEGMENTS - 1]};
    struct seg_info own = *last;

    own.start_us += 400 * US_PER_MS;
    own.id = (uint64_t)(own.start_us / US_PER_MS) << 8;
    list[1] = &own;
    assert_int_equal(index_put(rig.own, list, 2), 0);
    rig.written = true;
    pair_meet("x", "x");
    pair_wait(three_stored);
    return last;
}

static void a_segment_that_was_still_written(void **state)
{
    const struct seg_info *last = still_written();

    (void)state;
    tell_stream(); /* a round at once */
    pair_wait(four_stored);
    assert_int_equal(rig.open.id, last->id);
    rig.known_us = 0;
    tell_stream();
    pair_wait(all_known);
    assert_int_equal(rig.n_opened, DISK_SEGMENTS - 1);
}

static bool four_opened(void)
{
    return rig.n_opened >= DISK_SEGMENTS - 1;
}

/* It is closed and asked for, and does not come: it is remembered until it is here. */
static void still_written_and_not_taken(void **state)
{
    const struct seg_info *last = still_written();

    (void)state;
    rig.refuse = ECANCELED;
    tell_stream(); /* a round at once */
    pair_wait(four_opened);
    rig.refuse = 0;
    tell_stream();
    pair_wait(four_stored);
    assert_int_equal(rig.open.id, last->id);
}

/* Nor does it matter that node 2 goes meanwhile. */
static void still_written_by_one_that_goes(void **state)
{
    const struct seg_info *last = still_written();

    (void)state;
    pair_conf(pair.a, 1, "x", 0, 0);
    pair_wait(at_rest);
    pair_meet("x", "x");
    tell_stream(); /* a round at once */
    pair_wait(four_stored);
    assert_int_equal(rig.open.id, last->id);
}

/* --- deletes that wait for the other node --- */

static void hold(uint16_t node, const char *uid, usec_t from_us, usec_t to_us)
{
    struct buf b;
    struct packer p = pair_pack(&b, 1);
    struct unpack *u;

    pack_key(&p, "rows");
    pack_array(&p, node != 0);
    if (node != 0) {
        pack_array(&p, 4);
        pack_u64(&p, node);
        pack_str(&p, span_of(uid));
        pack_i64(&p, from_us);
        pack_i64(&p, to_us);
    }
    u = pair_unpack(&b);
    fill_hold(rig.fill, unpack_root(u));
    unpack_done(u);
    buf_done(&b);
}

/* It has still to delete what was deleted while it was away: of that time nothing comes, all else does. */
static void a_time_that_is_held(void **state)
{
    const struct seg_info *held = &rig.disk.infos[1];

    (void)state;
    hold(2, UID, held->start_us, held->end_us);
    pair_meet("x", "x");
    pair_wait(four_stored);
    tell_stream(); /* a round at once */
    rig.known_us = 0;
    while (rig.known_us == 0) pair_wait(at_rest);
    assert_int_equal(rig.n_opened, DISK_SEGMENTS - 1);
    for (size_t i = 0; i < rig.n_opened; i++) assert_true(rig.order[i] != held->id);
    assert_true(rig.known_us < held->end_us);
    hold(2, "other", 0, INT64_MAX);
    tell_stream();
    pair_wait(all_stored);
}

static void a_node_that_is_held(void **state)
{
    (void)state;
    hold(2, "", 0, INT64_MAX);
    pair_meet("x", "x");
    while (rig.known_us == 0) pair_wait(at_rest);
    assert_int_equal(rig.n_opened, 0);
    hold(0, NULL, 0, 0);
    tell_stream();
    pair_wait(all_stored);
}

static bool was_given_up(void)
{
    return rig.given_up == 1;
}

/* The keeper has been asked for its file when the delete is decided: it gets that back, and the others come.
 */
static void held_on_its_way(void **state)
{
    const struct seg_info *newest = &rig.disk.infos[DISK_SEGMENTS - 1];

    (void)state;
    rig.silent = true;
    pair_meet("x", "x");
    pair_wait(one_opened);
    assert_int_equal(rig.order[0], newest->id);
    rig.silent = false;
    rig.fd = memfd_create("fill", MFD_CLOEXEC);
    say(MSG_FILL_FILE, rig.asked, 0, rig.fd);
    hold(2, UID, newest->start_us, newest->end_us);
    pair_wait(was_given_up);
    pair_wait(four_stored);
    hold(0, NULL, 0, 0);
    tell_stream();
    pair_wait(all_stored);
}

/* --- what is left --- */

static uint64_t left_told, bytes_told;
static size_t left_times;

static void take_left(void *arg, const char *uid, uint64_t left, uint64_t bytes)
{
    (void)arg;
    assert_string_equal(uid, UID);
    left_told = left;
    bytes_told = bytes;
    left_times++;
}

static bool all_left(void)
{
    fill_tell_left(rig.fill, take_left, NULL);
    return left_told == DISK_SEGMENTS;
}

static bool none_left(void)
{
    fill_tell_left(rig.fill, take_left, NULL);
    return left_told == 0;
}

/* By stream, once for each number. */
static void what_is_left_is_told(void **state)
{
    (void)state;
    left_told = left_times = 0;
    rig.silent = true;
    pair_meet("x", "x");
    pair_wait(all_left);
    assert_true(bytes_told > 0);
    fill_tell_left(rig.fill, take_left, NULL);
    left_times = 0;
    fill_tell_left(rig.fill, take_left, NULL);
    assert_int_equal(left_times, 0);
    rig.silent = false;
    rig.fd = memfd_create("fill", MFD_CLOEXEC);
    say(MSG_FILL_FILE, rig.asked, 0, rig.fd);
    pair_wait(all_stored);
    pair_wait(none_left);
    assert_int_equal(bytes_told, 0);
}

/* How many bytes it will have nobody knows. */
static bool late_left(void)
{
    fill_tell_left(rig.fill, take_left, NULL);
    return left_told == 1 && bytes_told == 0;
}

/* What was still written is left until it has come, or the node has it no more. */
static void what_was_still_written_is_left(void **state)
{
    const struct seg_info *last = still_written();
    const struct index_ref ref = {.uid = UID, .id = last->id};

    (void)state;
    left_told = bytes_told = 0;
    pair_wait(late_left);
    assert_int_equal(index_drop(rig.disk.ix, &ref, 1), 0);
    tell_stream(); /* a round at once */
    pair_wait(none_left);
    assert_int_equal(rig.n_stored, DISK_SEGMENTS - 2);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        T(all_of_it_the_newest_first),
        T(a_keeper_that_dies),
        T(no_room),
        T(more_gaps_than_a_round_has),
        T(spans_in_pages),
        T(a_storage_that_is_not_open),
        T(more_events_than_a_page_has),
        T(a_donor_that_dies_between),
        T(only_what_is_kept),
        T(behind_what_was_refused),
        T(a_segment_that_was_still_written),
        T(still_written_and_not_taken),
        T(still_written_by_one_that_goes),
        T(a_time_that_is_held),
        T(a_node_that_is_held),
        T(held_on_its_way),
        T(what_is_left_is_told),
        T(what_was_still_written_is_left),
    };

    sigaction(SIGPIPE, &(struct sigaction){.sa_handler = SIG_IGN}, NULL);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
