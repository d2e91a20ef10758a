/* Open segments are read on where they stood, by several threads, in a bounded memory. */
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include <fcntl.h>
#include <pthread.h>
#include <sys/stat.h>
#include <unistd.h>

#include "archive/segment.h"
#include "common/base/err.h"
#include "common/base/fd.h"
#include "common/base/mem.h"
#include "httpd/scans.h"
#include "tests/support/footage.h"
#include "tests/support/tool.h"

#define UID     "cam-1"
#define SECONDS 20
#define THREADS 4

struct bench {
    char dir[64];
    int records, fd;
    struct footage f;
    struct segw *w;
    size_t at; /* frames written */
    struct scans *scans;
};

static int set_up(void **state)
{
    struct bench *b = NEW(struct bench);
    char path[128];
    struct segw_setup setup = {.uid = UID};

    tool_tmpdir(b->dir, sizeof(b->dir));
    snprintf(path, sizeof(path), "%s/" UID, b->dir);
    must(mkdir(path, 0750) == 0);
    snprintf(path, sizeof(path), "%s/" UID "/records", b->dir);
    must(mkdir(path, 0750) == 0);
    b->records = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    footage_make(&b->f, SECONDS, 25, FOOTAGE_START_US);
    setup.tracks = &b->f.tracks;
    setup.first = b->f.f;
    setup.n_first = footage_second(&b->f, 0);
    must(segw_open(b->records, &setup, &b->w) == 0);
    must(seg_open(b->dir, UID, segw_path(b->w), &b->fd) == 0);
    b->scans = scans_new(SCANS_BYTES_MAX);
    *state = b;
    return 0;
}

static int tear_down(void **state)
{
    struct bench *b = *state;

    scans_free(b->scans);
    segw_abandon(b->w);
    footage_done(&b->f);
    fd_close(&b->fd);
    fd_close(&b->records);
    tool_rmdir(b->dir);
    mem_free(b);
    return 0;
}

static void write_second(struct bench *b)
{
    size_t n = footage_second(&b->f, b->at);

    assert_int_equal(segw_append(b->w, b->f.f + b->at, n), SEGW_OK);
    b->at += n;
}

static void test_goes_on(void **state)
{
    struct bench *b = *state;
    struct scan *first = NULL;

    for (unsigned i = 0; i < SECONDS; i++) {
        struct scan *c;

        write_second(b);
        assert_int_equal(scans_read(b->scans, UID, segw_id(b->w), b->fd, segw_bytes(b->w), &c), SEG_OK);
        if (!first) first = c;
        assert_ptr_equal(c, first);
        assert_int_equal(scan_table(c)->n, b->at);
        assert_int_equal(scan_table(c)->scanned, segw_bytes(b->w));
        scan_done(b->scans, c);
    }
    assert_true(scans_bytes(b->scans) > b->at * sizeof(struct mp4_sample));
}

static void *reader(void *arg)
{
    struct bench *b = arg;

    for (unsigned i = 0; i < 50; i++) {
        struct scan *c;

        must(scans_read(b->scans, UID, segw_id(b->w), b->fd, segw_bytes(b->w) * (i + 1) / 50, &c) == SEG_OK);
        must(scan_table(c)->n <= b->at);
        scan_done(b->scans, c);
    }
    return NULL;
}

static void test_threads(void **state)
{
    struct bench *b = *state;
    pthread_t t[THREADS];

    for (unsigned i = 0; i < SECONDS; i++) write_second(b);
    for (unsigned i = 0; i < THREADS; i++) must(pthread_create(&t[i], NULL, reader, b) == 0);
    for (unsigned i = 0; i < THREADS; i++) pthread_join(t[i], NULL);
}

static void test_is_bounded(void **state)
{
    struct bench *b = *state;
    struct scan *kept, *c;
    size_t one;

    write_second(b);
    assert_int_equal(scans_read(b->scans, UID, 1, b->fd, segw_bytes(b->w), &c), SEG_OK);
    scan_done(b->scans, c);
    one = scans_bytes(b->scans);
    scans_free(b->scans);
    b->scans = scans_new(2 * one);
    /* what is in use stays, whatever else is asked for */
    assert_int_equal(scans_read(b->scans, UID, 1, b->fd, segw_bytes(b->w), &kept), SEG_OK);
    for (uint64_t id = 2; id < 10; id++) {
        assert_int_equal(scans_read(b->scans, UID, id, b->fd, segw_bytes(b->w), &c), SEG_OK);
        scan_done(b->scans, c);
    }
    assert_int_equal(scan_table(kept)->n, b->at);
    scan_done(b->scans, kept);
    assert_true(scans_bytes(b->scans) <= 2 * one);
}

static void test_what_is_no_segment(void **state)
{
    struct bench *b = *state;
    struct scan *c;
    int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

    assert_int_equal(scans_read(b->scans, UID, 1, fd, 1000, &c), SEG_E_BAD);
    fd_close(&fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_goes_on, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_threads, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_is_bounded, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_what_is_no_segment, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
