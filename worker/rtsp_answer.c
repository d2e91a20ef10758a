/* What each answer of the camera leads to. */
#include "worker/rtsp_client_impl.h"
#include "common/base/mem.h"
#include "worker/rtsp_choose.h"

/* Statuses that end a session, whatever was asked (K9, U8). */
static bool is_capacity(unsigned status)
{
    return status == 403 || status == 453 || status == 503;
}

static void fail_status(struct rtsp_client *c, enum rtsp_fail fail, const char *what, unsigned status)
{
    char text[128];

    snprintf(text, sizeof(text), "%s answered %u %s", what, status, rtsp_reason(status));
    client_fail(c, fail, status, text);
}

static void refused(struct rtsp_client *c, const struct head *h)
{
    enum rtsp_fail fail = RTSP_FAIL_PROTOCOL;

    if (is_capacity(h->status)) fail = RTSP_FAIL_CAPACITY;
    if (h->status == 404 || h->status == 410 || (h->status == 454 && c->state == CLIENT_DESCRIBE))
        fail = RTSP_FAIL_NOTFOUND;
    if (h->status == 406 || h->status == 415 || h->status == 461 || h->status == 505)
        fail = RTSP_FAIL_UNSUPPORTED;
    fail_status(c, fail, rtsp_method_name(c->ask.method), h->status);
}

/* ---- 401 (U1, U6, U8) ---- */

static void no_login(struct rtsp_client *c, const char *text)
{
    enum rtsp_fail fail = c->known.login_worked ? RTSP_FAIL_CAPACITY : RTSP_FAIL_AUTH;

    client_fail(c, fail, 401,
        c->known.login_worked ? "401 for credentials that worked before: camera full or locked" : text);
}

/* The strongest challenge that may be answered on this host. */
static bool pick(const struct rtsp_client *c, const struct head *h, struct auth_challenge *ret)
{
    struct auth_login login;
    bool basic;

    return client_login(c, &login, &basic) && auth_pick(h, basic, ret);
}

static void unauthorized(struct rtsp_client *c, const struct head *h, usec_t now_us)
{
    struct auth_challenge challenge;
    struct auth_login login;
    bool fresh, basic;

    if (!client_login(c, &login, &basic)) {
        client_fail(c, RTSP_FAIL_AUTH, 401,
            secret_set(&c->user) ? "redirected to another host, which is not told the password"
                                 : "the camera wants a user name and a password");
        return;
    }
    if (!auth_pick(h, basic, &challenge)) {
        client_fail(c, RTSP_FAIL_AUTH, 401,
            basic ? "no way of authentication that we know"
                  : "redirected to another port, which is not told the password in clear");
        return;
    }
    fresh = auth_client_challenged(&c->auth, &challenge);
    if (c->ask.was_signed && (!fresh || c->ask.again > 0)) {
        no_login(c, "user name or password is wrong");
        return;
    }
    client_ask_again(c, now_us);
}

/* ---- OPTIONS, DESCRIBE ---- */

static void describe(struct rtsp_client *c, usec_t now_us)
{
    client_move(c, CLIENT_DESCRIBE, "options done");
    client_ask(c, RTSP_DESCRIBE, now_us);
}

/* Any status will do (C14). A challenge is taken along to DESCRIBE. */
static void on_options(struct rtsp_client *c, const struct head *h, struct span body, usec_t now_us)
{
    struct auth_challenge challenge;

    (void)body;
    c->methods = rtsp_methods(h);
    if (h->status == 401 && pick(c, h, &challenge)) auth_client_challenged(&c->auth, &challenge);
    describe(c, now_us);
    c->ask.was_401 = h->status == 401;
}

/* The control of the session if it says anything, Content-Base, the request's URL (P1, P3, P4). */
static void play_candidate(struct rtsp_client *c, struct span url)
{
    for (size_t i = 0; i < c->n_play; i++)
        if (span_is(url, c->play_url[i])) return;
    if (url.n > 0 && c->n_play < CLIENT_CANDIDATES_MAX) client_set(&c->play_url[c->n_play++], url);
}

