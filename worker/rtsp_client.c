/* Life of the RTSP client: sessions, the byte stream, ports for UDP. */
#include "worker/rtsp_client_impl.h"
#include "common/base/err.h"
#include "common/base/mem.h"
#include "common/proto/rtp.h"

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
void client_no_ports(struct rtsp_client *c, const char *why)
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
        client_no_ports(c, "no UDP ports to be had");
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

/* ---- life ---- */

static const char *take_url(struct rtsp_client *c, struct span text)
{
    struct url u;
    int e = url_parse(text, &u);

    if (e) return url_error(e);
    if (u.scheme == URL_RTSPS) return "rtsps is not supported yet";
    if (u.scheme != URL_RTSP && u.scheme != URL_TCP && u.scheme != URL_UDP)
        return "not a URL to capture from";
    if (u.has_user && !client_take_login(&u, &c->user, &c->password))
        return "user name or password is too long";
    if (c->choice == RTSP_TRANSPORT_AUTO && u.scheme == URL_TCP) c->choice = RTSP_TRANSPORT_TCP;
    if (c->choice == RTSP_TRANSPORT_AUTO && u.scheme == URL_UDP) c->choice = RTSP_TRANSPORT_UDP;
    client_take_target(c, &u);
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
    client_forget_connection(c);
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
    client_take_target(c, &u);
    c->udp = c->choice == RTSP_TRANSPORT_UDP || (c->choice == RTSP_TRANSPORT_AUTO && c->known.udp);
    c->tried_tcp = c->tried_udp = c->redialled_401 = false;
    c->redirects = c->redials = 0;
    c->methods = 0;
    client_dial(c, false, 0, "start");
}

void rtsp_client_stop(struct rtsp_client *c, usec_t now_us)
{
    c->now_us = now_us;
    if (c->over) return;
    if (c->state == CLIENT_TEARDOWN)
        c->then = THEN_CLOSED;
    else
        client_teardown(c, THEN_CLOSED, "stop");
}

bool rtsp_client_playing(const struct rtsp_client *c)
{
    return c->state == CLIENT_PLAYING;
}

void rtsp_client_counts_add(struct rtsp_client_counts *n, const struct interleaved *il)
{
    n->skipped += il->bytes_skipped;
    n->searches += il->searches;
    n->unknown += il->unknown;
}

struct rtsp_client_counts rtsp_client_counts(const struct rtsp_client *c)
{
    struct rtsp_client_counts n = c->before;

    rtsp_client_counts_add(&n, &c->il);
    return n;
}
