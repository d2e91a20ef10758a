/* Road x credential x answer, over the real server: every row of the route table and RTSP, so that a route
 * without an expectation fails (R16, R19). Forged tokens: test_access_forged.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include "common/base/clock.h"
#include "common/base/err.h"
#include "common/base/mem.h"
#include "httpd/routes.h"
#include "tests/support/access_help.h"

#include <unistd.h>

#define BIT(op)   (1u << (op))
#define SEES      (BIT(ACCESS_PAGE) | BIT(ACCESS_LIVE) | BIT(ACCESS_DVR) | BIT(ACCESS_COPY) | BIT(ACCESS_PREVIEW))
#define SEES_LIVE (BIT(ACCESS_PAGE) | BIT(ACCESS_LIVE) | BIT(ACCESS_PREVIEW))
#define TO_S      (ACCESS_FROM_S + 3600)

static struct access_help help;
static struct access_backend backend;
static const struct access_road_row *rows;
static size_t n_rows;

static int start(void **state)
{
    (void)state;
    rows = access_rows(&n_rows);
    access_backend_start(&backend);
    access_help_start(&help);
    access_help_site(&help, &(struct access_site){.whitelist = NULL});
    access_help_stream(&help, "public", ACCESS_PUBLIC, "", 0);
    access_help_stream(&help, "listed", ACCESS_PROTECTED, "127.0.0.0/8", 0);
    access_help_stream(&help, "unlisted", ACCESS_PROTECTED, "10.0.0.0/8", 0);
    access_help_stream(&help, "private", ACCESS_PRIVATE, "", 0);
    access_help_stream(&help, "none", ACCESS_NONE, "", 0);
    return 0;
}

static int stop(void **state)
{
    (void)state;
    access_help_stop(&help);
    access_backend_stop(&backend);
    return 0;
}

static unsigned get(const char *path, const char *fields)
{
    struct http_reply r;
    unsigned status;

    must(httpd_help_get(&help.http, path, fields, &r));
    status = r.status;
    http_reply_done(&r);
    return status;
}

static void every_route_is_expected(void **state)
{
    size_t n;
    const struct route *table = route_table(&n);

    (void)state;
    for (size_t i = 0; i < n; i++) {
        bool found = false;

        if (!(table[i].flags & ROUTE_STREAM)) continue;
        for (size_t k = 0; k < n_rows; k++) {
            if (!rows[k].pattern || strcmp(table[i].pattern, rows[k].pattern) != 0) continue;
            found = true;
            assert_int_equal(table[i].op, rows[k].op);
            assert_int_equal(table[i].road, rows[k].road);
        }
        if (!found) fail_msg("%s: say in access_help.c what it is about", table[i].pattern);
    }
}

/* --- what a viewer may show --- */

#define TOKEN_SPACE (TOKEN_TEXT_MAX + 64)

static const char *with(unsigned ops)
{
    struct token t = access_token("private");

    t.ops = ops;
    return access_token_text(t);
}

static void full(struct access_shown *s, char *mem)
{
    snprintf(mem, TOKEN_SPACE, "%s", with(TOKEN_LIVE | TOKEN_DVR | TOKEN_COPY));
    s->token = mem;
}

static void in_fields(struct access_shown *s, char *mem, const char *before)
{
    snprintf(mem, TOKEN_SPACE, "%s%s\r\n", before, with(TOKEN_LIVE | TOKEN_DVR | TOKEN_COPY));
    s->fields = mem;
}

static void bare(struct access_shown *s, char *mem)
{
    in_fields(s, mem, "Authorization: ");
}

static void bearer(struct access_shown *s, char *mem)
{
    in_fields(s, mem, "Authorization: Bearer ");
}

static void cookie(struct access_shown *s, char *mem)
{
    in_fields(s, mem, "Cookie: a=b; ms_token=");
}

/* What a session was begun with goes on to decide what else it may. */
static void session(struct access_shown *s, char *mem)
{
    char path[TOKEN_SPACE + 64];

    snprintf(path, sizeof(path), "/private/stream.json?token=%s", with(TOKEN_LIVE | TOKEN_DVR | TOKEN_COPY));
    assert_int_equal(get(path, NULL), 200);
    access_help_session(&help, "private", mem);
    s->session = mem;
}

static void other_session(struct access_shown *s, char *mem)
{
    snprintf(mem, TOKEN_SPACE, "00000000000000000000000000000000");
    s->session = mem;
}

#define SCOPE(name, ops)                                                                                     \
    static void name(struct access_shown *s, char *mem)                                                      \
    {                                                                                                        \
        snprintf(mem, TOKEN_SPACE, "%s", with(ops));                                                         \
        s->token = mem;                                                                                      \
    }
SCOPE(scope_live, TOKEN_LIVE)
SCOPE(scope_dvr, TOKEN_DVR)
SCOPE(scope_copy, TOKEN_COPY)
SCOPE(scope_publish, TOKEN_PUBLISH)
SCOPE(scope_api, TOKEN_API)

