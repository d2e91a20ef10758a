/* One connection of HTTP/2 as a state machine over bytes, by nghttp2 behind this one door (and h2_head.h): no
 * socket, no clock. Requests come out as heads of HTTP/1.1, answers go in as HTTP/1.1 writes them. What is
 * bounded: streams at once, heads, streams that are reset, control frames that ask for an answer,
 * CONTINUATION frames, bodies by flow control, waiting for the rest of a head, streams that take nothing.
 * Source: RFC 9113, 7541, CVE-2023-44487, CVE-2024-28182. Tests: tests/unit/httpd/test_h2.c,
 * tests/fuzz/fuzz_h2.c, tests/e2e/test_tls.py. */
#ifndef HTTPD_H2_H
#define HTTPD_H2_H

#include "common/base/buf.h"
#include "common/net/chunk.h"

#define H2_STREAMS_MAX    100   /* at once; browsers open as many as they like up to it */
#define H2_WINDOW         16384 /* bytes of a request's body that come before we ask for more */
#define H2_RESETS_BURST   200   /* of streams by the client, then H2_RESETS_RATE a second, then GOAWAY */
#define H2_RESETS_RATE    20
#define H2_CONTROLS_BURST 1000 /* SETTINGS, PING and empty DATA, then one each H2_CONTROLS_US */
#define H2_CONTROLS_US    (20 * US_PER_MS)
#define H2_UNWANTED_MAX   (1u << 20) /* bytes of a body behind the answer's end that are read and forgotten */
#define H2_ACKS_MAX       100        /* not sent yet */

struct h2;
struct h2_stream;
struct h2_ops {
    /* A request. What this returns belongs to the stream and is given to the others; NULL refuses it. */
    void *(*request)(void *arg, struct h2_stream *s, struct span head);
    void (*body)(void *of, struct span bytes); /* framed as the head says; h2_taken when they are taken */
    void (*passed)(void *of, size_t n);        /* so many bytes of the answer are on the connection */
    void (*gone)(void *of);                    /* the stream is over, for whatever reason: forget it */
    /* To the connection. Not while it is full. */
    bool (*full)(void *arg);
    void (*out)(void *arg, struct span bytes);
    void (*out_chunk)(void *arg, struct chunk *c, size_t from, size_t n);
};

struct h2 *h2_new(const struct h2_ops *ops, void *arg, usec_t now_us);
void h2_free(struct h2 *h); /* its streams are gone */
/* Bytes from the connection. false: it is broken; what h2_send still says is said, then it is closed. */
bool h2_feed(struct h2 *h, struct span in, usec_t now_us);
/* Says what is to be said, as long as the connection is not full. false: nothing more will come: close it. */
bool h2_send(struct h2 *h, usec_t now_us);
/* Now and then: who is too slow is ended. */
void h2_check(struct h2 *h, usec_t now_us);
/* No more requests: GOAWAY. Streams that run are ended. */
void h2_goodbye(struct h2 *h);
size_t h2_streams(const struct h2 *h);

void h2_taken(struct h2_stream *s, size_t n);
/* The answer, head first; takes the chunk's reference. Then its end; not whole: the client is told. */
void h2_answer(struct h2_stream *s, struct chunk *c, size_t from, size_t n);
void h2_answer_end(struct h2_stream *s, bool whole);

#endif
