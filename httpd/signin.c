/* /api/v3/session: an account signs in (POST), sees who it is (GET), shows its password again (PUT), signs
 * out (DELETE). What it gets is a random id in a cookie that scripts of a page cannot read and that no other
 * site's page makes use of, and a text that requests must show which change something.
 * docs/reference/sign-in.md. */
#include "httpd/answer.h"
#include "httpd/audit.h"
#include "httpd/auth.h"
#include "httpd/handlers.h"
#include "httpd/json.h"
#include "httpd/password.h"
#include "httpd/problem.h"
#include "httpd/sign_fields.h"
#include "httpd/signins.h"
#include "httpd/who.h"
#include "common/base/mem.h"

#define ANSWER_MAX 8192
#define COOKIE_MAX 200
#define OPEN_BANNER                                                                                          \
    "This page is not encrypted: whoever can listen in the network reads passwords and pictures."

static void say(struct http *h, const struct caller *c, struct span who, const char *what, const char *result)
{
    char text[ADDR_TEXT_MAX];
    struct addr peer;
    bool secure;

    who_peer(h, &peer, &secure);
    audit_say(h->hub->server->audit,
        &(struct audit_line){.caller = c,
            .who = who,
            .address = addr_text(&peer, text),
            .what = what,
            .result = result,
            .text = secure ? "" : "without TLS"});
}

/* --- what is answered --- */

static void write_cameras(struct text *t, const struct camera_list *c)
{
    text_put(t, ",\"cameras\":");
    if (c->n == 0) {
        text_put(t, "null");
        return;
    }
    for (size_t i = 0; i < c->n; i++) {
        text_put(t, i > 0 ? "," : "[");
        json_text(t, span_of(c->v[i]));
    }
    text_put(t, "]");
}

static void show(struct http *h, const struct caller *c, const char *csrf, const char *cookie)
{
    struct answer a = {.status = 200, .type = "application/json", .cache = CACHE_NEVER, .extra = cookie};
    struct addr peer;
    struct text t;
    bool secure;

    who_peer(h, &peer, &secure);
    text_init(&t, ANSWER_MAX);
    text_put(&t, "{\"user\":");
    json_text(&t, span_of(c->name));
    text_fmt(&t,
        ",\"role\":\"%s\",\"auth\":\"%s\",\"csrf\":\"%s\",\"until\":%lld,\"secure\":%s,\"banner\":\"%s\"",
        c->role, c->by, csrf, (long long)c->until_s, secure ? "true" : "false", secure ? "" : OPEN_BANNER);
    if (c->shown_until_s > 0)
        text_fmt(&t, ",\"confirmed_until\":%lld", (long long)c->shown_until_s);
    else
        text_put(&t, ",\"confirmed_until\":null");
    write_cameras(&t, &c->cameras);
    text_put(&t, "}\n");
    if (text_ok(&t))
        answer_bytes(h, &a, text_span(&t));
    else
        answer_error(h, 503, "out of memory");
    text_done(&t);
}

static const char *cookie_line(bool secure, const char *id, char dst[COOKIE_MAX])
{
    snprintf(dst, COOKIE_MAX, "Set-Cookie: %s=%s; Path=/; %sHttpOnly; SameSite=Strict%s\r\n",
        secure ? WHO_COOKIE_SECURE : WHO_COOKIE, id, secure ? "Secure; " : "", id[0] ? "" : "; Max-Age=0");
    return dst;
}

static void signed_in(struct http *h, const struct account *a)
{
    struct signins *signins = h->hub->server->signins;
    char id[CALLER_ID_DIGITS + 1], csrf[CALLER_ID_DIGITS + 1] = "", cookie[COOKIE_MAX];
    usec_t now_us = loop_now_us(h->hub->loop);
    struct caller c = {.role = a->role};
    struct addr peer;
    bool secure;

    who_peer(h, &peer, &secure);
    signins_add(signins, a, "", now_us, id);
    (void)signins_find(signins, span_of(id), now_us, &c, csrf);
    addr_text(&peer, c.address);
    say(h, &c, SPAN_NONE, "sign in", "done");
    show(h, &c, csrf, cookie_line(secure, id, cookie));
}

static void not_signed_in(struct http *h)
{
    const struct auth *auth = h->hub->auth;
    struct addr peer;
    bool secure, may;
    const char *why;

    who_peer(h, &peer, &secure);
    may = who_may_sign_in(h, &peer, secure);
    why = auth->accounts.n == 0 ? "there is no account yet: make the first one with the secret in the "
                                  "server's log (POST /api/v3/setup), or name "
                                  "one in [[[accounts]]] of media-server.ini"
        : may                   ? "sign in: POST /api/v3/session"
                                : "from this address nobody may sign in: use TLS, or see cpanel-whitelist";
    problem_answer(h, 401,
        auth->accounts.n == 0 ? "no-account"
            : may             ? "signed-out"
                              : "not-from-here",
        NULL, "%s", why);
}

/* --- signing in --- */

static void refuse(struct http *h, const struct addr *peer, struct span user)
{
    who_guessed(h, peer);
    say(h, NULL, user, "sign in", "refused");
    problem_answer(h, 401, "wrong", NULL, "user or password is wrong");
}

static void looked_at(struct http *h, enum password result, const struct account *a)
{
    struct sign_fields f;
    struct addr peer;
    bool secure;

    if (result == PASSWORD_RIGHT) {
        signed_in(h, a);
        return;
    }
    who_peer(h, &peer, &secure);
    sign_fields_read(buf_span(&h->ask->body), &f);
    refuse(h, &peer, f.user);
    explicit_bzero(&f, sizeof(f));
}

