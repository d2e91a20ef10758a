/* Between the payloaders. */
#ifndef RTSP_PAY_IMPL_H
#define RTSP_PAY_IMPL_H

#include "common/proto/rtp.h"
#include "httpd/rtsp/pay.h"

/* Packets of one frame on their way: written, or only counted. */
struct pay_out {
    struct pay *p; /* NULL: counted */
    struct wr *w;
    const struct frame *f;
    const struct pay_replay *replay; /* of the first packet */
    uint32_t ts;
    size_t bytes;
};
/* One packet: `head` and then `body` as its payload. */
void pay_packet(struct pay_out *o, bool marker, struct span head, struct span body);
/* Payload bytes that the next packet has room for. */
size_t pay_room(const struct pay_out *o);

struct pay_form {
    enum codec codec;
    const char *name; /* encoding name */
    uint32_t hz;      /* of the RTP clock; 0: the track's */
    uint8_t pt;       /* static one, for 8 kHz mono; 0: dynamic, unless `fixed` */
    bool fixed;
    void (*frame)(struct pay_out *o, const struct track *t);
    void (*fmtp)(const struct track *t, struct wr *w); /* NULL: none */
};
extern const struct pay_form pay_h264, pay_h265, pay_aac, pay_pcma, pay_pcmu, pay_opus, pay_onvif;

#endif
