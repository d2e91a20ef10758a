/* Storages that hang, fail or are damaged, as viewers of the archive see them. */
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include <fcntl.h>
#include <semaphore.h>
#include <sys/stat.h>
#include <unistd.h>

#include "archive/index_guard.h"
#include "common/base/clock.h"
#include "common/base/err.h"
#include "common/base/fd.h"
#include "common/base/mem.h"
#include "common/base/wr.h"
#include "httpd/archive.h"
#include "tests/support/archive_site.h"
#include "tests/support/playlist.h"
#include "tests/support/tool.h"

#define UID SITE_UID
#define T0  SITE_T0

#define TRIES 5

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
    h->st = storage_by_name(site.help.storages, span_of(name));
    sem_init(&h->gate, 0, 0);
    sem_init(&h->running, 0, 0);
    sem_init(&h->over, 0, 0);
    for (size_t i = 0; i < ARRAY_N(h->j); i++) {
        h->j[i] = (struct hung_job){{hang, hung_over, site.help.server.hubs[0].loop, NULL}, h};
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
    char name[128];

    (void)state;
    site_need_footage();
    assert_int_equal(site_get("archive-1700000001-1.m3u8", NULL, &r), 200);
    http_reply_done(&r);
    assert_true(site_uri(0, name, sizeof(name)));
    assert_int_equal(site_get(name, NULL, &r), 200);
    http_reply_done(&r);
    hung_start(&h, "default");
    /* live goes on ... */
    httpd_camera_until(&site.camera, clock_wall_us() + 3 * US_PER_S);
    assert_int_equal(site_get("preview.mp4", NULL, &r), 200);
    http_reply_done(&r);
    assert_int_equal(site_get("video.m3u8", NULL, &r), 200);
    http_reply_done(&r);
    /* ... and the archive says that its disk does not answer */
    assert_int_equal(site_get("archive-1700000000-60.m3u8", NULL, &r), 503);
    assert_true(http_reply_field(&r, "Retry-After").n > 0);
    http_reply_done(&r);
    /* of a piece that is known too */
    assert_int_equal(site_get(name, NULL, &r), 503);
    http_reply_done(&r);
    hung_end(&h);
    assert_int_equal(site_get(name, NULL, &r), 200);
    http_reply_done(&r);
    assert_int_equal(site_get("archive-1700000000-60.m3u8", NULL, &r), 200);
    http_reply_done(&r);
    httpd_help_settle(&site.help);
    storage_unref(h.st);
}

/* The stream records to these storages from now on. */
static void set_archive(const char *archive)
{
    struct view *v = NEW(struct view);

    *v =
        (struct view){.rule = {ACCESS_PUBLIC, true, ACCESS_ROADS_ALL, {NULL, 0}}, .uid = UID, .record = true};
    snprintf(v->archive, sizeof(v->archive), "%s", archive);
    hub_post(hub_home(&site.help.server, SPAN_LIT(UID)), stream_view, v);
    httpd_help_settle(&site.help);
}

