/* Every URL is one row of the table in routes.c: pattern, methods, what it is about and by which road,
 * handler. A pattern is compared segment by segment; ":uid" takes a stream's name, '*' inside a segment takes
 * any text of at least one character, a last segment "**" takes the rest of the path. Tests:
 * tests/unit/httpd/test_routes.c, tests/fuzz/fuzz_http_route.c. */
#ifndef HTTPD_ROUTES_H
#define HTTPD_ROUTES_H

#include "common/wire/http.h"
#include "httpd/access.h"

#define ROUTE_CAPTURES_MAX 4

struct http;

enum route_flag {
    ROUTE_STREAM = 1, /* belongs to a stream: goes to its home hub, access is decided */
    ROUTE_MEDIA = 2,  /* CORS */
    ROUTE_FRAME = 4,  /* a page that others may frame */
    ROUTE_MODULE = 8, /* on the listener of API and cpanel too */
    ROUTE_PANEL = 16, /* there only */
    ROUTE_BODY = 32,  /* takes a body (body.h) */
    ROUTE_V3 = 64     /* of the API of today: longer bodies, errors are problems (RFC 9457) */
};

struct route {
    const char *pattern;
    unsigned methods; /* bits 1 << enum http_method */
    unsigned flags;   /* enum route_flag */
    enum access_op op;
    enum access_road road;
    void (*run)(struct http *h);
};

struct route_match {
    const struct route *route;
    struct span uid;                         /* ":uid" */
    struct span capture[ROUTE_CAPTURES_MAX]; /* of each '*' in order, and of "**" */
    unsigned n;
};

#define ROUTE_GET (1u << HTTP_GET | 1u << HTTP_HEAD)

/* path: decoded, begins with '/'. 0: *ret; 404: no such pattern; 405: *ret, but not by this method. */
unsigned route_find(struct span path, enum http_method method, bool module, struct route_match *ret);
/* Does a text fit one segment of a pattern? *n captures are in ret->capture. */
bool route_segment(struct span pattern, struct span text, struct route_match *ret);
/* "GET, HEAD, OPTIONS" into dst of at least 64 bytes. */
const char *route_allow(const struct route *r, char *dst, size_t cap);
/* 1 to 36 of letters, digits, '.', '_' and '-', and not a name of ours. */
bool route_uid_ok(struct span uid);
/* The whole table, for tests that hold it against the specification. */
const struct route *route_table(size_t *ret_n);

#endif
