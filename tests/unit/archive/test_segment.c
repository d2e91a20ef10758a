/* Segments: written, read back by footer and by fragments, cut off by crashes and full disks. */
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include "archive/reader.h"
#include "archive/segment.h"
#include "archive/segtable.h"
#include "common/base/crc.h"
#include "common/base/fd.h"
#include "common/base/mem.h"
#include "tests/support/footage.h"
#include "tests/support/media_file.h"
#include "tests/support/seg_place.h"
#include "tests/support/tool.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

static uint8_t *bytes_at(int fd, uint64_t at, size_t n)
{
    uint8_t *mem = mem_new(MAX(n, 1));

    assert_int_equal(pread(fd, mem, n, (off_t)at), n);
    return mem;
}

/* The table holds exactly the first n frames, each with its bytes and times. */
static void table_is(int fd, const struct seg_table *t, const struct footage *f, size_t n, bool all_flags)
{
    size_t next[TRACK_MAX] = {0};

    assert_int_equal(t->n, n);
    for (size_t i = 0; i < t->n; i++) {
        const struct mp4_sample *s = &t->s[i];
        size_t *k = &next[s->track];
        const struct frame *want;
        uint8_t *mem;

        while (*k < n && f->f[*k].track != s->track) ++*k;
        assert_true(*k < n);
        want = &f->f[(*k)++];
        assert_int_equal(s->size, want->data.n);
        assert_int_equal(s->dts, want->dts);
        assert_int_equal(s->cts, want->cts);
        assert_int_equal(s->flags, all_flags ? want->flags : want->flags & FRAME_KEY);
        assert_int_equal(s->dur, want->dur);
        mem = bytes_at(fd, s->offset, s->size);
        assert_memory_equal(mem, want->data.p, s->size);
        mem_free(mem);
    }
}

static void info_same(const struct seg_info *a, const struct seg_info *b)
{
    uint8_t x[SEG_INFO_WIRE_MAX], y[SEG_INFO_WIRE_MAX];
    struct wr v = wr_of(x, sizeof(x)), w = wr_of(y, sizeof(y));

    seg_info_write(&v, a);
    seg_info_write(&w, b);
    assert_true(wr_ok(&v) && wr_ok(&w));
    assert_true(span_eq(wr_span(&v), wr_span(&w)));
    assert_string_equal(a->path, b->path);
}

static void segment_comes_back(void **state)
{
    const struct seg_place *p = *state;
    struct seg_table *t = NULL;
    struct seg_info info, again;
    struct footage f;
    struct segw *w;
    struct stat st;
    uint8_t *mem;
    int fd;

    footage_make(&f, 20, 50, FOOTAGE_START_US);
    f.f[100].flags |= FRAME_DAMAGED;
    f.f[101].flags |= FRAME_REPAIRED;
    w = seg_place_open(p, &f);
    seg_place_append(w, &f);
    assert_string_equal(segw_path(w), "2023/11/14/221319-18bcfe567f900.mp4");
    assert_int_equal(segw_close(w, &info), 0);

    assert_string_equal(info.uid, "cam-1");
    assert_int_equal(info.start_us, FOOTAGE_START_US - 7000); /* AAC leads by 7 ms */
    assert_int_equal(info.end_us, FOOTAGE_START_US + 20 * US_PER_S + 3000);
    assert_int_equal(info.samples, f.n);
    assert_int_equal(info.flags, SEG_DISCONT | SEG_DAMAGED);
    assert_int_equal(info.damaged, 1);
    assert_int_equal(info.repaired, 1);
    assert_int_equal(info.clock, SEG_CLOCK_CAMERA);
    assert_int_equal(info.clock_offset_us, -1500);
    assert_int_equal(info.n_keys, 5); /* at least 4 s apart: every second one */
    assert_int_equal(info.keys[1].at_ms, 4007);

    fd = seg_place_file(p, info.path);
    assert_int_equal(fstat(fd, &st), 0);
    assert_int_equal(st.st_size, info.bytes);
    assert_int_equal(st.st_mode & 07777, 0640);
    mem = bytes_at(fd, 0, info.bytes);
    assert_int_equal(seg_info_load(fd, &again), SEG_OK);
    info_same(&info, &again);
    assert_true(crc32c(0, span(mem, info.bytes - ((size_t)mem[info.bytes - 2] << 8 | mem[info.bytes - 1]))) ==
        info.crc);
    mem_free(mem);

    assert_int_equal(seg_table_load(fd, &info, &t), SEG_OK);
    assert_true(track_set_same(&t->tracks, &f.tracks));
    table_is(fd, t, &f, f.n, true);
    assert_int_equal(t->s[info.keys[1].sample].flags & FRAME_KEY, FRAME_KEY);
    seg_table_free(t);
    t = NULL;
    assert_int_equal(seg_table_load(fd, NULL, &t), SEG_OK);
    table_is(fd, t, &f, f.n, true);
    seg_table_free(t);
    fd_close(&fd);
    footage_done(&f);
}

