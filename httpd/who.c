#include "httpd/who.h"
#include "common/base/clock.h"
#include "common/base/mem.h"
#include "common/wire/crypto.h"
#include "common/wire/url.h"
#include "httpd/answer.h"
#include "httpd/auth.h"
#include "httpd/guess.h"
#include "httpd/password.h"
#include "httpd/problem.h"
#include "httpd/proxied.h"
#include "httpd/signins.h"

void who_peer(const struct http *h, struct addr *ret, bool *ret_secure)
{
    const struct sockaddr *peer = (const struct sockaddr *)conn_peer(h->conn);
    struct access_ask a = {.secure = conn_is_tls(h->conn)};

    (void)addr_of(peer, &a.address);
    proxied_viewer(&h->hub->auth->proxies, peer, &h->ask->req.head, &a);
    *ret = a.address;
    *ret_secure = a.secure;
}

bool who_may_sign_in(const struct http *h, const struct addr *a, bool secure)
{
    const struct auth *auth = h->hub->auth;

    if (auth->closed) return false;
    if (auth->cpanel_whitelist.n > 0) return cidrs_has(&auth->cpanel_whitelist, a);
    return secure || addr_is_private(a);
}

/* --- where it comes from --- */

static struct span host_of(struct span origin)
{
    ssize_t at = span_find_span(origin, SPAN_LIT("://"));

    return at < 0 ? origin : span_from(origin, (size_t)at + 3);
}

bool who_is_foreign(const struct http *h)
{
    const struct head *head = &h->ask->req.head;
    struct span site = head_get(head, "Sec-Fetch-Site"), origin = head_get(head, "Origin");

    if (site.p) return !span_is(site, "same-origin") && !span_is(site, "none");
    return origin.p && !span_ieq(host_of(origin), head_get(head, "Host"));
}

static bool changes(const struct http *h)
{
    enum http_method m = h->ask->req.method;

    return m != HTTP_GET && m != HTTP_HEAD && m != HTTP_OPTIONS;
}

/* --- guesses --- */

bool who_is_throttled(struct http *h, const struct addr *a)
{
    usec_t wait_us = guess_wait_us(h->hub->server->guesses, a, loop_now_us(h->hub->loop));
    long long wait_s = (wait_us + US_PER_S - 1) / US_PER_S;
    char extra[40];

    if (wait_us <= 0 || cidrs_has(&h->hub->auth->exempt, a)) return false;
    snprintf(extra, sizeof(extra), "Retry-After: %lld\r\n", wait_s);
    problem_answer(h, 429, "throttled", extra,
        "too many wrong passwords or tokens came from this address: try again in %lld s", wait_s);
    return true;
}

void who_guessed(struct http *h, const struct addr *a)
{
    access_guessed(h->hub, a);
}

/* --- by a token --- */

/* Of the field or of the URL; a cookie that carries a token is for media. */
static bool shows_token(const struct http *h)
{
    struct span rest = h->ask->req.query, name, value;

    while (url_query_next(&rest, &name, &value))
        if (span_is(name, "token")) return true;
    return head_get(&h->ask->req.head, "Authorization").p != NULL;
}

static enum who by_token(struct http *h, const struct addr *peer, struct caller *c)
{
    const struct auth *auth = h->hub->auth;
    const struct token_check check = {&auth->keys, auth->audience, clock_wall_us() / US_PER_S};
    struct token t;
    int err;

    if (who_is_throttled(h, peer)) return WHO_ANSWERED;
    err = token_verify(&check, span_of(h->ask->given.token), &t, &c->until_s);
    if (err == TOKEN_E_FORGED) who_guessed(h, peer);
    if (err != 0 || !(t.ops & TOKEN_API) || revoked_token(&h->hub->revoked, &t, SPAN_NONE)) return WHO_NONE;
    if (t.bound && !addr_has_prefix(peer, t.address, t.address_bits)) return WHO_NONE;
    c->role = "root";
    c->by = "token";
    snprintf(c->name, sizeof(c->name), "%s", t.user);
    memcpy(c->token_id, t.id, sizeof(c->token_id));
    c->token_made_us = t.made_us;
    if (token_is_for_all(&t)) return WHO_IS;
    memcpy(c->cameras.v, t.streams, sizeof(c->cameras.v));
    c->cameras.n = t.n_streams;
    return WHO_IS;
}

/* --- by Basic --- */

static enum who ask_password(struct http *h)
{
    static const char again[] = "WWW-Authenticate: Basic realm=\"" ACCOUNT_REALM "\", charset=\"UTF-8\"\r\n";

    problem_answer(h, 401, "unauthorized", again, "sign in with an account of this server");
    return WHO_ANSWERED;
}

/* A request that has waited has its head at another place. */
static void read_again(struct ask *a)
{
    credentials_done(&a->given);
    credentials_of(&a->req, &a->given);
}

static void keep_basic(struct http *h, const struct account *a)
{
    char id[CALLER_ID_DIGITS + 1];

    signins_basic(h->hub->server->signins, h->ask->given.login, id);
    signins_add(h->hub->server->signins, a, id, loop_now_us(h->hub->loop), id);
}