static void find_urls(struct rtsp_client *c, const struct head *h)
{
    char mem[URL_MAX + 1];
    struct wr w = wr_of(mem, sizeof(mem));
    struct span stated = head_get(h, "Content-Base"), request = span_of(c->request_url);

    if (stated.n == 0) stated = head_get(h, "Content-Location");
    client_set(&c->base_url, rtsp_base_url(request, stated, &w) ? wr_span(&w) : request);
    w = wr_of(mem, sizeof(mem));
    url_join_control(&w, span_of(c->base_url), c->sdp->control);
    if (wr_ok(&w)) play_candidate(c, wr_span(&w));
    play_candidate(c, span_of(c->base_url));
    play_candidate(c, request);
    c->at_play = c->known.play_url < c->n_play ? c->known.play_url : 0;
}

/* P2, P3: no control of its own means the base URL. */
static bool find_track_urls(struct rtsp_client *c)
{
    for (size_t i = 0; i < c->n; i++) {
        char mem[URL_MAX + 1];
        struct wr w = wr_of(mem, sizeof(mem));

        url_join_control(&w, span_of(c->base_url), c->track[i].media->control);
        if (!wr_ok(&w)) return false;
        client_set(&c->track_url[i], wr_span(&w));
    }
    return true;
}

static bool keep_description(struct rtsp_client *c, struct span body)
{
    client_forget_description(c);
    if (body.n == 0 || body.n > CLIENT_SDP_MAX) return false;
    c->sdp_text = mem_try(body.n);
    c->sdp = mem_try(sizeof(*c->sdp));
    if (c->sdp_text == NULL || c->sdp == NULL) return false;
    memcpy(c->sdp_text, body.p, body.n);
    c->sdp_n = body.n;
    return sdp_parse(span(c->sdp_text, body.n), c->sdp);
}

/* K5: an old live555 still sends another session's packets into connections of ours. */
static bool stale_session_seen(struct rtsp_client *c)
{
    if (c->foreign == 0 || c->udp) return false;
    if (c->choice != RTSP_TRANSPORT_AUTO) return true;
    c->udp = true;
    return false;
}

static void on_description(struct rtsp_client *c, const struct head *h, struct span body, usec_t now_us)
{
    char text[160] = "nothing that can be recorded: ";
    size_t n = strlen(text);

    if (!keep_description(c, body) || !rtsp_is_sdp(h)) {
        c->before.bad_descriptions++;
        client_fail(c, RTSP_FAIL_PROTOCOL, h->status,
            body.n ? "DESCRIBE brought no session description" : "DESCRIBE brought nothing");
        return;
    }
    if (c->auth.c.scheme != AUTH_NONE) c->known.login_worked = true;
    c->n = rtsp_choose(c->sdp, c->tracks_wanted, c->known.all_tracks, c->track, &c->n_wanted);
    c->left_some = rtsp_choose_left_some(c->sdp, c->tracks_wanted);
    if (c->n_wanted == 0) {
        rtsp_choose_explain(c->sdp, text + n, sizeof(text) - n);
        client_fail(c, RTSP_FAIL_UNSUPPORTED, 0, text);
        return;
    }
    find_urls(c, h);
    if (!find_track_urls(c)) {
        client_fail(c, RTSP_FAIL_PROTOCOL, 0, "a=control is not usable");
        return;
    }
    if (stale_session_seen(c)) {
        client_fail_later(
            c, RTSP_FAIL_PROTOCOL, "the camera still sends an old session's packets", CLIENT_STALE_US);
        return;
    }
    client_next_track(c, now_us);
}

static void on_describe(struct rtsp_client *c, const struct head *h, struct span body, usec_t now_us)
{
    if (h->status >= 200 && h->status < 300) {
        on_description(c, h, body, now_us);
    } else if (h->status == 404 && !c->known.relative) { /* C10: once with the path only */
        c->known.relative = true;
        client_ask(c, RTSP_DESCRIBE, now_us);
    } else {
        c->known.relative = c->known.relative && h->status != 404;
        refused(c, h);
    }
}

/* ---- SETUP ---- */

/* Takes track c->at out; those behind it move up. */
static void drop_track(struct rtsp_client *c)
{
    mem_free(c->track_url[c->at]);
    c->n--;
    c->n_wanted -= c->track[c->at].wanted;
    for (size_t i = c->at; i < c->n; i++) {
        c->track[i] = c->track[i + 1];
        c->track_url[i] = c->track_url[i + 1];
    }
    c->track_url[c->n] = NULL;
}

