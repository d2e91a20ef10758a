#include "worker/connector_link.h"
#include "common/base/err.h"
#include "common/base/log.h"

#include <errno.h>

#define TEXT_MAX 256
#define ADDR_MAX 96

void clink_init(struct clink *d, struct loop *l, const struct clink_ops *ops, void *arg)
{
    *d = (struct clink){.loop = l, .ops = ops, .arg = arg};
}

static void take_fds(struct incoming *in, int *fds, int n)
{
    for (int i = 0; i < n; i++) {
        fds[i] = i < in->n_fds ? in->fds[i] : -1;
        if (i < in->n_fds) in->fds[i] = -1;
    }
}

static int error_of(const struct packed *body)
{
    return -(int)CLAMP(packed_i64(body, "err", EPROTO), 0, 4095);
}

static void dialed(struct clink *d, struct incoming *in)
{
    char text[TEXT_MAX], addr[ADDR_MAX];
    int err = error_of(in->body), fd;

    if (d->dial_id == 0 || packed_u64(in->body, "id", 0) != d->dial_id) return; /* of a dial given up */
    d->dial_id = 0;
    (void)packed_text(in->body, "text", text, sizeof(text));
    (void)packed_text(in->body, "addr", addr, sizeof(addr));
    if (err == 0 && in->n_fds < 1) err = -EPROTO;
    take_fds(in, &fd, 1);
    d->ops->dialed(d->arg, err, text, addr, fd);
}

static int track_of(const struct clink *d, const struct packed *body)
{
    uint64_t id = packed_u64(body, "id", 0);

    for (int i = 0; id != 0 && i < RTSP_CLIENT_TRACKS_MAX; i++)
        if (d->pair[i].id == id) return i;
    return -1;
}

static void udp_bound(struct clink *d, struct incoming *in)
{
    int track = track_of(d, in->body), err = error_of(in->body), fds[2];

    if (track < 0) return;
    if (err == 0 && in->n_fds < 2) err = -EPROTO;
    take_fds(in, fds, 2);
    d->pair[track].asked = 0;
    d->ops->udp_bound(d->arg, (uint8_t)track, err, (uint16_t)packed_u64(in->body, "port", 0), fds[0], fds[1]);
}

static void udp_connected(struct clink *d, struct incoming *in)
{
    int track = track_of(d, in->body);

    if (track < 0) return;
    d->pair[track].asked = 0;
    d->ops->udp_connected(d->arg, (uint8_t)track, error_of(in->body));
}

static void pushed(struct clink *d, struct incoming *in)
{
    char addr[ADDR_MAX];

    if (!d->ops->pushed || in->n_fds != 1) return;
    (void)packed_text(in->body, "addr", addr, sizeof(addr));
    d->ops->pushed(d->arg, packed_u64(in->body, "id", 0), addr, in->fds[0]);
    in->fds[0] = -1;
}

static int on_message(struct channel *ch, struct incoming *in)
{
    struct clink *d = channel_arg(ch);

    if (in->type == MSG_DIALED) dialed(d, in);
    if (in->type == MSG_UDP_BOUND) udp_bound(d, in);
    if (in->type == MSG_UDP_CONNECTED) udp_connected(d, in);
    if (in->type == MSG_PUSHED) pushed(d, in);
    return 0;
}

/* Another connector comes from the master; sockets that we have stay as they are. */
static void on_close(struct channel *ch, int err)
{
    struct clink *d = channel_arg(ch);

    if (d->connector != ch) return;
    log_info("connector-lost", "err=%s", log_q(span_of(err ? err_text(err) : "closed")));
    d->connector = NULL;
    channel_free(ch);
}

static const struct channel_ops ops = {.on_message = on_message, .on_close = on_close};

static void send_dial(struct clink *d)
{
    struct packer *p;

    if (!d->connector) return;
    p = channel_begin(d->connector, MSG_DIAL, 4);
    pack_kv_u64(p, "id", d->dial_id);
    pack_kv_text(p, "host", d->host);
    pack_kv_u64(p, "port", d->port);
    pack_kv_i64(p, "timeout_us", CLINK_TIMEOUT_US);
    channel_end(d->connector, NULL, 0);
}

/* UDP messages have the pair's id, and ports. */
static void send_udp(struct clink *d, enum message type, uint8_t track)
{
    const struct clink_pair *pair = &d->pair[track];
    struct packer *p;

    if (!d->connector) return;
    p = channel_begin(d->connector, type, type == MSG_UDP_CONNECT ? 3 : type == MSG_UDP_BIND ? 2 : 1);
    pack_kv_u64(p, "id", pair->id);
    if (type == MSG_UDP_BIND) pack_kv_u64(p, "pushed", pair->pushed);
    if (type == MSG_UDP_CONNECT) {
        pack_kv_u64(p, "port", pair->port[0]);
        pack_kv_u64(p, "rtcp_port", pair->port[1]);
    }
    channel_end(d->connector, NULL, 0);
}

static void ask_udp(struct clink *d, enum message type, uint8_t track)
{
    d->pair[track].asked = type;
    send_udp(d, type, track);
}

void clink_connector(struct clink *d, int fd)
{
    channel_free(d->connector);
    d->connector = channel_new(d->loop, fd, ROLE_WORKER, ROLE_CONNECTOR, &ops, d);
    if (d->dial_id != 0) send_dial(d);
    for (uint8_t i = 0; i < RTSP_CLIENT_TRACKS_MAX; i++)
        if (d->pair[i].asked != 0) send_udp(d, d->pair[i].asked, i);
}

void clink_done(struct clink *d)
{
    channel_free(d->connector);
    d->connector = NULL;
}

void clink_dial(struct clink *d, const char *host, uint16_t port)
{
    d->dial_id = ++d->last_id;
    span_copy(span_of(host), d->host, sizeof(d->host));
    d->port = port;
    send_dial(d);
}

void clink_cancel(struct clink *d)
{
    d->dial_id = 0;
}

bool clink_waits_for_connector(const struct clink *d)
{
    return d->dial_id != 0 && d->connector == NULL;
}

void clink_udp_bind(struct clink *d, uint8_t track, uint64_t pushed)
{
    must(track < RTSP_CLIENT_TRACKS_MAX);
    clink_udp_close(d, track);
    d->pair[track].id = ++d->last_id;
    d->pair[track].pushed = pushed;
    ask_udp(d, MSG_UDP_BIND, track);
}

void clink_udp_connect(struct clink *d, uint8_t track, uint16_t rtp_port, uint16_t rtcp_port)
{
    if (d->pair[track].id == 0) return;
    d->pair[track].port[0] = rtp_port;
    d->pair[track].port[1] = rtcp_port;
    ask_udp(d, MSG_UDP_CONNECT, track);
}

void clink_udp_close(struct clink *d, uint8_t track)
{
    if (d->pair[track].id == 0) return;
    send_udp(d, MSG_UDP_CLOSE, track);
    d->pair[track] = (struct clink_pair){0};
}
