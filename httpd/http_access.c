#include "httpd/http_access.h"
#include "common/base/wr.h"
#include "httpd/answer.h"
#include "httpd/auth.h"
#include "httpd/proxied.h"

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
    conn_close(CONTAINER(hold, struct ask, hold)->http->conn, 0);
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

bool http_may_show(struct http *h, usec_t from_us, usec_t to_us)
{
    if (access_window(&h->ask->hold, from_us, to_us)) return true;
    answer_error(h, 403, "this time is not open to this request");
    return false;
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

void http_access_done(struct ask *a)
{
    access_cancel(&a->access);
    access_release(&a->hold);
    credentials_done(&a->given);
}