static void table_is_small(void **state)
{
    const struct seg_place *p = *state;
    struct seg_info info;
    struct footage f;
    struct segw *w;

    footage_make(&f, 120, 50, FOOTAGE_START_US);
    w = seg_place_open(p, &f);
    seg_place_append(w, &f);
    assert_int_equal(segw_close(w, &info), 0);
    assert_true(f.n > 9000);
    assert_true((info.bytes - info.table_at) / f.n < 6);
    footage_done(&f);
}

/* The open segment, followed while it grows, and the crashed one: the same samples without a footer. */
static void open_segment_is_scanned(void **state)
{
    const struct seg_place *p = *state;
    struct seg_table *t = NULL, *all = NULL;
    struct seg_info info;
    struct footage f;
    struct segw *w;
    size_t done = 0;
    int fd;

    footage_make(&f, 8, 25, FOOTAGE_START_US);
    w = seg_place_open(p, &f);
    fd = seg_place_file(p, segw_path(w));
    assert_int_equal(seg_info_load(fd, &info), SEG_E_NO_FOOTER);
    assert_int_equal(seg_table_load(fd, NULL, &t), SEG_E_NO_FOOTER);
    assert_int_equal(seg_table_scan(fd, segw_bytes(w), &t), SEG_OK);
    assert_int_equal(t->n, 0);
    while (done < f.n) {
        size_t n = footage_second(&f, done);
        uint64_t before = segw_bytes(w);

        assert_int_equal(segw_append(w, f.f + done, n), SEGW_OK);
        /* bytes that the writer has not vouched for are not looked at */
        assert_int_equal(seg_table_scan(fd, before, &t), SEG_OK);
        assert_int_equal(t->n, done);
        done += n;
        assert_int_equal(seg_table_scan(fd, segw_bytes(w), &t), SEG_OK);
        table_is(fd, t, &f, done, false);
        assert_int_equal(t->scanned, segw_bytes(w));
        assert_int_equal(t->info.end_us, segw_end_us(w));
    }
    assert_int_equal(t->info.start_us, segw_start_us(w));
    assert_int_equal(t->info.id, segw_id(w));
    assert_string_equal(t->info.path, segw_path(w));
    assert_int_equal(t->info.n_keys, 2);
    /* whole at once, with the footer behind the fragments */
    assert_int_equal(segw_close(w, &info), 0);
    assert_int_equal(seg_table_scan(fd, info.bytes, &all), SEG_OK);
    assert_int_equal(all->scanned, info.table_at);
    assert_int_equal(all->info.tracks_hash, info.tracks_hash);
    table_is(fd, all, &f, f.n, false);
    seg_table_free(all);
    seg_table_free(t);
    fd_close(&fd);
    footage_done(&f);
}

