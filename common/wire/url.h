/* URLs of cameras, pushes and requests. Source: RFC 3986, with the repairs that camera URLs need (cameras.md
 * U9, U10, P1, P2, T19). A struct url is spans into the caller's text; nothing is decoded until it is asked
 * for. Tests: tests/unit/wire/test_url.c, tests/fuzz/fuzz_url.c. */
#ifndef WIRE_URL_H
#define WIRE_URL_H

#include "common/base/span.h"
#include "common/base/wr.h"

#define URL_MAX      2048
#define URL_HOST_MAX 255
#define URL_USER_MAX 256 /* user name or password, decoded */

enum url_scheme {
    URL_RTSP = 1,
    URL_RTSPS,
    URL_HTTP,
    URL_HTTPS,
    URL_TCP, /* RTSP with media over TCP, the original's notation */
    URL_UDP, /* RTSP with media over UDP */
    URL_PUBLISH
};

struct url {
    enum url_scheme scheme;
    bool has_user;
    struct span user, password; /* still percent-encoded */
    struct span host;           /* without brackets; a zone ("%eth0") stays */
    bool ipv6;
    bool has_port;
    uint16_t port;     /* the scheme's own where the URL has none */
    struct span path;  /* from '/' up to '?'; may be empty */
    struct span query; /* behind '?'; p == NULL: none */
    struct span tail;  /* path and query together, as they stand in the text */
};

/* Conditions (positive). */
enum { URL_E_SCHEME = 1, URL_E_HOST = 2, URL_E_PORT = 3, URL_E_CHAR = 4, URL_E_LONG = 5 };

/* A whole URL. '@', ':', '/', '#' and '?' in a password need not be escaped where it is still clear what is
 * meant. 0 or URL_E_*. */
int url_parse(struct span text, struct url *ret);
const char *url_error(int e); /* "port is not a number from 1 to 65535" */
const char *url_scheme_name(enum url_scheme s);
uint16_t url_scheme_port(enum url_scheme s);

/* "scheme://host[:port]" and path and query as they are, no user name, no password: what goes on a request
 * line (U10). Port left out when it is the scheme's own; tcp and udp become rtsp. */
void url_write(struct wr *w, const struct url *u);

/* For logs: the password in the authority, and the values of password=, pwd=, pass=, passwd=, token=,
 * secret=, sig= and auth= anywhere behind it become "***". Works on text that is not a URL too; control
 * characters become '?'. Cut to cap, terminated; returns dst. */
const char *url_masked(struct span text, char *dst, size_t cap);

/* Percent-decoding, once. plus: '+' is a blank (forms). A broken escape stays as it is. false: does not fit.
 */
bool url_decode(struct span s, bool plus, struct wr *w);

/* The next name=value of a query; both still encoded; value.p == NULL: no '='. Start with *rest = query. */
bool url_query_next(struct span *rest, struct span *ret_name, struct span *ret_value);
/* First value of that name, decoded, terminated. false: not there, or does not fit. */
bool url_query_get(struct span query, const char *name, char *dst, size_t cap);

/* URL of a track or session: `control` of the SDP joined textually to `base` (P2): not RFC 3986, which would
 * drop the last segment. Empty and "*" are the base itself; an absolute control is taken as it is, with the
 * authority of `base` (P1: what a camera says of its own address is not to be trusted). base:
 * "rtsp://host/path?query". */
void url_join_control(struct wr *w, struct span base, struct span control);
/* Repairs what a camera sends as Content-Base or Location (P1): "rtsp://rtsp://host", no scheme, unbracketed
 * IPv6. Writes path and query only; false: nothing usable in it. */
bool url_tail_of(struct span text, struct wr *w);

#endif
