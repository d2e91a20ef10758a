#include "httpd/http_access.h"
#include "common/base/mem.h"
#include "common/base/wr.h"
#include "common/wire/url.h"
#include "httpd/answer.h"
#include "httpd/auth.h"
#include "httpd/proxied.h"
#include "httpd/who.h"

#define SESSION_HEAD "/s/"

static bool is_id(struct span s)
{
    if (s.n != SESSION_ID_DIGITS) return false;
    for (size_t i = 0; i < s.n; i++)
        if (!((s.p[i] >= '0' && s.p[i] <= '9') || (s.p[i] >= 'a' && s.p[i] <= 'f'))) return false;
    return true;
}

struct span http_session_id(struct span *path)
{
    struct span rest = *path, head = SPAN_LIT(SESSION_HEAD), id;

    if (!span_starts(rest, head)) return SPAN_NONE;
    rest = span_from(rest, head.n);
    if (!span_split(&rest, '/', &id) || !rest.p || !is_id(id)) return SPAN_NONE;
    *path = span_from(*path, head.n + SESSION_ID_DIGITS);
    return id;
}

/* The grant has ended while this was being answered. */
static void ended(struct access_hold *hold)
{
    struct ask *a = CONTAINER(hold, struct ask, hold);

    if (a->ended)
        a->ended(a->http);
    else
        conn_close(a->http->conn, 0);
}

static void done(struct access_ask *access)
{
    struct ask *a = CONTAINER(access, struct ask, access);

    a->decided = true;
    http_wake(&a->deciding);
}

static void ask_access(struct http *h)
{
    struct ask *a = h->ask;

    a->asked = true;
    a->not_public = !access_open(h->hub, a->stream);
    credentials_of(&a->req, &a->given);
    list_init(&a->deciding);
    a->hold.on_end = ended;
    a->access = (struct access_ask){.hub = h->hub,
        .stream = a->stream,
        .op = a->match.route->op,
        .road = a->match.route->road,
        .secure = conn_is_tls(h->conn),
        .token = span_of(a->given.token),
        .session_id = a->session_id,
        .authorization = a->given.login,
        .method = http_method_name(a->req.method),
        .uri = a->req.head.target,
        .user_agent = head_get(&a->req.head, "User-Agent"),
        .caller = who_signed_in(h),
        .hold = &a->hold,
        .done = done};
    proxied_viewer(
        &h->hub->auth->proxies, (const struct sockaddr *)conn_peer(h->conn), &a->req.head, &a->access);
    a->decided = access_ask(&a->access);
}

bool http_may_run(struct http *h)
{
    char lines[ACCESS_CHALLENGE_MAX];
    struct wr w = wr_of(lines, sizeof(lines));
    struct ask *a = h->ask;

    if (!a->asked) ask_access(h);
    if (!a->decided) {
        http_wait(h, &a->deciding, HTTP_WAIT_US);
        return false;
    }
    if (a->access.verdict.status == 200) return true;
    if (a->access.challenge) access_challenge(&a->access, &w);
    answer_error_with(h, a->access.verdict.status, wr_cstr(&w), "%s", a->access.verdict.why);
    return false;
}

struct sight http_sight(const struct http *h)
{
    return access_sight(&h->ask->hold);
}

static bool shown_or_refused(struct http *h, bool may)
{
    if (!may) answer_error(h, 403, "this time is not open to this request");
    return may;
}

bool http_clip(struct http *h, usec_t *from_us, usec_t *to_us)
{
    struct sight s = http_sight(h);

    return shown_or_refused(h, sight_clip(&s, from_us, to_us));
}

bool http_may_show(struct http *h, usec_t at_us)
{
    struct sight s = http_sight(h);

    return shown_or_refused(h, sight_at(&s, at_us));
}

const char *http_prefix(const struct http *h, char dst[HTTP_PREFIX_MAX])
{
    const struct ask *a = h->ask;
    const struct session *s = a->hold.session;
    struct wr w = wr_of(dst, HTTP_PREFIX_MAX);
    struct span rest = span_from(span_of(a->path), strlen(h->base) - 1), piece, dir = SPAN_NONE;

    dst[0] = '\0';
    if (!s || s->grant.free || a->session_id.n > 0) return dst;
    dir = span_sub(rest, 1, 0);
    for (size_t i = 1; i < rest.n; i++)
        if (rest.p[i] == '/') dir = span_sub(rest, 1, i);
    for (struct span d = dir; span_split(&d, '/', &piece);)
        if (piece.n > 0) wr_text(&w, "../");
    wr_fmt(&w, "s/%s/%.*s", s->id, SPAN_FMT(dir));
    return wr_cstr(&w);
}

/* RFC 6265 4.1.1: no blank, quote, comma, semicolon or backslash. A secure link's salt, a backend's token may
 * have them. */
static bool cookie_ok(struct span s)
{
    for (size_t i = 0; i < s.n; i++)
        if (s.p[i] <= ' ' || s.p[i] >= 0x7f || strchr("\",;\\", s.p[i])) return false;
    return s.n > 0;
}

const char *http_cookie(const struct http *h, char dst[HTTP_COOKIE_MAX])
{
    const struct ask *a = h->ask;
    const struct session *s = a->hold.session;
    struct span token = span_of(a->given.token), value, name, rest = a->req.query;
    static const char *const before[HTTP_COOKIES] = {"", "live/", "dvr/"};
    struct wr w = wr_of(dst, HTTP_COOKIE_MAX);
    bool in_url = false;

    dst[0] = '\0';
    while (url_query_next(&rest, &name, &value)) in_url |= span_is(name, "token");
    if (!s || s->grant.free || !in_url || !cookie_ok(token)) return dst;
    for (size_t i = 0; i < HTTP_COOKIES; i++) {
        wr_fmt(&w, "Set-Cookie: " CREDENTIALS_COOKIE "=%.*s; Path=%s%s%.*s/; HttpOnly; ", SPAN_FMT(token),
            h->base, before[i], SPAN_FMT(a->match.uid));
        /* Another site may frame the page: its cookie goes there only over TLS, and into that site's jar
         * alone. */
        wr_text(&w, a->access.secure ? "Secure; SameSite=None; Partitioned\r\n" : "SameSite=Lax\r\n");
    }
    return wr_cstr(&w);
}

void http_access_done(struct ask *a)
{
    access_cancel(&a->access);
    access_release(&a->hold);
    credentials_done(&a->given);
    mem_free(a->caller);
    a->caller = NULL;
}
