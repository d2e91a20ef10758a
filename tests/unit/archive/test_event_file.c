/* Copies of events on their storage: what was written is read, what was torn or has rotted costs itself and
 * nothing else, and what is not needed any more goes. */
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include "archive/event_file.h"
#include "common/base/fd.h"
#include "common/base/mem.h"
#include "common/base/wr.h"
#include "tests/support/tool.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#define DAY_US (INT64_C(86400) * US_PER_S)
#define T0     (INT64_C(19700) * DAY_US) /* 2023-12-09 */
#define FIRST  EVENT_FILE_FOLDER "/2023-12-09"

struct place {
    char dir[64];
    int fd;
    uint64_t ids[64];
    struct event last;
    size_t n;
};

static int make_place(void **state)
{
    struct place *p = NEW(struct place);

    p->fd = tool_tmpdir_open(p->dir, sizeof(p->dir));
    *state = p;
    return 0;
}

static int drop_place(void **state)
{
    struct place *p = *state;

    fd_close(&p->fd);
    tool_rmdir(p->dir);
    mem_free(p);
    return 0;
}

static struct event event_at(uint64_t id, usec_t start_us)
{
    struct event e = {.id = id,
        .uid = "cam-1",
        .kind = "motion",
        .source = "onvif",
        .start_us = start_us,
        .end_us = start_us + 5,
        .before_us = 10 * US_PER_S,
        .after_us = 30 * US_PER_S};

    memset(e.payload, 'x', id % 2 ? EVENT_PAYLOAD_MAX - 1 : 3);
    return e;
}

static void add(const struct place *p, uint64_t id, usec_t start_us)
{
    struct event e = event_at(id, start_us);

    assert_int_equal(event_file_add(p->fd, &e, 1), 0);
}

static size_t read_all(struct place *p)
{
    struct event_reader r;

    p->n = 0;
    assert_int_equal(event_reader_open(p->fd, NULL, &r), 0);
    while (event_reader_next(&r, &p->last)) {
        if (p->n < ARRAY_N(p->ids)) p->ids[p->n] = p->last.id;
        p->n++;
    }
    assert_int_equal(r.err, 0);
    event_reader_close(&r);
    return p->n;
}

static off_t size_of(const struct place *p, const char *name)
{
    struct stat st;

    return fstatat(p->fd, name, &st, 0) < 0 ? -1 : st.st_size;
}

static void no_folder_is_no_event(void **state)
{
    struct place *p = *state;

    assert_int_equal(read_all(p), 0);
    assert_false(event_file_complete(p->fd));
    assert_int_equal(event_file_set_complete(p->fd), 0);
    assert_true(event_file_complete(p->fd));
    assert_int_equal(read_all(p), 0);
}

/* More than a page of a reader, over several days, and across the turn of one within a batch. */
static void what_was_added_is_read(void **state)
{
    struct place *p = *state;
    struct event *list = mem_new_n(8, sizeof(*list)), want;

    for (uint64_t i = 0; i < 200; i += 8) {
        for (uint64_t j = 0; j < 8; j++) list[j] = event_at(i + j + 1, T0 + (int64_t)(i + j) * DAY_US / 70);
        assert_int_equal(event_file_add(p->fd, list, 8), 0);
    }
    assert_int_equal(read_all(p), 200);
    for (size_t i = 0; i < ARRAY_N(p->ids); i++) assert_int_equal(p->ids[i], i + 1);
    want = event_at(200, T0 + 199 * DAY_US / 70);
    assert_string_equal(p->last.uid, want.uid);
    assert_string_equal(p->last.kind, want.kind);
    assert_string_equal(p->last.source, want.source);
    assert_string_equal(p->last.payload, want.payload);
    assert_true(p->last.start_us == want.start_us && p->last.end_us == want.end_us);
    assert_true(p->last.before_us == want.before_us && p->last.after_us == want.after_us);
    assert_true(size_of(p, FIRST) > 0 && size_of(p, EVENT_FILE_FOLDER "/2023-12-11") > 0);
    assert_true(size_of(p, EVENT_FILE_FOLDER "/2023-12-12") < 0);
    mem_free(list);
}

/* Every byte, one after the other: at most the record that it belongs to is lost. */
static void rotten_bytes_cost_one_record(void **state)
{
    struct place *p = *state;
    off_t n;
    int fd;

    for (uint64_t i = 2; i <= 6; i += 2) add(p, i, T0 + (int64_t)i);
    n = size_of(p, FIRST);
    fd = openat(p->fd, FIRST, O_RDWR | O_CLOEXEC);
    assert_true(fd >= 0 && n > 0);
    for (off_t at = 0; at < n; at++) {
        uint8_t was, other;

        assert_int_equal(pread(fd, &was, 1, at), 1);
        other = (uint8_t)(was ^ (1u << (at % 8)));
        assert_int_equal(pwrite(fd, &other, 1, at), 1);
        assert_int_equal(read_all(p), 2);
        assert_int_equal(pwrite(fd, &was, 1, at), 1);
    }
    assert_int_equal(read_all(p), 3);
    close(fd);
}