static void forged(struct access_shown *s, char *mem)
{
    struct token t = access_token("private");

    snprintf(mem, TOKEN_SPACE, "%s", access_signed("0", "another secret", &t));
    s->token = mem;
}

static void link_right(struct access_shown *s, char *mem)
{
    snprintf(mem, TOKEN_SPACE, "%s", access_link("private", ACCESS_LINK_KEY));
    s->token = mem;
}

static void link_wrong(struct access_shown *s, char *mem)
{
    snprintf(mem, TOKEN_SPACE, "%s", access_link("private", "another key"));
    s->token = mem;
}

#define SHOWN(name, field, text)                                                                             \
    static void name(struct access_shown *s, char *mem)                                                      \
    {                                                                                                        \
        (void)mem;                                                                                           \
        s->field = text;                                                                                     \
    }
SHOWN(nothing, token, NULL)
SHOWN(user, login, ACCESS_USER)
SHOWN(guest, login, ACCESS_GUEST)
SHOWN(stranger, login, ACCESS_STRANGER)
SHOWN(theirs, token, "yes-7")
SHOWN(not_theirs, token, "no-7")

enum site { PLAIN, USERS, LINKS, BACKEND };
static const struct credential {
    const char *name;
    void (*show)(struct access_shown *s, char *mem);
    unsigned sees; /* bits of ops of the private stream */
    enum site site;
    bool http; /* not over RTSP */
} credentials[] = {
    {"nothing", nothing, 0, PLAIN, false},
    {"nothing, where a login is offered", nothing, 0, USERS, false},
    {"token in the URL", full, SEES, PLAIN, false},
    {"token in Authorization", bare, SEES, PLAIN, true},
    {"token behind Bearer", bearer, SEES, PLAIN, true},
    {"token in the cookie", cookie, SEES, PLAIN, true},
    {"path of a session", session, SEES, PLAIN, true},
    {"path of no session", other_session, 0, PLAIN, true},
    {"token for live", scope_live, SEES_LIVE, PLAIN, false},
    {"token for the archive", scope_dvr, BIT(ACCESS_DVR) | BIT(ACCESS_PAGE), PLAIN, false},
    {"token for files", scope_copy, BIT(ACCESS_COPY), PLAIN, false},
    {"token to publish", scope_publish, BIT(ACCESS_PUBLISH), PLAIN, false},
    {"token of the API", scope_api, 0, PLAIN, false},
    {"forged token", forged, 0, PLAIN, false},
    {"forged token, where a login is offered", forged, 0, USERS, false},
    {"account", user, SEES, USERS, false},
    {"account of a guest", guest, SEES_LIVE, USERS, false},
    {"wrong password", stranger, 0, USERS, false},
    {"secure link", link_right, SEES, LINKS, false},
    {"secure link by another key", link_wrong, 0, LINKS, false},
    {"secure link where the site has none", link_right, 0, PLAIN, false},
    {"token of the site's server", theirs, SEES, BACKEND, false},
    {"token that it refuses", not_theirs, 0, BACKEND, false},
    {"nothing, where it is asked", nothing, 0, BACKEND, false},
};

static void set_site(enum site which)
{
    access_help_site(&help,
        &(struct access_site){.users = which == USERS,
            .link_key = which == LINKS ? ACCESS_LINK_KEY : NULL,
            .backend = which == BACKEND ? backend.url : NULL});
}

/* false: neither this nor that answer. */
static void expect(const struct access_road_row *row, const struct credential *c, const char *uid, bool may)
{
    char mem[TOKEN_SPACE];
    struct access_shown s = {.token = NULL};
    unsigned status;

    c->show(&s, mem);
    status = access_help_ask(&help, row, uid, &s, NULL);
    if (access_may(status) != may)
        fail_msg("%s %s of %s with %s: %u", row->pattern ? "HTTP" : "RTSP", row->path, uid, c->name, status);
    /* Whom an account might let in is asked for it; nobody else is told to try again. */
    if (!may && status == 401) assert_int_equal(c->site, USERS);
}

static void roads_and_credentials(void **state)
{
    (void)state;
    for (size_t k = 0; k < ARRAY_N(credentials); k++) {
        const struct credential *c = &credentials[k];

        set_site(c->site);
        for (size_t i = 0; i < n_rows; i++)
            if (rows[i].pattern || !c->http) expect(&rows[i], c, "private", c->sees & BIT(rows[i].op));
    }
    set_site(PLAIN);
}

/* Where the stream's rule decides alone, nothing that is shown changes it; who pushes needs a token of this
 * stream whatever the rule says to viewers. */
static void rules(void **state)
{
    static const struct {
        const char *uid;
        bool may;
    } streams[] = {{"public", true}, {"listed", true}, {"unlisted", false}, {"none", false}};

    (void)state;
    for (size_t k = 0; k < ARRAY_N(credentials); k++) {
        const struct credential *c = &credentials[k];
        bool by_path = c->show == session || c->show == other_session; /* of another stream, or of none */

        set_site(c->site);
        for (size_t u = 0; u < ARRAY_N(streams); u++)
            for (size_t i = 0; i < n_rows; i++)
                if (rows[i].pattern || !c->http)
                    expect(&rows[i], c, streams[u].uid,
                        streams[u].may && !by_path && rows[i].op != ACCESS_PUBLISH);
    }
    set_site(PLAIN);
}

