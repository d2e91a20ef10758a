#include "tests/support/archive_site.h"
#include "common/base/clock.h"
#include "common/base/err.h"
#include "common/base/fd.h"
#include "common/base/mem.h"
#include "tests/support/tool.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include <fcntl.h>
#include <semaphore.h>
#include <sys/stat.h>
#include <unistd.h>

#define UID SITE_UID
#define T0  SITE_T0

struct site site;

static int records(const char *dir)
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

/* The site.footage once, from that moment on; fragments of about a second. */
struct segw *site_write_segment(const char *dir, usec_t wall_us, bool discont)
{
    CLEANUP(fd_close) int fd = records(dir);
    CLEANUP(mem_freep) struct frame *f = mem_new_n(site.footage.n, sizeof(*f));
    struct track_set tracks = site.footage.movie.tracks;
    struct segw_setup setup = {
        .uid = UID, .tracks = &tracks, .first = f, .n_first = MIN(site.footage.n, 60), .discont = discont};
    struct segw *w;

    for (size_t i = 0; i < site.footage.n; i++) {
        f[i] = media_file_frame(&site.footage, i, wall_us);
        f[i].wall_us = ticks_us((struct ticks){f[i].dts, tracks.t[f[i].track].clock_hz});
    }
    must(segw_open(fd, &setup, &w) == 0);
    for (size_t at = 0; at < site.footage.n;) {
        size_t n = 1;

        while (at + n < site.footage.n && n < 70) n++;
        must(segw_append(w, f + at, n) == SEGW_OK);
        at += n;
    }
    return w;
}

void site_put_segment(const char *dir, struct index *ix, usec_t wall_us, bool discont)
{
    struct segw *w = site_write_segment(dir, wall_us, discont);
    struct seg_info *info = NEW(struct seg_info);
    const struct seg_info *list[] = {info};

    must(segw_close(w, info) == 0 && index_put(ix, list, 1) == INDEX_OK);
    mem_free(info);
}

void site_publish_open(usec_t wall_us)
{
    struct ring_status *st = ring_writer_status(site.camera.w);

    site.open = site_write_segment(site.dir, wall_us, false);
    atomic_store(&st->rec_segment, segw_id(site.open));
    atomic_store(&st->rec_start_us, segw_start_us(site.open));
    atomic_store(&st->rec_end_us, segw_end_us(site.open));
    atomic_store(&st->rec_bytes, segw_bytes(site.open));
    ring_status_text(st, st->rec_path, sizeof(st->rec_path), segw_path(site.open));
    ring_status_text(st, st->rec_storage, sizeof(st->rec_storage), "default");
}

/* 8 s, 8 s directly behind, a gap of 100 s, 8 s, and behind these the open segment. */
int site_start(void **state)
{
    struct view v = {.rule = {ACCESS_PUBLIC, true, ACCESS_ROADS_ALL, {NULL, 0}}, .uid = UID, .record = true};

    (void)state;
    tool_tmpdir(site.dir, sizeof(site.dir));
    snprintf(site.path, sizeof(site.path), "%s/a.mp4", site.dir);
    snprintf(site.out, sizeof(site.out), "%s/out.mp4", site.dir);
    site.have_footage = media_file_make(site.path, "libx264", "aac", SITE_FOOTAGE_S) &&
        media_file_load(site.path, &site.footage) == 0;
    httpd_help_start(&site.help, 2, NULL, 0);
    if (!site.have_footage) return 0;
    must(index_open(site.dir, &site.ix) == INDEX_OK);
    site_put_segment(site.dir, site.ix, T0, true);
    site_put_segment(site.dir, site.ix, T0 + 8 * US_PER_S, false);
    site_put_segment(site.dir, site.ix, T0 + 116 * US_PER_S, true);
    storage_set(site.help.storages, SPAN_LIT("default"), span_of(site.dir));
    storage_index_ready(site.help.storages, SPAN_LIT("default"), span_of(site.dir));
    httpd_camera_start(&site.help, &site.camera, &v, &site.footage, clock_wall_us());
    site_publish_open(T0 + 124 * US_PER_S);
    return 0;
}

int site_stop(void **state)
{
    (void)state;
    if (site.have_footage) httpd_camera_stop(&site.help, &site.camera, UID);
    httpd_help_stop(&site.help);
    segw_abandon(site.open);
    index_close(site.ix);
    media_file_done(&site.footage);
    tool_rmdir(site.dir);
    return 0;
}

/* As many as the pool has threads, each of which waits for the others: then none of them works for anybody
 * else. */
static struct {
    sem_t there, go, over;
    struct job job[POOL_THREADS];
} meeting;

static void meet(struct job *j)
{
    (void)j;
    sem_post(&meeting.there);
    sem_wait(&meeting.go);
}

static void met(struct job *j)
{
    (void)j;
    sem_post(&meeting.over);
}

void site_settle_pool(void)
{
    struct storage *st = storage_by_name(site.help.storages, SPAN_LIT("default"));
    sem_t *all[] = {&meeting.there, &meeting.go, &meeting.over};

    for (size_t i = 0; i < ARRAY_N(all); i++) sem_init(all[i], 0, 0);
    for (size_t i = 0; i < POOL_THREADS; i++) {
        meeting.job[i] = (struct job){.work = meet, .done = met, .loop = site.help.server.hubs[0].loop};
        while (!pool_put(st->pool, &meeting.job[i])) usleep(1000);
    }
    for (size_t i = 0; i < POOL_THREADS; i++) sem_wait(&meeting.there);
    for (size_t i = 0; i < POOL_THREADS; i++) sem_post(&meeting.go);
    for (size_t i = 0; i < POOL_THREADS; i++) sem_wait(&meeting.over);
    for (size_t i = 0; i < ARRAY_N(all); i++) sem_destroy(all[i]);
    storage_unref(st);
    httpd_help_settle(&site.help);
}

void site_need_footage(void)
{
    if (!site.have_footage) {
        print_message("skipped: no ffmpeg with libx264\n");
        skip();
    }
}

/* GET /<uid>/<name>: the status; the body in site.text where it fits. */
unsigned site_get(const char *name, const char *fields, struct http_reply *r)
{
    char url[256];

    snprintf(url, sizeof(url), "%s%s", name[0] == '/' ? "" : "/" UID "/", name);
    assert_true(httpd_help_get(&site.help, url, fields, r));
    span_copy(r->body, site.text, sizeof(site.text));
    return r->status;
}

bool site_uri(unsigned n, char *dst, size_t cap)
{
    struct span text = span_of(site.text), line;

    while (span_split(&text, '\n', &line))
        if (line.n > 0 && line.p[0] != '#' && n-- == 0) return span_copy(line, dst, cap);
    return false;
}
