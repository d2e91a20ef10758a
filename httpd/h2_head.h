/* Heads between HTTP/2 and HTTP/1.1. A request of HTTP/2 becomes the text that HTTP/1.1 would have sent, so
 * that one parser and one set of rules decides on both (common/wire/http.h); an answer's text becomes fields.
 * What could not stand in that text as one thing is refused before. Source: RFC 9113 8.2, 8.3. Tests:
 * tests/unit/httpd/test_h2_head.c, tests/fuzz/fuzz_h2.c. */
#ifndef HTTPD_H2_HEAD_H
#define HTTPD_H2_HEAD_H

#include <nghttp2/nghttp2.h>

#include "common/base/buf.h"
#include "common/wire/http.h"

#define H2_ANSWER_HEAD_MAX 8192

/* A request's fields, one after the other. */
struct h2_request {
    struct buf method, path, authority;
    struct buf cookie; /* crumbs joined (8.2.3) */
    struct buf fields; /* the others, as lines */
    bool bad, large, has_length;
};
void h2_request_init(struct h2_request *r);
void h2_request_done(struct h2_request *r); /* harmless on a zeroed one */
void h2_request_field(struct h2_request *r, struct span name, struct span value);
/* The head as text, behind what is in *to; body: more comes than the head. 0, or the status to answer with.
 */
unsigned h2_request_text(const struct h2_request *r, bool body, struct buf *to);

/* An answer's head. */
struct h2_answer {
    nghttp2_nv v[HEAD_FIELDS_MAX + 1]; /* spans into the text */
    size_t n;
    char status[4];
};
/* text: writable, lives as long as *ret; names become lower case there. false: it is no head of an answer. */
bool h2_answer_of(struct span text, struct h2_answer *ret);

#endif
