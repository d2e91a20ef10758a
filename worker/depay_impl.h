/* Inside of the depacketisers: what every codec's own struct begins with, and its row of functions. */
#ifndef WORKER_DEPAY_IMPL_H
#define WORKER_DEPAY_IMPL_H

#include "worker/depay.h"

struct depay_ops {
    enum codec codec;
    size_t bytes;      /* of the codec's struct, which begins with struct depay */
    uint32_t clock_hz; /* usual */
    int (*init)(
        struct depay *d, const struct depay_media *m); /* NULL: nothing to do; a condition of depay.h */
    void (*done)(struct depay *d);
    void (*feed)(struct depay *d, const struct depay_packet *p);
    bool (*detach)(struct depay *d); /* NULL: keeps nothing over packets */
    void (*flush)(struct depay *d);
    void (*reset)(struct depay *d);
    bool (*track)(const struct depay *d, struct track *ret); /* fields of base are filled before */
};

struct depay {
    const struct depay_ops *ops;
    struct depay_out out;
    struct depay_counters c;
    uint32_t clock_hz;
    uint16_t channels;
};

extern const struct depay_ops h264_depay, h265_depay, aac_depay, pcma_depay, pcmu_depay, opus_depay,
    onvif_depay;

/* Counts and hands out; fills arrival from the packet. */
void depay_emit(struct depay *d, struct depay_unit *u, usec_t mono_us, usec_t wall_us);
/* A whole block that lies in one stretch: audio. */
void depay_emit_block(
    struct depay *d, const struct depay_packet *p, struct span block, uint32_t offset, uint32_t dur);
void depay_changed(struct depay *d);

#endif
