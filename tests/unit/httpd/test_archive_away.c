/* The archive of two nodes as one: what this node has not recorded comes from the other one, each second
 * once, whichever road asks; and what is said where the other one does not answer. This node: 16 s, 100 s
 * without, 8 s, and what is being recorded; the other one from the tenth second to the 122nd. */
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/mem.h"
#include "httpd/api_marks.h"
#include "httpd/rtsp_reel.h"
#include "tests/support/away_site.h"
#include "tests/support/playlist.h"
#include "tests/support/tool.h"

#define T0         SITE_T0
#define ALL        "archive-1700000000-200.m3u8"
#define WHOLE_S    132 /* to the end of the open segment */
#define OTHERS     14  /* segments of the other node */
#define FRAME_US   (40 * US_PER_MS)
#define TURNS_MAX  8000
#define SILENCE_US (1100 * US_PER_MS) /* behind it a node that did not answer is asked again */

static int start(void **state)
{
    site_start(state);
    if (site.have_footage) away_site_start(T0 + 10 * US_PER_S, OTHERS);
    return 0;
}

static int stop(void **state)
{
    bool away = site.have_footage;

    if (away) away_site_stop();
    site_stop(state);
    if (away) away_site_free();
    return 0;
}

/* As if nothing had been asked yet. */
static int anew(void **state)
{
    (void)state;
    if (!site.have_footage) return 0;
    away_site.mode = AWAY_ANSWERS;
    away_site.open = 0;
    away_site.most = 100;
    away_site.locks = away_site.events = 0;
    away_site_nodes("");
    return 0;
}

static struct span next_line(struct span *text)
{
    struct span line = SPAN_NONE;

    span_split(text, '\n', &line);
    return line;
}

/* Of all entries. */
static double seconds(struct span text)
{
    double sum = 0;

    while (text.n > 0) {
        struct span line = next_line(&text);

        if (span_starts(line, SPAN_LIT("#EXTINF:"))) sum += strtod((const char *)line.p + 8, NULL);
    }
    return sum;
}

/* Every entry begins where the one before ended: dates and durations agree. */
static void check_dates(struct span text)
{
    double at = 0, date;

    while (text.n > 0) {
        struct span line = next_line(&text);
        unsigned h, m;
        double s;

        if (span_starts(line, SPAN_LIT("#EXTINF:"))) at += strtod((const char *)line.p + 8, NULL);
        if (!span_starts(line, SPAN_LIT("#EXT-X-PROGRAM-DATE-TIME:"))) continue;
        assert_int_equal(sscanf((const char *)line.p + 36, "%u:%u:%lf", &h, &m, &s), 3);
        date = h * 3600 + m * 60 + s - (22 * 3600 + 13 * 60 + 20);
        assert_true(date - at < 0.002 && at - date < 0.002);
    }
}

static void a_playlist_over_both(void **state)
{
    struct http_reply r;

    (void)state;
    site_need_footage();
    assert_int_equal(site_get(ALL, NULL, &r), 200);
    assert_true(seconds(r.body) > WHOLE_S - 0.1 && seconds(r.body) < WHOLE_S + 0.1);
    check_dates(r.body);
    assert_int_equal(playlist_count(r.body, "#EXT-X-DISCONTINUITY\n"), 2); /* to the other node, and back */
    assert_int_equal(http_reply_field(&r, "X-Archive-Incomplete").n, 0);
    http_reply_done(&r);
}

/* Bytes of each piece, and of what is before it. */
static void every_piece_is_sent(void **state)
{
    char name[128], url[256];
    struct http_reply r, part;
    unsigned n = 0;

    (void)state;
    site_need_footage();
    assert_int_equal(site_get(ALL, NULL, &r), 200);
    while (site_uri(n, name, sizeof(name))) {
        snprintf(url, sizeof(url), "/" SITE_UID "/%s", name);
        assert_true(httpd_help_get(&site.help, url, NULL, &part));
        assert_int_equal(part.status, 200);
        assert_true(part.body.n > 1000);
        http_reply_done(&part);
        n++;
    }
    assert_true(n >= WHOLE_S / 5);
    http_reply_done(&r);
    assert_int_equal(site_get("dvr-0badf00d-1-0-1.m4s", NULL, &r), 404);
    http_reply_done(&r);
}

