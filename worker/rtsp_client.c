/* Life of the RTSP client: sessions, connections, timers, and the byte stream. */
#include "worker/rtsp_client_impl.h"
#include "common/base/err.h"
#include "common/base/log.h"
#include "common/base/mem.h"
#include "common/proto/rtp.h"

#define BIT(state) (1u << (state))
/* A session that ends so close behind its timeout died for want of a keep-alive that counts (K1). */
#define SHORT_LIFE_BEFORE_US (3 * US_PER_S)
#define SHORT_LIFE_AFTER_US  (12 * US_PER_S)
#define SHORT_LIVES_MAX      2

static const char *const STATE_NAMES[CLIENT_STATES] = {
    [CLIENT_IDLE] = "idle",
    [CLIENT_DIALING] = "dial",
    [CLIENT_OPTIONS] = "options",
    [CLIENT_DESCRIBE] = "describe",
    [CLIENT_BIND] = "bind",
    [CLIENT_SETUP] = "setup",
    [CLIENT_UDP_CONNECT] = "udp-connect",
    [CLIENT_PLAY] = "play",
    [CLIENT_PLAYING] = "playing",
    [CLIENT_TEARDOWN] = "teardown",
    [CLIENT_OVER] = "over",
};

/* From each state: where it may go. OVER and DIALING may follow on everything that has begun. */
static const unsigned MOVES[CLIENT_STATES] = {
    [CLIENT_IDLE] = 0,
    [CLIENT_DIALING] = BIT(CLIENT_OPTIONS) | BIT(CLIENT_DESCRIBE),
    [CLIENT_OPTIONS] = BIT(CLIENT_DESCRIBE),
    [CLIENT_DESCRIBE] = BIT(CLIENT_BIND) | BIT(CLIENT_SETUP),
    [CLIENT_BIND] = BIT(CLIENT_SETUP) | BIT(CLIENT_TEARDOWN),
    [CLIENT_SETUP] = BIT(CLIENT_BIND) | BIT(CLIENT_SETUP) | BIT(CLIENT_UDP_CONNECT) | BIT(CLIENT_PLAY) |
        BIT(CLIENT_TEARDOWN),
    [CLIENT_UDP_CONNECT] = BIT(CLIENT_BIND) | BIT(CLIENT_SETUP) | BIT(CLIENT_PLAY) | BIT(CLIENT_TEARDOWN),
    [CLIENT_PLAY] = BIT(CLIENT_PLAYING) | BIT(CLIENT_TEARDOWN),
    [CLIENT_PLAYING] = BIT(CLIENT_TEARDOWN),
    [CLIENT_TEARDOWN] = 0,
    [CLIENT_OVER] = 0,
};

void client_move(struct rtsp_client *c, enum client_state to, const char *why)
{
    must(to == CLIENT_OVER || to == CLIENT_DIALING || (MOVES[c->state] & BIT(to)));
    log_debug("rtsp-state", "from=%s to=%s why=\"%s\"", STATE_NAMES[c->state], STATE_NAMES[to], why);
    c->state = to;
    c->state_by = 0;
}

void client_timer(struct rtsp_client *c, usec_t now_us, usec_t after_us)
{
    c->state_by = now_us + after_us;
}

void client_event(struct rtsp_client *c, struct rtsp_event *e)
{
    if (!c->over) c->ops->event(c->arg, e);
}

void client_set(char **at, struct span text)
{
    char *fresh = text.p ? span_dup(text) : NULL;

    mem_free(*at);
    *at = fresh;
}

void client_forget_description(struct rtsp_client *c)
{
    mem_free(c->sdp_text);
    mem_free(c->sdp);
    c->sdp_text = NULL;
    c->sdp = NULL;
    c->sdp_n = 0;
}

/* ---- ends ---- */

static void stop_timers(struct rtsp_client *c)
{
    c->state_by = c->alive_at = c->media_by = c->body_by = c->gone_by = 0;
}

