/* courier/away, cache, serve, shelves and look: node 1 asks, as its httpd would, what node 2 has on its disk,
 * and gets segments whole. */
#include "common/base/fd.h"
#include "common/base/mem.h"
#include "common/ipc/event.h"
#include "courier/away.h"
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
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#define UID   "cam-1"
#define SPANS 8000
#define MANY  2000 /* events: several pages */

static struct {
    struct courier_disk disk;
    struct shelves shelves;
    struct serve serve;
    struct away away;
    struct cache *cache;
    struct channel *httpd;   /* the test's end */
    unsigned asked, fetches; /* questions that node 2 was asked; of these for segments */
    /* what came */
    struct seg_info found[64];
    size_t n_found, n_missing;
    int64_t spans[2 * SPANS];
    size_t n_spans;
    uint64_t events[MANY], locks[8];
    size_t n_events, n_locks;
    bool more, last;
    unsigned files;
    int err, fd;
    uint64_t bytes;
} rig;

/* --- the nodes --- */

static void nothing(void *arg, struct peer *p)
{
    (void)arg;
    (void)p;
}

static void on_question(void *arg, struct trunk *t, const struct wire_frame *f)
{
    (void)arg;
    rig.asked++;
    rig.fetches += f->type == WIRE_FETCH;
    if (!serve_ask(&rig.serve, t, f)) serve_say_end(t, f->id, ENOSYS);
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

static const struct nodes_ops nodes_ops = {nothing, nothing, nothing, on_question, on_room, on_trunk_end};

/* --- httpd --- */

static void take_found(const struct packed *body)
{
    const struct packed *infos = packed_get(body, "infos"), *spans = packed_get(body, "spans");

    for (size_t i = 0; i < packed_n(infos); i++)
        assert_true(seg_info_read(packed_as_str(packed_at(infos, i)), &rig.found[rig.n_found++]));
    for (size_t i = 0; i < packed_n(spans); i++)
        rig.spans[rig.n_spans++] = packed_as_i64(packed_at(spans, i), 0);
    if (packed_n(infos) > 0) assert_int_equal(packed_u64(body, "node", 0), 2);
    rig.more |= packed_bool(body, "more", false);
    rig.last |= packed_bool(body, "last", false);
    rig.n_missing = packed_n(packed_get(body, "missing"));
}

/* What comes twice is there once. */
static void note_id(uint64_t *ids, size_t max, size_t *n, const struct packed *body)
{
    uint64_t id = packed_u64(body, "id", 0);

    for (size_t i = 0; i < *n; i++)
        if (ids[i] == id) return;
    assert_true(*n < max);
    ids[(*n)++] = id;
}

static int on_answer(struct channel *ch, struct incoming *in)
{
    (void)ch;
    if (in->type != MSG_AWAY_FILE) {
        const struct packed *event = packed_get(in->body, "event"), *lock = packed_get(in->body, "lock");

        if (event) note_id(rig.events, MANY, &rig.n_events, event);
        if (lock) note_id(rig.locks, ARRAY_N(rig.locks), &rig.n_locks, lock);
        take_found(in->body);
        return 0;
    }
    rig.files++;
    rig.err = (int)packed_u64(in->body, "err", 9999);
    rig.bytes = packed_u64(in->body, "bytes", 0);
    if (in->n_fds == 1) {
        fd_close(&rig.fd);
        rig.fd = in->fds[0];
        in->fds[0] = -1;
    }
    return 0;
}

static void on_close(struct channel *ch, int err)
{
    (void)err;
    channel_free(ch);
    rig.httpd = NULL;
}

static int on_ask(struct channel *ch, struct incoming *in)
{
    (void)ch;
    return away_message(&rig.away, in);
}

static void on_httpd_gone(struct channel *ch, int err)
{
    (void)err;
    away_httpd(&rig.away, NULL);
    channel_free(ch);
}

static const struct channel_ops test_ops = {on_answer, on_close}, courier_ops = {on_ask, on_httpd_gone};

static void meet_httpd(void)
{
    int sv[2];

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sv), 0);
    rig.httpd = channel_new(pair.loop, sv[0], ROLE_HTTPD, ROLE_COURIER, &test_ops, NULL);
    away_httpd(&rig.away, channel_new(pair.loop, sv[1], ROLE_COURIER, ROLE_HTTPD, &courier_ops, NULL));
}

static void on_suspect(void *arg, const char *name)
{
    (void)arg;
    (void)name;
}

