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

#define UID   "cam-1"
#define SPANS 4000

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

static void on_question(void *arg, struct trunk *t, const struct wire_frame *f)
{
    (void)arg;
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
    assert_true(seg_info_read(packed_str(body, "info"), &rig.open));
    assert_int_equal(packed_u64(body, "node", 0), 2);
    rig.order[rig.n_opened++ % ARRAY_N(rig.order)] = rig.open.id;
    fd_close(&rig.fd);
    if (!rig.refuse) rig.fd = memfd_create("fill", MFD_CLOEXEC);
    say(MSG_FILL_FILE, packed_u64(body, "id", 0), rig.refuse, rig.refuse ? -1 : rig.fd);
    return 0;
}

static int on_done(const struct packed *body)
{
    const struct seg_info *list[] = {&rig.open};

    if (packed_u64(body, "err", 0) != 0) return 0;
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

static void tell_stream(void)
{
    struct buf b;
    struct packer p = pair_pack(&b, 4);
    struct unpack *u;

    pack_kv_text(&p, "uid", UID);
    pack_kv_bool(&p, "fill", true);
    pack_kv_i64(&p, "duration_us", 0);
    pack_key(&p, "nodes");
    pack_array(&p, 1);
    pack_u64(&p, 2);
    u = pair_unpack(&b);
    fill_stream(rig.fill, unpack_root(u));
    unpack_done(u);
    buf_done(&b);
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

static void hold(uint16_t node)
{
    struct buf b;
    struct packer p = pair_pack(&b, 1);
    struct unpack *u;

    pack_key(&p, "nodes");
    pack_array(&p, node != 0);
    if (node != 0) pack_u64(&p, node);
    u = pair_unpack(&b);
    fill_hold(rig.fill, unpack_root(u));
    unpack_done(u);
    buf_done(&b);
}

/* It has still to delete what was deleted while it was away. */
static void a_node_that_is_held(void **state)
{
    (void)state;
    hold(2);
    pair_meet("x", "x");
    pair_wait(at_rest);
    assert_int_equal(rig.n_opened, 0);
    hold(0);
    tell_stream();
    pair_wait(all_stored);
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
        T(a_node_that_is_held),
    };

    sigaction(SIGPIPE, &(struct sigaction){.sa_handler = SIG_IGN}, NULL);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
