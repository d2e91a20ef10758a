/* A token's window on every road of the archive over HTTP, at its edges: what is listed, and what is in what
 * is sent. RTSP: test_rtsp_dvr.c; JPEG: tests/e2e/test_picture.py. */
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include <fcntl.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/err.h"
#include "common/base/fd.h"
#include "common/base/mem.h"
#include "common/wire/token.h"
#include "httpd/auth.h"
#include "tests/support/archive_site.h"
#include "tests/support/movie.h"
#include "tests/support/playlist.h"

#define T0     SITE_T0
#define SECRET "a secret of this test"
#define FPS    25
#define AT(ms) (T0 + (ms)*US_PER_MS)

/* The footage is 16 s from T0, with a key frame each second, and pieces of 4 s. */
static struct edge {
    const char *what;
    usec_t from_us, to_us; /* of the window; 0: open */
    usec_t first_us;       /* of the film of all of it: its first frame, */
    unsigned frames;       /* and so many; two less where what comes last is shown late */
    unsigned pieces;
} const edges[] = {
    {"none", 0, 0, AT(0), 16 * FPS, 4},
    {"all of it", AT(0), AT(16000), AT(0), 16 * FPS, 4},
    {"inside a group", AT(2500), AT(13500), AT(3000), 263, 4},
    {"a microsecond", AT(3000) + 1, AT(13000) + 1, AT(4000), 9 * FPS + 1, 3},
    {"on key frames", AT(3000), AT(13000), AT(3000), 10 * FPS, 4},
    {"inside one piece", AT(5200), AT(7400), AT(6000), 35, 1},
    {"from a time on", AT(9990), 0, AT(10000), 6 * FPS, 2},
    {"up to a time", 0, AT(1000), AT(0), FPS, 1},
};

static const struct edge *edge;
static char fields[TOKEN_TEXT_MAX + 64];

/* Seconds only are in a token: the grant is what counts, so it is that which is set. */
static void look_through(struct hub *hub, void *arg)
{
    (void)arg;
    LIST_EACH(&hub->sessions.all, at)
    {
        struct session *s = LIST_ITEM(at, struct session, link);

        s->grant.from_us = edge->from_us;
        s->grant.to_us = edge->to_us;
    }
}

static void use_token(usec_t from_us, usec_t to_us)
{
    struct token t = {.audience = "1",
        .user = "anna",
        .streams = {SITE_UID},
        .n_streams = 1,
        .ops = TOKEN_DVR | TOKEN_COPY,
        .from_s = from_us / US_PER_S,
        .to_s = to_us / US_PER_S,
        .made_us = clock_wall_us()};
    struct token_keys keys = {.n = 0};
    static uint32_t number;
    char text[TOKEN_TEXT_MAX];

    number++;
    memcpy(t.id, &number, sizeof(number));
    must(token_keys_add(&keys, SPAN_LIT("0"), SPAN_LIT(SECRET), 0, 0));
    must(token_mint(&keys, &t, clock_wall_us() / US_PER_S, text));
    token_keys_done(&keys);
    snprintf(fields, sizeof(fields), "Authorization: %s\r\n", text);
}

/* A session of its own, whose window is that. */
static void use(const struct edge *e)
{
    struct http_reply r;

    edge = e;
    use_token(0, 0);
    assert_int_equal(site_get("recording_status.json", fields, &r), 200);
    http_reply_done(&r);
    hub_post(hub_home(&site.help.server, SPAN_LIT(SITE_UID)), look_through, NULL);
    httpd_help_settle(&site.help);
}

static int start(void **state)
{
    struct auth *a = auth_new();
    struct view v = {
        .rule = {ACCESS_PRIVATE, true, ACCESS_ROADS_ALL, {NULL, 0}}, .uid = SITE_UID, .record = true};

    site_start(state);
    if (!site.have_footage) {
        auth_unref(a);
        return 0;
    }
    snprintf(a->audience, sizeof(a->audience), "1");
    must(token_keys_add(&a->keys, SPAN_LIT("0"), SPAN_LIT(SECRET), 0, 0));
    auth_share(&site.help.server, a);
    hub_post(hub_home(&site.help.server, SPAN_LIT(SITE_UID)), stream_view, mem_dup(&v, sizeof(v)));
    httpd_help_settle(&site.help);
    return 0;
}

static unsigned status_of(const char *name)
{
    struct http_reply r;
    unsigned status = site_get(name, fields, &r);

    http_reply_done(&r);
    return status;
}

/* Frames that are shown at these times; the last may be missing where it is decoded behind one that is shown
 * later. */