static int set_up(void **state)
{
    (void)state;
    memset(&rig, 0, sizeof(rig));
    rig.fd = -1;
    pair_start(&nodes_ops, NULL, NULL);
    rig.cache = cache_new(pair.a);
    shelves_init(&rig.shelves, pair.loop, on_suspect, NULL);
    serve_init(&rig.serve, pair.loop, &rig.shelves);
    away_init(&rig.away, pair.loop, pair.a, rig.cache);
    courier_disk_make(&rig.disk);
    courier_disk_tell(&rig.shelves, "disk", rig.disk.dir, rig.disk.index_dir);
    meet_httpd();
    return 0;
}

static bool at_rest(void)
{
    return list_empty(&rig.serve.questions) && list_empty(&rig.serve.flows);
}

static int tear_down(void **state)
{
    struct channel *ours = rig.away.httpd;

    (void)state;
    away_httpd(&rig.away, NULL);
    channel_free(ours);
    channel_free(rig.httpd);
    pair_wait(at_rest);
    cache_free(rig.cache);
    shelves_done(&rig.shelves);
    pair_stop();
    fd_close(&rig.fd);
    courier_disk_done(&rig.disk);
    return 0;
}

/* --- questions --- */

static void ask(enum message type, usec_t from_us, usec_t to_us, uint64_t most)
{
    struct packer *p = channel_begin(rig.httpd, type, 6);

    rig.n_found = rig.n_spans = rig.n_missing = 0;
    rig.more = rig.last = false;
    pack_kv_u64(p, "id", 5);
    pack_kv_text(p, "uid", UID);
    pack_kv_i64(p, "from_us", from_us);
    pack_kv_i64(p, "to_us", to_us);
    pack_kv_u64(p, "after", 0);
    pack_kv_u64(p, "most", most);
    channel_end(rig.httpd, NULL, 0);
}

static void ask_marks(const char *uid, const char *kind, usec_t from_us, usec_t to_us)
{
    struct packer *p = channel_begin(rig.httpd, MSG_AWAY_EVENTS, 5);

    rig.n_events = rig.n_locks = rig.n_missing = 0;
    rig.last = false;
    pack_kv_u64(p, "id", 6);
    pack_kv_text(p, "uid", uid);
    pack_kv_i64(p, "from_us", from_us);
    pack_kv_i64(p, "to_us", to_us);
    pack_kv_text(p, "kind", kind);
    channel_end(rig.httpd, NULL, 0);
}

static bool answered(void)
{
    return rig.last;
}

static void open_one(uint64_t id, uint64_t segment, const char *storage)
{
    struct packer *p = channel_begin(rig.httpd, MSG_AWAY_OPEN, 5);

    pack_kv_u64(p, "id", id);
    pack_kv_u64(p, "node", 2);
    pack_kv_text(p, "storage", storage);
    pack_kv_text(p, "uid", UID);
    pack_kv_u64(p, "segment", segment);
    channel_end(rig.httpd, NULL, 0);
}

static unsigned files_wanted;

static bool files_came(void)
{
    return rig.files >= files_wanted;
}

static void wait_files(unsigned n)
{
    files_wanted = n;
    pair_wait(files_came);
}

static void what_there_is(void **state)
{
    (void)state;
    pair_meet("x", "x");
    ask(MSG_AWAY_FIND, 0, INT64_MAX, 0);
    pair_wait(answered);
    assert_int_equal(rig.n_found, DISK_SEGMENTS);
    assert_int_equal(rig.n_missing, 0);
    assert_false(rig.more);
    for (size_t i = 0; i < DISK_SEGMENTS; i++) assert_int_equal(rig.found[i].id, rig.disk.infos[i].id);
    ask(MSG_AWAY_FIND, DISK_T0, DISK_T0 + US_PER_S, 0);
    pair_wait(answered);
    assert_int_equal(rig.n_found, 1);
    ask(MSG_AWAY_FIND, 0, INT64_MAX, 2);
    pair_wait(answered);
    assert_int_equal(rig.n_found, 2);
    assert_true(rig.more);
}

static void ranges(void **state)
{
    (void)state;
    pair_meet("x", "x");
    ask(MSG_AWAY_RANGES, 0, INT64_MAX, 0);
    pair_wait(answered);
    assert_int_equal(rig.n_spans, 4); /* two */
    assert_int_equal(rig.spans[0], rig.disk.infos[0].start_us);
    assert_int_equal(rig.spans[2], rig.disk.infos[DISK_SEGMENTS - 1].start_us);
}

