/* Back-fill by the real ms-keeper, with the test as ms-courier: files that it gets, and takes only when they
 * are what was said; across its death. */
#include "archive/index.h"
#include "archive/reader.h"
#include "common/base/fd.h"
#include "common/base/mem.h"
#include "common/base/wr.h"
#include "common/ipc/ctl.h"
#include "common/ipc/event.h"
#include "tests/support/segments.h"
#include "tests/support/tool.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#define UID     "cam-1"
#define SYNC_US (200 * US_PER_MS)
#define T0      (1700000000 * US_PER_S)
#define NODE    7

struct place {
    struct rig rig;
    char dir[64], storage[128], other[160];
    int records; /* of the other node */
    struct seg_info s;
    struct channel *keeper; /* the courier's end */
    uint64_t id;
    bool answered, closed;
    int err, fd;
};

static int make_place(void **state)
{
    struct place *p = NEW(struct place);

    tool_tmpdir(p->dir, sizeof(p->dir));
    snprintf(p->storage, sizeof(p->storage), "%s/a", p->dir);
    snprintf(p->other, sizeof(p->other), "%s/b", p->dir);
    assert_int_equal(mkdir(p->other, 0755), 0);
    p->records = open(p->other, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    segments_make(p->records, UID, T0, 3, &p->s);
    p->fd = -1;
    rig_init(&p->rig);
    *state = p;
    return 0;
}

static int drop_place(void **state)
{
    struct place *p = *state;

    channel_free(p->keeper);
    rig_done(&p->rig);
    fd_close(&p->fd);
    fd_close(&p->records);
    tool_rmdir(p->dir);
    mem_free(p);
    return 0;
}

static int on_message(struct channel *ch, struct incoming *in)
{
    struct place *p = channel_arg(ch);

    assert_int_equal(packed_u64(in->body, "id", 0), p->id);
    p->err = (int)packed_u64(in->body, "err", 9999);
    p->answered = true;
    if (in->n_fds == 1) {
        fd_close(&p->fd);
        p->fd = in->fds[0];
        in->fds[0] = -1;
    }
    return 0;
}

static void on_close(struct channel *ch, int err)
{
    struct place *p = channel_arg(ch);

    (void)err;
    p->closed = true;
    p->keeper = NULL;
    channel_free(ch);
}

static const struct channel_ops ops = {on_message, on_close};

static void meet(struct place *p)
{
    int sv[2];

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sv), 0);
    channel_free(p->keeper);
    p->closed = false;
    p->keeper = channel_new(p->rig.loop, sv[0], ROLE_COURIER, ROLE_KEEPER, &ops, p);
    channel_begin(p->rig.ch, MSG_COURIER_SOCK, 0);
    channel_end(p->rig.ch, &sv[1], 1);
    fd_close(&sv[1]);
}

static void start(struct place *p)
{
    struct rig_worker *w;

    if (!rig_start(&p->rig)) {
        print_message("skipped: no ms-keeper beside this test\n");
        skip();
    }
    rig_storage(&p->rig, "a", p->storage, "1", "", SYNC_US);
    assert_true(rig_wait_state(&p->rig, "a", "ok"));
    assert_true(rig_wait_index(&p->rig, "a"));
    rig_keep(&p->rig, UID, 0, 0);
    w = rig_worker(&p->rig, UID, "a");
    rig_ask(w);
    assert_true(rig_wait_archive(w, "ok"));
    meet(p);
}

static bool is_answered(void *arg)
{
    const struct place *p = arg;

    return p->answered || p->closed;
}

static int wait_answer(struct place *p)
{
    assert_true(rig_wait(&p->rig, is_answered, p));
    assert_true(p->answered);
    return p->err;
}

static void ask(struct place *p, const struct seg_info *info)
{
    uint8_t bytes[SEG_INFO_WIRE_MAX];
    struct wr w = wr_of(bytes, sizeof(bytes));
    struct packer *m = channel_begin(p->keeper, MSG_FILL_OPEN, 4);

    seg_info_write(&w, info);
    p->answered = false;
    pack_kv_u64(m, "id", ++p->id);
    pack_kv_text(m, "uid", UID);
    pack_kv_u64(m, "node", NODE);
    pack_kv_bin(m, "info", wr_span(&w));
    channel_end(p->keeper, NULL, 0);
}

/* EAGAIN: a keeper that has just started; it is asked again. */
static int open_file(struct place *p)
{
    int err, tries = 0;

    do {
        ask(p, &p->s);
        err = wait_answer(p);
    } while (err == EAGAIN && tries++ < 1000);
    return err;
}