/* What the healthy storage has is answered in time, and the answer says that it is not all. */
static void test_one_of_two_storages_hangs(void **state)
{
    static const char *const asked[] = {
        "archive-1700000000-16.m3u8", "recording_status.json?from=1700000000&to=1700000016"};
    struct hung h;
    struct http_reply r;
    struct index *other_ix;
    char other[80];

    (void)state;
    site_need_footage();
    snprintf(other, sizeof(other), "%s/other", site.dir);
    must(mkdir(other, 0750) == 0);
    must(index_open(other, &other_ix) == INDEX_OK);
    storage_set(site.help.storages, SPAN_LIT("other"), span_of(other));
    storage_index_ready(site.help.storages, SPAN_LIT("other"), span_of(other));
    set_archive("other, default");
    assert_int_equal(site_get(asked[0], NULL, &r), 200);
    assert_int_equal(playlist_count(r.body, "#EXTINF"), 4);
    assert_int_equal(http_reply_field(&r, "X-Archive-Incomplete").n, 0);
    http_reply_done(&r);
    hung_start(&h, "other");
    for (size_t i = 0; i < ARRAY_N(asked); i++) {
        assert_int_equal(site_get(asked[i], NULL, &r), 200);
        assert_true(span_is(http_reply_field(&r, "X-Archive-Incomplete"), "1 of 2 storages"));
        assert_true(span_is(http_reply_field(&r, "Cache-Control"), "no-store"));
        assert_int_equal(
            i == 0 ? playlist_count(r.body, "#EXTINF") : playlist_count(r.body, "\"duration\":16"),
            i == 0 ? 4 : 1);
        http_reply_done(&r);
    }
    /* Nothing then on this one: perhaps on the other. */
    assert_int_equal(site_get("archive-1700000030-10.m3u8", NULL, &r), 503);
    assert_int_equal(http_reply_field(&r, "X-Nearest-Recorded").n, 0);
    http_reply_done(&r);
    hung_end(&h);
    httpd_help_settle(&site.help);
    storage_unref(h.st);
    assert_int_equal(site_get(asked[0], NULL, &r), 200);
    assert_int_equal(http_reply_field(&r, "X-Archive-Incomplete").n, 0);
    assert_true(span_is(http_reply_field(&r, "Cache-Control"), "no-cache"));
    http_reply_done(&r);
    set_archive("");
    storage_remove(site.help.storages, SPAN_LIT("other"));
    index_close(other_ix);
}

/* One that gives an error at once is not waited for. */
static void test_one_of_two_storages_fails(void **state)
{
    struct http_reply r;
    usec_t before_us, least_us = INT64_MAX;

    (void)state;
    site_need_footage();
    storage_set(site.help.storages, SPAN_LIT("gone"), SPAN_LIT("/nowhere"));
    set_archive("gone, default");
    /* In one of some tries: other programs hold up this one, too. */
    for (unsigned i = 0; i < TRIES; i++) {
        before_us = clock_mono_us();
        assert_int_equal(site_get("archive-1700000000-16.m3u8", NULL, &r), 200);
        assert_true(span_is(http_reply_field(&r, "X-Archive-Incomplete"), "1 of 2 storages"));
        http_reply_done(&r);
        if (clock_mono_us() - before_us < least_us) least_us = clock_mono_us() - before_us;
    }
    assert_true(least_us < ARCHIVE_PATIENCE_US);
    set_archive("gone");
    assert_int_equal(site_get("archive-1700000000-16.m3u8", NULL, &r), 503);
    http_reply_done(&r);
    set_archive("");
    storage_remove(site.help.storages, SPAN_LIT("gone"));
}

/* Turns one bit of every copy of a segment's record in the index, and again turns it back. */
static void touch_record(uint64_t id)
{
    char name[80];
    uint8_t key[64];
    struct wr w = wr_of(key, sizeof(key));
    struct span all;
    struct stat st;
    unsigned n = 0;
    ssize_t at;
    uint8_t *mem;
    int fd;

    snprintf(name, sizeof(name), "%s/data.mdb", site.dir);
    fd = open(name, O_RDWR | O_CLOEXEC);
    must(fd >= 0 && fstat(fd, &st) == 0);
    mem = mem_new((size_t)st.st_size);
    must(pread(fd, mem, (size_t)st.st_size, 0) == st.st_size);
    wr_text(&w, UID); /* the key; the record stands behind it */
    wr_u8(&w, 0);
    wr_u64(&w, id);
    all = span(mem, (size_t)st.st_size);
    while ((at = span_find_span(all, wr_span(&w))) >= 0) {
        off_t where = all.p + at + w.n + 20 - mem;
        uint8_t byte = mem[where] ^ 1;

        must(pwrite(fd, &byte, 1, where) == 1);
        all = span_from(all, (size_t)at + w.n);
        n++;
    }
    assert_true(n > 0);
    mem_free(mem);
    close(fd);
}

