#include "tests/support/recorder_rig.h"
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <unistd.h>

#include "archive/reader.h"
#include "common/base/clock.h"
#include "common/base/fd.h"
#include "common/base/mem.h"
#include "tests/support/ring_help.h"

const struct ring_geom rec_rig_geom = {RING_DATA_MIN, 512};

static void on_opened(void *arg, const struct rec_open *o)
{
    struct rec_rig *b = arg;

    assert_string_equal(o->storage, "a");
    b->opened++;
    loop_break(b->loop);
}

static void on_closed(void *arg, const struct seg_info *info)
{
    struct rec_rig *b = arg;

    assert_true(b->n_infos < REC_RIG_INFOS_MAX);
    b->infos[b->n_infos++] = *info;
    loop_break(b->loop);
}

static void on_failed(void *arg, int err)
{
    struct rec_rig *b = arg;

    b->failed = err;
    b->failures++;
    loop_break(b->loop);
}

static void on_stopped(void *arg)
{
    struct rec_rig *b = arg;

    b->stopped = true;
    loop_break(b->loop);
}

static const struct recorder_ops ops = {
    .opened = on_opened, .closed = on_closed, .failed = on_failed, .stopped = on_stopped};

static void too_late(struct loop_timer *t)
{
    struct rec_rig *b = t->arg;

    fail_msg("not within %d s: opened %u closed %u failed %d", (int)(REC_RIG_WAIT_US / US_PER_S), b->opened,
        b->n_infos, b->failed);
}

int rec_rig_folder(struct rec_rig *b)
{
    return open(b->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

void rec_rig_recorder(struct rec_rig *b)
{
    struct track_set *s = mem_new(sizeof(*s));

    assert_int_equal(ring_writer_open(b->ring_fd, &b->w), 0);
    ring_help_tracks(s);
    ring_set_tracks(b->w, s);
    mem_free(s);
    b->rec = recorder_new(b->loop, "cam-1", &ops, b);
    recorder_ring(b->rec, NULL, b->w);
    b->stopped = false;
}

int rec_rig_setup(void **state)
{
    struct rec_rig *b = mem_new(sizeof(*b));

    snprintf(b->dir, sizeof(b->dir), "/tmp/recorder-XXXXXX");
    assert_non_null(mkdtemp(b->dir));
    b->loop = loop_new();
    loop_timer_set(b->loop, &b->late, REC_RIG_WAIT_US, too_late, b);
    b->ring_fd = ring_help_create(1, rec_rig_geom);
    rec_rig_recorder(b);
    *state = b;
    return 0;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *at)
{
    (void)st;
    (void)type;
    (void)at;
    return remove(path);
}

void rec_rig_stop(struct rec_rig *b)
{
    recorder_stop(b->rec);
    while (!b->stopped) loop_run(b->loop);
    recorder_free(b->rec);
    b->rec = NULL;
}

int rec_rig_teardown(void **state)
{
    struct rec_rig *b = *state;

    if (b->rec) rec_rig_stop(b);
    loop_timer_stop(&b->late);
    loop_free(b->loop);
    fd_close(&b->ring_fd);
    nftw(b->dir, remove_one, 8, FTW_DEPTH | FTW_PHYS);
    mem_free(b);
    return 0;
}

void rec_rig_put(struct rec_rig *b, unsigned n, unsigned gop, uint16_t first_flags)
{
    static uint8_t bytes[20000];

    for (unsigned i = 0; i < n; i++, b->frame++) {
        bool key = b->frame % gop == 0;
        size_t size = key ? 12000 : 3000;
        struct piece video = {.s = span(bytes, size)}, audio = {.s = span(bytes, 200)};
        usec_t media_us = REC_RIG_START_US + b->frame * REC_RIG_FRAME_US;
        struct frame f = {.dts = scale_i64(media_us, 90000, 1000000),
            .dur = 3600,
            .wall_us = media_us + b->step_us,
            .flags = key ? FRAME_KEY : 0};
        uint64_t seq;

        memset(bytes, (int)b->frame, 8);
        if (i == 0) f.flags |= first_flags;
        assert_int_equal(ring_put(b->w, &f, &video, 1, &seq), RING_OK);
        f.track = 1;
        f.dts = scale_i64(media_us, 16000, 1000000);
        f.dur = 640;
        f.flags = FRAME_KEY | (i == 0 ? first_flags : 0);
        if (!b->silent) assert_int_equal(ring_put(b->w, &f, &audio, 1, &seq), RING_OK);
        b->step_us += b->slide_us;
    }
}

void rec_rig_recorded(struct rec_rig *b)
{
    usec_t deadline_us = clock_mono_us() + REC_RIG_WAIT_US;
    struct ring_status *s = ring_writer_status(b->w);

    while (atomic_load(&s->rec_next_seq) < ring_writer_next(b->w)) assert_true(clock_mono_us() < deadline_us);
}

unsigned rec_rig_video_samples(struct rec_rig *b)
{
    unsigned n = 0;

    for (unsigned i = 0; i < b->n_infos; i++) {
        struct seg_table *t = NULL;
        char path[128];
        int fd;

        snprintf(path, sizeof(path), "%s/%s", b->dir, b->infos[i].path);
        fd = open(path, O_RDONLY | O_CLOEXEC);
        assert_true(fd >= 0);
        assert_int_equal(seg_table_load(fd, NULL, &t), SEG_OK);
        for (size_t k = 0; k < t->n; k++) n += t->s[k].track == 0;
        seg_table_free(t);
        close(fd);
    }
    return n;
}