static void check(struct http *h, const struct addr *peer, struct span user, struct span password)
{
    const struct account *found;

    switch (password_check(h, user, password, looked_at, &found)) {
    case PASSWORD_RIGHT: signed_in(h, found); break;
    case PASSWORD_WRONG: refuse(h, peer, user); break;
    case PASSWORD_BUSY:
        problem_answer(h, 503, "busy", "Retry-After: 2\r\n", "too many passwords are being looked at");
        break;
    case PASSWORD_LATER: break;
    }
}

static void sign_in(struct http *h, const struct addr *peer)
{
    struct span body = buf_span(&h->ask->body);
    struct sign_fields f;

    if (body.n > SIGN_BODY_MAX) {
        problem_answer(h, 413, "too-large", NULL, "a name and a password are shorter");
        return;
    }
    sign_fields_read(body, &f);
    if (f.bad)
        problem_answer(h, 400, "malformed", NULL, "this is no JSON, behind byte %zu", f.at);
    else if (f.n == 2 && f.user.p && f.password.p)
        check(h, peer, f.user, f.password);
    else
        problem_answer(h, 422, "fields", NULL, "send an object of two texts: user and password");
    explicit_bzero(&f, sizeof(f));
}

static void post(struct http *h)
{
    struct addr peer;
    bool secure;

    who_peer(h, &peer, &secure);
    if (who_is_foreign(h))
        problem_answer(h, 403, "foreign", NULL, "a page of another site cannot sign in here");
    else if (!sign_is_json(h))
        return;
    else if (!who_may_sign_in(h, &peer, secure)) {
        say(h, NULL, SPAN_NONE, "sign in", "refused");
        problem_answer(h, 403, "not-from-here", NULL,
            "from this address nobody may sign in: use TLS, or see cpanel-whitelist");
    } else if (!who_is_throttled(h, &peer))
        sign_in(h, &peer);
}

/* --- showing the password again --- */

static void who_am_i(struct http *h);

static void confirmed(struct http *h, enum password result, const struct account *a)
{
    struct caller *c = h->ask->caller;
    struct addr peer;
    bool secure;

    (void)a;
    who_peer(h, &peer, &secure);
    say(h, c, SPAN_NONE, "confirm", result == PASSWORD_RIGHT ? "done" : "refused");
    if (result == PASSWORD_RIGHT) {
        signins_shown(h->hub->server->signins, span_of(c->id), loop_now_us(h->hub->loop));
        who_am_i(h);
        return;
    }
    who_guessed(h, &peer);
    problem_answer(h, 403, "wrong", NULL, "this is not the password of %.64s", c->name);
}

static void confirm(struct http *h)
{
    const struct caller *c = h->ask->caller;
    const struct account *found;
    enum password result;
    struct addr peer;
    struct sign_fields f;
    bool secure;

    who_peer(h, &peer, &secure);
    if (strcmp(c->by, "session") != 0) {
        problem_answer(h, 409, "no-session", NULL, "only who has signed in shows a password again");
        return;
    }
    if (!sign_is_json(h) || who_is_throttled(h, &peer)) return;
    sign_fields_read(span_sub(buf_span(&h->ask->body), 0, SIGN_BODY_MAX), &f);
    if (f.bad || f.n != 1 || !f.password.p) {
        problem_answer(h, f.bad ? 400 : 422, f.bad ? "malformed" : "fields", NULL,
            "send an object of one text: password");
    } else {
        result = password_check(h, span_of(c->name), f.password, confirmed, &found);
        if (result == PASSWORD_BUSY)
            problem_answer(h, 503, "busy", "Retry-After: 2\r\n", "too many passwords are being looked at");
        else if (result != PASSWORD_LATER)
            confirmed(h, result, NULL);
    }
    explicit_bzero(&f, sizeof(f));
}

/* --- signing out --- */

static bool of_sign_in(struct session *s, void *arg)
{
    return strcmp(s->grant.sign_in, arg) == 0;
}

static void end_sessions(struct hub *hub, void *arg)
{
    sessions_end_where(hub, of_sign_in, arg);
}

static void sign_out(struct http *h)
{
    struct answer a = {.status = 204, .cache = CACHE_NEVER};
    const struct caller *c = h->ask->caller;
    char cookie[COOKIE_MAX];
    struct addr peer;
    bool secure;

    if (c->id[0] == '\0') {
        problem_answer(h, 409, "token", NULL, "a token does not sign out: msctl token revoke takes it back");
        return;
    }
    who_peer(h, &peer, &secure);
    say(h, c, SPAN_NONE, "sign out", "done");
    (void)signins_end(h->hub->server->signins, span_of(c->id));
    server_each(h->hub->server, end_sessions, mem_strdup(c->id));
    a.extra = cookie_line(secure, "", cookie);
    answer_empty(h, &a);
}

static void who_am_i(struct http *h)
{
    char csrf[CALLER_ID_DIGITS + 1] = "";
    struct caller c = *h->ask->caller;

    if (c.id[0] != '\0')
        (void)signins_find(h->hub->server->signins, span_of(c.id), loop_now_us(h->hub->loop), &c, csrf);
    show(h, &c, csrf, NULL);
}

void serve_session(struct http *h)
{
    if (h->ask->req.method == HTTP_POST) {
        post(h);
        return;
    }
    switch (who_asks(h)) {
    case WHO_WAITS:
    case WHO_ANSWERED: break;
    case WHO_NONE: not_signed_in(h); break;
    case WHO_IS:
        if (h->ask->req.method == HTTP_DELETE)
            sign_out(h);
        else if (h->ask->req.method == HTTP_PUT)
            confirm(h);
        else
            who_am_i(h);
        break;
    }
}