static void piece_names_with_an_end(void **state)
{
    struct http_reply r;

    (void)state;
    site_need_footage();
    assert_int_equal(site_get("dvr-0badf00d-1-0-1x.m4s", NULL, &r), 400);
    http_reply_done(&r);
    assert_int_equal(site_get("dvr-0badf00d-1-0-1xzz.m4s", NULL, &r), 400);
    http_reply_done(&r);
    assert_int_equal(site_get("dvr-0badf00d-1-0-1xffffffffffffffff.m4s", NULL, &r), 400);
    http_reply_done(&r);
}

/* An answer of a few segments is continued. */
static void in_small_pages(void **state)
{
    away_site.most = 3;
    a_playlist_over_both(state);
}

static void ranges_join(void **state)
{
    struct http_reply r;

    (void)state;
    site_need_footage();
    assert_int_equal(site_get("recording_status.json?request=ranges", NULL, &r), 200);
    /* the last second is counted whole */
    assert_non_null(strstr(site.text, "\"ranges\":[{\"from\":1700000000,\"duration\":133}]"));
    http_reply_done(&r);
}

/* Frames and sound of all of it, counted by who reads it. */
static unsigned count_frames(const char *name)
{
    const char *const argv[] = {"ffprobe", "-v", "error", "-select_streams", "v", "-count_packets",
        "-show_entries", "stream=nb_read_packets", "-of", "csv=p=0", site.out, NULL};
    const char *const decode[] = {"ffmpeg", "-v", "error", "-xerror", "-err_detect", "explode", "-i",
        site.out, "-f", "null", "-", NULL};
    struct http_reply r;
    struct buf out;
    FILE *f;
    uint64_t n = 0;

    assert_int_equal(site_get(name, NULL, &r), 200);
    assert_int_equal(http_reply_field(&r, "X-Archive-Gaps").n, 0);
    f = fopen(site.out, "w");
    assert_non_null(f);
    assert_int_equal(fwrite(r.body.p, 1, r.body.n, f), r.body.n);
    fclose(f);
    http_reply_done(&r);
    buf_init(&out, 1 << 20);
    assert_int_equal(tool_run(argv, &out), 0);
    assert_int_equal(tool_run(decode, NULL), 0);
    assert_true(span_u64(span_trim(buf_span(&out)), UINT32_MAX, &n));
    buf_done(&out);
    return (unsigned)n;
}

static void a_film_over_both(void **state)
{
    (void)state;
    site_need_footage();
    assert_int_equal(count_frames("archive-1700000000-200.mp4"), WHOLE_S * 25);
    /* across one border, begun within the other node's footage */
    assert_int_equal(count_frames("archive-1700000100-32.mp4"), 32 * 25);
}

static void row_is(const struct away_marks *m, size_t i, const char *key, const char *text)
{
    struct unpack *u;

    assert_int_equal(unpack_new(span_sub(buf_span(&m->rows), m->v[i].at, m->v[i].n), &u), 0);
    assert_true(span_is(packed_str(unpack_root(u), key), text));
    assert_int_equal(packed_u64(unpack_root(u), "node", 0), 2);
    unpack_done(u);
}

