/* Answers: head, conditions, ranges, content coding, and the bytes. Everything is queued on the connection;
 * bodies that several viewers share are chunks and are not copied. Source: RFC 9110, Fetch (CORS). Tests:
 * tests/unit/httpd/test_http.c. */
#ifndef HTTPD_ANSWER_H
#define HTTPD_ANSWER_H

#include "common/wire/http_fields.h"
#include "httpd/http.h"

#define ANSWER_EXTRA_MAX 512
#define ETAG_MAX         48

/* What a cache may do. "public" goes out as "private" where not everybody may watch the stream. */
#define CACHE_NEVER "no-store"
#define CACHE_CHECK "no-cache"
#define CACHE_SHORT "public, max-age=1"

struct answer {
    unsigned status;
    const char *type;  /* Content-Type */
    const char *cache; /* one of the above */
    struct http_validators v;
    const char *extra;  /* more header lines, each with CRLF; NULL: none */
    const char *cookie; /* another one; NULL: none */
    const char *coding; /* Content-Encoding */
    bool vary;          /* Vary: Accept-Encoding */
    bool placed;        /* a playlist: what it names has the session's path before it already */
};

/* A whole body, shared; its gzip form is made when the first client wants it. Belongs to one hub. */
struct body {
    struct chunk *plain, *packed;
    bool pack_tried;
    char etag[ETAG_MAX];
};
/* Takes the chunk; the entity tag is a hash of the bytes. */
void body_set(struct body *b, struct chunk *plain);
void body_done(struct body *b);
/* Its gzip form; NULL: it is no smaller. answer_body makes it by need; who has a long one makes it elsewhere.
 */
struct chunk *body_pack(struct body *b);

/* Head only; n: Content-Length, or ANSWER_ENDLESS (the connection ends the body). */
#define ANSWER_ENDLESS UINT64_MAX
void answer_head(struct http *h, const struct answer *a, uint64_t n);
/* The same into a buffer, for who sends it himself. false: it does not fit. */
bool answer_head_put(struct http *h, const struct answer *a, uint64_t n, struct buf *to);

/* Whole answers; the request is done with these. */
void answer_body(struct http *h, struct answer *a, struct body *b, bool pack);
/* Bytes made for this answer alone, with an entity tag and gzip as answer_body does. */
void answer_made(struct http *h, struct answer *a, struct span bytes);
void answer_chunk(struct http *h, struct answer *a, struct chunk *c);
void answer_bytes(struct http *h, const struct answer *a, struct span bytes);
void answer_empty(struct http *h, const struct answer *a);
/* "404 Not Found: no such stream" as text. */
void answer_error(struct http *h, unsigned status, const char *fmt, ...) PRINTF_LIKE(3, 4);
/* With the number by which the log has what went wrong. */
void answer_incident(struct http *h, unsigned status, uint32_t incident, const char *why);
/* With another header line, such as Allow or Retry-After. */
void answer_error_with(struct http *h, unsigned status, const char *extra, const char *fmt, ...)
    PRINTF_LIKE(4, 5);

/* Conditions and Range of a body of n bytes whose validators stand in *a. true: serve *ret_range (a->status
 * and the extra line in `extra` are set for it); false: 304, 412 or 416 was answered. */
bool answer_range(
    struct http *h, struct answer *a, uint64_t n, char *extra, size_t cap, struct http_range *ret_range);

/* Is the site of a page named in web-allow-origin? "*" names nobody. */
bool answer_origin_named(const struct http *h, struct span origin);

/* 503 or 404 for a stream that cannot be shown now, with the reason. */
void answer_not_live(struct http *h);

#endif