static void list_of_the_server(void **state)
{
    static const struct access_shown nobody = {.token = NULL};
    char text[TOKEN_SPACE];

    (void)state;
    access_help_site(&help, &(struct access_site){.whitelist = "10.0.0.0/8"});
    snprintf(text, sizeof(text), "%s", with(TOKEN_LIVE | TOKEN_DVR | TOKEN_COPY));
    for (size_t i = 0; i < n_rows; i++) {
        assert_false(access_may(access_help_ask(&help, &rows[i], "public", &nobody, NULL)));
        assert_int_equal(
            access_help_ask(&help, &rows[i], "private", &(struct access_shown){.token = text}, NULL), 403);
    }
    access_help_site(&help, &(struct access_site){.whitelist = "127.0.0.0/8"});
    for (size_t i = 0; i < n_rows; i++)
        assert_true(rows[i].op == ACCESS_PUBLISH ||
            access_may(access_help_ask(&help, &rows[i], "public", &nobody, NULL)));
    set_site(PLAIN);
}

/* The control panel shows pictures of the streams on its own listener: by the same rules. */
static void on_the_panels_listener(void **state)
{
    static const char *const shown[] = {"nothing", "token in the URL", "token for live", "forged token"};
    uint16_t port = help.http.port;

    (void)state;
    help.http.port = help.module_port;
    for (size_t k = 0; k < ARRAY_N(credentials); k++)
        for (size_t n = 0; n < ARRAY_N(shown); n++)
            for (size_t i = 0; i < n_rows && strcmp(credentials[k].name, shown[n]) == 0; i++)
                if (rows[i].pattern)
                    expect(&rows[i], &credentials[k], "private", credentials[k].sees & BIT(rows[i].op));
    help.http.port = port;
}

static void windows(void **state)
{
    struct token t = access_token("private");
    static const struct {
        const char *path;
        bool may;
    } at[] = {
        {"/private/archive-1700000000-3600.m3u8", true},
        {"/private/archive-1700000000-3601.m3u8", true},
        {"/private/archive-1699999999-60.m3u8", true},
        {"/private/archive-1699999940-60.m3u8", false},
        {"/private/archive-1700003600-60.m3u8", false},
        {"/private/archive-1700000000-now.m3u8", true},
        {"/private/archive-1700003600-now.m3u8", false},
        {"/private/rewind-60.m3u8", false},
        {"/private/archive-1699999940-60.mp4", false},
        {"/private/archive-1699999940-61.mp4", true},
        {"/private/archive-1700000000-60.mp4", true},
        {"/private/archive-1700003600-60.mp4", false},
        {"/private/1700003600.jpg", true},
        {"/private/1700003601.jpg", false},
        {"/private/1699999999-preview.mp4", false},
        {"/dvr/private/playlist.m3u8?timestamp=1700003000&duration=600", true},
        {"/dvr/private/playlist.m3u8?timestamp=1700003000&duration=601", true},
        {"/dvr/private/playlist.m3u8?timestamp=1700003600&duration=601", false},
        {"/private/strip-1600000000-60-3.json", false},
        {"/private/recording_status.json", true},
        {"/private/index.m3u8", true},
    };
    char fields[TOKEN_TEXT_MAX + 64];

    (void)state;
    t.from_s = ACCESS_FROM_S;
    t.to_s = TO_S;
    snprintf(fields, sizeof(fields), "Authorization: %s\r\n", access_token_text(t));
    for (size_t i = 0; i < ARRAY_N(at); i++)
        if (access_may(get(at[i].path, fields)) != at[i].may) fail_msg("%s", at[i].path);
}

static void names_that_are_none(void **state)
{
    (void)state;
    assert_int_equal(get("/private/stream.json", "Cookie: xms_token=a; ms_tokenx=b\r\n"), 403);
    assert_int_equal(get("/private/stream.json", "Authorization: Basic eDp5\r\n"), 403);
    assert_in_range(get("/s/0/private/stream.json", NULL), 403, 404);
    assert_in_range(get("/s//private/stream.json", NULL), 403, 404);
    assert_in_range(get("/s/private/stream.json", NULL), 403, 404);
    assert_int_equal(get("/s/00000000000000000000000000000000/cpanel/x", NULL), 404);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_route_is_expected),
        cmocka_unit_test(roads_and_credentials),
        cmocka_unit_test(rules),
        cmocka_unit_test(list_of_the_server),
        cmocka_unit_test(on_the_panels_listener),
        cmocka_unit_test(windows),
        cmocka_unit_test(names_that_are_none),
    };

    return cmocka_run_group_tests(tests, start, stop);
}
