/* Back-fill by the real ms-keeper, with the test as ms-courier: files that it gets, and takes only when they
 * are what was said; across its death. */
#include "archive/index.h"
#include "archive/reader.h"
#include "common/base/fd.h"
#include "common/base/mem.h"
#include "common/base/wr.h"
#include "common/ipc/ctl.h"
#include "tests/support/segments.h"
#include "tests/support/tool.h"

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

static void older_than_is_kept(void **state)
{
    struct place *p = *state;

    start(p);
    rig_keep(&p->rig, UID, 3600 * US_PER_S, 0);
    rig_question(&p->rig, "archive locks", NULL); /* answered: what came before it is known */
    assert_int_equal(rig_answer(&p->rig), CTL_OK);
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
        T(the_keeper_dies),
        T(a_name_without_a_record),
        T(nonsense),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