static int done(struct place *p, int err)
{
    struct packer *m = channel_begin(p->keeper, MSG_FILL_DONE, 2);

    p->answered = false;
    pack_kv_u64(m, "id", p->id);
    pack_kv_u64(m, "err", (uint64_t)err);
    channel_end(p->keeper, NULL, 0);
    return err ? 0 : wait_answer(p);
}

static void copy(const struct place *p, size_t n, size_t flip_at)
{
    uint8_t *bytes;
    size_t have;

    assert_int_equal(fd_read_file(p->records, p->s.path, 64u << 20, &bytes, &have), 0);
    assert_int_equal(have, p->s.bytes);
    if (flip_at < have) bytes[flip_at] ^= 0x10;
    assert_int_equal(pwrite(p->fd, bytes, n, 0), (ssize_t)n);
    mem_free(bytes);
}

static void fill(struct place *p)
{
    assert_int_equal(open_file(p), 0);
    copy(p, p->s.bytes, SIZE_MAX);
    assert_int_equal(done(p, 0), 0);
}

static void index_has(struct place *p, bool it)
{
    struct seg_info *info = NEW(struct seg_info);
    struct index *ix;

    assert_int_equal(index_open_ro(rig_store(&p->rig, "a")->index, &ix), 0);
    assert_int_equal(index_get(ix, UID, p->s.id, info), it ? INDEX_OK : INDEX_E_NONE);
    if (it) {
        assert_true(info->flags & SEG_FILLED);
        assert_int_equal(info->flags >> SEG_ORIGIN_SHIFT, NODE);
        assert_int_equal(info->flags & SEG_FLAGS_OF_FILE, p->s.flags);
        assert_int_equal(info->bytes, p->s.bytes);
    }
    index_close(ix);
    mem_free(info);
}

static void a_file_comes_in(void **state)
{
    struct place *p = *state;
    uint8_t *a, *b;
    char path[256];
    size_t n, m;

    start(p);
    fill(p);
    assert_true(segments_there(p->storage, &p->s));
    index_has(p, true);
    snprintf(path, sizeof(path), "%s/" UID "/records/%s", p->storage, p->s.path);
    assert_int_equal(fd_read_file(AT_FDCWD, path, 64u << 20, &a, &n), 0);
    assert_int_equal(fd_read_file(p->records, p->s.path, 64u << 20, &b, &m), 0);
    assert_int_equal(n, m);
    assert_memory_equal(a, b, n);
    mem_free(a);
    mem_free(b);
    assert_int_equal(open_file(p), EEXIST);
}

static void what_is_not_as_was_said(void **state)
{
    struct place *p = *state;
    const struct {
        size_t n, flip;
    } rows[] = {{p->s.bytes - 1, SIZE_MAX}, {p->s.bytes, p->s.bytes / 2}, {p->s.bytes, p->s.bytes - 2},
        {0, SIZE_MAX}};

    start(p);
    for (size_t i = 0; i < ARRAY_N(rows); i++) {
        assert_int_equal(open_file(p), 0);
        copy(p, rows[i].n, rows[i].flip);
        assert_int_equal(done(p, 0), EBADMSG);
        assert_false(segments_there(p->storage, &p->s));
    }
    index_has(p, false);
    fill(p);
}

static void given_up(void **state)
{
    struct place *p = *state;

    start(p);
    for (int i = 0; i < 20; i++) {
        assert_int_equal(open_file(p), 0);
        done(p, ECONNRESET);
    }
    assert_false(segments_there(p->storage, &p->s));
    fill(p);
}

/* What the master has said so far is known: the keeper answers it. */
static void is_heard(struct place *p)
{
    rig_question(&p->rig, "archive locks", NULL);
    assert_int_equal(rig_answer(&p->rig), CTL_OK);
}

static void older_than_is_kept(void **state)
{
    struct place *p = *state;

    start(p);
    rig_keep(&p->rig, UID, 3600 * US_PER_S, 0);
    is_heard(p);
    assert_int_equal(open_file(p), ENOSPC);
}

/* What goes while it is on its way does not come behind that. */
static void deleted_meanwhile(void **state)
{
    struct place *p = *state;
    char from[24], to[24];

    start(p);
    snprintf(from, sizeof(from), "%lld", (long long)p->s.start_us);
    snprintf(to, sizeof(to), "%lld", (long long)p->s.end_us);
    assert_int_equal(open_file(p), 0);
    copy(p, p->s.bytes, SIZE_MAX);
    rig_question(&p->rig, "archive delete", UID, from, to, NULL);
    assert_int_equal(rig_answer(&p->rig), CTL_OK);
    assert_int_equal(done(p, 0), EAGAIN);
    assert_false(segments_there(p->storage, &p->s));
    index_has(p, false);
    fill(p); /* what is decided later holds */
}