/* What can be read is told, and that it is not all. */
static void a_storage_that_is_not_open(void **state)
{
    (void)state;
    courier_disk_tell(&rig.shelves, "other", rig.disk.dir, NULL);
    pair_meet("x", "x");
    ask(MSG_AWAY_FIND, 0, INT64_MAX, 0);
    pair_wait(answered);
    assert_int_equal(rig.n_found, DISK_SEGMENTS);
    assert_int_equal(rig.n_missing, 1);
    ask(MSG_AWAY_RANGES, 0, INT64_MAX, 0);
    pair_wait(answered);
    assert_int_equal(rig.n_spans, 4);
    assert_int_equal(rig.n_missing, 1);
}

/* Each page goes on where the one before ends. */
static void ranges_in_pages(void **state)
{
    usec_t from_us = 0, after_us = DISK_T0 + 3600 * US_PER_S;
    unsigned pages = 0;
    size_t n = 0;

    (void)state;
    segments_scatter(rig.disk.ix, &rig.disk.infos[0], after_us, SPANS);
    pair_meet("x", "x");
    do {
        ask(MSG_AWAY_RANGES, from_us, INT64_MAX, 0);
        pair_wait(answered);
        assert_true(rig.n_spans > 0);
        for (size_t i = 0; i < rig.n_spans; i += 2) {
            assert_true(rig.spans[i] >= from_us);
            from_us = rig.spans[i + 1];
        }
        n += rig.n_spans / 2;
        pages++;
    } while (rig.more);
    assert_int_equal(n, SPANS + 2);
    assert_true(pages > 1);
}

/* Each a second, every tenth of another kind. */
static void put_events(struct index *ix, const char *uid, size_t first, size_t n)
{
    struct event *list = mem_new_n(n, sizeof(*list));

    for (size_t i = 0; i < n; i++) {
        list[i] = (struct event){.id = first + i + 1,
            .start_us = DISK_T0 + (usec_t)i * US_PER_S,
            .end_us = DISK_T0 + (usec_t)(i + 1) * US_PER_S};
        snprintf(list[i].uid, sizeof(list[i].uid), "%s", uid);
        snprintf(list[i].kind, sizeof(list[i].kind), "%s", i % 10 == 0 ? "door" : "motion");
        snprintf(list[i].source, sizeof(list[i].source), "call");
    }
    assert_int_equal(index_events_put(ix, list, n), 0);
    mem_free(list);
}

static void put_locks(struct index *ix)
{
    const struct index_lock list[] = {
        {.uid = "cam-0", .id = 1, .start_us = DISK_T0, .end_us = DISK_T0 + US_PER_S, .version_us = 1},
        {.uid = UID, .id = 2, .start_us = DISK_T0, .end_us = DISK_T0 + US_PER_S, .version_us = 1},
        {.uid = UID,
            .id = 3,
            .start_us = DISK_T0 + 9 * US_PER_S,
            .end_us = DISK_T0 + 10 * US_PER_S,
            .version_us = 1},
        {.uid = "cam-2", .id = 4, .start_us = DISK_T0, .end_us = DISK_T0 + US_PER_S, .version_us = 1}};

    assert_int_equal(index_locks_put(ix, list, ARRAY_N(list)), 0);
}

/* However many there are: in pages, of one stream or of all. */
static void events_and_locks(void **state)
{
    (void)state;
    put_events(rig.disk.ix, UID, 0, MANY - 10);
    put_events(rig.disk.ix, "cam-2", MANY - 10, 10);
    put_locks(rig.disk.ix);
    pair_meet("x", "x");
    ask_marks(UID, "", 0, INT64_MAX);
    pair_wait(answered);
    assert_int_equal(rig.n_events, MANY - 10);
    assert_int_equal(rig.n_locks, 2);
    assert_int_equal(rig.n_missing, 0);
    ask_marks("", "", 0, INT64_MAX);
    pair_wait(answered);
    assert_int_equal(rig.n_events, MANY);
    assert_int_equal(rig.n_locks, 4);
    ask_marks(UID, "door", DISK_T0 + 100 * US_PER_S, DISK_T0 + 200 * US_PER_S);
    pair_wait(answered);
    assert_int_equal(rig.n_events, 10);
    assert_int_equal(rig.n_locks, 0);
    assert_int_equal(rig.n_missing, 0);
}

