/* The byte stream of an RTSP connection: messages and '$' frames in any order, cut anywhere (RFC 2326 10.12;
 * cameras.md C4, C7, C8, C18, P10).
 *
 * The caller keeps one buffer of unread bytes and offers it whole. Every call gives one event as spans into
 * it and says how many bytes from the front are done with:
 *
 *     while (interleaved_next(&il, buf_span(&b), &took, &ev) ...) { use ev; buf_take(&b, took); }
 *
 * Out of frame (C8: bytes lost or repeated inside the camera) a frame is only believed when its channel is
 * known, its size fits RTP or RTCP, its version is 2, its SSRC is the channel's, and what follows it begins
 * like a frame or a message; another SSRC only when the next frame has it too. The frame behind which the
 * stream breaks is not delivered: it is the one with the hole. Tests: tests/unit/proto/test_interleaved.c,
 * tests/fuzz/fuzz_interleaved.c. */
#ifndef PROTO_INTERLEAVED_H
#define PROTO_INTERLEAVED_H

#include "common/wire/head.h"

#define INTERLEAVED_HEADER       4
#define INTERLEAVED_CHANNELS_MAX 16
#define INTERLEAVED_RESYNC_MAX   10           /* searches without 1000 good frames between them, then LOST */
#define INTERLEAVED_SKIP_MAX     (1u << 20)   /* bytes of one search, then LOST */
#define INTERLEAVED_BUFFER_MAX   (288u << 10) /* what the caller must be able to hold: a head and its body */

enum interleaved_kind {
    INTERLEAVED_MORE = 0, /* bytes are missing; ev.need is the least number that may complete something */
    INTERLEAVED_FRAME,    /* ev.channel, ev.slot, ev.data */
    INTERLEAVED_MESSAGE,  /* ev.head, ev.body */
    INTERLEAVED_SKIPPED,  /* ev.data was thrown away */
    INTERLEAVED_LOST      /* not an RTSP stream any more: reconnect. Final */
};

struct interleaved_event {
    enum interleaved_kind kind;
    uint8_t channel;
    int8_t slot; /* what interleaved_channel() returned for it; -1: a channel nobody set up (P10) */
    struct span data;
    struct span head, body;
    size_t need;
};

struct interleaved_channel {
    uint8_t number;
    bool has_ssrc;
    uint32_t ssrc; /* of the last frame */
};

struct interleaved {
    struct head_find find;
    uint8_t n;
    bool searching;
    bool lost;
    bool in_body;     /* a message waits for its body */
    bool flush;       /* that body ends with what is there */
    uint16_t resyncs; /* searches since good frames */
    uint16_t good;
    uint32_t skipped; /* in this search */
    struct interleaved_channel ch[INTERLEAVED_CHANNELS_MAX];
    int8_t slot_of[256];
    uint64_t frames, bytes_skipped, searches, unknown; /* counters, for good */
};

void interleaved_init(struct interleaved *il);
/* Frames of that channel are expected. Returns its slot (the same again for a known one), or -1: table full.
 */
int interleaved_channel(struct interleaved *il, uint8_t number);

/* The next event at the front of `in`; *ret_took bytes are done with (0 for MORE). Spans live as long as the
 * caller's bytes. */
void interleaved_next(
    struct interleaved *il, struct span in, size_t *ret_took, struct interleaved_event *ret);

/* Nothing more came for a while: a body with too large or without Content-Length ends with what is there
 * (C18). */
void interleaved_flush(struct interleaved *il);

/* Does the message at the front wait for a body? (When to use interleaved_flush.) */
bool interleaved_in_body(const struct interleaved *il);

/* Header of a frame. n <= 65535. */
void interleaved_write_header(uint8_t dst[INTERLEAVED_HEADER], uint8_t channel, size_t n);

#endif