/* What a decided act deletes other nodes may still have, for a moment: it does not come back from them. */
static void deleted_by_an_act(void **state)
{
    struct place *p = *state;
    const struct rig_act by = {.stamp = {1, 1, 1}, .id = 7};
    char from[24], to[24];

    start(p);
    snprintf(from, sizeof(from), "%lld", (long long)p->s.start_us);
    snprintf(to, sizeof(to), "%lld", (long long)p->s.end_us);
    rig_question_by(&p->rig, &by, "archive delete", UID, from, to, NULL);
    assert_int_equal(rig_answer(&p->rig), CTL_OK);
    ask(p, &p->s);
    assert_int_equal(wait_answer(p), EAGAIN);
    p->s.start_us -= US_PER_S; /* it begins before what was deleted */
    assert_int_equal(open_file(p), 0);
}

/* --- what is older than is kept --- */

static void is_covered(struct place *p, bool it)
{
    char from[24], to[24], want[64];

    snprintf(from, sizeof(from), "%lld", (long long)p->s.start_us);
    snprintf(to, sizeof(to), "%lld", (long long)p->s.end_us);
    snprintf(want, sizeof(want), "from_us=%s to_us=%s", from, to);
    rig_question(&p->rig, "archive cover", UID, from, to, NULL);
    assert_int_equal(rig_answer(&p->rig), CTL_OK);
    assert_int_equal(strstr(p->rig.rows, want) != NULL, it);
}

static void send_event(struct place *p, uint64_t id, usec_t start_us)
{
    const struct event e = {.id = id,
        .uid = UID,
        .kind = "motion",
        .source = "call",
        .start_us = start_us,
        .end_us = start_us + US_PER_S};

    event_pack(channel_begin(p->keeper, MSG_FILL_EVENT, EVENT_KEYS), &e);
    channel_end(p->keeper, NULL, 0);
}

/* It is not kept by anything: who offers it hears that nothing is missing here. */
static void refused_by_its_policy(void **state)
{
    struct place *p = *state;

    start(p);
    rig_keep(&p->rig, UID, 3600 * US_PER_S, 0);
    is_heard(p);
    is_covered(p, false);
    assert_int_equal(open_file(p), ENOSPC);
    is_covered(p, true);
    rig_keep(&p->rig, UID, 0, p->s.bytes); /* all that the stream may have is this one */
    is_heard(p);
    fill(p);
}

static void older_but_locked(void **state)
{
    struct place *p = *state;
    struct packer *m;

    start(p);
    rig_keep(&p->rig, UID, 3600 * US_PER_S, 1);
    is_heard(p);
    m = channel_begin(p->keeper, MSG_FILL_LOCK, 5);
    pack_kv_text(m, "uid", UID);
    pack_kv_u64(m, "id", 9);
    pack_kv_i64(m, "start_us", p->s.start_us);
    pack_kv_i64(m, "end_us", p->s.end_us);
    pack_kv_i64(m, "version_us", p->s.end_us);
    channel_end(p->keeper, NULL, 0);
    fill(p);
    index_has(p, true);
}

static void older_but_of_an_event(void **state)
{
    struct place *p = *state;

    start(p);
    rig_keep_events(&p->rig, UID, 3600 * US_PER_S, 100 * 365 * 86400ll * US_PER_S);
    is_heard(p);
    send_event(p, 1, p->s.start_us);
    fill(p);
    index_has(p, true);
}

#define EVENTS 700 /* more than a batch has */

struct counted {
    struct place *p;
    size_t n;
};

static bool all_events(void *arg)
{
    struct counted *c = arg;
    const struct event_query q = {.uid = UID, .to_us = INT64_MAX};
    struct event *page = mem_new_n(64, sizeof(*page));
    struct index_event_at at = {0};
    struct index *ix;
    size_t n;

    c->n = 0;
    assert_int_equal(index_open_ro(rig_store(&c->p->rig, "a")->index, &ix), 0);
    while (!at.end) {
        assert_int_equal(index_events(ix, &q, &at, page, 64, &n), INDEX_OK);
        c->n += n;
    }
    index_close(ix);
    mem_free(page);
    return c->n == EVENTS;
}

static void events_come_all_at_once(void **state)
{
    struct counted c = {.p = *state};

    start(c.p);
    for (size_t i = 0; i < EVENTS; i++) send_event(c.p, i + 1, c.p->s.start_us + (usec_t)i);
    assert_int_equal(open_file(c.p), 0); /* those before it are in the index */
    assert_true(all_events(&c));
}

static bool is_indexed(void *arg)
{
    struct place *p = arg;
    struct seg_info *info = NEW(struct seg_info);
    struct index *ix;
    bool is;

    assert_int_equal(index_open_ro(rig_store(&p->rig, "a")->index, &ix), 0);
    is = index_get(ix, UID, p->s.id, info) == INDEX_OK;
    index_close(ix);
    mem_free(info);
    return is;
}