/* K1: two sessions that ended at their timeout, and another method is tried. */
static void judge_keep_alive(struct rtsp_client *c)
{
    usec_t timeout = (usec_t)(c->timeout_s ? c->timeout_s : RTSP_TIMEOUT_S) * US_PER_S;
    usec_t lived = c->now_us - c->playing_since;

    if (c->state != CLIENT_PLAYING) return;
    if (lived > timeout + SHORT_LIFE_AFTER_US) c->known.short_lives = 0;
    if (lived < timeout - SHORT_LIFE_BEFORE_US || lived > timeout + SHORT_LIFE_AFTER_US) return;
    if (++c->known.short_lives >= SHORT_LIVES_MAX) client_alive_next_method(c);
}

static void end(struct rtsp_client *c, struct rtsp_event *e)
{
    if (c->over) return;
    judge_keep_alive(c);
    client_move(c, CLIENT_OVER, e->text ? e->text : "closed");
    stop_timers(c);
    client_forget_description(c);
    c->over = true;
    c->ops->event(c->arg, e);
}

static void fail(
    struct rtsp_client *c, enum rtsp_fail why, unsigned status, const char *text, usec_t retry_us)
{
    struct rtsp_event e = {
        .kind = RTSP_EV_FAILED, .fail = why, .status = status, .text = text, .retry_us = retry_us};

    if (c->over) return;
    if (c->state != CLIENT_TEARDOWN) client_say_teardown(c); /* P20, K9: the slot is free again */
    end(c, &e);
}

void client_fail(struct rtsp_client *c, enum rtsp_fail why, unsigned status, const char *text)
{
    fail(c, why, status, text, 0);
}

void client_fail_later(struct rtsp_client *c, enum rtsp_fail why, const char *text, usec_t retry_us)
{
    fail(c, why, 0, text, retry_us);
}

static void closed(struct rtsp_client *c)
{
    struct rtsp_event e = {.kind = RTSP_EV_CLOSED};

    end(c, &e);
}

/* ---- connections ---- */

static void count(struct rtsp_client *c)
{
    c->before = rtsp_client_counts(c);
    interleaved_init(&c->il);
}

static void forget_connection(struct rtsp_client *c)
{
    count(c);
    memset(c->slot_track, -1, sizeof(c->slot_track));
    for (size_t i = 0; i < RTSP_CLIENT_TRACKS_MAX; i++) client_set(&c->track_url[i], SPAN_NONE);
    for (size_t i = 0; i < CLIENT_CANDIDATES_MAX; i++) client_set(&c->play_url[i], SPAN_NONE);
    client_set(&c->base_url, SPAN_NONE);
    client_forget_description(c);
    stop_timers(c);
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

static void dial(struct rtsp_client *c, bool redirect, usec_t after_us, const char *why)
{
    struct rtsp_event e = {.kind = RTSP_EV_DIAL, .redirect = redirect, .after_us = after_us};

    forget_connection(c);
    client_move(c, CLIENT_DIALING, why);
    client_timer(c, c->now_us, after_us + CLIENT_DIAL_US);
    e.host = c->host;
    e.port = c->port;
    client_event(c, &e);
}

void client_torn_down(struct rtsp_client *c)
{
    if (c->then == THEN_DIAL)
        dial(c, false, CLIENT_AGAIN_US, "again");
    else
        closed(c);
}

static void teardown(struct rtsp_client *c, enum client_then then, const char *why)
{
    c->then = then;
    if (!c->connected || !c->session[0]) {
        client_torn_down(c);
        return;
    }
    judge_keep_alive(c);
    stop_timers(c);
    client_move(c, CLIENT_TEARDOWN, why);
    client_ask(c, RTSP_TEARDOWN, c->now_us);
}

void client_redial(struct rtsp_client *c, const char *why)
{
    if (++c->redials > CLIENT_REDIALS_MAX) {
        client_fail(c, RTSP_FAIL_PROTOCOL, 0, "too many attempts in one session");
        return;
    }
    teardown(c, THEN_DIAL, why);
}

/* Decoded; false: too long. */
static bool take_login(const struct url *u, struct secret *user, struct secret *password)
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

static void take_target(struct rtsp_client *c, const struct url *u)
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
    if (u.has_user) take_login(&u, &c->redirect_user, &c->redirect_password);
    take_target(c, &u);
    c->auth = (struct auth_client){0};
    dial(c, true, 0, "redirected");
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
        dial(c, false, 0, "closed after 401");
    } else if (c->state == CLIENT_OPTIONS && !c->known.no_options) {
        c->known.no_options = true;
        dial(c, false, 0, "closed on OPTIONS");
    } else if (lives_without(c)) {
        c->gone_by = now_us + CLIENT_GONE_US;
        c->alive_at = 0;
    } else {
        client_fail(c, c->state == CLIENT_PLAYING ? RTSP_FAIL_ENDED : RTSP_FAIL_PROTOCOL, 0, reason);
    }
}