static void crash_costs_the_fragment_it_cut(void **state)
{
    const struct seg_place *p = *state;
    struct footage f;
    struct segw *w;
    uint64_t first, second;
    size_t n;
    int fd;

    footage_make(&f, 2, 25, FOOTAGE_START_US);
    n = footage_second(&f, 0);
    w = seg_place_open(p, &f);
    fd = seg_place_file(p, segw_path(w));
    assert_int_equal(segw_append(w, f.f, n), SEGW_OK);
    first = segw_bytes(w);
    assert_int_equal(segw_append(w, f.f + n, 30), SEGW_OK);
    second = segw_bytes(w);
    segw_abandon(w);
    for (uint64_t bytes = first; bytes <= second; bytes += bytes < first + 600 ? 1 : 997) {
        struct seg_table *t = NULL;

        assert_int_equal(seg_table_scan(fd, bytes, &t), SEG_OK);
        assert_int_equal(t->n, bytes == second ? n + 30 : n);
        assert_int_equal(t->scanned, bytes == second ? second : first);
        seg_table_free(t);
    }
    for (uint64_t bytes = 0; bytes < 700; bytes++) {
        struct seg_table *t = NULL;
        int err = seg_table_scan(fd, bytes, &t);

        assert_true(err == SEG_E_BAD || (err == SEG_OK && t->n == 0));
        if (!err) seg_table_free(t);
    }
    fd_close(&fd);
    footage_done(&f);
}

static void overtaken_fragment_is_taken_back(void **state)
{
    const struct seg_place *p = *state;
    struct seg_table *t = NULL;
    struct seg_info info;
    struct footage f;
    struct segw *w;
    uint64_t bytes;
    size_t n;
    int fd;

    footage_make(&f, 20, 25, FOOTAGE_START_US);
    w = seg_place_open(p, &f);
    n = footage_second(&f, 0);
    assert_int_equal(segw_append(w, f.f, n), SEGW_OK);
    bytes = segw_bytes(w);
    /* the whole rest, with key frames that get listed, and taken back */
    assert_int_equal(segw_append(w, f.f + n, SEG_FRAGMENT_MAX), SEGW_OK);
    assert_int_equal(segw_undo_last(w), 0);
    assert_int_equal(segw_bytes(w), bytes);
    for (size_t at = n; at < f.n; at += n) {
        n = footage_second(&f, at);
        assert_int_equal(segw_append(w, f.f + at, n), SEGW_OK);
    }
    assert_int_equal(segw_close(w, &info), 0);
    fd = seg_place_file(p, info.path);
    assert_int_equal(seg_table_load(fd, NULL, &t), SEG_OK);
    table_is(fd, t, &f, f.n, true);
    assert_int_equal(info.n_keys, 5);
    for (size_t i = 0; i < info.n_keys; i++) assert_int_equal(t->s[info.keys[i].sample].flags, FRAME_KEY);
    seg_table_free(t);
    fd_close(&fd);
    footage_done(&f);
}

static void long_segments_list_fewer_keys(void **state)
{
    struct seg_info i = {.n_keys = 0};
    uint32_t apart_ms = SEG_KEY_APART_MS;

    (void)state;
    for (uint32_t s = 0; s < 2 * 3600; s++) seg_keys_add(&i, &apart_ms, s * US_PER_S, s);
    assert_true(i.n_keys > SEG_KEYS_MAX / 2 && i.n_keys <= SEG_KEYS_MAX);
    assert_int_equal(i.keys[0].sample, 0);
    assert_true(i.keys[i.n_keys - 1].sample > 2 * 3600 - 2 * apart_ms / 1000);
}

static void empty_segment_leaves_no_file(void **state)
{
    const struct seg_place *p = *state;
    struct seg_info info;
    struct footage f;
    struct segw *w;
    char path[SEG_PATH_MAX];
    int fd;

    footage_make(&f, 1, 25, FOOTAGE_START_US);
    w = seg_place_open(p, &f);
    span_copy(span_of(segw_path(w)), path, sizeof(path));
    assert_int_equal(segw_append(w, f.f, 10), SEGW_OK);
    assert_int_equal(segw_undo_last(w), 0);
    assert_int_equal(segw_close(w, &info), 0);
    assert_int_equal(info.samples, 0);
    assert_int_equal(seg_open(p->storage, "cam-1", path, &fd), -ENOENT);
    footage_done(&f);
}

