/* The roads of the archive: segments written by the segment writer, indexed, asked for over sockets; ffprobe
 * judges. */
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include <fcntl.h>
#include <semaphore.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "archive/index.h"
#include "archive/segment.h"
#include "common/base/clock.h"
#include "common/base/err.h"
#include "common/base/fd.h"
#include "common/base/mem.h"
#include "common/base/wr.h"
#include "httpd/archive.h"
#include "tests/support/httpd_help.h"
#include "tests/support/tool.h"

#define FOOTAGE_S 8
#define T0_S      1700000000
#define T0        ((usec_t)T0_S * US_PER_S)
#define UID       "cam-1"

static struct httpd_help help;
static struct httpd_camera camera;
static char dir[64], path[128], out[128];
static struct media_file footage;
static bool have_footage;
static struct index *ix, *other_ix;
static struct segw *open_segment;
static char last_playlist[65536];

static int records(void)
{
    char name[160];
    int fd;

    snprintf(name, sizeof(name), "%s/%s", dir, UID);
    mkdir(name, 0750);
    snprintf(name, sizeof(name), "%s/%s/records", dir, UID);
    mkdir(name, 0750);
    fd = open(name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    must(fd >= 0);
    return fd;
}

/* The footage once, from that moment on; fragments of about a second. */
static struct segw *write_segment(usec_t wall_us, bool discont)
{
    CLEANUP(fd_close) int fd = records();
    CLEANUP(mem_freep) struct frame *f = mem_new_n(footage.n, sizeof(*f));
    struct track_set tracks = footage.movie.tracks;
    struct segw_setup setup = {
        .uid = UID, .tracks = &tracks, .first = f, .n_first = MIN(footage.n, 60), .discont = discont};
    struct segw *w;

    for (size_t i = 0; i < footage.n; i++) {
        f[i] = media_file_frame(&footage, i, wall_us);
        f[i].wall_us = ticks_us((struct ticks){f[i].dts, tracks.t[f[i].track].clock_hz});
    }
    must(segw_open(fd, &setup, &w) == 0);
    for (size_t at = 0; at < footage.n;) {
        size_t n = 1;

        while (at + n < footage.n && n < 70) n++;
        must(segw_append(w, f + at, n) == SEGW_OK);
        at += n;
    }
    return w;
}

static void put_segment(usec_t wall_us, bool discont)
{
    struct segw *w = write_segment(wall_us, discont);
    struct seg_info *info = NEW(struct seg_info);
    const struct seg_info *list[] = {info};

    must(segw_close(w, info) == 0 && index_put(ix, list, 1) == INDEX_OK);
    mem_free(info);
}

static void publish_open(usec_t wall_us)
{
    struct ring_status *st = ring_writer_status(camera.w);

    open_segment = write_segment(wall_us, false);
    atomic_store(&st->rec_segment, segw_id(open_segment));
    atomic_store(&st->rec_start_us, segw_start_us(open_segment));
    atomic_store(&st->rec_end_us, segw_end_us(open_segment));
    atomic_store(&st->rec_bytes, segw_bytes(open_segment));
    ring_status_text(st, st->rec_path, sizeof(st->rec_path), segw_path(open_segment));
    ring_status_text(st, st->rec_storage, sizeof(st->rec_storage), "default");
}

/* 8 s, 8 s directly behind, a gap of 100 s, 8 s, and behind these the open segment. */
static int start(void **state)
{
    struct view v = {.rule = {ACCESS_PUBLIC, false, true, true}, .uid = UID, .record = true};

    (void)state;
    tool_tmpdir(dir, sizeof(dir));
    snprintf(path, sizeof(path), "%s/a.mp4", dir);
    snprintf(out, sizeof(out), "%s/out.mp4", dir);
    have_footage = media_file_make(path, "libx264", "aac", FOOTAGE_S) && media_file_load(path, &footage) == 0;
    httpd_help_start(&help, 2, NULL, 0);
    if (!have_footage) return 0;
    must(index_open(dir, &ix) == INDEX_OK);
    put_segment(T0, true);
    put_segment(T0 + 8 * US_PER_S, false);
    put_segment(T0 + 116 * US_PER_S, true);
    storage_set(help.storages, SPAN_LIT("default"), span_of(dir));
    storage_index_ready(help.storages, SPAN_LIT("default"), span_of(dir));
    httpd_camera_start(&help, &camera, &v, &footage, clock_wall_us());
    publish_open(T0 + 124 * US_PER_S);
    return 0;
}

static int stop(void **state)
{
    (void)state;
    if (have_footage) httpd_camera_stop(&help, &camera, UID);
    httpd_help_stop(&help);
    segw_abandon(open_segment);
    index_close(ix);
    index_close(other_ix);
    media_file_done(&footage);
    tool_rmdir(dir);
    return 0;
}

static void need_footage(void)
{
    if (!have_footage) {
        print_message("skipped: no ffmpeg with libx264\n");
        skip();
    }
}

static unsigned count(struct span text, const char *what)
{
    unsigned n = 0;
    ssize_t at;

    while ((at = span_find_span(text, span_of(what))) >= 0) {
        n++;
        text = span_from(text, (size_t)at + strlen(what));
    }
    return n;
}

/* GET /<uid>/<name>: the status; the body in last_playlist where it fits. */
static unsigned get(const char *name, const char *fields, struct http_reply *r)
{
    char url[256];

    snprintf(url, sizeof(url), "%s%s", name[0] == '/' ? "" : "/" UID "/", name);
    assert_true(httpd_help_get(&help, url, fields, r));
    span_copy(r->body, last_playlist, sizeof(last_playlist));
    return r->status;
}

static bool uri_of(unsigned n, char *dst, size_t cap)
{
    struct span text = span_of(last_playlist), line;

    while (span_split(&text, '\n', &line))
        if (line.n > 0 && line.p[0] != '#' && n-- == 0) return span_copy(line, dst, cap);
    return false;
}

static void map_of(char *dst, size_t cap)
{
    struct span mark = SPAN_LIT("#EXT-X-MAP:URI=\""), text = span_of(last_playlist);
    ssize_t at = span_find_span(text, mark);

    assert_true(at >= 0);
    text = span_from(text, (size_t)at + mark.n);
    assert_true(span_copy(span_sub(text, 0, (size_t)span_find(text, '"')), dst, cap));
}

static void test_playlist(void **state)
{
    struct http_reply r;
    struct span text;

    (void)state;
    need_footage();
    assert_int_equal(get("archive-1700000000-3600.m3u8", NULL, &r), 200);
    text = r.body;
    assert_int_equal(count(text, "#EXT-X-DISCONTINUITY\n"), 1); /* the gap */
    assert_int_equal(count(text, "#EXT-X-MAP:"), 1);            /* the same tracks all along */
    assert_int_equal(count(text, "#EXTINF:4.0"), 2 * 4);
    assert_int_equal(count(text, "#EXT-X-TARGETDURATION:4\n"), 1);
    assert_true(span_ends(text, SPAN_LIT("#EXT-X-ENDLIST\n")));
    assert_true(span_find_span(text, SPAN_LIT("#EXT-X-PROGRAM-DATE-TIME:2023-11-14T22:13:2")) > 0);
    http_reply_done(&r);
    /* one second of it: the group of pictures that holds it */
    assert_int_equal(get("/dvr/" UID "/playlist.m3u8?timestamp=1700000005&duration=1", NULL, &r), 200);
    assert_int_equal(count(r.body, "#EXTINF"), 1);
    http_reply_done(&r);
    assert_int_equal(
        get("/dvr/" UID "/playlist_ios.m3u8?time=2023-11-14T22:13:25Z&duration=6", NULL, &r), 200);
    assert_int_equal(count(r.body, "#EXTINF"), 2);
    http_reply_done(&r);
}

/* Closed, but the keeper has not put it into the index yet. */
static void test_closed_a_moment_ago(void **state)
{
    struct ring_status *st;
    struct seg_info *info = NEW(struct seg_info);
    struct http_reply r;
    char name[128];

    (void)state;
    need_footage();
    st = ring_writer_status(camera.w);
    must(segw_close(open_segment, info) == 0);
    publish_open(T0 + 132 * US_PER_S);
    assert_int_equal(get("archive-1700000116-60.m3u8", NULL, &r), 200);
    assert_int_equal(count(r.body, "#EXTINF"), 2 + 2 + 2);
    assert_int_equal(count(r.body, "#EXT-X-DISCONTINUITY\n"), 0);
    for (unsigned i = 0; i < 5; i++) {
        struct http_reply part;
        char url[160];

        assert_true(uri_of(i, name, sizeof(name)));
        snprintf(url, sizeof(url), "/" UID "/%s", name);
        assert_true(httpd_help_get(&help, url, NULL, &part));
        assert_int_equal(part.status, 200);
        http_reply_done(&part);
    }
    http_reply_done(&r);
    assert_int_equal(get("recording_status.json?from=1700000100&to=1700001000", NULL, &r), 200);
    assert_int_equal(count(r.body, "\"from\""), 1);
    http_reply_done(&r);
    assert_int_equal(atomic_load(&st->rec_segment), segw_id(open_segment));
    mem_free(info);
}

static void test_master_names_the_media(void **state)
{
    struct http_reply r;
    char uri[128];

    (void)state;
    need_footage();
    assert_int_equal(get("index-1700000000-3600.m3u8", NULL, &r), 200);
    assert_true(span_find_span(r.body, SPAN_LIT("CODECS=\"avc1.")) > 0);
    assert_true(span_find_span(r.body, SPAN_LIT("RESOLUTION=")) > 0);
    assert_true(uri_of(0, uri, sizeof(uri)));
    assert_string_equal(uri, "archive-1700000000-3600.m3u8");
    http_reply_done(&r);
}

static void put_bytes(struct buf *whole, const char *name)
{
    struct http_reply r;
    char url[256];

    snprintf(url, sizeof(url), "/" UID "/%s", name);
    assert_true(httpd_help_get(&help, url, NULL, &r));
    assert_int_equal(r.status, 200);
    assert_true(buf_put(whole, r.body));
    http_reply_done(&r);
}

/* Frames that ffprobe decodes from the file `out`. */
static unsigned frames_of(const char *stream)
{
    const char *argv[] = {"ffprobe", "-v", "error", "-count_frames", "-select_streams", stream,
        "-show_entries", "stream=nb_read_frames", "-of", "csv=p=0", out, NULL};
    struct buf b;
    struct span text;
    uint64_t n = 0;

    buf_init(&b, 1 << 20);
    assert_int_equal(tool_run(argv, &b), 0);
    text = span_trim(buf_span(&b));
    if (text.n > 0 && text.p[text.n - 1] == ',') text.n--;
    assert_true(span_u64(text, 100000, &n));
    buf_done(&b);
    return (unsigned)n;
}

/* Every piece of two neighbouring segments, one behind the other, is all of their footage, and nothing twice.
 */
static void test_pieces_are_the_footage(void **state)
{
    struct http_reply r;
    struct buf whole;
    char name[128];
    int fd;

    (void)state;
    need_footage();
    assert_int_equal(get("archive-1700000000-16.m3u8", NULL, &r), 200);
    http_reply_done(&r);
    assert_int_equal(count(span_of(last_playlist), "#EXTINF"), 4);
    buf_init(&whole, 64 << 20);
    map_of(name, sizeof(name));
    put_bytes(&whole, name);
    for (unsigned i = 0; uri_of(i, name, sizeof(name)); i++) put_bytes(&whole, name);
    fd = open(out, O_WRONLY | O_CREAT | O_TRUNC, 0644);
    must(fd >= 0 && fd_write_all(fd, buf_span(&whole)) == 0);
    fd_close(&fd);
    buf_done(&whole);
    assert_int_equal(frames_of("v"), 2 * FOOTAGE_S * 25);
    assert_true(frames_of("a") > 2 * FOOTAGE_S * 40);
}

/* Ranges of a segment are the bytes that the whole has there, on both sides of the border of head and media.
 */
static void test_segment_ranges(void **state)
{
    struct http_reply whole, part;
    char name[128], fields[96];
    static const size_t at[] = {0, 1, 100, 1500, 2500, 60000};

    (void)state;
    need_footage();
    assert_int_equal(get("archive-1700000000-1.m3u8", NULL, &part), 200);
    http_reply_done(&part);
    assert_true(uri_of(0, name, sizeof(name)));
    assert_int_equal(get(name, NULL, &whole), 200);
    for (size_t i = 0; i < ARRAY_N(at); i++) {
        size_t from = MIN(at[i], whole.body.n - 1), n = MIN(5000, whole.body.n - from);

        snprintf(fields, sizeof(fields), "Range: bytes=%zu-%zu\r\n", from, from + n - 1);
        assert_int_equal(get(name, fields, &part), 206);
        assert_int_equal(part.body.n, n);
        assert_memory_equal(part.body.p, whole.body.p + from, n);
        http_reply_done(&part);
    }
    snprintf(fields, sizeof(fields), "If-None-Match: %.*s\r\n", SPAN_FMT(http_reply_field(&whole, "ETag")));
    assert_int_equal(get(name, fields, &part), 304);
    http_reply_done(&part);
    http_reply_done(&whole);
}

/* HEAD, then several segments on one connection, the socket lent and taken back in between. */
static void test_segments_on_one_connection(void **state)
{
    char name[128], text[256];
    struct http_reply r;
    int fd = httpd_help_connect(&help);
    size_t want = 0;

    (void)state;
    need_footage();
    assert_int_equal(get("archive-1700000000-1.m3u8", NULL, &r), 200);
    http_reply_done(&r);
    assert_true(uri_of(0, name, sizeof(name)));
    for (unsigned i = 0; i < 5; i++) {
        int n = snprintf(
            text, sizeof(text), "%s /" UID "/%s HTTP/1.1\r\nHost: t\r\n\r\n", i == 0 ? "HEAD" : "GET", name);
        uint64_t length;

        assert_true(http_help_ask(fd, span(text, (size_t)n), SIZE_MAX, &r));
        assert_int_equal(r.status, 200);
        assert_true(span_u64(http_reply_field(&r, "Content-Length"), UINT32_MAX, &length));
        if (i == 0) want = length;
        assert_int_equal(length, want);
        assert_int_equal(r.body.n, i == 0 ? 0 : want);
        http_reply_done(&r);
    }
    close(fd);
}

static void test_outside_of_the_archive(void **state)
{
    struct http_reply r;

    (void)state;
    need_footage();
    assert_int_equal(get("archive-1700000030-10.m3u8", NULL, &r), 404);
    assert_true(span_is(http_reply_field(&r, "X-Nearest-Recorded"), "1700000115") ||
        span_is(http_reply_field(&r, "X-Nearest-Recorded"), "1700000116"));
    http_reply_done(&r);
    assert_int_equal(get("archive-1600000000-10.m3u8", NULL, &r), 404);
    assert_true(http_reply_field(&r, "X-Nearest-Recorded").n > 0);
    http_reply_done(&r);
    assert_int_equal(get("archive-1900000000-10.m3u8", NULL, &r), 404);
    http_reply_done(&r);
}

static void test_malformed(void **state)
{
    static const char *const bad[] = {"archive-x-10.m3u8", "archive-1700000000-x.m3u8",
        "archive-1700000000-0.m3u8", "archive-1700000000-99999999.m3u8", "/dvr/" UID "/playlist.m3u8",
        "/dvr/" UID "/playlist.m3u8?timestamp=x", "/dvr/" UID "/playlist.m3u8?time=yesterday",
        "/dvr/" UID "/playlist.m3u8?timestamp=1700000000&duration=-1", "recording_status.json?from=x",
        "recording_status.json?from=5&to=4", "dvr-00000000-x-0-1.m4s", "dvr-00000000-1-1-1.m4s",
        "dvr-00000000-1-2-1.m4s", "dvr-init-00000000-x.mp4"};
    struct http_reply r;

    (void)state;
    need_footage();
    for (size_t i = 0; i < ARRAY_N(bad); i++) {
        unsigned status = get(bad[i], NULL, &r);

        if (status != 400) print_message("%s: %u\n", bad[i], status);
        assert_int_equal(status, 400);
        http_reply_done(&r);
    }
}

static void test_segments_nobody_recorded(void **state)
{
    char name[128], other[128];
    struct http_reply r;
    struct span tag;

    (void)state;
    need_footage();
    assert_int_equal(get("dvr-00000000-1-0-1.m4s", NULL, &r), 404);
    http_reply_done(&r);
    assert_int_equal(get("archive-1700000000-1.m3u8", NULL, &r), 200);
    http_reply_done(&r);
    assert_true(uri_of(0, name, sizeof(name)));
    tag = span_sub(span_of(name), 4, 8);
    snprintf(other, sizeof(other), "dvr-%.*s-1-0-1.m4s", SPAN_FMT(tag)); /* no such segment */
    assert_int_equal(get(other, NULL, &r), 404);
    http_reply_done(&r);
    /* sample numbers that are no key frames */
    snprintf(other, sizeof(other), "%.*s-3-5.m4s", (int)(strrchr(name, '-') - name - 2), name);
    assert_int_equal(get(other, NULL, &r), 404);
    http_reply_done(&r);
}

static void test_recording_status(void **state)
{
    struct http_reply r;

    (void)state;
    need_footage();
    assert_int_equal(
        get("recording_status.json?from=1699999000&to=1700001000&request=ranges,locks", NULL, &r), 200);
    assert_true(span_starts(r.body, SPAN_LIT("[{\"stream\":\"" UID "\",\"ranges\":[{\"from\":1")));
    assert_int_equal(count(r.body, "\"from\""), 2);
    assert_true(span_ends(r.body, SPAN_LIT("],\"locks\":[]}]\n")));
    /* 8 s from the index and 8 s that only the ring knows, as one */
    assert_true(span_find_span(r.body, SPAN_LIT("\"duration\":16}],")) > 0 ||
        span_find_span(r.body, SPAN_LIT("\"duration\":17}],")) > 0);
    http_reply_done(&r);
    assert_int_equal(get("recording_status.json?from=1700000004&to=1700000006", NULL, &r), 200);
    assert_string_equal(
        last_playlist, "[{\"stream\":\"" UID "\",\"ranges\":[{\"from\":1700000004,\"duration\":2}]}]\n");
    http_reply_done(&r);
    assert_int_equal(get("recording_status.json?from=1600000000&to=1600000006", NULL, &r), 200);
    assert_string_equal(last_playlist, "[{\"stream\":\"" UID "\",\"ranges\":[]}]\n");
    http_reply_done(&r);
}

/* A disk that hangs: as many jobs that never end as the pool has threads. */
struct hung {
    struct storage *st;
    sem_t gate, running, over;
    struct hung_job {
        struct job job;
        struct hung *all;
    } j[POOL_THREADS];
};

static void hang(struct job *j)
{
    struct hung *h = CONTAINER(j, struct hung_job, job)->all;

    sem_post(&h->running);
    sem_wait(&h->gate);
}

static void hung_over(struct job *j)
{
    sem_post(&CONTAINER(j, struct hung_job, job)->all->over);
}

static void hung_start(struct hung *h, const char *name)
{
    h->st = storage_by_name(help.storages, span_of(name));
    sem_init(&h->gate, 0, 0);
    sem_init(&h->running, 0, 0);
    sem_init(&h->over, 0, 0);
    for (size_t i = 0; i < ARRAY_N(h->j); i++) {
        h->j[i] = (struct hung_job){{hang, hung_over, help.server.hubs[0].loop, NULL}, h};
        assert_true(pool_put(h->st->pool, &h->j[i].job));
    }
    for (size_t i = 0; i < ARRAY_N(h->j); i++) sem_wait(&h->running);
}

static void hung_end(struct hung *h)
{
    for (size_t i = 0; i < ARRAY_N(h->j); i++) sem_post(&h->gate);
    for (size_t i = 0; i < ARRAY_N(h->j); i++) sem_wait(&h->over);
    sem_destroy(&h->gate);
    sem_destroy(&h->running);
    sem_destroy(&h->over);
}

static void test_hung_storage(void **state)
{
    struct hung h;
    struct http_reply r;
    usec_t before;

    (void)state;
    need_footage();
    hung_start(&h, "default");
    /* live goes on ... */
    before = clock_mono_us();
    httpd_camera_until(&camera, clock_wall_us() + 3 * US_PER_S);
    assert_int_equal(get("preview.mp4", NULL, &r), 200);
    http_reply_done(&r);
    assert_int_equal(get("video.m3u8", NULL, &r), 200);
    http_reply_done(&r);
    assert_true(clock_mono_us() - before < 5 * US_PER_S);
    /* ... and the archive says that its disk does not answer */
    assert_int_equal(get("archive-1700000000-60.m3u8", NULL, &r), 503);
    assert_true(http_reply_field(&r, "Retry-After").n > 0);
    http_reply_done(&r);
    hung_end(&h);
    assert_int_equal(get("archive-1700000000-60.m3u8", NULL, &r), 200);
    http_reply_done(&r);
    httpd_help_settle(&help);
    storage_unref(h.st);
}

/* The stream records to these storages from now on. */
static void set_archive(const char *archive)
{
    struct view *v = NEW(struct view);

    *v = (struct view){.rule = {ACCESS_PUBLIC, false, true, true}, .uid = UID, .record = true};
    snprintf(v->archive, sizeof(v->archive), "%s", archive);
    hub_post(hub_home(&help.server, SPAN_LIT(UID)), stream_view, v);
    httpd_help_settle(&help);
}

/* What the healthy storage has is answered in time, and the answer says that it is not all. */
static void test_one_of_two_storages_hangs(void **state)
{
    static const char *const asked[] = {
        "archive-1700000000-16.m3u8", "recording_status.json?from=1700000000&to=1700000016"};
    struct hung h;
    struct http_reply r;
    char other[80];

    (void)state;
    need_footage();
    snprintf(other, sizeof(other), "%s/other", dir);
    must(mkdir(other, 0750) == 0);
    must(index_open(other, &other_ix) == INDEX_OK);
    storage_set(help.storages, SPAN_LIT("other"), span_of(other));
    storage_index_ready(help.storages, SPAN_LIT("other"), span_of(other));
    set_archive("other, default");
    assert_int_equal(get(asked[0], NULL, &r), 200);
    assert_int_equal(count(r.body, "#EXTINF"), 4);
    assert_int_equal(http_reply_field(&r, "X-Archive-Incomplete").n, 0);
    http_reply_done(&r);
    hung_start(&h, "other");
    for (size_t i = 0; i < ARRAY_N(asked); i++) {
        usec_t before = clock_mono_us();

        assert_int_equal(get(asked[i], NULL, &r), 200);
        assert_true(clock_mono_us() - before < ARCHIVE_PATIENCE_US + 2 * US_PER_S);
        assert_true(span_is(http_reply_field(&r, "X-Archive-Incomplete"), "1 of 2 storages"));
        assert_true(span_is(http_reply_field(&r, "Cache-Control"), "no-store"));
        assert_int_equal(
            i == 0 ? count(r.body, "#EXTINF") : count(r.body, "\"duration\":16"), i == 0 ? 4 : 1);
        http_reply_done(&r);
    }
    /* Nothing then on this one: perhaps on the other. */
    assert_int_equal(get("archive-1700000030-10.m3u8", NULL, &r), 503);
    assert_int_equal(http_reply_field(&r, "X-Nearest-Recorded").n, 0);
    http_reply_done(&r);
    hung_end(&h);
    httpd_help_settle(&help);
    storage_unref(h.st);
    assert_int_equal(get(asked[0], NULL, &r), 200);
    assert_int_equal(http_reply_field(&r, "X-Archive-Incomplete").n, 0);
    assert_true(span_is(http_reply_field(&r, "Cache-Control"), "no-cache"));
    http_reply_done(&r);
    set_archive("");
    storage_remove(help.storages, SPAN_LIT("other"));
}

/* One that gives an error at once is not waited for. */
static void test_one_of_two_storages_fails(void **state)
{
    struct http_reply r;
    usec_t before;

    (void)state;
    need_footage();
    storage_set(help.storages, SPAN_LIT("gone"), SPAN_LIT("/nowhere"));
    set_archive("gone, default");
    before = clock_mono_us();
    assert_int_equal(get("archive-1700000000-16.m3u8", NULL, &r), 200);
    assert_true(clock_mono_us() - before < ARCHIVE_PATIENCE_US);
    assert_true(span_is(http_reply_field(&r, "X-Archive-Incomplete"), "1 of 2 storages"));
    http_reply_done(&r);
    set_archive("gone");
    assert_int_equal(get("archive-1700000000-16.m3u8", NULL, &r), 503);
    http_reply_done(&r);
    set_archive("");
    storage_remove(help.storages, SPAN_LIT("gone"));
}

/* Turns one bit of every copy of a segment's record in the index, and again turns it back. */
static void touch_record(uint64_t id)
{
    char name[80];
    uint8_t key[12];
    struct wr w = wr_of(key, sizeof(key));
    struct span all;
    struct stat st;
    unsigned n = 0;
    ssize_t at;
    uint8_t *mem;
    int fd;

    snprintf(name, sizeof(name), "%s/data.mdb", dir);
    fd = open(name, O_RDWR | O_CLOEXEC);
    must(fd >= 0 && fstat(fd, &st) == 0);
    mem = mem_new((size_t)st.st_size);
    must(pread(fd, mem, (size_t)st.st_size, 0) == st.st_size);
    wr_text(&w, "MSS1");
    wr_u64(&w, id);
    all = span(mem, (size_t)st.st_size);
    while ((at = span_find_span(all, wr_span(&w))) >= 0) {
        off_t where = all.p + at + 40 - mem;
        uint8_t byte = mem[where] ^ 1;

        must(pwrite(fd, &byte, 1, where) == 1);
        all = span_from(all, (size_t)at + 12);
        n++;
    }
    assert_true(n > 0);
    mem_free(mem);
    close(fd);
}

/* The record's footage is a gap, the rest is played. */
static void test_damaged_record(void **state)
{
    struct seg_info *s = NEW(struct seg_info);
    struct index_query q = {.uid = UID, .from_us = T0 + 1, .to_us = T0 + 20 * US_PER_S};
    struct http_reply r;
    char name[128];
    size_t n = 0;

    (void)state;
    need_footage();
    assert_int_equal(get("archive-1700000001-6.m3u8", NULL, &r), 200);
    http_reply_done(&r);
    assert_true(uri_of(0, name, sizeof(name)));
    must(index_segments(ix, &q, s, 1, &n) == INDEX_OK && n == 1);
    touch_record(s->id);
    assert_int_equal(index_get(ix, UID, s->id, s), INDEX_E_DAMAGED);
    assert_int_equal(get("archive-1700000000-200.m3u8", NULL, &r), 200);
    assert_int_equal(count(r.body, "#EXTINF"), 2 + 2 + 2);
    assert_int_equal(http_reply_field(&r, "X-Archive-Incomplete").n, 0);
    http_reply_done(&r);
    assert_int_equal(get("recording_status.json?from=1700000000&to=1700000200", NULL, &r), 200);
    http_reply_done(&r);
    /* Who has a playlist from before goes on: the file says what it is. */
    assert_int_equal(get(name, NULL, &r), 200);
    http_reply_done(&r);
    touch_record(s->id);
    assert_int_equal(get("archive-1700000000-200.m3u8", NULL, &r), 200);
    assert_int_equal(count(r.body, "#EXTINF"), 2 + 2 + 2 + 2);
    http_reply_done(&r);
    mem_free(s);
}

/* docs/reference/http.md, "Everywhere". */
static void test_packed_and_tagged(void **state)
{
    static const char *const asked[] = {"archive-1700000000-16.m3u8", "index-1700000000-16.m3u8",
        "recording_status.json?from=1700000000&to=1700000016"};
    struct http_reply plain, packed, again;
    char fields[160];

    (void)state;
    need_footage();
    for (size_t i = 0; i < ARRAY_N(asked); i++) {
        assert_int_equal(get(asked[i], NULL, &plain), 200);
        assert_int_equal(get(asked[i], "Accept-Encoding: gzip\r\n", &packed), 200);
        assert_true(span_find_span(http_reply_field(&plain, "Access-Control-Expose-Headers"),
                        SPAN_LIT("X-Nearest-Recorded")) > 0);
        assert_true(span_is(http_reply_field(&plain, "Vary"), "Accept-Encoding"));
        assert_true(http_reply_field(&plain, "ETag").n > 0);
        if (i == 0) {
            assert_true(span_is(http_reply_field(&packed, "Content-Encoding"), "gzip"));
            assert_true(packed.body.n < plain.body.n);
            assert_false(span_eq(http_reply_field(&plain, "ETag"), http_reply_field(&packed, "ETag")));
        }
        snprintf(fields, sizeof(fields), "Accept-Encoding: gzip\r\nIf-None-Match: %.*s\r\n",
            SPAN_FMT(http_reply_field(&packed, "ETag")));
        assert_int_equal(get(asked[i], fields, &again), 304);
        http_reply_done(&plain);
        http_reply_done(&packed);
        http_reply_done(&again);
    }
}

/* A viewer who stops reading a segment and goes away gives the socket and the thread back. */
static void test_viewers_who_leave(void **state)
{
    char name[128], text[256];
    struct http_reply r;

    (void)state;
    need_footage();
    assert_int_equal(get("archive-1700000000-1.m3u8", NULL, &r), 200);
    http_reply_done(&r);
    assert_true(uri_of(0, name, sizeof(name)));
    for (unsigned i = 0; i < 20; i++) {
        int fd = httpd_help_connect(&help), small = 2048;
        int n = snprintf(text, sizeof(text), "GET /" UID "/%s HTTP/1.1\r\nHost: t\r\n\r\n", name);

        setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small));
        assert_int_equal(send(fd, text, (size_t)n, MSG_NOSIGNAL), n);
        if (i % 2 == 0) assert_int_equal(recv(fd, text, 10, 0), 10);
        close(fd);
    }
    assert_int_equal(get(name, NULL, &r), 200);
    http_reply_done(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_playlist),
        cmocka_unit_test(test_master_names_the_media),
        cmocka_unit_test(test_pieces_are_the_footage),
        cmocka_unit_test(test_segment_ranges),
        cmocka_unit_test(test_segments_on_one_connection),
        cmocka_unit_test(test_outside_of_the_archive),
        cmocka_unit_test(test_malformed),
        cmocka_unit_test(test_segments_nobody_recorded),
        cmocka_unit_test(test_recording_status),
        cmocka_unit_test(test_viewers_who_leave),
        cmocka_unit_test(test_packed_and_tagged),
        cmocka_unit_test(test_damaged_record),
        cmocka_unit_test(test_one_of_two_storages_fails),
        cmocka_unit_test(test_one_of_two_storages_hangs),
        cmocka_unit_test(test_closed_a_moment_ago),
        cmocka_unit_test(test_hung_storage),
    };

    return cmocka_run_group_tests(tests, start, stop);
}