/* ---- the byte stream ---- */

static void frame(struct rtsp_client *c, const struct interleaved_event *e)
{
    struct rtsp_track *t;
    bool rtcp;

    if (!c->play_sent) c->foreign++;
    if (e->slot < 0 || c->slot_track[e->slot] < 0 || !c->play_sent) return; /* P10 */
    /* P9: what it is says its second byte, not its channel. */
    rtcp = rtp_is_rtcp(e->data) || (c->slot_rtcp[e->slot] && e->data.n < RTP_HEADER_MIN);
    t = &c->track[c->slot_track[e->slot]];
    if (!rtcp) {
        c->media_seen = true;
        c->media_by = 0;
    }
    if (t->wanted && (c->state == CLIENT_PLAY || c->state == CLIENT_PLAYING)) /* P11 */
        c->ops->packet(c->arg, (uint8_t)(t - c->track), rtcp, e->data);
}

static void message(struct rtsp_client *c, const struct interleaved_event *e)
{
    struct head h;

    if (head_parse(e->head, &h) == 0)
        client_answer(c, &h, e->body, c->now_us);
    else
        c->before.bad_heads++;
}

size_t rtsp_client_feed(struct rtsp_client *c, struct span in, usec_t now_us)
{
    unsigned dials = c->dials;
    size_t done = 0, took;
    struct interleaved_event e;

    c->now_us = now_us;
    while (!c->over && c->connected && c->dials == dials) {
        interleaved_next(&c->il, span_from(in, done), &took, &e);
        done += took;
        if (e.kind == INTERLEAVED_MORE) {
            c->need = MAX(e.need, (size_t)1);
            c->body_by = interleaved_in_body(&c->il) ? now_us + CLIENT_BODY_US : 0;
            return done;
        }
        if (e.kind == INTERLEAVED_FRAME) frame(c, &e);
        if (e.kind == INTERLEAVED_MESSAGE) message(c, &e);
        if (e.kind == INTERLEAVED_LOST)
            client_fail(c, RTSP_FAIL_PROTOCOL, 0, "out of frame, and not found again");
    }
    c->need = 1;
    return in.n;
}

size_t rtsp_client_need(const struct rtsp_client *c)
{
    return c->need;
}

void rtsp_client_send_rtcp(struct rtsp_client *c, uint8_t track, struct span compound)
{
    uint8_t mem[INTERLEAVED_HEADER + 1500];

    if (c->state != CLIENT_PLAYING || !c->connected || track >= c->n_wanted || c->track[track].udp) return;
    if (compound.n == 0 || compound.n > sizeof(mem) - INTERLEAVED_HEADER) return;
    interleaved_write_header(mem, c->track[track].channel[1], compound.n);
    memcpy(mem + INTERLEAVED_HEADER, compound.p, compound.n);
    c->ops->send(c->arg, span(mem, INTERLEAVED_HEADER + compound.n));
}

/* ---- UDP ---- */

/* P12: TCP where that is allowed and was not refused. */
static void no_ports(struct rtsp_client *c, const char *why)
{
    if (client_other_transport(c))
        client_redial(c, why);
    else
        client_fail(c, RTSP_FAIL_UNREACHABLE, 0, why);
}