/* The power went while one was written, and others came behind it. */
static void a_torn_record_hides_none(void **state)
{
    struct place *p = *state;
    off_t one;

    add(p, 1, T0);
    one = size_of(p, FIRST);
    for (off_t cut = 1; cut < one; cut += 97) {
        char path[128];

        snprintf(path, sizeof(path), "%s/" FIRST, p->dir);
        add(p, 1, T0);
        assert_int_equal(truncate(path, one + cut), 0);
        assert_int_equal(read_all(p), 1);
        add(p, 2, T0 + 1);
        assert_int_equal(read_all(p), 2);
        assert_int_equal(p->ids[1], 2);
        assert_int_equal(truncate(path, one), 0);
    }
}

/* What a camera says cannot be taken for a record of ours. */
static void a_payload_is_no_record(void **state)
{
    struct place *p = *state;
    struct event e = event_at(3, T0), inner = event_at(666, T0);
    uint8_t mem[EVENT_RECORD_MAX];
    struct wr w = wr_of(mem, sizeof(mem));
    size_t at = 0;
    int fd;

    inner.payload[0] = 0;
    assert_true(event_record_write(&w, &inner));
    memcpy(e.payload, mem, w.n);
    assert_int_equal(event_file_add(p->fd, &e, 1), 0);
    fd = openat(p->fd, FIRST, O_RDWR | O_CLOEXEC);
    assert_int_equal(pwrite(fd, "x", 1, 20), 1); /* the outer one is damaged */
    close(fd);
    assert_int_equal(read_all(p), 0);
    assert_true(event_record_next(wr_span(&w), &at, true, &e)); /* alone it would be one */
    assert_int_equal(e.id, 666);
}

static bool even(void *arg, const struct event *e)
{
    (void)arg;
    return e->id % 2 == 0;
}
static bool few(void *arg, const struct event *e)
{
    (void)arg;
    return e->id % 10 == 0;
}
static bool none(void *arg, const struct event *e)
{
    (void)arg;
    (void)e;
    return false;
}
static bool most(void *arg, const struct event *e)
{
    (void)arg;
    return e->id != 10;
}

static void a_day_is_written_anew_when_half_is_too_much(void **state)
{
    struct place *p = *state;
    off_t was;

    for (uint64_t i = 1; i <= 20; i++) add(p, i, T0 + (int64_t)i);
    add(p, 99, T0 + DAY_US);
    was = size_of(p, FIRST);
    assert_int_equal(event_file_compact(p->fd, "2023-12-09", most, NULL), 0);
    assert_int_equal(size_of(p, FIRST), was);
    assert_int_equal(event_file_compact(p->fd, "2023-12-09", even, NULL), 0);
    assert_int_equal(read_all(p), 11);
    assert_int_equal(p->ids[10], 99);
    for (int i = 0; i < 2; i++)
        for (uint64_t id = 10; id <= 20; id += 10) add(p, id, T0 + (int64_t)id); /* again */
    assert_int_equal(event_file_compact(p->fd, "2023-12-09", few, NULL), 0);
    assert_int_equal(read_all(p), 3);
    assert_true(p->ids[0] == 10 && p->ids[1] == 20 && p->ids[2] == 99);
    assert_int_equal(event_file_compact(p->fd, "2023-12-09", none, NULL), 0);
    assert_true(size_of(p, FIRST) < 0);
    assert_int_equal(read_all(p), 1);
}

static void links_are_not_followed(void **state)
{
    struct place *p = *state;
    struct event e = event_at(2, T0);
    struct event_reader r;

    add(p, 2, T0 + DAY_US);
    assert_int_equal(symlinkat("/etc/hostname", p->fd, FIRST), 0);
    assert_int_equal(event_file_add(p->fd, &e, 1), -ELOOP);
    assert_int_equal(event_reader_open(p->fd, NULL, &r), 0);
    assert_true(event_reader_next(&r, &e)); /* of the other day */
    assert_false(event_reader_next(&r, &e));
    assert_int_equal(r.err, -ELOOP);
    event_reader_close(&r);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, make_place, drop_place)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(no_folder_is_no_event),
        TEST(what_was_added_is_read),
        TEST(rotten_bytes_cost_one_record),
        TEST(a_torn_record_hides_none),
        TEST(a_payload_is_no_record),
        TEST(a_day_is_written_anew_when_half_is_too_much),
        TEST(links_are_not_followed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
