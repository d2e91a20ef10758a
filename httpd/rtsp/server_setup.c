/* SETUP: which track, and how it goes out. */
#include "httpd/rtsp/server_impl.h"

static bool channel_taken(const struct rtsp_server *s, unsigned track, uint8_t channel)
{
    for (unsigned i = 0; i < TRACK_MAX; i++) {
        const struct rtsp_lane *l = &s->lane[i];

        if (i != track && l->set && !l->udp && (l->channel[0] == channel || l->channel[1] == channel))
            return true;
    }
    return false;
}

/* The pair that the client wants (O1: any two), else the first that is free. */
static void choose_channels(
    const struct rtsp_server *s, unsigned track, const struct rtsp_transport *t, struct rtsp_lane *ret)
{
    uint8_t a = t->interleaved[0], b = t->interleaved[1];

    if (!t->has_interleaved || a == b || channel_taken(s, track, a) || channel_taken(s, track, b)) {
        a = 0;
        while (channel_taken(s, track, a) || channel_taken(s, track, (uint8_t)(a + 1))) a = (uint8_t)(a + 2);
        b = (uint8_t)(a + 1);
    }
    *ret = (struct rtsp_lane){.set = true, .channel = {a, b}};
}

/* The first of the client's alternatives that is served here. 0 or a status. */
static unsigned choose(struct rtsp_server *s, unsigned track, struct span wanted, struct rtsp_lane *ret)
{
    struct rtsp_transport t;
    unsigned status = 461;

    while (rtsp_transport_next(&wanted, &t)) {
        if (t.secure || t.multicast || (t.protocol.n > 0 && !span_istarts(t.protocol, "RTP/AVP"))) continue;
        if (t.mode.n > 0 && !span_iis(t.mode, "PLAY")) continue;
        if (t.tcp) {
            choose_channels(s, track, &t, ret);
            return 0;
        }
        if (!t.has_client_port || !s->ops->udp) continue;
        *ret =
            (struct rtsp_lane){.set = true, .udp = true, .client_port = {t.client_port[0], t.client_port[1]}};
        status = s->ops->udp(s->arg, track, ret);
        if (status == 0) return 0;
    }
    return status;
}

static int track_of(const struct rtsp_server *s, const struct head *h)
{
    struct rtsp_target t;
    int only = -1;

    if (!rtsp_target(h->target, s->base, &t)) return -1;
    if (t.control.n > 0) return describe_track(s->kinds, t.control);
    for (int i = 0; i < TRACK_MAX; i++) {
        if (s->kinds[i] == 0) continue;
        if (only >= 0) return TRACK_MAX; /* of which? */
        only = i;
    }
    return only;
}

static void put_transport(const struct rtsp_server *s, unsigned track, struct wr *w)
{
    const struct rtsp_lane *l = &s->lane[track];

    if (l->udp)
        rtsp_field_fmt(w, "Transport", "RTP/AVP;unicast;client_port=%u-%u;server_port=%u-%u;ssrc=%08X",
            l->client_port[0], l->client_port[1], l->server_port[0], l->server_port[1], s->ssrc[track]);
    else
        rtsp_field_fmt(w, "Transport", "RTP/AVP/TCP;unicast;interleaved=%u-%u;ssrc=%08X", l->channel[0],
            l->channel[1], s->ssrc[track]);
}

bool rtsp_server_set(const struct rtsp_server *s)
{
    for (unsigned i = 0; i < TRACK_MAX; i++)
        if (s->lane[i].set) return true;
    return false;
}

bool rtsp_server_udp(const struct rtsp_server *s)
{
    for (unsigned i = 0; i < TRACK_MAX; i++)
        if (s->lane[i].set && s->lane[i].udp) return true;
    return false;
}

void rtsp_setup(struct rtsp_server *s, const struct head *h)
{
    int track = track_of(s, h);
    struct rtsp_lane lane;
    struct answer_text a;
    unsigned status;

    if (track < 0 || track == TRACK_MAX) {
        rtsp_answer(s, h, track < 0 ? 404 : 459);
        return;
    }
    status = choose(s, (unsigned)track, head_get(h, "Transport"), &lane);
    if (status != 0) {
        rtsp_answer(s, h, status);
        return;
    }
    s->lane[track] = lane;
    s->state = RTSP_STATE_READY;
    rtsp_answer_begin(s, &a, h, 200);
    put_transport(s, (unsigned)track, &a.w);
    rtsp_answer_send(s, &a);
}