static void same_start_gets_another_number(void **state)
{
    const struct seg_place *p = *state;
    struct footage f;
    struct segw *a, *b;

    footage_make(&f, 1, 25, FOOTAGE_START_US);
    a = seg_place_open(p, &f);
    b = seg_place_open(p, &f);
    assert_int_equal(segw_id(b), segw_id(a) + 1);
    segw_abandon(a);
    segw_abandon(b);
    footage_done(&f);
}

static void links_are_not_followed(void **state)
{
    const struct seg_place *p = *state;
    struct segw_setup setup;
    struct footage f;
    struct segw *w;
    int fd;

    footage_make(&f, 1, 25, FOOTAGE_START_US);
    setup = (struct segw_setup){.uid = "cam-1", .tracks = &f.tracks, .first = f.f, .n_first = 10};
    assert_int_equal(symlinkat("/tmp", p->records, "2023"), 0);
    assert_int_equal(segw_open(p->records, &setup, &w), -ENOTDIR);
    assert_int_equal(seg_open(p->storage, "cam-1", "2023/11/14/221319-18bcfe567f900.mp4", &fd), -ELOOP);
    assert_int_equal(seg_open(p->storage, "../cam-1", "2023/11/14/221319-18bcfe567f900.mp4", &fd), -EINVAL);
    assert_int_equal(seg_open(p->storage, "..", "2023/11/14/221319-18bcfe567f900.mp4", &fd), -EINVAL);
    assert_int_equal(seg_open(p->storage, "cam-1", "2023/11/14/../221319-18bcfe567f900.mp4", &fd), -EINVAL);
    assert_int_equal(seg_open(p->storage, "cam-1", ".lock", &fd), -EINVAL);
    footage_done(&f);
}

static void begins_with_a_key_frame(void **state)
{
    const struct seg_place *p = *state;
    struct segw_setup setup;
    struct footage f;
    struct segw *w;

    footage_make(&f, 1, 25, FOOTAGE_START_US);
    setup = (struct segw_setup){.uid = "cam-1", .tracks = &f.tracks, .first = f.f, .n_first = 10};
    f.f[0].flags = 0;
    assert_int_equal(segw_open(p->records, &setup, &w), -EINVAL);
    f.f[0].flags = FRAME_KEY;
    setup.n_first = 0;
    assert_int_equal(segw_open(p->records, &setup, &w), -EINVAL);
    setup.n_first = 1;
    setup.uid = "a/b";
    assert_int_equal(segw_open(p->records, &setup, &w), -EINVAL);
    footage_done(&f);
}

/* A disk that takes no more in the middle of a fragment: the file ends with the one before, and goes on
 * later. */
static void full_disk_leaves_whole_fragments(void **state)
{
    const struct seg_place *p = *state;
    struct rlimit was, small;
    struct seg_table *t = NULL;
    struct seg_info info;
    struct footage f;
    struct segw *w;
    uint64_t bytes;
    struct stat st;
    size_t n;
    int fd;

    footage_make(&f, 3, 25, FOOTAGE_START_US);
    w = seg_place_open(p, &f);
    n = footage_second(&f, 0);
    assert_int_equal(segw_append(w, f.f, n), SEGW_OK);
    bytes = segw_bytes(w);
    assert_int_equal(sigaction(SIGXFSZ, &(struct sigaction){.sa_handler = SIG_IGN}, NULL), 0);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &was), 0);
    small = (struct rlimit){.rlim_cur = bytes + 10000, .rlim_max = was.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    assert_int_equal(segw_append(w, f.f + n, footage_second(&f, n)), -EFBIG);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &was), 0);
    fd = seg_place_file(p, segw_path(w));
    assert_int_equal(fstat(fd, &st), 0);
    assert_int_equal(st.st_size, bytes);
    for (size_t at = n; at < f.n; at += n) {
        n = footage_second(&f, at);
        assert_int_equal(segw_append(w, f.f + at, n), SEGW_OK);
    }
    assert_int_equal(segw_close(w, &info), 0);
    assert_int_equal(seg_table_load(fd, &info, &t), SEG_OK);
    table_is(fd, t, &f, f.n, true);
    seg_table_free(t);
    fd_close(&fd);
    footage_done(&f);
}