/* The record's site.footage is a gap, the rest is played. */
static void test_damaged_record(void **state)
{
    struct seg_info *s = NEW(struct seg_info);
    struct index_query q = {.uid = UID, .from_us = T0 + 1, .to_us = T0 + 20 * US_PER_S};
    struct http_reply r;
    char name[128];
    size_t n = 0;

    (void)state;
    site_need_footage();
    assert_int_equal(site_get("archive-1700000001-6.m3u8", NULL, &r), 200);
    http_reply_done(&r);
    assert_true(site_uri(0, name, sizeof(name)));
    must(index_segments(site.ix, &q, s, 1, &n) == INDEX_OK && n == 1);
    touch_record(s->id);
    assert_int_equal(index_get(site.ix, UID, s->id, s), INDEX_E_DAMAGED);
    assert_int_equal(site_get("archive-1700000000-200.m3u8", NULL, &r), 200);
    assert_int_equal(playlist_count(r.body, "#EXTINF"), 2 + 2 + 2);
    assert_int_equal(http_reply_field(&r, "X-Archive-Incomplete").n, 0);
    http_reply_done(&r);
    assert_int_equal(site_get("recording_status.json?from=1700000000&to=1700000200", NULL, &r), 200);
    http_reply_done(&r);
    /* Who has a playlist from before goes on: the file says what it is. */
    assert_int_equal(site_get(name, NULL, &r), 200);
    http_reply_done(&r);
    touch_record(s->id);
    assert_int_equal(site_get("archive-1700000000-200.m3u8", NULL, &r), 200);
    assert_int_equal(playlist_count(r.body, "#EXTINF"), 2 + 2 + 2 + 2);
    http_reply_done(&r);
    mem_free(s);
}

/* A piece that was sent before is known; its file is looked at each time. */
static void test_known_piece_of_another_file(void **state)
{
    struct seg_info *s = NEW(struct seg_info);
    char name[128], file[200], away[210];
    struct http_reply first, r;
    const char *copy[] = {"cp", away, file, NULL};

    (void)state;
    site_need_footage();
    must(index_first(site.ix, UID, s) == INDEX_OK);
    snprintf(file, sizeof(file), "%s/%s/records/%s", site.dir, UID, s->path);
    snprintf(away, sizeof(away), "%s.away", file);
    assert_int_equal(site_get("archive-1700000001-1.m3u8", NULL, &r), 200);
    http_reply_done(&r);
    assert_true(site_uri(0, name, sizeof(name)));
    assert_int_equal(site_get(name, NULL, &first), 200);
    must(rename(file, away) == 0);
    assert_int_equal(site_get(name, NULL, &r), 404);
    http_reply_done(&r);
    /* the same bytes in another file */
    assert_int_equal(tool_run(copy, NULL), 0);
    for (unsigned i = 0; i < 2; i++) {
        assert_int_equal(site_get(name, NULL, &r), 200);
        assert_true(span_eq(r.body, first.body));
        http_reply_done(&r);
    }
    /* shorter than it was when the piece was made: its footer is gone, the piece is not; then it is */
    must(truncate(file, (off_t)s->bytes - 1) == 0);
    assert_int_equal(site_get(name, NULL, &r), 200);
    assert_true(span_eq(r.body, first.body));
    http_reply_done(&r);
    must(truncate(file, 4096) == 0);
    assert_int_equal(site_get(name, NULL, &r), 404);
    http_reply_done(&r);
    must(rename(away, file) == 0);
    assert_int_equal(site_get(name, NULL, &r), 200);
    assert_true(span_eq(r.body, first.body));
    http_reply_done(&r);
    http_reply_done(&first);
    mem_free(s);
}

static int open_of(usec_t start_us)
{
    struct index_query q = {.uid = UID, .from_us = start_us + US_PER_S, .to_us = start_us + 2 * US_PER_S};
    CLEANUP(mem_freep) struct seg_info *info = NEW(struct seg_info);
    char path[256];
    size_t n;
    int fd;

    assert_int_equal(index_segments(site.ix, &q, info, 1, &n), INDEX_OK);
    assert_int_equal(n, 1);
    snprintf(path, sizeof(path), "%s/" UID "/records/%s", site.dir, info->path);
    fd = open(path, O_RDWR | O_CLOEXEC);
    assert_true(fd >= 0);
    return fd;
}

