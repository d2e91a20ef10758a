#include "worker/depay_impl.h"
#include "common/base/mem.h"

static const struct depay_ops *const all[] = {
    &h264_depay, &h265_depay, &aac_depay, &pcma_depay, &pcmu_depay, &opus_depay, &onvif_depay};

int depay_new(const struct depay_media *m, const struct depay_out *out, struct depay **ret)
{
    const struct depay_ops *ops = NULL;
    struct depay *d;
    int err;

    for (size_t i = 0; i < ARRAY_N(all); i++)
        if (all[i]->codec == m->codec) ops = all[i];
    if (!ops) return DEPAY_E_CODEC;
    d = mem_new(ops->bytes);
    d->ops = ops;
    d->out = *out;
    d->clock_hz = m->clock_hz ? m->clock_hz : ops->clock_hz;
    d->channels = m->channels;
    err = ops->init ? ops->init(d, m) : DEPAY_OK;
    if (err != DEPAY_OK) {
        depay_free(d);
        return err;
    }
    *ret = d;
    return DEPAY_OK;
}

void depay_free(struct depay *d)
{
    if (!d) return;
    if (d->ops->done) d->ops->done(d);
    mem_free(d);
}

void depay_feed(struct depay *d, const struct depay_packet *p)
{
    d->ops->feed(d, p);
}

void depay_detach(struct depay *d)
{
    if (d->ops->detach && !d->ops->detach(d)) {
        d->c.dropped++;
        d->ops->reset(d);
    }
}

void depay_flush(struct depay *d)
{
    if (d->ops->flush) d->ops->flush(d);
}

void depay_reset(struct depay *d)
{
    if (d->ops->reset) d->ops->reset(d);
}

bool depay_track(const struct depay *d, struct track *ret)
{
    *ret = (struct track){.codec = d->ops->codec,
        .kind = codec_kind(d->ops->codec),
        .clock_hz = d->clock_hz,
        .sar_w = 1,
        .sar_h = 1};
    return d->ops->track(d, ret);
}

const struct depay_counters *depay_counters(const struct depay *d)
{
    return &d->c;
}

void depay_emit(struct depay *d, struct depay_unit *u, usec_t mono_us, usec_t wall_us)
{
    u->mono_us = mono_us;
    u->wall_us = wall_us;
    u->bytes = piece_bytes(u->pieces, u->pieces_n);
    d->c.units++;
    if (u->flags & FRAME_DAMAGED) d->c.damaged++;
    d->out.unit(d->out.arg, u);
}

void depay_emit_block(
    struct depay *d, const struct depay_packet *p, struct span block, uint32_t offset, uint32_t dur)
{
    struct piece piece = {.s = block};
    struct depay_unit u = {.timestamp = p->timestamp,
        .offset = offset,
        .dur = dur,
        .flags = FRAME_KEY,
        .pieces = &piece,
        .pieces_n = 1};

    depay_emit(d, &u, p->mono_us, p->wall_us);
}

void depay_changed(struct depay *d)
{
    d->c.changes++;
    if (d->out.changed) d->out.changed(d->out.arg);
}