/* A second storage has some of the same: the pages go on where the first of both stops. */
static void events_of_two_storages(void **state)
{
    struct courier_disk other;

    (void)state;
    courier_disk_make(&other);
    courier_disk_tell(&rig.shelves, "other", other.dir, other.index_dir);
    put_events(rig.disk.ix, UID, 0, MANY);
    put_events(other.ix, UID, 0, MANY / 2);
    put_locks(other.ix);
    pair_meet("x", "x");
    ask_marks(UID, "", 0, INT64_MAX);
    pair_wait(answered);
    assert_int_equal(rig.n_events, MANY);
    assert_int_equal(rig.n_locks, 2);
    assert_int_equal(rig.n_missing, 0);
    courier_disk_done(&other);
}

/* --- a node that asks and does not read --- */

#define GREEDY_STEP 16

static struct {
    struct trunk *trunk;
    unsigned asked, answered, refused;
} greedy;

static bool greedy_hello(struct trunk *l, const char **ret_why)
{
    (void)l;
    (void)ret_why;
    return true;
}

static void greedy_frame(struct trunk *l, const struct wire_frame *f)
{
    (void)l;
    if (f->type != WIRE_END) return;
    greedy.answered++;
    greedy.refused += packed_u64(f->body, "err", 0) == EBUSY;
}

static void greedy_room(struct trunk *l)
{
    (void)l;
}

static void greedy_end(struct trunk *l, const char *why)
{
    (void)why;
    trunk_free(l);
    greedy.trunk = NULL;
}

static bool greedy_greeted(void)
{
    return greedy.trunk && greedy.trunk->greeted;
}

/* What waits for it there. */
static size_t greedy_queued(void)
{
    const struct peer *p = pair_of_b();

    return p->in && p->in->conn ? conn_queued(p->in->conn) : 0;
}

/* Its own patience apart: it does not hear the other's beats. */
static bool all_said(void)
{
    greedy.trunk->heard_us = loop_now_us(pair.loop);
    return rig.asked == greedy.asked && at_rest();
}

static bool all_answered(void)
{
    return greedy.answered == greedy.asked || !greedy.trunk;
}

static void greedy_asks(unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        struct packer *p = trunk_begin(greedy.trunk, WIRE_RANGES, ++greedy.asked, 3);

        pack_kv_text(p, "uid", UID);
        pack_kv_i64(p, "from_us", 0);
        pack_kv_i64(p, "to_us", INT64_MAX);
        trunk_send(greedy.trunk);
    }
    pair_wait(all_said);
}

/* Its answers wait up to a limit; then it is refused, until it reads. */
static void a_node_that_does_not_read(void **state)
{
    static const struct trunk_ops ops = {greedy_hello, greedy_frame, greedy_room, greedy_end};
    struct tls_mutual_setup s = {.group = SPAN_LIT("1"), .n_keys = 1, .keys = {{.id = 'x'}}};
    const struct trunk_self self = {.node = 1, .cluster = 1, .boot = 5, .run = 6};
    struct tls_mutual *keys;

    (void)state;
    memset(&greedy, 0, sizeof(greedy));
    memset(s.keys[0].secret, 'x', sizeof(s.keys[0].secret));
    assert_int_equal(tls_mutual_new(&s, &keys), 0);
    segments_scatter(rig.disk.ix, &rig.disk.infos[0], DISK_T0 + 3600 * US_PER_S, SPANS);
    pair_conf(pair.b, 2, "x", 1, 1);
    greedy.trunk = trunk_new(pair.loop, pair_connect(pair.port_b), keys, &self, 2, &ops);
    pair_wait(greedy_greeted);
    rig.asked = 0;
    conn_pause(greedy.trunk->conn);
    while (greedy_queued() <= TRUNK_QUEUE_MAX) greedy_asks(GREEDY_STEP);
    assert_true(greedy_queued() <= TRUNK_QUEUE_MAX + GREEDY_STEP * WIRE_FRAME_MAX);
    for (unsigned i = 0; i < 4; i++) greedy_asks(GREEDY_STEP);
    assert_true(greedy_queued() <= TRUNK_QUEUE_MAX + GREEDY_STEP * WIRE_FRAME_MAX);
    conn_resume(greedy.trunk->conn);
    pair_wait(all_answered);
    assert_non_null(greedy.trunk);
    assert_true(greedy.refused > 0);
    trunk_free(greedy.trunk);
    tls_mutual_unref(keys);
}

static void nobody_there(void **state)
{
    (void)state;
    pair_conf(pair.a, 1, "x", 2, 1);
    ask(MSG_AWAY_FIND, 0, INT64_MAX, 0);
    pair_wait(answered);
    assert_int_equal(rig.n_missing, 1);
    open_one(1, rig.disk.infos[0].id, "disk");
    wait_files(1);
    assert_int_equal(rig.err, EHOSTUNREACH);
}

