/* Feeds a depacketiser as the worker does and keeps what comes out. Every packet lies in memory of its own
 * that is gone as soon as depay_detach was called, so that ASan sees a piece that was kept without a copy. */
#ifndef SUPPORT_DEPAY_HELP_H
#define SUPPORT_DEPAY_HELP_H

#include "common/base/buf.h"
#include "worker/depay.h"

#define DEPAY_HELP_UNITS 4096

struct depay_help_unit {
    uint32_t timestamp, offset, dur;
    uint16_t flags;
    int8_t reorder;
    bool backward;
    size_t at, n;     /* in bytes */
    unsigned changes; /* of the description before it */
};

struct depay_help {
    struct depay *d;
    struct buf bytes; /* units one behind the other, as the ring would hold them */
    struct depay_help_unit u[DEPAY_HELP_UNITS];
    unsigned n;
    unsigned changes;
    unsigned batch; /* packets between two calls of depay_detach; 0: one */
    uint8_t *fed[64];
    unsigned fed_n;
    usec_t mono_us; /* of the next packet; moves on by step_us */
    usec_t step_us;
};

/* fmtp may be NULL. Aborts when depay_new refuses. */
void depay_help_init(struct depay_help *h, enum codec codec, uint32_t hz, const char *fmtp);
void depay_help_done(struct depay_help *h);
void depay_help_feed(struct depay_help *h, struct span payload, uint32_t timestamp, bool marker, bool lost);
/* The same as hexadecimal text with blanks. */
void depay_help_hex(struct depay_help *h, const char *hex, uint32_t timestamp, bool marker);
void depay_help_detach(struct depay_help *h);
struct span depay_help_bytes(const struct depay_help *h, unsigned unit);
/* Is unit i these NAL units (hexadecimal, one blank between bytes or none, "|" between NAL units)? */
bool depay_help_is(const struct depay_help *h, unsigned unit, const char *nals);

#endif
