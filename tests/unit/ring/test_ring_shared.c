/* Two processes, and two threads, at one ring: no reader ever gets a frame that is not what was written. */
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include <pthread.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/fd.h"
#include "common/base/mem.h"
#include "tests/support/ring_help.h"

#define FRAMES 15000u

static const struct ring_geom SMALL = {RING_DATA_MIN, 512};

/* Follows the ring to its last frame; number of bad frames, or -1 when nothing was read. */
static int follow(int fd, unsigned *ret_lost)
{
    struct ring_reader *r;
    struct buf buf;
    struct frame f;
    uint64_t seq, read = 0;
    int bad = 0;

    buf_init(&buf, RING_DATA_MIN);
    if (ring_reader_open(fd, &r) != 0) return -1;
    seq = ring_oldest(r);
    while (seq <= FRAMES) {
        int err = ring_read(r, seq, &buf, &f);

        if (err == RING_OK) {
            bad += f.seq != seq || f.dts != (int64_t)seq * 3600 || !ring_help_check(seq, f.data);
            read++;
            seq++;
        } else if (err == RING_E_LOST) {
            (*ret_lost)++;
            seq = MAX(seq + 1, ring_oldest(r));
        } else if (err != RING_E_AGAIN) {
            bad++;
            seq++;
        }
    }
    ring_reader_close(r);
    buf_done(&buf);
    return read > 0 ? bad : -1;
}

static void write_all(struct ring_writer *w)
{
    for (unsigned i = 0; i < FRAMES; i++)
        ring_help_put(w, (uint8_t)(i % 4 == 0), FRAME_KEY, (i * 7919u) % 3000);
}

static void another_process_reads_while_we_write(void **state)
{
    int fd = ring_help_create(1, SMALL), ro = -1, status;
    struct ring_writer *w;
    pid_t pid;

    (void)state;
    assert_int_equal(ring_mem_reopen_ro(fd, &ro), 0);
    assert_int_equal(ring_writer_open(fd, &w), 0);
    ring_help_put(w, 0, FRAME_KEY, 100);
    pid = fork();
    if (pid == 0) {
        unsigned lost = 0;

        alarm(60);
        _exit(follow(ro, &lost) == 0 ? 0 : 1);
    }
    write_all(w);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    ring_writer_close(w);
    fd_close(&fd);
    fd_close(&ro);
}

struct viewer {
    struct ring_writer *w;
    unsigned seen, bad, lost;
};

/* As the recorder does: look, use where it lies, ask whether it held. */
static void *view(void *arg)
{
    struct viewer *v = arg;
    struct frame f;
    uint8_t *copy = mem_new(4096);

    for (uint64_t seq = 1; seq <= FRAMES;) {
        int err = ring_view(v->w, seq, &f);

        if (err == RING_E_AGAIN) continue;
        if (err == RING_E_LOST) {
            v->lost++;
            seq = MAX(seq + 1, ring_writer_oldest(v->w));
            continue;
        }
        for (size_t i = 0; i < f.data.n; i++) copy[i] = __atomic_load_n(f.data.p + i, __ATOMIC_RELAXED);
        if (ring_view_holds(v->w, seq)) {
            v->seen++;
            v->bad += !ring_help_check(seq, span(copy, f.data.n));
        }
        seq++;
    }
    mem_free(copy);
    return NULL;
}

static void another_thread_views_while_we_write(void **state)
{
    int fd = ring_help_create(1, SMALL);
    struct viewer v = {0};
    pthread_t thread;

    (void)state;
    assert_int_equal(ring_writer_open(fd, &v.w), 0);
    assert_int_equal(pthread_create(&thread, NULL, view, &v), 0);
    write_all(v.w);
    pthread_join(thread, NULL);
    assert_true(v.seen > 0);
    assert_int_equal(v.bad, 0);
    ring_writer_close(v.w);
    fd_close(&fd);
}

static void kill_behind(pid_t pid, int fd, uint64_t seq)
{
    usec_t deadline_us = clock_mono_us() + 20 * US_PER_S;
    struct ring_reader *r;

    assert_int_equal(ring_reader_open(fd, &r), 0);
    while (ring_next(r) <= seq && clock_mono_us() < deadline_us) {
    }
    kill(pid, SIGKILL);
    ring_reader_close(r);
}

/* A writer is killed at any point; what the next one finds is whole, and numbers run on. */
static void writers_are_killed(void **state)
{
    int fd = ring_help_create(1, SMALL), status;
    struct buf buf;
    uint64_t before = 0;

    (void)state;
    buf_init(&buf, RING_DATA_MIN);
    for (int round = 0; round < 60; round++) {
        struct ring_reader *r;
        struct ring_writer *w;
        struct frame f;
        pid_t pid = fork();

        if (pid == 0) {
            if (ring_writer_open(fd, &w) != 0) _exit(1);
            write_all(w);
            _exit(0);
        }
        kill_behind(pid, fd, before + 1 + (unsigned)round * 61u);
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_true(WIFSIGNALED(status) || WEXITSTATUS(status) == 0);
        assert_int_equal(ring_writer_open(fd, &w), 0);
        assert_true(ring_writer_next(w) >= before);
        before = ring_help_put(w, 0, FRAME_KEY, 2000);
        assert_int_equal(ring_reader_open(fd, &r), 0);
        for (uint64_t seq = ring_oldest(r); seq < ring_next(r); seq++) {
            assert_int_equal(ring_read(r, seq, &buf, &f), RING_OK);
            assert_true(ring_help_check(seq, f.data));
        }
        ring_reader_close(r);
        ring_writer_close(w);
    }
    buf_done(&buf);
    fd_close(&fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(another_process_reads_while_we_write),
        cmocka_unit_test(another_thread_views_while_we_write),
        cmocka_unit_test(writers_are_killed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