static void events_and_locks(void **state)
{
    struct away_ask q = {.node = 2, .uid = SITE_UID, .to_us = INT64_MAX};
    struct http_reply r;
    struct away_marks *m;

    (void)state;
    site_need_footage();
    assert_int_equal(away_marks(away_site.away, &q, &m), 0);
    assert_int_equal(m->n, 3);
    assert_false(m->partial);
    row_is(m, 0, "id", "a1");
    row_is(m, 1, "id", "a0");
    row_is(m, 2, "kind", "motion");
    assert_int_equal(m->v[2].rank_us, T0 + US_PER_S);
    away_marks_free(m);
    q.uid = "another";
    assert_int_equal(away_marks(away_site.away, &q, &m), 0);
    assert_int_equal(m->n, 0);
    away_marks_free(m);
    assert_int_equal(
        site_get("recording_status.json?from=0&to=1800000000&request=ranges,locks", NULL, &r), 200);
    assert_non_null(strstr(site.text, "],\"locks\":[{\"from\":1700000000,\"duration\":1}]}]\n"));
    http_reply_done(&r);
    away_site.mode = AWAY_ABSENT;
    q.uid = SITE_UID;
    assert_int_equal(away_marks(away_site.away, &q, &m), -EHOSTUNREACH);
}

/* --- the same for scripts --- */

struct told {
    struct loop *loop;
    unsigned events, locks, self, missing; /* rows */
    usec_t newest_us, oldest_us;           /* of events */
};
static struct told told;

static void tell(const struct packed *row)
{
    told.self += packed_get(row, "self") != NULL;
    told.missing += packed_u64(row, "missing", 0) == 2;
    told.locks += packed_get(row, "released") != NULL;
    if (!packed_get(row, "kind")) return;
    told.oldest_us = packed_i64(row, "start_us", 0);
    if (told.events++ == 0) told.newest_us = told.oldest_us;
}

static void on_told(void *call, struct master_answer *a)
{
    size_t at = 0;

    for (size_t i = 0; i < a->n_pages; at = a->ends[i++]) {
        struct unpack *u;

        assert_int_equal(unpack_new(span_sub(buf_span(&a->rows), at, a->ends[i] - at), &u), 0);
        for (size_t k = 0; k < packed_n(unpack_root(u)); k++) tell(packed_at(unpack_root(u), k));
        unpack_done(u);
    }
    mem_free(call);
    loop_break(told.loop);
}

static void ask_once(bool locks, int64_t limit)
{
    struct lua_call call = {.caller = NULL};
    struct packer p;
    struct unpack *u;
    struct buf b;

    buf_init(&b, 256);
    p = packer_of(&b);
    pack_map(&p, 3);
    pack_kv_text(&p, "uid", SITE_UID);
    pack_kv_bool(&p, "locks", locks);
    pack_kv_i64(&p, "limit", limit);
    assert_int_equal(unpack_new(buf_span(&b), &u), 0);
    told = (struct told){.loop = loop_new()};
    api_marks(&site.help.server, told.loop, &call, unpack_root(u), on_told);
    loop_run(told.loop);
    loop_free(told.loop);
    unpack_done(u);
    buf_done(&b);
    assert_int_equal(told.self, 1);
}

/* Where the machine stood still for longer than httpd waits: again, since the node has something. */
static void ask_marks(bool locks, int64_t limit)
{
    ask_once(locks, limit);
    for (unsigned i = 0; i < 20 && told.events + told.locks == 0; i++) {
        away_site_nodes("");
        ask_once(locks, limit);
    }
}

/* The newest events are all that was asked for; of locks too many are said not to be all. */
static void marks_that_are_too_many(void **state)
{
    (void)state;
    site_need_footage();
    ask_marks(true, MARKS_ROWS_MOST);
    assert_true(told.locks == 2 && told.events == 0 && told.missing == 0);
    away_site.locks = MARKS_ROWS_MOST - 2;
    away_site.events = 30;
    ask_marks(true, MARKS_ROWS_MOST);
    assert_true(told.locks == MARKS_ROWS_MOST && told.events == 0 && told.missing == 0);
    ask_marks(false, 10);
    assert_true(told.events == 10 && told.locks == 0 && told.missing == 0);
    assert_int_equal(told.newest_us, T0 + 31 * US_PER_S);
    assert_int_equal(told.oldest_us, T0 + 22 * US_PER_S);
    away_site.locks++;
    ask_marks(true, MARKS_ROWS_MOST);
    assert_true(told.locks == MARKS_ROWS_MOST && told.missing == 1);
    ask_marks(false, 10);
    assert_true(told.events == 10 && told.missing == 0);
}