void rtsp_client_udp_bound(struct rtsp_client *c, uint8_t track, uint16_t port, int err, usec_t now_us)
{
    c->now_us = now_us;
    if (c->over || c->state != CLIENT_BIND || track != c->at) return;
    if (err || port == 0) {
        no_ports(c, "no UDP ports to be had");
        return;
    }
    c->client_port = port;
    client_move(c, CLIENT_SETUP, "ports bound");
    client_ask(c, RTSP_SETUP, now_us);
}

void rtsp_client_udp_connected(struct rtsp_client *c, uint8_t track, int err, usec_t now_us)
{
    c->now_us = now_us;
    if (c->over || c->state != CLIENT_UDP_CONNECT || track != c->at) return;
    if (err) {
        client_fail(c, RTSP_FAIL_UNREACHABLE, 0, "the camera's UDP ports cannot be reached");
        return;
    }
    c->at++;
    client_next_track(c, now_us);
}

void rtsp_client_udp_seen(struct rtsp_client *c, uint8_t track, usec_t now_us)
{
    (void)track;
    c->udp_last = now_us;
    c->media_seen = true;
    c->media_by = 0;
}

/* ---- time ---- */

static void no_media(struct rtsp_client *c)
{
    c->media_by = 0;
    if (c->udp && !c->known.all_tracks && c->left_some) { /* P13: some send nothing until all are set up */
        c->known.all_tracks = true;
        client_redial(c, "no packets over UDP: all tracks");
    } else if (c->udp && client_other_transport(c)) {
        client_redial(c, "no packets over UDP: TCP");
    } else {
        client_fail(c, RTSP_FAIL_TIMEOUT, 0, c->udp ? "no packets over UDP" : "no media after PLAY");
    }
}

static void no_answer(struct rtsp_client *c)
{
    char text[64];

    snprintf(text, sizeof(text), "no answer to %s", rtsp_method_name(c->ask.method));
    client_fail(c, RTSP_FAIL_TIMEOUT, 0, text);
}

static void options_late(struct rtsp_client *c)
{
    client_move(c, CLIENT_DESCRIBE, "no answer to OPTIONS"); /* C14 */
    client_ask(c, RTSP_DESCRIBE, c->now_us);
}

static void play_late(struct rtsp_client *c)
{
    if (c->media_seen)
        client_playing(c, NULL, c->now_us);
    else
        no_answer(c);
}

static void dial_late(struct rtsp_client *c)
{
    client_fail(c, RTSP_FAIL_UNREACHABLE, 0, "no connection in time");
}

static void ports_late(struct rtsp_client *c)
{
    no_ports(c, "no UDP ports in time");
}

/* What the timer of each state means. */
static void (*const LATE[CLIENT_STATES])(struct rtsp_client *) = {
    [CLIENT_DIALING] = dial_late,
    [CLIENT_OPTIONS] = options_late,
    [CLIENT_DESCRIBE] = no_answer,
    [CLIENT_BIND] = ports_late,
    [CLIENT_SETUP] = no_answer,
    [CLIENT_UDP_CONNECT] = ports_late,
    [CLIENT_PLAY] = play_late,
    [CLIENT_TEARDOWN] = client_torn_down,
};

static bool due(usec_t at, usec_t now_us)
{
    return at != 0 && at <= now_us;
}

void rtsp_client_tick(struct rtsp_client *c, usec_t now_us)
{
    c->now_us = now_us;
    if (c->over) return;
    if (due(c->body_by, now_us)) {
        interleaved_flush(&c->il);
        c->body_by = 0;
        c->need = 1;
    } else if (due(c->state_by, now_us)) {
        c->state_by = 0;
        if (LATE[c->state]) LATE[c->state](c);
    } else if (due(c->media_by, now_us)) {
        no_media(c);
    } else if (due(c->gone_by, now_us)) {
        c->gone_by = c->udp_last + CLIENT_GONE_US;
        if (due(c->gone_by, now_us))
            client_fail(c, RTSP_FAIL_ENDED, 0, "connection closed, and no more packets");
    }
    if (due(c->alive_at, now_us) && c->state == CLIENT_PLAYING) client_keep_alive(c, now_us);
}

