/* The RTSP client's connections: whom it dials, with which login, redirects, and what their ends lead to. */
#include "worker/rtsp_client_impl.h"
#include "common/base/err.h"
#include "common/base/mem.h"

static void closed(struct rtsp_client *c)
{
    struct rtsp_event e = {.kind = RTSP_EV_CLOSED};

    client_end(c, &e);
}

static void count(struct rtsp_client *c)
{
    c->before = rtsp_client_counts(c);
    interleaved_init(&c->il);
}

void client_forget_connection(struct rtsp_client *c)
{
    count(c);
    memset(c->slot_track, -1, sizeof(c->slot_track));
    for (size_t i = 0; i < RTSP_CLIENT_TRACKS_MAX; i++) client_set(&c->track_url[i], SPAN_NONE);
    for (size_t i = 0; i < CLIENT_CANDIDATES_MAX; i++) client_set(&c->play_url[i], SPAN_NONE);
    client_set(&c->base_url, SPAN_NONE);
    client_forget_description(c);
    client_stop_timers(c);
    c->connected = c->play_sent = c->media_seen = false;
    c->ask = c->alive = (struct client_request){0};
    c->need = 1;
    c->foreign = 0;
    c->session[0] = 0;
    c->timeout_s = 0;
    c->n = c->n_wanted = c->at = 0;
    c->n_play = c->at_play = c->collisions = 0;
    c->dials++;
}

void client_dial(struct rtsp_client *c, bool redirect, usec_t after_us, const char *why)
{
    struct rtsp_event e = {.kind = RTSP_EV_DIAL, .redirect = redirect, .after_us = after_us};

    client_forget_connection(c);
    client_move(c, CLIENT_DIALING, why);
    client_timer(c, c->now_us, after_us + CLIENT_DIAL_US);
    e.host = c->host;
    e.port = c->port;
    client_event(c, &e);
}

void client_torn_down(struct rtsp_client *c)
{
    if (c->then == THEN_DIAL)
        client_dial(c, false, CLIENT_AGAIN_US, "again");
    else
        closed(c);
}

void client_teardown(struct rtsp_client *c, enum client_then then, const char *why)
{
    c->then = then;
    if (!c->connected || !c->session[0]) {
        client_torn_down(c);
        return;
    }
    client_judge_keep_alive(c);
    client_stop_timers(c);
    client_move(c, CLIENT_TEARDOWN, why);
    client_ask(c, RTSP_TEARDOWN, c->now_us);
}

void client_redial(struct rtsp_client *c, const char *why)
{
    if (++c->redials > CLIENT_REDIALS_MAX) {
        client_fail(c, RTSP_FAIL_PROTOCOL, 0, "too many attempts in one session");
        return;
    }
    client_teardown(c, THEN_DIAL, why);
}

/* Decoded; false: too long. */
bool client_take_login(const struct url *u, struct secret *user, struct secret *password)
{
    char mem[2 * URL_USER_MAX];
    struct wr w = wr_of(mem, URL_USER_MAX), p = wr_of(mem + URL_USER_MAX, URL_USER_MAX);
    bool ok = url_decode(u->user, false, &w) && url_decode(u->password, false, &p);

    secret_done(user);
    secret_done(password);
    if (ok) {
        *user = secret_of(wr_span(&w));
        *password = secret_of(wr_span(&p));
    }
    explicit_bzero(mem, sizeof(mem));
    return ok;
}

void client_take_target(struct rtsp_client *c, const struct url *u)
{
    char mem[URL_MAX + 64];
    struct wr w = wr_of(mem, sizeof(mem));

    url_write(&w, u);
    client_set(&c->host, u->host); /* u may point into the request_url before */
    client_set(&c->request_url, wr_span(&w));
    c->port = u->port;
}

/* An absolute Location, one that names its scheme twice (P1), or a path on the same host. */
static bool parse_location(const struct rtsp_client *c, struct span location, struct url *ret)
{
    const struct span twice = SPAN_LIT("rtsp://rtsp://");

    if (location.n > 0 && location.p[0] == '/') {
        if (url_parse(span_of(c->request_url), ret) != 0) return false;
        ret->tail = ret->path = location;
        return true;
    }
    while (span_starts(location, twice)) location = span_from(location, 7);
    return url_parse(location, ret) == 0;
}

void client_redirect(struct rtsp_client *c, struct span location)
{
    struct url u;

    if (++c->redirects > CLIENT_REDIRECTS_MAX) {
        client_fail(c, RTSP_FAIL_PROTOCOL, 0, "more than 5 redirects");
        return;
    }
    if (!parse_location(c, location, &u)) {
        client_fail(c, RTSP_FAIL_PROTOCOL, 0, "redirected to nowhere");
        return;
    }
    if (u.scheme != URL_RTSP) {
        client_fail(c, RTSP_FAIL_UNSUPPORTED, 0, "redirected to another scheme than rtsp");
        return;
    }
    client_say_teardown(c);
    secret_done(&c->redirect_user);
    secret_done(&c->redirect_password);
    if (u.has_user) client_take_login(&u, &c->redirect_user, &c->redirect_password);
    client_take_target(c, &u);
    c->auth = (struct auth_client){0};
    client_dial(c, true, 0, "redirected");
}

void rtsp_client_connected(struct rtsp_client *c, usec_t now_us)
{
    c->now_us = now_us;
    if (c->state != CLIENT_DIALING) return;
    c->connected = true;
    client_move(c, c->known.no_options ? CLIENT_DESCRIBE : CLIENT_OPTIONS, "connected");
    client_ask(c, c->known.no_options ? RTSP_DESCRIBE : RTSP_OPTIONS, now_us);
}

/* UDP media may go on without its connection (K7). */
static bool lives_without(struct rtsp_client *c)
{
    for (size_t i = 0; i < c->n; i++)
        if (!c->track[i].udp) return false;
    return c->state == CLIENT_PLAYING && c->n > 0;
}

void rtsp_client_closed(struct rtsp_client *c, int err, const char *text, usec_t now_us)
{
    char reason[192];

    c->now_us = now_us;
    if (c->over || (!c->connected && c->state != CLIENT_DIALING)) return;
    c->connected = false;
    snprintf(reason, sizeof(reason), "%s: %s",
        c->state == CLIENT_DIALING ? "no connection" : "connection closed",
        text      ? text
            : err ? err_text(err < 0 ? err : -err)
                  : "by the camera");
    if (c->state == CLIENT_DIALING) {
        client_fail(c, RTSP_FAIL_UNREACHABLE, 0, reason);
    } else if (c->state == CLIENT_TEARDOWN) {
        client_torn_down(c);
    } else if (c->ask.open && c->ask.was_401 && !c->redialled_401) { /* C16: it hangs up after its 401 */
        c->redialled_401 = true;
        client_dial(c, false, 0, "closed after 401");
    } else if (c->state == CLIENT_OPTIONS && !c->known.no_options) {
        c->known.no_options = true;
        client_dial(c, false, 0, "closed on OPTIONS");
    } else if (lives_without(c)) {
        c->gone_by = now_us + CLIENT_GONE_US;
        c->alive_at = 0;
    } else {
        client_fail(c, c->state == CLIENT_PLAYING ? RTSP_FAIL_ENDED : RTSP_FAIL_PROTOCOL, 0, reason);
    }
}