static unsigned get_piece(unsigned n)
{
    struct http_reply list, r;
    char name[128];
    unsigned status;

    assert_int_equal(site_get("archive-1700000000-16.m3u8", NULL, &list), 200);
    assert_true(site_uri(n, name, sizeof(name)));
    http_reply_done(&list);
    status = site_get(name, NULL, &r);
    if (status == 200) assert_true(span_find_span(r.body, SPAN_LIT("moof")) > 0);
    http_reply_done(&r);
    return status;
}

/* Of the second segment's 8 s the footer is gone, then the second half: what is good is played, and the
 * playlist says so once a viewer has met the damage. */
static void a_segment_is_damaged(void **state)
{
    CLEANUP(fd_close) int fd = -1;
    struct http_reply r;
    struct stat st;

    (void)state;
    site_need_footage();
    fd = open_of(T0 + 8 * US_PER_S);
    assert_int_equal(fstat(fd, &st), 0);
    assert_int_equal(ftruncate(fd, st.st_size - 64), 0);
    assert_int_equal(get_piece(2), 200);
    assert_int_equal(get_piece(3), 200);
    assert_int_equal(ftruncate(fd, st.st_size * 3 / 4), 0);
    assert_int_equal(site_get("archive-1700000000-16.m3u8", NULL, &r), 200);
    assert_int_equal(playlist_count(r.body, "#EXTINF"), 4);
    assert_int_equal(playlist_count(r.body, "#EXTINF:4.0"), 3);
    assert_int_equal(get_piece(3), 200); /* as far as it goes */
    http_reply_done(&r);
    assert_int_equal(ftruncate(fd, st.st_size / 3), 0);
    assert_int_equal(site_get("archive-1700000000-3600.m3u8", NULL, &r), 200);
    assert_int_equal(playlist_count(r.body, "#EXTINF"), 2 + 1 + 2 + 2);
    assert_int_equal(playlist_count(r.body, "#EXT-X-DISCONTINUITY\n"), 1);
    http_reply_done(&r);
    assert_int_equal(get_piece(2), 200);
}

/* Its map has no pages any more: whoever reads there is told so, in a thread of the pool too. The last test:
 * the index is of no use behind it. */
/* A call that a damaged index ends leaves LMDB's transaction behind (docs/decisions/012). */
const char *__lsan_default_suppressions(void);

const char *__lsan_default_suppressions(void)
{
    return "leak:mdb_";
}

static void an_index_without_pages_takes_nobody_down(void **state)
{
    struct http_reply r;
    char path[256];

    (void)state;
    index_guard_install(); /* cmocka has handlers of its own */
    snprintf(path, sizeof(path), "%s/data.mdb", site.dir);
    assert_int_equal(truncate(path, 8192), 0);
    for (int i = 0; i < 3; i++) {
        unsigned status = site_get("recording_status.json?from=1700000000&to=1700000200", NULL, &r);

        assert_true(status == 200 || status == 503);
        http_reply_done(&r);
        status = site_get("archive-1700000000-60.m3u8", NULL, &r);
        assert_true(status == 200 || status == 404 || status == 503); /* of what is known without it */
        http_reply_done(&r);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_damaged_record),
        cmocka_unit_test(test_one_of_two_storages_fails),
        cmocka_unit_test(test_one_of_two_storages_hangs),
        cmocka_unit_test(test_hung_storage),
        cmocka_unit_test(test_known_piece_of_another_file),
        cmocka_unit_test(a_segment_is_damaged),
        cmocka_unit_test(an_index_without_pages_takes_nobody_down),
    };

    return cmocka_run_group_tests(tests, site_start, site_stop);
}