static void looked_at(struct http *h, enum password result, const struct account *a)
{
    struct addr peer;
    bool secure;

    read_again(h->ask);
    if (result == PASSWORD_RIGHT) {
        keep_basic(h, a);
    } else {
        who_peer(h, &peer, &secure);
        who_guessed(h, &peer);
    }
    h->ask->tried = true;
    http_again(h);
}

static enum who look_at_password(struct http *h, const struct addr *peer)
{
    uint8_t mem[2 * URL_USER_MAX + 2];
    struct wr w = wr_of(mem, sizeof(mem));
    const struct account *found;
    struct span user, password;
    enum password result = PASSWORD_WRONG;

    if (account_basic(h->ask->given.login, &w, &user, &password))
        result = password_check(h, user, password, looked_at, &found);
    explicit_bzero(mem, sizeof(mem));
    switch (result) {
    case PASSWORD_RIGHT: keep_basic(h, found); return WHO_IS;
    case PASSWORD_LATER: return WHO_WAITS;
    case PASSWORD_BUSY:
        problem_answer(h, 503, "busy", "Retry-After: 2\r\n", "too many passwords are being looked at");
        return WHO_ANSWERED;
    case PASSWORD_WRONG: break;
    }
    who_guessed(h, peer);
    return ask_password(h);
}

static enum who by_basic(struct http *h, const struct addr *peer, bool secure, struct caller *c)
{
    struct signins *signins = h->hub->server->signins;
    char id[CALLER_ID_DIGITS + 1], csrf[CALLER_ID_DIGITS + 1];
    usec_t now_us = loop_now_us(h->hub->loop);
    enum who who;

    if (!h->hub->auth->panel_basic || !who_may_sign_in(h, peer, secure)) return WHO_NONE;
    if (who_is_foreign(h) && changes(h)) {
        problem_answer(h, 403, "foreign", NULL, "a page of another site may change nothing here");
        return WHO_ANSWERED;
    }
    signins_basic(signins, h->ask->given.login, id);
    if (signins_find(signins, span_of(id), now_us, c, csrf)) return WHO_IS;
    if (h->ask->tried) return ask_password(h);
    if (who_is_throttled(h, peer)) return WHO_ANSWERED;
    who = look_at_password(h, peer);
    return who == WHO_IS && !signins_find(signins, span_of(id), now_us, c, csrf) ? WHO_NONE : who;
}

/* --- by the cookie --- */

static enum who by_cookie(struct http *h, bool secure, struct caller *c)
{
    struct span id = cookie_get(&h->ask->req.head, secure ? WHO_COOKIE_SECURE : WHO_COOKIE);
    char csrf[CALLER_ID_DIGITS + 1];

    if (!signins_find(h->hub->server->signins, id, loop_now_us(h->hub->loop), c, csrf)) return WHO_NONE;
    if (who_is_foreign(h)) return WHO_NONE;
    if (!changes(h) || crypto_equal(head_get(&h->ask->req.head, WHO_CSRF), span_of(csrf))) return WHO_IS;
    problem_answer(h, 403, "csrf", NULL, "send the csrf of GET /api/v3/session as " WHO_CSRF);
    return WHO_ANSWERED;
}

static enum who kept(struct http *h, enum who who, struct caller *c, const struct addr *peer)
{
    if (who != WHO_IS) return who;
    addr_text(peer, c->address);
    h->ask->caller = mem_dup(c, sizeof(*c));
    return WHO_IS;
}

enum who who_asks(struct http *h)
{
    struct caller c = {.role = NULL};
    struct ask *a = h->ask;
    struct addr peer;
    bool secure;

    if (a->caller) return WHO_IS;
    who_peer(h, &peer, &secure);
    if (shows_token(h)) {
        read_again(a);
        if (a->given.token) return kept(h, by_token(h, &peer, &c), &c, &peer);
        return kept(h, by_basic(h, &peer, secure, &c), &c, &peer);
    }
    return kept(h, by_cookie(h, secure, &c), &c, &peer);
}

enum who who_page(struct http *h)
{
    enum who who = who_asks(h);

    return who == WHO_NONE && h->hub->auth->panel_basic ? ask_password(h) : who;
}

const struct caller *who_signed_in(struct http *h)
{
    char csrf[CALLER_ID_DIGITS + 1];
    struct ask *a = h->ask;
    struct caller c;
    struct addr peer;
    struct span id;
    bool secure;

    if (!h->module || a->caller) return a->caller;
    who_peer(h, &peer, &secure);
    id = cookie_get(&a->req.head, secure ? WHO_COOKIE_SECURE : WHO_COOKIE);
    if (id.n > 0 && !who_is_foreign(h) &&
        signins_find(h->hub->server->signins, id, loop_now_us(h->hub->loop), &c, csrf))
        (void)kept(h, WHO_IS, &c, &peer);
    return a->caller;
}