static void folder_has_one_writer(void **state)
{
    const struct seg_place *p = *state;
    int a = -1, b = -1;

    assert_int_equal(seg_lock(p->records, &a), SEGW_OK);
    assert_int_equal(seg_lock(p->records, &b), SEGW_E_LOCKED);
    fd_close(&a);
    assert_int_equal(seg_lock(p->records, &b), SEGW_OK);
    fd_close(&b);
}

/* Every byte of the footer changed, and every length of it: refused, or read without harm. */
static void damaged_footers_are_refused(void **state)
{
    const struct seg_place *p = *state;
    struct seg_info info, got;
    struct footage f;
    struct segw *w;
    char path[256];
    int fd, rw;

    footage_make(&f, 2, 25, FOOTAGE_START_US);
    w = seg_place_open(p, &f);
    seg_place_append(w, &f);
    assert_int_equal(segw_close(w, &info), 0);
    fd = seg_place_file(p, info.path);
    snprintf(path, sizeof(path), "%s/cam-1/records/%s", p->storage, info.path);
    rw = open(path, O_RDWR | O_CLOEXEC);
    assert_true(rw >= 0);
    for (uint64_t at = info.table_at; at < info.bytes; at++) {
        struct seg_table *t = NULL;
        uint8_t was, is;

        assert_int_equal(pread(rw, &was, 1, (off_t)at), 1);
        is = was ^ 0x41;
        assert_int_equal(pwrite(rw, &is, 1, (off_t)at), 1);
        assert_int_not_equal(seg_table_load(fd, NULL, &t), SEG_OK);
        assert_null(t);
        assert_int_equal(pwrite(rw, &was, 1, (off_t)at), 1);
    }
    for (uint64_t bytes = info.bytes - 1; bytes > info.table_at; bytes -= 7) {
        struct seg_table *t = NULL;

        assert_int_equal(ftruncate(rw, (off_t)bytes), 0);
        assert_int_not_equal(seg_table_load(fd, &info, &t), SEG_OK);
        assert_int_not_equal(seg_info_load(fd, &got), SEG_OK);
        assert_int_equal(seg_table_scan(fd, bytes, &t), SEG_OK);
        assert_int_equal(t->n, f.n);
        seg_table_free(t);
        if (bytes < info.table_at + 7) break;
    }
    fd_close(&rw);
    fd_close(&fd);
    footage_done(&f);
}

static void video_that_was_not_described_is_left_out(void **state)
{
    const struct seg_place *p = *state;
    struct seg_table *t = NULL;
    struct seg_info info;
    struct footage f;
    struct segw_setup setup;
    struct segw *w;
    int fd;

    footage_make(&f, 2, 25, FOOTAGE_START_US);
    f.tracks.t[0].config_n = 0;
    setup = (struct segw_setup){.uid = "cam-1", .tracks = &f.tracks, .first = f.f + 1, .n_first = 20};
    assert_int_equal(segw_open(p->records, &setup, &w), 0);
    seg_place_append(w, &f);
    assert_int_equal(segw_close(w, &info), 0);
    fd = seg_place_file(p, info.path);
    assert_int_equal(seg_table_load(fd, &info, &t), SEG_OK);
    assert_int_equal(t->tracks.n, 3);
    assert_int_equal(t->tracks.t[0].codec, CODEC_NONE);
    assert_int_equal(t->tracks.t[2].codec, CODEC_PCMU);
    for (size_t i = 0; i < t->n; i++) assert_int_not_equal(t->s[i].track, 0);
    assert_true(info.n_keys > 0); /* of the sound */
    seg_table_free(t);
    fd_close(&fd);
    footage_done(&f);
}