static void expect_frames(const char *road, usec_t first_us, usec_t last_us, size_t n)
{
    usec_t end_us = edge->to_us ? edge->to_us : INT64_MAX;

    if (first_us != edge->first_us || last_us >= end_us || n > edge->frames || n + 2 < edge->frames)
        fail_msg("%s, %s: %zu frames, %.3f to %.3f s", edge->what, road, n, (double)(first_us - T0) / 1e6,
            (double)(last_us - T0) / 1e6);
}

static void put_file(struct buf *whole, const char *name)
{
    struct http_reply r;

    if (site_get(name, fields, &r) != 200) fail_msg("%s: %s is %u", edge->what, name, r.status);
    assert_true(buf_put(whole, r.body));
    http_reply_done(&r);
}

/* Media time of the site's segments is the wall clock's. */
static void expect_pieces(const struct buf *whole)
{
    struct media_file f;
    usec_t first_us = INT64_MAX, last_us = 0;
    int fd = open(site.out, O_WRONLY | O_CREAT | O_TRUNC, 0644);
    size_t n = 0;

    must(fd >= 0 && fd_write_all(fd, buf_span(whole)) == 0);
    fd_close(&fd);
    assert_int_equal(media_file_load(site.out, &f), MP4_OK);
    for (size_t i = 0, key = f.n; i < f.n; i++) {
        usec_t us;

        if (f.movie.tracks.t[f.s[i].track].kind != TRACK_VIDEO) continue;
        if (key == f.n) key = i;
        us = ticks_us(
            (struct ticks){f.s[i].dts + f.s[i].cts - f.s[key].cts, f.movie.tracks.t[f.s[i].track].clock_hz});
        first_us = MIN(first_us, us);
        last_us = MAX(last_us, us);
        n++;
    }
    media_file_done(&f);
    expect_frames("HLS", first_us, last_us, n);
}

/* Another end in the place of that with which the name of a piece ends. */
static void put_end(char *name, size_t cap, usec_t end_us)
{
    char *at = strrchr(name, 'x');

    assert_non_null(at);
    snprintf(at, cap - (size_t)(at - name), "x%llx.m4s", (unsigned long long)end_us);
}

/* What a playlist names, after another: the init segment, the pieces. */
static unsigned read_list(const char *list, char names[][192], unsigned most)
{
    struct http_reply r;
    unsigned n = 1;
    struct span text;

    if (site_get(list, fields, &r) != 200) fail_msg("%s: %u", edge->what, r.status);
    http_reply_done(&r);
    if (playlist_count(span_of(site.text), "#EXTINF") != edge->pieces)
        fail_msg("%s: %s", edge->what, site.text);
    text = span_from(span_of(site.text), (size_t)span_find_span(span_of(site.text), SPAN_LIT("URI=\"")) + 5);
    assert_true(span_copy(span_sub(text, 0, (size_t)span_find(text, '"')), names[0], 192));
    while (n < most && site_uri(n - 1, names[n], 192)) n++;
    return n;
}

static void expect_film_of(char names[][192], unsigned n)
{
    struct buf whole;

    buf_init(&whole, 8u << 20);
    for (unsigned k = 0; k < n; k++)
        put_file(&whole, strstr(names[k], "/s/") ? strstr(names[k], "/s/") : names[k]);
    expect_pieces(&whole);
    buf_done(&whole);
}

static void test_hls(void **state)
{
    static const char *const lists[] = {
        "archive-1700000000-16.m3u8", "/dvr/" SITE_UID "/playlist.m3u8?timestamp=1700000000&duration=16"};
    char names[16][192];

    (void)state;
    site_need_footage();
    for (size_t i = 0; i < ARRAY_N(edges); i++) {
        use(&edges[i]);
        for (size_t l = 0; l < ARRAY_N(lists); l++)
            expect_film_of(names, read_list(lists[l], names, ARRAY_N(names)));
    }
}

/* An end that somebody has written into a piece's name: before the window's nothing that is shown behind it
 * is in the piece either; by a microsecond behind it is refused. */
static void test_ends_of_others(void **state)
{
    char names[16][192];

    (void)state;
    site_need_footage();
    for (unsigned ms = 13040; ms < 14000; ms += 40) {
        static struct edge e;
        unsigned n;

        e = (struct edge){"a frame", AT(2500), AT(ms), AT(3000), (ms - 3000) / 40, 4};
        use(&e);
        n = read_list("archive-1700000000-16.m3u8", names, ARRAY_N(names));
        put_end(names[n - 1], sizeof(names[0]), e.to_us - 1);
        expect_film_of(names, n);
        put_end(names[n - 1], sizeof(names[0]), e.to_us + 1);
        assert_int_equal(
            status_of(strstr(names[n - 1], "/s/") ? strstr(names[n - 1], "/s/") : names[n - 1]), 403);
    }
}