/* --- whose it is --- */

static void keeper_ends(struct place *p)
{
    channel_free(p->keeper);
    p->keeper = NULL;
    assert_int_equal(rig_stop(&p->rig), 0);
}

/* An index that is built anew from the files knows it too. */
static void origin_outlives_the_index(void **state)
{
    struct place *p = *state;
    char path[256];

    start(p);
    fill(p);
    keeper_ends(p);
    snprintf(path, sizeof(path), "%s/.index", p->storage);
    tool_rmdir(path);
    start(p);
    assert_true(rig_wait(&p->rig, is_indexed, p));
    index_has(p, true);
}

/* --- a file system without files without a name --- */

static size_t parts(const struct place *p)
{
    char path[256];
    size_t n = 0;
    DIR *d;

    snprintf(path, sizeof(path), "%s/.fill", p->storage);
    d = opendir(path);
    assert_non_null(d);
    for (struct dirent *e = readdir(d); e; e = readdir(d)) n += e->d_name[0] != '.';
    closedir(d);
    return n;
}

static void a_file_with_a_name(void **state)
{
    struct place *p = *state;

    p->rig.fail_flag = O_TMPFILE & ~O_DIRECTORY;
    p->rig.fail_err = EOPNOTSUPP;
    start(p);
    assert_int_equal(open_file(p), 0);
    assert_int_equal(parts(p), 1);
    copy(p, p->s.bytes - 1, SIZE_MAX);
    assert_int_equal(done(p, 0), EBADMSG);
    assert_int_equal(parts(p), 0);
    assert_int_equal(open_file(p), 0);
    copy(p, p->s.bytes / 2, SIZE_MAX);
    rig_kill(&p->rig, SIGKILL);
    channel_free(p->keeper);
    p->keeper = NULL;
    assert_int_equal(parts(p), 1);
    start(p);
    assert_int_equal(parts(p), 0); /* what the crash left */
    assert_false(segments_there(p->storage, &p->s));
    fill(p);
    assert_int_equal(parts(p), 0);
    assert_true(segments_there(p->storage, &p->s));
    index_has(p, true);
    assert_int_equal(open_file(p), EEXIST);
}

/* Half a file, and the keeper dies: nothing of it is left, and the next one takes it whole. */
static void the_keeper_dies(void **state)
{
    struct place *p = *state;

    start(p);
    assert_int_equal(open_file(p), 0);
    copy(p, p->s.bytes / 2, SIZE_MAX);
    rig_kill(&p->rig, SIGKILL);
    channel_free(p->keeper);
    p->keeper = NULL;
    assert_false(segments_there(p->storage, &p->s));
    start(p);
    fill(p);
    index_has(p, true);
}

/* It had its name, and the index did not know of it yet. */
static void a_name_without_a_record(void **state)
{
    struct place *p = *state;
    char from[256], to[256], day[256];

    start(p);
    snprintf(to, sizeof(to), "%s/" UID "/records/%s", p->storage, p->s.path);
    snprintf(from, sizeof(from), "%s/%s", p->other, p->s.path);
    for (size_t at = strlen(p->storage) + 1; to[at]; at++) { /* its folders */
        if (to[at] != '/') continue;
        span_copy(span_sub(span_of(to), 0, at), day, sizeof(day));
        (void)mkdir(day, 0755);
    }
    assert_int_equal(link(from, to), 0);
    assert_int_equal(open_file(p), EEXIST);
    assert_true(rig_wait(&p->rig, is_indexed, p));
    index_has(p, true);
}

static void nonsense(void **state)
{
    struct place *p = *state;
    struct packer *m;

    start(p);
    m = channel_begin(p->keeper, MSG_FILL_OPEN, 3);
    pack_kv_u64(m, "id", 1);
    pack_kv_text(m, "uid", "../etc");
    pack_kv_u64(m, "node", NODE);
    channel_end(p->keeper, NULL, 0);
    p->answered = false;
    assert_true(rig_wait(&p->rig, is_answered, p));
    assert_true(p->closed);
    meet(p); /* another courier finds the keeper as it was */
    fill(p);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, make_place, drop_place)
    const struct CMUnitTest tests[] = {
        T(a_file_comes_in),
        T(what_is_not_as_was_said),
        T(given_up),
        T(older_than_is_kept),
        T(deleted_meanwhile),
        T(deleted_by_an_act),
        T(refused_by_its_policy),
        T(older_but_locked),
        T(older_but_of_an_event),
        T(events_come_all_at_once),
        T(origin_outlives_the_index),
        T(a_file_with_a_name),
        T(the_keeper_dies),
        T(a_name_without_a_record),
        T(nonsense),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