/* One that goes on inside a GOP: what lies before its first key frame is in the first cut, and it need not
 * have any. */
static void continued_segments_are_cut(void **state)
{
    struct seg_place *p = *state;
    struct seg_table *t = NULL;
    struct segw_setup setup = {.uid = "cam-1", .continues = true};
    struct seg_info info;
    struct footage f;
    struct seg_cut c;
    struct segw *w;
    size_t from, first;
    int fd;

    footage_make(&f, 4, 50, FOOTAGE_START_US);
    for (from = 1; f.f[from].track != 0;) from++;
    setup.tracks = &f.tracks;
    setup.first = f.f + from;
    setup.n_first = 10;
    assert_int_equal(segw_open(p->records, &setup, &w), 0);
    fd = seg_place_file(p, segw_path(w));
    assert_int_equal(segw_append(w, f.f + from, 30), SEGW_OK);
    assert_int_equal(seg_table_scan(fd, segw_bytes(w), &t), SEG_OK);
    assert_int_equal(t->info.n_keys, 0);
    assert_int_equal(seg_key_at(t, INT64_MAX), 0);
    assert_int_equal(seg_key_next(t, 0), t->n);
    assert_int_equal(seg_cut(t, 0, t->n, 7, &c), SEG_OK);
    assert_int_equal(c.n, 30);
    seg_cut_done(&c);
    for (size_t at = from + 30; at < f.n; at += 50)
        assert_int_equal(segw_append(w, f.f + at, MIN(50, f.n - at)), SEGW_OK);
    assert_int_equal(segw_close(w, &info), 0);
    assert_int_equal(info.n_keys, 1);
    assert_int_equal(info.flags, SEG_CONTINUES);
    assert_int_equal(t->info.flags, SEG_CONTINUES); /* the open one says so too */
    assert_int_equal(seg_table_scan(fd, info.bytes, &t), SEG_OK);
    first = info.keys[0].sample;
    assert_true(first > 0);
    assert_int_equal(seg_key_at(t, 0), first);
    assert_int_equal(seg_cut(t, 0, first, 1, &c), SEG_OK);
    assert_int_equal(c.n, 49);
    assert_int_equal(c.start_us, info.start_us);
    seg_cut_done(&c);
    assert_int_equal(seg_cut(t, first, t->n, 1, &c), SEG_OK);
    assert_int_equal(c.n, 50);
    seg_cut_done(&c);
    seg_table_free(t);
    fd_close(&fd);
    footage_done(&f);
}

/* ffmpeg plays a segment as it is, from time 0, and decodes what it decoded before. */
static void segment_is_a_plain_mp4(void **state)
{
    const struct seg_place *p = *state;
    char in[128], out[256];
    struct buf want, got;
    struct media_file m;
    struct seg_info info;
    struct frame *frames;
    struct segw_setup setup;
    struct segw *w;

    snprintf(in, sizeof(in), "%s/in.mp4", p->storage);
    if (!media_file_make(in, "libx264", "aac", 5)) {
        print_message("skipped: no ffmpeg with libx264\n");
        skip();
    }
    assert_int_equal(media_file_load(in, &m), MP4_OK);
    frames = mem_new_n(m.n, sizeof(*frames));
    for (size_t i = 0; i < m.n; i++) frames[i] = media_file_frame(&m, i, FOOTAGE_START_US);
    setup = (struct segw_setup){.uid = "cam-1", .tracks = &m.movie.tracks, .first = frames, .n_first = 60};
    assert_int_equal(segw_open(p->records, &setup, &w), 0);
    for (size_t at = 0; at < m.n; at += 60)
        assert_int_equal(segw_append(w, frames + at, MIN(60, m.n - at)), SEGW_OK);
    assert_int_equal(segw_close(w, &info), 0);
    snprintf(out, sizeof(out), "%s/cam-1/records/%s", p->storage, info.path);
    buf_init(&want, 1u << 20);
    buf_init(&got, 1u << 20);
    for (int i = 0; i < 2; i++)
        assert_int_equal(
            tool_run((const char *const[]){"ffmpeg", "-nostdin", "-v", "error", "-xerror", "-i", i ? out : in,
                         "-map", "0", "-f", "streamhash", "-hash", "md5", "-", NULL},
                i ? &got : &want),
            0);
    assert_true(buf_n(&want) > 30);
    assert_true(span_eq(buf_span(&want), buf_span(&got)));
    buf_clear(&got);
    assert_int_equal(tool_run((const char *const[]){"ffprobe", "-v", "error", "-show_entries",
                                  "format=start_time,duration", "-of", "csv=p=0", out, NULL},
                         &got),
        0);
    assert_true(span_starts(buf_span(&got), SPAN_LIT("0.000000,5.0")));
    buf_done(&want);
    buf_done(&got);
    mem_free(frames);
    media_file_done(&m);
}