usec_t rtsp_client_deadline(const struct rtsp_client *c)
{
    const usec_t all[] = {c->state_by, c->alive_at, c->media_by, c->body_by, c->gone_by};
    usec_t first = 0;

    for (size_t i = 0; !c->over && i < ARRAY_N(all); i++)
        if (all[i] != 0 && (first == 0 || all[i] < first)) first = all[i];
    return first;
}

/* ---- life ---- */

static const char *take_url(struct rtsp_client *c, struct span text)
{
    struct url u;
    int e = url_parse(text, &u);

    if (e) return url_error(e);
    if (u.scheme == URL_RTSPS) return "rtsps is not supported yet";
    if (u.scheme != URL_RTSP && u.scheme != URL_TCP && u.scheme != URL_UDP)
        return "not a URL to capture from";
    if (u.has_user && !take_login(&u, &c->user, &c->password)) return "user name or password is too long";
    if (c->choice == RTSP_TRANSPORT_AUTO && u.scheme == URL_TCP) c->choice = RTSP_TRANSPORT_TCP;
    if (c->choice == RTSP_TRANSPORT_AUTO && u.scheme == URL_UDP) c->choice = RTSP_TRANSPORT_UDP;
    take_target(c, &u);
    client_set(&c->url_text, span_of(c->request_url));
    return NULL;
}

struct rtsp_client *rtsp_client_new(
    const struct rtsp_client_conf *conf, const struct rtsp_client_ops *ops, void *arg, const char **ret_error)
{
    struct rtsp_client *c = NEW(struct rtsp_client);
    const char *error;

    c->ops = ops;
    c->arg = arg;
    c->choice = conf->transport;
    c->tracks_wanted = conf->tracks;
    c->seed = conf->seed;
    c->over = true;
    c->need = 1;
    interleaved_init(&c->il);
    client_set(&c->agent, conf->user_agent);
    error = take_url(c, conf->url);
    if (error == NULL) return c;
    *ret_error = error;
    rtsp_client_free(c);
    return NULL;
}

bool rtsp_client_tracks(struct rtsp_client *c, unsigned kinds)
{
    if (c->tracks_wanted == kinds) return false;
    c->tracks_wanted = kinds;
    return true;
}

void rtsp_client_free(struct rtsp_client *c)
{
    if (c == NULL) return;
    forget_connection(c);
    secret_done(&c->user);
    secret_done(&c->password);
    secret_done(&c->redirect_user);
    secret_done(&c->redirect_password);
    mem_free(c->url_text);
    mem_free(c->request_url);
    mem_free(c->host);
    mem_free(c->agent);
    mem_free(c);
}

void rtsp_client_start(struct rtsp_client *c, usec_t now_us)
{
    struct url u;

    must(c->over);
    c->now_us = now_us;
    c->over = false;
    c->auth = (struct auth_client){0};
    secret_done(&c->redirect_user);
    secret_done(&c->redirect_password);
    must(url_parse(span_of(c->url_text), &u) == 0); /* we wrote it */
    take_target(c, &u);
    c->udp = c->choice == RTSP_TRANSPORT_UDP || (c->choice == RTSP_TRANSPORT_AUTO && c->known.udp);
    c->tried_tcp = c->tried_udp = c->redialled_401 = false;
    c->redirects = c->redials = 0;
    c->methods = 0;
    dial(c, false, 0, "start");
}

void rtsp_client_stop(struct rtsp_client *c, usec_t now_us)
{
    c->now_us = now_us;
    if (c->over) return;
    if (c->state == CLIENT_TEARDOWN)
        c->then = THEN_CLOSED;
    else
        teardown(c, THEN_CLOSED, "stop");
}

bool rtsp_client_playing(const struct rtsp_client *c)
{
    return c->state == CLIENT_PLAYING;
}

struct rtsp_client_counts rtsp_client_counts(const struct rtsp_client *c)
{
    struct rtsp_client_counts n = c->before;

    n.skipped += c->il.bytes_skipped;
    n.searches += c->il.searches;
    n.unknown += c->il.unknown;
    return n;
}