/* A name of a piece that reaches over the edge, as another viewer's playlist has it. */
static void test_names_of_others(void **state)
{
    char names[4][192];
    struct http_reply r;

    (void)state;
    site_need_footage();
    use(&edges[0]);
    assert_int_equal(site_get("archive-1700000000-16.m3u8", fields, &r), 200);
    http_reply_done(&r);
    for (unsigned i = 0; i < 4; i++) {
        char uri[192];

        assert_true(site_uri(i, uri, sizeof(uri)));
        snprintf(names[i], sizeof(names[i]), "%s", strrchr(uri, '/') ? strrchr(uri, '/') + 1 : uri);
    }
    use(&edges[2]); /* 2.5 to 13.5 s */
    assert_int_equal(status_of(names[0]), 403);
    assert_int_equal(status_of(names[1]), 200);
    assert_int_equal(status_of(names[2]), 200);
    assert_int_equal(status_of(names[3]), 403);
}

static void expect_film(const char *name)
{
    struct http_reply r;
    struct movie m;
    usec_t first_us, last_us = 0;
    int64_t at = 0;
    const struct movie_track_read *t;
    char text[32];
    unsigned long long s = 0, ms = 0;

    if (site_get(name, fields, &r) != 200) fail_msg("%s: %s is %u", edge->what, name, r.status);
    span_copy(http_reply_field(&r, "X-Archive-From"), text, sizeof(text));
    assert_int_equal(sscanf(text, "%llu.%llu", &s, &ms), 2);
    first_us = (usec_t)s * US_PER_S + (usec_t)ms * US_PER_MS;
    assert_true(movie_read(r.body, &m));
    t = &m.t[0];
    for (size_t i = 0; i < t->n; i++) {
        last_us = MAX(last_us, first_us + ticks_us((struct ticks){at + t->s[i].cts - t->s[0].cts, t->hz}));
        at += t->s[i].dur;
    }
    expect_frames(name, first_us, last_us, t->n);
    movie_done(&m);
    http_reply_done(&r);
}

static void test_film(void **state)
{
    (void)state;
    site_need_footage();
    for (size_t i = 0; i < ARRAY_N(edges); i++) {
        use(&edges[i]);
        expect_film("archive-1700000000-16.mp4");
        expect_film("/dvr/" SITE_UID "/record.mp4?timestamp=1700000000&duration=16");
    }
}

/* Pictures at 3 s, 5 s and 15 s, with the key frame that is shown (0: none may be); a strip of one each
 * second; the ranges. */
static void test_pictures(void **state)
{
    static const struct {
        size_t edge;
        unsigned shown_s[3];
        unsigned strip;
        const char *ranges;
    } rows[] = {
        {0, {3, 5, 15}, 16, "{\"from\":1700000000,\"duration\":17}"},
        {2, {3, 5, 0}, 10, "{\"from\":1700000002,\"duration\":12}"},
        {3, {0, 5, 0}, 9, "{\"from\":1700000003,\"duration\":11}"},
        {5, {0, 0, 0}, 2, "{\"from\":1700000005,\"duration\":3}"},
        {6, {0, 0, 15}, 6, "{\"from\":1700000009,\"duration\":8}"},
    };
    static const unsigned at_s[] = {3, 5, 15};

    (void)state;
    site_need_footage();
    for (size_t i = 0; i < ARRAY_N(rows); i++) {
        struct http_reply r;

        use(&edges[rows[i].edge]);
        for (size_t k = 0; k < ARRAY_N(at_s); k++) {
            char name[64], shown[32];

            snprintf(name, sizeof(name), "%u-preview.mp4", 1700000000 + at_s[k]);
            snprintf(shown, sizeof(shown), "%u.000", 1700000000 + rows[i].shown_s[k]);
            site_get(name, fields, &r);
            if (r.status != (rows[i].shown_s[k] ? 200 : 403) ||
                (r.status == 200 && !span_is(http_reply_field(&r, "X-Archive-From"), shown)))
                fail_msg("%s, picture at %u s: %u, of %.*s", edge->what, at_s[k], r.status,
                    SPAN_FMT(http_reply_field(&r, "X-Archive-From")));
            http_reply_done(&r);
        }
        assert_int_equal(site_get("strip-1700000000-16-16.json", fields, &r), 200);
        if (playlist_count(r.body, "17000000") != rows[i].strip) fail_msg("%s: %s", edge->what, site.text);
        http_reply_done(&r);
        assert_int_equal(site_get("recording_status.json?to=1700000020", fields, &r), 200);
        if (!strstr(site.text, rows[i].ranges)) fail_msg("%s: %s", edge->what, site.text);
        http_reply_done(&r);
    }
}