/* The same footage without the frames of its sound before `from_us`. */
static void mute_until(struct footage *f, usec_t from_us)
{
    size_t n = 0;

    for (size_t i = 0; i < f->n; i++)
        if (f->tracks.t[f->f[i].track].codec != CODEC_AAC || f->f[i].wall_us >= FOOTAGE_START_US + from_us)
            f->f[n++] = f->f[i];
    f->n = n;
}

/* Sound that begins so late is no part of the segment when it is played, and its hash says so, open, closed
 * and read back alike. */
static void sound_that_is_not_there(void **state)
{
    static const usec_t from_us[] = {0, SEG_QUIET_US * 9 / 10, SEG_QUIET_US * 11 / 10, 100 * US_PER_S};
    const struct seg_place *p = *state;
    uint64_t plain = 0;

    for (size_t i = 0; i < ARRAY_N(from_us); i++) {
        struct seg_table *scanned = NULL, *loaded = NULL;
        struct seg_info info;
        struct footage f;
        struct segw *w;
        int fd;

        footage_make(&f, 8, 25, FOOTAGE_START_US);
        mute_until(&f, from_us[i]);
        w = seg_place_open(p, &f);
        seg_place_append(w, &f);
        fd = seg_place_file(p, segw_path(w));
        assert_int_equal(seg_table_scan(fd, segw_bytes(w), &scanned), SEG_OK);
        assert_int_equal(segw_close(w, &info), 0);
        assert_int_equal(seg_table_load(fd, &info, &loaded), SEG_OK);
        assert_int_equal(seg_quiet(scanned), i >= 2 ? seg_sound(&scanned->tracks) : 0);
        assert_int_equal(seg_quiet(loaded), seg_quiet(scanned));
        assert_true(scanned->info.tracks_hash == info.tracks_hash);
        assert_int_equal(scanned->info.n_keys, info.n_keys);
        assert_memory_equal(scanned->info.keys, info.keys, info.n_keys * sizeof(info.keys[0]));
        if (i == 0) plain = info.tracks_hash;
        assert_int_equal(info.tracks_hash == plain, i < 2);
        seg_table_free(scanned);
        seg_table_free(loaded);
        fd_close(&fd);
        footage_done(&f);
    }
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, seg_place_make, seg_place_drop)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(segment_comes_back),
        TEST(table_is_small),
        TEST(open_segment_is_scanned),
        TEST(crash_costs_the_fragment_it_cut),
        TEST(overtaken_fragment_is_taken_back),
        TEST(empty_segment_leaves_no_file),
        TEST(same_start_gets_another_number),
        TEST(links_are_not_followed),
        TEST(begins_with_a_key_frame),
        TEST(full_disk_leaves_whole_fragments),
        TEST(folder_has_one_writer),
        TEST(damaged_footers_are_refused),
        TEST(video_that_was_not_described_is_left_out),
        TEST(continued_segments_are_cut),
        TEST(segment_is_a_plain_mp4),
        TEST(sound_that_is_not_there),
        cmocka_unit_test(long_segments_list_fewer_keys),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
