/* Requests of the RTSP client: one canonical form (C2, C11), signed from the first challenge on (U7). */
#include "worker/rtsp_client_impl.h"

/* K1: what keeps a session alive, in the order in which it is tried. */
static const enum rtsp_method ALIVE_LADDER[] = {RTSP_GET_PARAMETER, RTSP_OPTIONS, RTSP_SET_PARAMETER};

struct span client_play_url(const struct rtsp_client *c)
{
    if (c->at_play < c->n_play) return span_of(c->play_url[c->at_play]);
    return span_of(c->base_url ? c->base_url : c->request_url);
}

static struct span url_of(const struct rtsp_client *c, enum rtsp_method m)
{
    if (m == RTSP_SETUP) return span_of(c->track_url[c->at]);
    if (m == RTSP_OPTIONS || m == RTSP_DESCRIBE)
        return c->session[0] ? client_play_url(c) : span_of(c->request_url);
    return client_play_url(c);
}

/* C10: Vivotek answers 404 to absolute URLs. */
static struct span on_the_line(const struct rtsp_client *c, struct span url)
{
    struct url u;

    if (!c->known.relative || url_parse(url, &u) != 0 || u.tail.n == 0) return url;
    return u.tail;
}

static uint64_t next_nonce(struct rtsp_client *c)
{
    uint64_t z = c->seed += 0x9e3779b97f4a7c15u; /* splitmix64 */

    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

/* C15: what is configured goes to the configured host alone, to another port of it as a digest only. A
 * Location that names a user has said what that host is to be told. */
bool client_login(const struct rtsp_client *c, struct auth_login *ret, bool *ret_basic)
{
    struct url own;

    *ret_basic = true;
    *ret = (struct auth_login){secret_reveal(&c->redirect_user), secret_reveal(&c->redirect_password)};
    if (secret_set(&c->redirect_user)) return true;
    *ret = (struct auth_login){secret_reveal(&c->user), secret_reveal(&c->password)};
    if (!secret_set(&c->user) || url_parse(span_of(c->url_text), &own) != 0) return false;
    *ret_basic = own.port == c->port;
    return span_iis(own.host, c->host);
}

static bool sign(struct rtsp_client *c, enum rtsp_method m, struct span uri, struct wr *w)
{
    char mem[AUTH_HEADER_MAX];
    struct wr value = wr_of(mem, sizeof(mem));
    struct auth_login login;
    bool basic;

    if (c->auth.c.scheme == AUTH_NONE || !client_login(c, &login, &basic)) return false;
    if (!basic && c->auth.c.scheme == AUTH_BASIC) return false;
    auth_authorization(&c->auth, &login, rtsp_method_name(m), uri, next_nonce(c), &value);
    if (!wr_ok(&value)) w->bad = true;
    rtsp_field(w, "Authorization", wr_span(&value));
    return true;
}

static void transport_field(const struct rtsp_client *c, struct wr *w)
{
    unsigned first = (unsigned)c->at * 2;

    if (c->collisions > 0) first = CLIENT_SPARE_CHANNEL + 2u * c->collisions;
    if (c->udp)
        rtsp_field_fmt(
            w, "Transport", "RTP/AVP;unicast;client_port=%u-%u", c->client_port, c->client_port + 1u);
    else
        rtsp_field_fmt(w, "Transport", "RTP/AVP/TCP;unicast;interleaved=%u-%u", first, first + 1);
}

static void own_fields(const struct rtsp_client *c, enum rtsp_method m, struct wr *w)
{
    if (m == RTSP_DESCRIBE) rtsp_field(w, "Accept", SPAN_LIT("application/sdp"));
    if (m == RTSP_SETUP) transport_field(c, w);
    if (m == RTSP_PLAY && !c->known.no_range) rtsp_field(w, "Range", SPAN_LIT("npt=0.000-"));
}

/* Builds and sends; false: it does not fit, which only a URL beyond every limit could cause. */
static bool request(struct rtsp_client *c, enum rtsp_method m, struct client_request *r)
{
    char mem[CLIENT_MESSAGE_MAX];
    struct wr w = wr_of(mem, sizeof(mem));
    struct span uri = on_the_line(c, url_of(c, m));

    r->open = true;
    r->method = m;
    r->cseq = ++c->cseq;
    rtsp_request(&w, m, uri, r->cseq);
    rtsp_field(&w, "User-Agent", span_of(c->agent));
    rtsp_field(&w, "Session", span_of(c->session));
    r->was_signed = sign(c, m, uri, &w);
    own_fields(c, m, &w);
    rtsp_end(&w, SPAN_NONE, SPAN_NONE);
    if (!wr_ok(&w)) return false;
    c->ops->send(c->arg, wr_span(&w));
    return true;
}

void client_ask(struct rtsp_client *c, enum rtsp_method m, usec_t now_us)
{
    c->ask = (struct client_request){.sent_us = now_us};
    client_timer(c, now_us, m == RTSP_OPTIONS ? CLIENT_OPTIONS_US : CLIENT_REQUEST_US);
    if (m == RTSP_PLAY) c->play_sent = true;
    if (m == RTSP_TEARDOWN) client_timer(c, now_us, RTSP_CLIENT_TEARDOWN_US);
    if (!request(c, m, &c->ask)) client_fail(c, RTSP_FAIL_PROTOCOL, 0, "a request longer than 8 KB");
}

void client_ask_again(struct rtsp_client *c, usec_t now_us)
{
    struct client_request before = c->ask;

    client_ask(c, before.method, now_us);
    c->ask.again = before.again + before.was_signed;
    c->ask.was_401 = true;
}

/* ---- keep-alive ---- */

usec_t client_alive_us(const struct rtsp_client *c)
{
    uint32_t timeout_s = c->timeout_s ? c->timeout_s : RTSP_TIMEOUT_S; /* P6 */

    return (usec_t)CLAMP(timeout_s / 2, CLIENT_ALIVE_MIN_S, CLIENT_ALIVE_MAX_S) * US_PER_S;
}

void client_alive_next_method(struct rtsp_client *c)
{
    c->known.alive = (uint8_t)((c->known.alive + 1) % ARRAY_N(ALIVE_LADDER));
    c->known.short_lives = 0;
}

/* GET_PARAMETER is sent where it is named in Public, or was arrived at by failures of the others. */
static enum rtsp_method alive_method(const struct rtsp_client *c)
{
    bool named = c->methods & 1u << RTSP_GET_PARAMETER;

    return c->known.alive == 0 && !named ? RTSP_OPTIONS : ALIVE_LADDER[c->known.alive];
}

/* Fire and forget (K3): whether the camera lives is seen by its media. */
void client_keep_alive(struct rtsp_client *c, usec_t now_us)
{
    c->alive_at = now_us + client_alive_us(c);
    c->alive = (struct client_request){0};
    request(c, alive_method(c), &c->alive);
}

void client_say_teardown(struct rtsp_client *c)
{
    struct client_request r = {0};

    if (c->connected && c->session[0]) request(c, RTSP_TEARDOWN, &r);
}

/* ---- answers to the camera's own requests (C9) ---- */

void client_reply(struct rtsp_client *c, const struct head *h, unsigned status)
{
    char mem[CLIENT_MESSAGE_MAX];
    struct wr w = wr_of(mem, sizeof(mem));
    uint32_t cseq = 0;

    rtsp_cseq(h, &cseq);
    rtsp_response(&w, status, cseq);
    rtsp_field(&w, "Session", span_of(c->session));
    if (rtsp_method_of(h->method) == RTSP_OPTIONS)
        rtsp_field(
            &w, "Public", SPAN_LIT("OPTIONS, SET_PARAMETER, GET_PARAMETER, ANNOUNCE, REDIRECT, TEARDOWN"));
    rtsp_end(&w, SPAN_NONE, SPAN_NONE);
    if (wr_ok(&w)) c->ops->send(c->arg, wr_span(&w));
}
