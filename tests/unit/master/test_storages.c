/* master/storages, roles, lines: what is remembered, as whom, and the newest lines. */
#include "master/storages.h"
#include "common/base/clock.h"
#include "common/base/fd.h"
#include "common/base/mem.h"
#include "master/lines.h"
#include "master/roles.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

struct world {
    char dir[64];
    int fd;
    struct conf conf;
    struct conf_storage storage[2];
};

static int setup(void **state)
{
    static char name_a[] = "a", name_b[] = "b", path_a[] = "/storage/a disk", path_b[] = "/storage/b";
    static char none[] = "", percent[] = "1%";
    static struct world w;

    w = (struct world){.dir = "/tmp/ms-test-storages-XXXXXX"};
    assert_non_null(mkdtemp(w.dir));
    w.fd = open(w.dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    w.storage[0] =
        (struct conf_storage){.name = name_a, .path = path_a, .index_path = none, .free_text = percent};
    w.storage[1] =
        (struct conf_storage){.name = name_b, .path = path_b, .index_path = none, .free_text = percent};
    w.conf.storages = w.storage;
    w.conf.n_storages = 2;
    *state = &w;
    return 0;
}

static int teardown(void **state)
{
    struct world *w = *state;

    unlinkat(w->fd, "storages", 0);
    unlinkat(w->fd, "storages.new", 0);
    fd_close(&w->fd);
    rmdir(w->dir);
    return 0;
}

static void say(struct world *w, struct storages *s, const char *name, const char *state, const char *uuid)
{
    struct buf b;
    struct packer p;
    struct unpack *u;

    buf_init(&b, 4096);
    p = packer_of(&b);
    pack_map(&p, 3);
    pack_kv_text(&p, "name", name);
    pack_kv_text(&p, "state", state);
    pack_kv_text(&p, "uuid", uuid);
    assert_int_equal(unpack_new(buf_span(&b), &u), 0);
    storages_on_state(s, &w->conf, unpack_root(u));
    unpack_done(u);
    buf_done(&b);
}

static void uuids_are_remembered(void **state)
{
    struct world *w = *state;
    struct storages s;
    uint8_t *p;
    size_t n;

    assert_int_equal(storages_open(&s, w->fd), 0);
    assert_null(storages_seen(&s, "a"));
    say(w, &s, "a", "missing", "");
    say(w, &s, "b", "refused", "someone-elses"); /* not ours to remember */
    assert_int_equal(fd_read_file(w->fd, "storages", 4096, &p, &n), -ENOENT);
    say(w, &s, "a", "ok", "uuid-1");
    say(w, &s, "nobody", "ok", "uuid-9");
    say(w, &s, "b", "ok", "evil\n/etc x");
    assert_int_equal(storages_ok(&s, &w->conf), 2);
    storages_keeper_gone(&s);
    assert_int_equal(storages_ok(&s, &w->conf), 0);
    storages_done(&s);

    assert_int_equal(storages_open(&s, w->fd), 0);
    assert_string_equal(map_get(&s.uuid_by_path, SPAN_LIT("/storage/a disk")), "uuid-1");
    assert_null(map_get(&s.uuid_by_path, SPAN_LIT("/storage/b")));
    say(w, &s, "a", "ok", "uuid-2"); /* msctl storage init */
    storages_done(&s);
    assert_int_equal(fd_read_file(w->fd, "storages", 4096, &p, &n), 0);
    assert_string_equal((const char *)p, "uuid-2 /storage/a disk\n");
    mem_free(p);
}

/* state-dir hangs: here a FIFO that nobody reads stands where the file is written. The loop goes on, and what
 * came last is written when the disk answers. */
static void disk_that_hangs_is_not_waited_for(void **state)
{
    struct world *w = *state;
    struct storages s;
    uint8_t *p;
    size_t n;
    int fifo;

    assert_int_equal(storages_open(&s, w->fd), 0);
    assert_int_equal(mkfifoat(w->fd, "storages.new", 0600), 0);
    say(w, &s, "a", "ok", "uuid-1");
    say(w, &s, "a", "ok", "uuid-2");
    assert_string_equal(map_get(&s.uuid_by_path, SPAN_LIT("/storage/a disk")), "uuid-2");
    fifo = openat(w->fd, "storages.new", O_RDONLY | O_CLOEXEC); /* once the thread has it open too */
    assert_true(fifo >= 0);
    assert_int_equal(unlinkat(w->fd, "storages.new", 0), 0);
    say(w, &s, "a", "ok", "uuid-3");
    fd_close(&fifo);
    storages_done(&s);
    assert_int_equal(fd_read_file(w->fd, "storages", 4096, &p, &n), 0);
    assert_string_equal((const char *)p, "uuid-3 /storage/a disk\n");
    mem_free(p);
}

/* One that never answers does not keep the master from ending; one that refuses is heard of. */
static void disk_that_is_lost(void **state)
{
    struct world *w = *state;
    struct state_file *f = state_file_new(w->fd, "storages");
    usec_t start_us = clock_mono_us();
    int err = 0, fifo;

    assert_int_equal(mkdirat(w->fd, "storages.new", 0700), 0);
    state_file_write(f, SPAN_LIT("x"));
    while (err == 0 && clock_mono_us() - start_us < 60 * US_PER_S) err = state_file_failed(f);
    assert_int_equal(err, -EISDIR);
    assert_int_equal(state_file_kept(f), 0); /* what has failed is not kept */
    assert_int_equal(state_file_failed(f), 0);
    assert_int_equal(unlinkat(w->fd, "storages.new", AT_REMOVEDIR), 0);
    assert_int_equal(mkfifoat(w->fd, "storages.new", 0600), 0);
    state_file_write(f, SPAN_LIT("y"));
    start_us = clock_mono_us();
    state_file_free(f);
    assert_true(clock_mono_us() - start_us >= 400 * US_PER_MS && clock_mono_us() - start_us < 60 * US_PER_S);
    fifo = openat(w->fd, "storages.new", O_RDONLY | O_NONBLOCK | O_CLOEXEC); /* lets the thread go */
    fd_close(&fifo);
}

/* A damaged file is not an empty one: it would let a foreign disk in. */
/* Files of bytes come back as they were, NULs too. */
static void any_bytes_are_kept(void **state)
{
    static const uint8_t bytes[] = {0, 'a', 0, 0xff, 0};
    struct world *w = *state;
    struct state_file *f = state_file_new(w->fd, "bytes");
    usec_t start_us = clock_mono_us();
    uint64_t number;
    uint8_t *p;
    size_t n;

    assert_int_equal(state_file_kept(f), 0);
    number = state_file_write(f, span(bytes, sizeof(bytes)));
    while (state_file_kept(f) < number && clock_mono_us() - start_us < 60 * US_PER_S) continue;
    assert_int_equal(state_file_kept(f), number); /* and then it is there */
    state_file_too_large(f);
    assert_int_equal(state_file_failed(f), -EFBIG); /* it is said, and the one before stays */
    state_file_free(f);
    assert_int_equal(fd_read_file(w->fd, "bytes", 100, &p, &n), 0);
    assert_int_equal(n, sizeof(bytes));
    assert_memory_equal(p, bytes, n);
    mem_free(p);
}

static void damaged_file_is_refused(void **state)
{
    static const char *const bad[] = {"uuid-1\n", "uuid-1 relative\n", " /x\n", "garbage", "\x01\x02\x03"};
    struct world *w = *state;

    for (size_t i = 0; i < ARRAY_N(bad); i++) {
        struct storages s;
        int fd = openat(w->fd, "storages", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

        assert_int_equal(fd_write_all(fd, span_of(bad[i])), 0);
        close(fd);
        assert_int_equal(storages_open(&s, w->fd), -EBADMSG);
        storages_done(&s);
    }
}

static void newest_lines(void **state)
{
    struct lines l = {.n = 0};
    char text[LINES_LONG + 100];

    (void)state;
    assert_null(lines_at(&l, 0));
    for (int i = 0; i < LINES_KEPT + 5; i++) {
        snprintf(text, sizeof(text), "line %d", i);
        lines_add(&l, span_of(text));
    }
    assert_string_equal(lines_at(&l, 0), "line 5");
    assert_string_equal(lines_at(&l, LINES_KEPT - 1), "line 36");
    assert_null(lines_at(&l, LINES_KEPT));
    memset(text, 'x', sizeof(text));
    lines_add(&l, span(text, sizeof(text)));
    assert_int_equal(strlen(lines_at(&l, LINES_KEPT - 1)), LINES_LONG);
    lines_done(&l);
    lines_done(&l);
}

static void users_of_workers(void **state)
{
    struct roles r = {.root = true, .keeper = {.uid = 7}, .httpd = {.uid = 8}, .connector = {.uid = 9}};
    struct identity a = roles_worker(&r, "cam-1"), b = roles_worker(&r, "cam-2");

    (void)state;
    assert_true(a.change && a.caps == 0 && a.uid == a.gid);
    assert_true(a.uid >= ROLES_WORKER_BASE && a.uid <= ROLES_WORKER_BASE + ROLES_WORKER_MASK);
    assert_int_not_equal(a.uid, b.uid);
    assert_int_equal(a.uid, roles_worker(&r, "cam-1").uid);
    assert_true(
        roles_is_child(&r, a.uid) && roles_is_child(&r, 7) && roles_is_child(&r, 8) && roles_is_child(&r, 9));
    assert_false(roles_is_child(&r, 0) || roles_is_child(&r, 1000));
    r.one_worker_user = true;
    r.worker = (struct identity){.change = true, .uid = 55};
    assert_int_equal(roles_worker(&r, "cam-1").uid, 55);
    r = (struct roles){.root = false};
    assert_false(roles_worker(&r, "cam-1").change);
    assert_false(roles_is_child(&r, 1000));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(uuids_are_remembered, setup, teardown),
        cmocka_unit_test_setup_teardown(disk_that_hangs_is_not_waited_for, setup, teardown),
        cmocka_unit_test_setup_teardown(disk_that_is_lost, setup, teardown),
        cmocka_unit_test_setup_teardown(any_bytes_are_kept, setup, teardown),
        cmocka_unit_test_setup_teardown(damaged_file_is_refused, setup, teardown),
        cmocka_unit_test(newest_lines),
        cmocka_unit_test(users_of_workers),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