static void close_udp(struct rtsp_client *c, size_t i)
{
    struct rtsp_event e = {.kind = RTSP_EV_UDP_CLOSE, .track = (uint8_t)i};

    client_event(c, &e);
}

bool client_other_transport(struct rtsp_client *c)
{
    if (c->udp)
        c->tried_udp = true;
    else
        c->tried_tcp = true;
    if (c->choice != RTSP_TRANSPORT_AUTO || (c->tried_tcp && c->tried_udp)) return false;
    c->udp = !c->udp;
    c->known.udp = c->udp;
    return true;
}

/* P12: on this connection where nothing is set up yet, else on a new one. */
static void setup_elsewise(struct rtsp_client *c, usec_t now_us)
{
    if (c->at == 0)
        client_next_track(c, now_us);
    else
        client_redial(c, "another transport");
}

static void setup_refused(struct rtsp_client *c, const struct head *h, usec_t now_us)
{
    bool transport = h->status == 461 || h->status == 406;
    bool for_good = is_capacity(h->status) || (transport && c->at == 0);

    if (c->udp) close_udp(c, c->at);
    if (transport && client_other_transport(c)) {
        setup_elsewise(c, now_us);
    } else if (!for_good && !c->known.all_tracks && c->left_some) { /* P14 */
        c->known.all_tracks = true;
        client_redial(c, "all tracks");
    } else if (!for_good && (c->n_wanted > 1 || !c->track[c->at].wanted)) {
        drop_track(c);
        client_next_track(c, now_us);
    } else {
        refused(c, h);
    }
}

static bool channel_taken(const struct rtsp_client *c, uint8_t number)
{
    int8_t slot = c->il.slot_of[number];

    return slot >= 0 && c->slot_track[slot] >= 0;
}

static bool take_channel(struct rtsp_client *c, uint8_t number, bool rtcp)
{
    int slot = interleaved_channel(&c->il, number);

    if (slot < 0) return false;
    c->slot_track[slot] = (int8_t)c->at;
    c->slot_rtcp[slot] = rtcp;
    return true;
}

/* P7, P8: the camera's numbers count, in any order; a pair that another track has is asked for again
 * elsewhere. */
static void setup_tcp(struct rtsp_client *c, const struct rtsp_transport *t, usec_t now_us)
{
    struct rtsp_track *track = &c->track[c->at];
    unsigned asked = c->collisions ? CLIENT_SPARE_CHANNEL + 2u * c->collisions : (unsigned)c->at * 2;
    uint8_t rtp = t->has_interleaved ? t->interleaved[0] : (uint8_t)asked;
    uint8_t rtcp = t->has_interleaved ? t->interleaved[1] : (uint8_t)(asked + 1);

    if (channel_taken(c, rtp)) {
        if (c->collisions++ < RTSP_CLIENT_TRACKS_MAX) {
            client_ask(c, RTSP_SETUP, now_us);
            return;
        }
        client_fail(c, RTSP_FAIL_PROTOCOL, 0, "the camera gives two tracks one channel");
        return;
    }
    if (!take_channel(c, rtp, false)) {
        client_fail(c, RTSP_FAIL_PROTOCOL, 0, "too many channels");
        return;
    }
    if (!channel_taken(c, rtcp)) take_channel(c, rtcp, true);
    track->udp = false;
    track->channel[0] = rtp;
    track->channel[1] = rtcp;
    c->at++;
    client_next_track(c, now_us);
}

static void setup_udp(struct rtsp_client *c, const struct rtsp_transport *t, usec_t now_us)
{
    struct rtsp_track *track = &c->track[c->at];
    struct rtsp_event e = {.kind = RTSP_EV_UDP_CONNECT, .track = (uint8_t)c->at};

    track->udp = true;
    track->port[0] = t->has_server_port ? t->server_port[0] : 0;
    track->port[1] = t->has_server_port ? t->server_port[1] : 0;
    e.rtp_port = track->port[0];
    e.rtcp_port = track->port[1];
    client_move(c, CLIENT_UDP_CONNECT, "set up");
    client_timer(c, now_us, CLIENT_UDP_US);
    client_event(c, &e);
}