/* The other node writes its last one still: what is whole of it is listed and sent. */
static void what_the_other_writes(void **state)
{
    CLEANUP(mem_freep) struct seg_info *last = mem_new(sizeof(*last));

    site_need_footage();
    assert_int_equal(index_last(away_site.ix, SITE_UID, last), INDEX_OK);
    away_site.open = last->id;
    a_playlist_over_both(state);
    every_piece_is_sent(state);
    assert_int_equal(count_frames("archive-1700000002-198.mp4"), (WHOLE_S - 2) * 25);
}

/* --- RTSP --- */

static struct {
    usec_t *wall_us;
    size_t n, cap;
    enum reel_state state;
} T;

static void play(const struct reel_way *way)
{
    struct storage *st[ARCHIVE_STORAGES_MAX];
    size_t n_st = storages_of(site.help.storages, SPAN_LIT("default"), NULL, 0, st, ARCHIVE_STORAGES_MAX);
    struct reel *r = reel_new(SITE_UID, st, n_st, 7);
    const struct open_segment none = {0};

    T.n = 0;
    reel_seek(r, way);
    T.state = REEL_MORE;
    for (unsigned i = 0; i < TURNS_MAX && T.state == REEL_MORE; i++) {
        struct reel_frame batch[REEL_FRAMES];
        size_t n = 0;

        reel_note_open(r, &none);
        T.state = reel_turn(r, batch, REEL_FRAMES, &n);
        for (size_t k = 0; k < n; k++) {
            if (T.n == T.cap)
                T.wall_us = mem_renew(T.wall_us, (T.cap = T.cap ? 2 * T.cap : 4096) * sizeof(*T.wall_us));
            if (batch[k].track == 0) T.wall_us[T.n++] = batch[k].wall_us;
            chunk_unref(batch[k].c);
        }
    }
    reel_free(r);
}

static void forwards(void **state)
{
    (void)state;
    site_need_footage();
    play(&(struct reel_way){.at_us = T0, .scale_milli = 1000});
    assert_int_equal(T.state, REEL_END);
    assert_int_equal(T.n, 124 * 25); /* the open segment is not known here */
    for (size_t i = 0; i < T.n; i++) assert_int_equal(T.wall_us[i], T0 + (usec_t)i * FRAME_US);
}

static void from_within_the_other(void **state)
{
    (void)state;
    site_need_footage();
    play(&(struct reel_way){
        .at_us = T0 + 60 * US_PER_S, .to_us = T0 + 120 * US_PER_S, .scale_milli = 1000, .strict = true});
    assert_int_equal(T.state, REEL_END);
    assert_true(T.wall_us[0] <= T0 + 60 * US_PER_S && T.wall_us[0] > T0 + 50 * US_PER_S);
    for (size_t i = 1; i < T.n; i++) assert_int_equal(T.wall_us[i] - T.wall_us[i - 1], FRAME_US);
    assert_int_equal(T.wall_us[T.n - 1], T0 + 120 * US_PER_S - FRAME_US);
}

static void backwards(void **state)
{
    (void)state;
    site_need_footage();
    play(&(struct reel_way){.at_us = T0 + 124 * US_PER_S, .scale_milli = -4000, .keys = true});
    assert_int_equal(T.state, REEL_END);
    assert_true(T.n > 30);
    for (size_t i = 1; i < T.n; i++) {
        assert_true(T.wall_us[i] < T.wall_us[i - 1]);
        assert_true(T.wall_us[i - 1] - T.wall_us[i] <= 12 * US_PER_S);
    }
    assert_int_equal(T.wall_us[T.n - 1], T0);
}

/* --- a node that is not there --- */