/* The key frame that leads to a moment inside lies before the window: the next one. */
static void test_picture_behind_the_edge(void **state)
{
    static const struct edge late = {"at 4.4 s", AT(4400), AT(6000), AT(5000), FPS, 1};
    static const struct edge none = {"between two key frames", AT(4400), AT(4900), 0, 0, 0};
    struct http_reply r;

    (void)state;
    site_need_footage();
    use(&late);
    assert_int_equal(site_get("1700000005-preview.mp4", fields, &r), 200);
    assert_true(span_is(http_reply_field(&r, "X-Archive-From"), "1700000005.000"));
    http_reply_done(&r);
    use(&none);
    assert_int_equal(status_of("archive-1700000000-16.mp4"), 404);
    assert_int_equal(status_of("archive-1700000000-16.m3u8"), 404);
}

/* Where nothing of what is asked for may be seen, and where nothing is. */
static void test_outside(void **state)
{
    static const struct {
        const char *name;
        unsigned status;
    } rows[] = {
        {"archive-1699990000-10000.m3u8", 403},
        {"archive-1700000004-60.m3u8", 403},
        {"archive-1700000004-now.m3u8", 403},
        {"archive-1700000000-60.m3u8", 200},
        {"archive-1700000003-now.m3u8", 200},
        {"index-1700000003-now.m3u8", 200},
        {"rewind-60.m3u8", 403},
        {"timeshift_rel-10.m3u8", 403},
        {"archive-1700000004-10.mp4", 403},
        {"archive-1700000003-10.mp4", 200},
        {"1700000001-preview.mp4", 403},
        {"1700000005-preview.mp4", 403},
        {"1700000001.jpg", 403},
        {"1700000005.jpg", 403},
        {"strip-1700000004-60-3.json", 403},
        {"strip-1700000004-60-3.mp4", 403},
    };
    static const struct edge empty = {"a gap", AT(50000), AT(60000), 0, 0, 0};
    struct http_reply r;

    (void)state;
    site_need_footage();
    use_token(AT(2000), AT(4000));
    for (size_t i = 0; i < ARRAY_N(rows); i++)
        if (status_of(rows[i].name) != rows[i].status)
            fail_msg("%s: %u", rows[i].name, status_of(rows[i].name));
    use(&empty);
    assert_int_equal(site_get("archive-1700000000-600.m3u8", fields, &r), 404);
    assert_int_equal(http_reply_field(&r, "X-Nearest-Recorded").n, 0); /* it is none of this viewer's */
    http_reply_done(&r);
}

/* A playlist that grows ends with the window. */
static void test_growing(void **state)
{
    struct http_reply r;

    (void)state;
    site_need_footage();
    use(&edges[2]);
    assert_int_equal(site_get("archive-1700000000-now.m3u8", fields, &r), 200);
    assert_int_equal(playlist_count(r.body, "#EXTINF"), 4);
    assert_true(span_ends(r.body, SPAN_LIT("#EXT-X-ENDLIST\n")));
    http_reply_done(&r);
}

/* The clock was set back: another pass over a time that is recorded. Of both only what may be seen. The last
 * test: the others do not know of it. */
static void test_another_pass(void **state)
{
    static const struct edge late = {"two passes", AT(13500), AT(60000), AT(14000), 2 * 25 + 5 * 25, 0};
    struct http_reply r;
    struct movie m;
    char text[32];

    (void)state;
    site_need_footage();
    site_put_segment(site.dir, site.ix, AT(11000), true);
    use(&late);
    assert_int_equal(site_get("archive-1700000000-60.mp4", fields, &r), 200);
    assert_true(span_copy(http_reply_field(&r, "X-Archive-From"), text, sizeof(text)));
    assert_string_equal(text, "1700000014.000");
    assert_true(movie_read(r.body, &m));
    assert_int_equal(m.t[0].n, late.frames);
    movie_done(&m);
    http_reply_done(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_hls),
        cmocka_unit_test(test_names_of_others),
        cmocka_unit_test(test_ends_of_others),
        cmocka_unit_test(test_film),
        cmocka_unit_test(test_pictures),
        cmocka_unit_test(test_picture_behind_the_edge),
        cmocka_unit_test(test_outside),
        cmocka_unit_test(test_growing),
        cmocka_unit_test(test_another_pass),
    };

    return cmocka_run_group_tests(tests, start, site_stop);
}