static void on_setup(struct rtsp_client *c, const struct head *h, struct span body, usec_t now_us)
{
    struct rtsp_transport t = {0};
    struct rtsp_session s;
    struct span value = head_get(h, "Transport");

    (void)body;
    if (h->status >= 300) {
        setup_refused(c, h, now_us);
        return;
    }
    if (rtsp_session(head_get(h, "Session"), &s)) { /* P5: the first id stays */
        if (c->session[0] == 0) span_copy(s.id, c->session, sizeof(c->session));
        if (s.timeout_s > 0) c->timeout_s = s.timeout_s;
    }
    rtsp_transport_next(&value, &t);
    c->track[c->at].has_ssrc = t.has_ssrc && t.ssrc != 0; /* P17 */
    c->track[c->at].ssrc = t.ssrc;
    if (c->udp && t.has_interleaved) {
        close_udp(c, c->at);
        c->udp = false;
        setup_tcp(c, &t, now_us);
    } else if (c->udp) {
        setup_udp(c, &t, now_us);
    } else if (!t.has_interleaved && t.has_server_port) { /* asked for TCP, got UDP */
        if (client_other_transport(c))
            client_redial(c, "the camera gave UDP");
        else
            client_fail(c, RTSP_FAIL_UNSUPPORTED, h->status, "the camera gives UDP only");
    } else {
        setup_tcp(c, &t, now_us);
    }
}

static void tracks_ready(struct rtsp_client *c, usec_t now_us)
{
    struct rtsp_event e = {
        .kind = RTSP_EV_TRACKS,
        .tracks = c->track,
        .n_tracks = c->n_wanted,
        .sdp = c->sdp,
        .sdp_text = span(c->sdp_text, c->sdp_n),
    };

    client_event(c, &e);
    if (c->over || c->state == CLIENT_TEARDOWN) return; /* stopped from within */
    client_move(c, CLIENT_PLAY, "all set up");
    client_ask(c, RTSP_PLAY, now_us);
}

void client_next_track(struct rtsp_client *c, usec_t now_us)
{
    struct rtsp_event e = {.kind = RTSP_EV_UDP_BIND, .track = (uint8_t)c->at};

    if (c->at == c->n) {
        tracks_ready(c, now_us);
        return;
    }
    if (!c->udp) {
        client_move(c, CLIENT_SETUP, "next track");
        client_ask(c, RTSP_SETUP, now_us);
        return;
    }
    client_move(c, CLIENT_BIND, "next track");
    client_timer(c, now_us, CLIENT_UDP_US);
    client_event(c, &e);
}

/* ---- PLAY ---- */

void client_playing(struct rtsp_client *c, const struct head *h, usec_t now_us)
{
    struct rtsp_event e = {.kind = RTSP_EV_PLAYING, .tracks = c->track, .n_tracks = c->n_wanted};
    struct rtsp_session s;

    if (h) {
        if (rtsp_session(head_get(h, "Session"), &s) && s.timeout_s > 0) c->timeout_s = s.timeout_s;
        rtsp_take_rtp_info(head_get(h, "RTP-Info"), c->track_url, c->track, c->n);
    }
    for (size_t i = 0; i < c->n; i++) {
        c->track[i].media = NULL;
        c->track[i].fmtp = SPAN_NONE;
    }
    client_forget_description(c);
    client_move(c, CLIENT_PLAYING, h ? "PLAY answered" : "media without an answer");
    c->known.play_url = c->at_play;
    c->ask.open = false;
    c->state_by = 0;
    c->playing_since = now_us;
    c->alive_at = now_us + client_alive_us(c);
    if (!c->media_seen) c->media_by = now_us + (c->udp ? CLIENT_FIRST_UDP_US : CLIENT_FIRST_TCP_US);
    client_event(c, &e);
}

static void on_play(struct rtsp_client *c, const struct head *h, struct span body, usec_t now_us)
{
    (void)body;
    if (h->status >= 200 && h->status < 300) {
        client_playing(c, h, now_us);
    } else if ((h->status == 457 || h->status == 400) && !c->known.no_range) { /* P15 */
        c->known.no_range = true;
        client_ask(c, RTSP_PLAY, now_us);
    } else if (!is_capacity(h->status) && c->at_play + 1 < c->n_play) { /* P4 */
        c->at_play++;
        client_ask(c, RTSP_PLAY, now_us);
    } else {
        c->known.play_url = 0;
        c->known.no_range = false;
        refused(c, h);
    }
}

/* ---- the camera's own requests (C9) ---- */