static void check_alone(const char *name)
{
    struct http_reply r;

    assert_int_equal(site_get(name, NULL, &r), 200);
    assert_true(span_is(http_reply_field(&r, "X-Archive-Incomplete"), "1 of 2 storages"));
    assert_true(span_is(http_reply_field(&r, "Cache-Control"), "no-store"));
    assert_true(seconds(r.body) > 31.9 && seconds(r.body) < 32.3); /* what is here */
    http_reply_done(&r);
}

static void silent_and_absent(void **state)
{
    unsigned finds = away_site.finds;
    struct http_reply r;

    (void)state;
    site_need_footage();
    away_site.mode = AWAY_SILENT;
    check_alone(ALL);
    check_alone(ALL); /* at once: it was silent a moment ago */
    assert_int_equal(
        site_get("rewind-60.m3u8", NULL, &r), 503); /* nothing of it is so young, and it may be there */
    http_reply_done(&r);
    anew(NULL);
    away_site.mode = AWAY_ABSENT;
    check_alone(ALL);
    assert_int_equal(site_get("archive-1700000030-10.m3u8", NULL, &r), 503); /* it may lie there */
    http_reply_done(&r);
    assert_int_equal(away_site.finds, finds);
    site_settle_pool();
}

static void name_node(uint16_t node)
{
    struct view v = httpd_view(SITE_UID);

    v.record = true;
    v.nodes[0] = node;
    v.n_nodes = node != 0;
    hub_post(hub_home(&site.help.server, span_of(SITE_UID)), stream_view, mem_dup(&v, sizeof(v)));
    httpd_help_settle(&site.help);
}

/* A node that is not named for the stream is asked, and not missed when it is silent. */
static void not_missed(void **state)
{
    struct http_reply r;

    (void)state;
    site_need_footage();
    name_node(3);
    assert_int_equal(site_get(ALL, NULL, &r), 200);
    assert_true(seconds(r.body) > WHOLE_S - 0.1);
    http_reply_done(&r);
    anew(NULL);
    away_site.mode = AWAY_ABSENT;
    assert_int_equal(site_get(ALL, NULL, &r), 200);
    assert_int_equal(http_reply_field(&r, "X-Archive-Incomplete").n, 0);
    http_reply_done(&r);
    assert_int_equal(site_get("archive-1700000030-10.m3u8", NULL, &r), 404);
    http_reply_done(&r);
    name_node(2);
    check_alone(ALL);
    name_node(0);
}

/* It has answered once: what it had is still listed. Its pieces are refused, and nothing else is. */
static void gone_since(void **state)
{
    struct http_reply r, part;
    char name[128], url[256];
    unsigned lost = 0, sent = 0;

    (void)state;
    site_need_footage();
    assert_int_equal(site_get(ALL, NULL, &r), 200);
    http_reply_done(&r);
    away_site.mode = AWAY_ABSENT;
    usleep(SHELF_FRESH_US + 100 * US_PER_MS);
    assert_int_equal(site_get(ALL, NULL, &r), 200);
    assert_true(span_is(http_reply_field(&r, "X-Archive-Incomplete"), "1 of 2 storages"));
    assert_true(seconds(r.body) > WHOLE_S - 0.1 && seconds(r.body) < WHOLE_S + 0.1);
    for (unsigned i = 0; site_uri(i, name, sizeof(name)); i++) {
        snprintf(url, sizeof(url), "/" SITE_UID "/%s", name);
        assert_true(httpd_help_get(&site.help, url, NULL, &part));
        lost += part.status == 503;
        sent += part.status == 200;
        http_reply_done(&part);
    }
    assert_true(lost > 10 && sent > 5);
    http_reply_done(&r);
}

/* The courier dies while it is asked, and another one comes. */
static void another_courier(void **state)
{
    struct http_reply r;

    (void)state;
    site_need_footage();
    away_site_hang_up();
    check_alone(ALL);
    away_site_connect();
    usleep(SILENCE_US);
    assert_int_equal(site_get(ALL, NULL, &r), 200);
    assert_int_equal(http_reply_field(&r, "X-Archive-Incomplete").n, 0);
    http_reply_done(&r);
}