static void same_bytes(const struct seg_info *info)
{
    char path[256];
    uint8_t *there, *here = mem_new(info->bytes);
    size_t n;

    snprintf(path, sizeof(path), "%s/" UID "/records/%s", rig.disk.dir, info->path);
    assert_int_equal(fd_read_file(AT_FDCWD, path, 64u << 20, &there, &n), 0);
    assert_int_equal(n, info->bytes);
    assert_int_equal(rig.bytes, info->bytes);
    assert_int_equal(pread(rig.fd, here, n, 0), (ssize_t)n);
    assert_memory_equal(here, there, n);
    mem_free(there);
    mem_free(here);
}

static void a_segment_whole(void **state)
{
    (void)state;
    pair_meet("x", "x");
    for (unsigned i = 0; i < DISK_SEGMENTS; i++) {
        open_one(i, rig.disk.infos[i].id, "disk");
        wait_files(i + 1);
        assert_int_equal(rig.err, 0);
        same_bytes(&rig.disk.infos[i]);
    }
    assert_int_equal(rig.fetches, DISK_SEGMENTS);
    assert_int_equal(pwrite(rig.fd, "x", 1, 0), -1);
}

/* However many ask, it comes once. */
static void many_ask_for_one(void **state)
{
    (void)state;
    pair_meet("x", "x");
    for (unsigned i = 0; i < 30; i++) open_one(i, rig.disk.infos[1].id, "disk");
    wait_files(30);
    assert_int_equal(rig.err, 0);
    assert_int_equal(rig.fetches, 1);
    open_one(31, rig.disk.infos[1].id, "disk");
    wait_files(31);
    assert_int_equal(rig.fetches, 1);
    same_bytes(&rig.disk.infos[1]);
}

static void what_is_not_there(void **state)
{
    (void)state;
    pair_meet("x", "x");
    open_one(1, rig.disk.infos[0].id + 1, "disk");
    wait_files(1);
    assert_int_equal(rig.err, ENOENT);
    open_one(2, rig.disk.infos[0].id, "elsewhere");
    wait_files(2);
    assert_int_equal(rig.err, ENOENT);
    open_one(3, 0, "disk");
    wait_files(3);
    assert_int_equal(rig.err, ENOENT);
}

/* Its file is still there: nobody is given that either. */
static void deleted(void **state)
{
    struct index_ref ref = {.id = rig.disk.infos[2].id, .uid = UID};

    (void)state;
    assert_int_equal(index_drop(rig.disk.ix, &ref, 1), 0);
    pair_meet("x", "x");
    open_one(1, rig.disk.infos[2].id, "disk");
    wait_files(1);
    assert_int_equal(rig.err, ENOENT);
}

/* A disk that has lost a bit: nobody is given that. */
static void damaged(void **state)
{
    char path[256];
    int fd;

    (void)state;
    snprintf(path, sizeof(path), "%s/" UID "/records/%s", rig.disk.dir, rig.disk.infos[2].path);
    fd = open(path, O_RDWR | O_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(pwrite(fd, "\xff\xff\xff\xff", 4, (off_t)rig.disk.infos[2].bytes / 2), 4);
    fd_close(&fd);
    pair_meet("x", "x");
    open_one(1, rig.disk.infos[2].id, "disk");
    wait_files(1);
    assert_int_equal(rig.err, EBADMSG);
}

static void httpd_dies(void **state)
{
    (void)state;
    pair_meet("x", "x");
    for (unsigned i = 0; i < DISK_SEGMENTS; i++) open_one(i, rig.disk.infos[i].id, "disk");
    ask(MSG_AWAY_FIND, 0, INT64_MAX, 0);
    away_message(&rig.away, &(struct incoming){.type = MSG_AWAY_GONE});
    channel_free(rig.away.httpd);
    away_httpd(&rig.away, NULL);
    channel_free(rig.httpd);
    meet_httpd();
    open_one(77, rig.disk.infos[0].id, "disk");
    wait_files(1);
    assert_int_equal(rig.err, 0);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        T(what_there_is),
        T(ranges),
        T(a_storage_that_is_not_open),
        T(ranges_in_pages),
        T(events_and_locks),
        T(events_of_two_storages),
        T(a_node_that_does_not_read),
        T(nobody_there),
        T(a_segment_whole),
        T(many_ask_for_one),
        T(what_is_not_there),
        T(deleted),
        T(damaged),
        T(httpd_dies),
    };

    sigaction(SIGPIPE, &(struct sigaction){.sa_handler = SIG_IGN}, NULL);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