/* The same tracks with other parameters; anything else needs a new session. */
void client_announced(struct rtsp_client *c, struct span body)
{
    struct rtsp_track fresh[RTSP_CLIENT_TRACKS_MAX];
    struct rtsp_event e = {.kind = RTSP_EV_ANNOUNCED, .tracks = fresh};
    size_t n;

    if (c->state != CLIENT_PLAYING || !keep_description(c, body)) return;
    n = rtsp_choose(c->sdp, c->tracks_wanted, false, fresh, &e.n_tracks);
    for (size_t i = 0; i < n; i++) {
        struct rtsp_track *t = &c->track[i];

        if (n != c->n_wanted || fresh[i].codec != t->codec) {
            client_fail(c, RTSP_FAIL_ENDED, 0, "the camera announced other tracks");
            return;
        }
        t->pt = fresh[i].pt;
        t->clock_hz = fresh[i].clock_hz;
        t->channels = fresh[i].channels;
        fresh[i].udp = t->udp;
        memcpy(fresh[i].channel, t->channel, sizeof(t->channel));
        memcpy(fresh[i].port, t->port, sizeof(t->port));
    }
    e.sdp = c->sdp;
    e.sdp_text = span(c->sdp_text, c->sdp_n);
    if (n > 0) client_event(c, &e);
    client_forget_description(c);
}

static void on_request(struct rtsp_client *c, const struct head *h, struct span body)
{
    static const unsigned known = 1u << RTSP_OPTIONS | 1u << RTSP_SET_PARAMETER | 1u << RTSP_GET_PARAMETER |
        1u << RTSP_ANNOUNCE | 1u << RTSP_REDIRECT | 1u << RTSP_TEARDOWN;
    enum rtsp_method m = rtsp_method_of(h->method);

    client_reply(c, h, known >> m & 1 ? 200 : 501);
    if (m == RTSP_ANNOUNCE) client_announced(c, body);
    if (m == RTSP_REDIRECT) client_redirect(c, head_get(h, "Location"));
    if (m == RTSP_TEARDOWN) client_fail(c, RTSP_FAIL_ENDED, 0, "the camera ended the session");
}

/* ---- which answer is this? ---- */

static void (*const HANDLERS[RTSP_METHODS])(
    struct rtsp_client *, const struct head *, struct span, usec_t) = {
    [RTSP_OPTIONS] = on_options,
    [RTSP_DESCRIBE] = on_describe,
    [RTSP_SETUP] = on_setup,
    [RTSP_PLAY] = on_play,
};

static void handshake_answer(struct rtsp_client *c, const struct head *h, struct span body, usec_t now_us)
{
    if (h->status < 200) return; /* more will come */
    c->ask.open = false;
    if (c->ops->answered) c->ops->answered(c->arg, c->ask.method, h->status, now_us - c->ask.sent_us);
    if (c->state == CLIENT_TEARDOWN) {
        client_torn_down(c); /* P20: whatever it says */
        return;
    }
    if (h->status >= 300 && h->status < 400) {
        client_redirect(c, head_get(h, "Location"));
        return;
    }
    if (h->status == 401 && c->ask.method != RTSP_OPTIONS) {
        unauthorized(c, h, now_us);
        return;
    }
    HANDLERS[c->ask.method](c, h, body, now_us);
}

/* U7: a 401 renews the nonce; a method that is refused is not sent again (P19). */
static void alive_answer(struct rtsp_client *c, const struct head *h, usec_t now_us)
{
    struct auth_challenge challenge;
    bool again = !c->alive.was_401;

    c->alive.open = false;
    if (h->status == 401 && again && pick(c, h, &challenge) && auth_client_challenged(&c->auth, &challenge)) {
        client_keep_alive(c, now_us);
        c->alive.was_401 = true;
    }
    if (h->status == 400 || h->status == 405 || h->status == 501 || h->status == 551)
        client_alive_next_method(c);
}

void client_answer(struct rtsp_client *c, const struct head *h, struct span body, usec_t now_us)
{
    uint32_t cseq;
    bool numbered = rtsp_cseq(h, &cseq);

    if (h->kind == HEAD_REQUEST)
        on_request(c, h, body);
    else if (c->ask.open && (!numbered || cseq == c->ask.cseq)) /* C1: without a number it is the newest's */
        handshake_answer(c, h, body, now_us);
    else if (c->alive.open && (!numbered || cseq == c->alive.cseq))
        alive_answer(c, h, now_us);
}