/* Between the list and the piece. */
static void files_that_do_not_come(void **state)
{
    struct http_reply r;

    (void)state;
    site_need_footage();
    away_site.mode = AWAY_NO_FILES;
    assert_int_equal(site_get("archive-1700000001-190.mp4", NULL, &r), 503);
    http_reply_done(&r);
    play(&(struct reel_way){.at_us = T0, .scale_milli = 1000}); /* a gap */
    assert_int_equal(T.state, REEL_END);
    assert_true(
        T.n >= 24 * 25 && T.n <= 27 * 25); /* all that is here; a part of it again where it was left */
}

/* cluster-redirect: what lies there alone is had there. */
static void sent_to_who_has_it(void **state)
{
    struct http_reply r;

    (void)state;
    site_need_footage();
    away_site_nodes("node-2.example");
    assert_int_equal(site_get("archive-1700000040-20.m3u8?token=a", NULL, &r), 307);
    assert_true(span_starts(http_reply_field(&r, "Location"), SPAN_LIT("http://node-2.example")));
    assert_true(span_ends(
        http_reply_field(&r, "Location"), SPAN_LIT("/" SITE_UID "/archive-1700000040-20.m3u8?token=a")));
    http_reply_done(&r);
    assert_int_equal(site_get("archive-1700000040-20.mp4", NULL, &r), 307);
    http_reply_done(&r);
    assert_int_equal(site_get(ALL, NULL, &r), 200); /* of both */
    http_reply_done(&r);
    assert_int_equal(site_get("archive-1700000000-8.m3u8", NULL, &r), 200);
    http_reply_done(&r);
    away_site.mode = AWAY_ABSENT;
    usleep(SHELF_FRESH_US + 100 * US_PER_MS);
    assert_int_equal(site_get("archive-1700000040-20.m3u8", NULL, &r),
        200); /* as it was listed: nobody is sent to who is away */
    http_reply_done(&r);
}

/* Many viewers of one film cost one question. */
static void asked_once(void **state)
{
    struct http_reply r;
    usec_t began_us;
    unsigned finds, times;

    (void)state;
    site_need_footage();
    finds = away_site.finds;
    began_us = clock_mono_us();
    for (unsigned i = 0; i < 20; i++) {
        assert_int_equal(site_get(ALL, NULL, &r), 200);
        http_reply_done(&r);
    }
    times = 1 + (unsigned)((clock_mono_us() - began_us) / SHELF_FRESH_US);
    assert_true(away_site.finds - finds <= 2 * times);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(a_playlist_over_both, anew),
        cmocka_unit_test_setup(every_piece_is_sent, anew),
        cmocka_unit_test_setup(in_small_pages, anew),
        cmocka_unit_test(piece_names_with_an_end),
        cmocka_unit_test_setup(ranges_join, anew),
        cmocka_unit_test_setup(events_and_locks, anew),
        cmocka_unit_test_setup(marks_that_are_too_many, anew),
        cmocka_unit_test_setup(a_film_over_both, anew),
        cmocka_unit_test_setup(what_the_other_writes, anew),
        cmocka_unit_test_setup(forwards, anew),
        cmocka_unit_test_setup(from_within_the_other, anew),
        cmocka_unit_test_setup(backwards, anew),
        cmocka_unit_test_setup(silent_and_absent, anew),
        cmocka_unit_test_setup(not_missed, anew),
        cmocka_unit_test_setup(gone_since, anew),
        cmocka_unit_test_setup(another_courier, anew),
        cmocka_unit_test_setup(files_that_do_not_come, anew),
        cmocka_unit_test_setup(sent_to_who_has_it, anew),
        cmocka_unit_test_setup(asked_once, anew),
    };
    int failed = cmocka_run_group_tests(tests, start, stop);

    mem_free(T.wall_us);
    return failed;
}
