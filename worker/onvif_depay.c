/* ONVIF metadata: XML documents over one or many packets, ended by the marker or by another timestamp (A9).
 * The bytes are kept as they come, plain, gzip or EXI; the subtype says which. A document with a hole is
 * dropped. Source: ONVIF Streaming Specification 5.1.2.1.1. */
#include "worker/depay_impl.h"
#include "worker/gather.h"

#define SUBTYPE_MAX 64

struct onvif_state {
    struct depay base;
    struct gather g;
    uint32_t timestamp;
    bool hole;
    usec_t mono_us, wall_us; /* of the last packet */
    char subtype[SUBTYPE_MAX];
};

static int init(struct depay *d, const struct depay_media *m)
{
    struct onvif_state *o = (struct onvif_state *)(void *)d;

    gather_init(&o->g, DEPAY_DOCUMENT_MAX);
    span_copy(m->name.n > 0 ? m->name : SPAN_LIT("vnd.onvif.metadata"), o->subtype, sizeof o->subtype);
    for (char *c = o->subtype; *c; c++)
        if (*c >= 'A' && *c <= 'Z') *c = (char)(*c + 'a' - 'A');
    return DEPAY_OK;
}

static void done(struct depay *d)
{
    struct onvif_state *o = (struct onvif_state *)(void *)d;

    gather_done(&o->g);
}

static void document_end(struct onvif_state *o)
{
    struct depay_unit u = {
        .timestamp = o->timestamp, .flags = FRAME_KEY, .pieces = o->g.v, .pieces_n = o->g.n};

    if (o->hole)
        o->base.c.dropped++;
    else if (o->g.bytes > 0)
        depay_emit(&o->base, &u, o->mono_us, o->wall_us);
    gather_clear(&o->g);
    o->hole = false;
}

static void feed(struct depay *d, const struct depay_packet *p)
{
    struct onvif_state *o = (struct onvif_state *)(void *)d;

    if (p->lost) o->hole = true;
    if (o->g.n > 0 && p->timestamp != o->timestamp) document_end(o);
    /* A hole before the first packet of a document: only plain text shows that this is a first one. */
    if (p->lost) o->hole = !(o->g.n == 0 && p->payload.n > 0 && p->payload.p[0] == '<');
    o->timestamp = p->timestamp;
    o->mono_us = p->mono_us;
    o->wall_us = p->wall_us;
    if (p->payload.n > 0 && !o->hole && !gather_more(&o->g, p->payload)) {
        o->hole = true;
        d->c.bad++;
        gather_clear(&o->g);
    }
    if (p->marker) document_end(o);
}

static bool detach(struct depay *d)
{
    struct onvif_state *o = (struct onvif_state *)(void *)d;

    return gather_detach(&o->g);
}

static void flush(struct depay *d)
{
    document_end((struct onvif_state *)(void *)d);
}

static void reset(struct depay *d)
{
    struct onvif_state *o = (struct onvif_state *)(void *)d;

    gather_clear(&o->g);
    o->hole = false;
}

static bool track(const struct depay *d, struct track *ret)
{
    const struct onvif_state *o = (const struct onvif_state *)(const void *)d;
    struct span subtype = span_of(o->subtype);

    memcpy(ret->config, subtype.p, subtype.n);
    ret->config_n = (uint16_t)subtype.n;
    return true;
}

const struct depay_ops onvif_depay = {.codec = CODEC_ONVIF,
    .bytes = sizeof(struct onvif_state),
    .clock_hz = 90000,
    .init = init,
    .done = done,
    .feed = feed,
    .detach = detach,
    .flush = flush,
    .reset = reset,
    .track = track};
