/* Message heads of HTTP/1.x and RTSP/1.0: a start line, fields, an empty line.
 * Sources: RFC 9112 (HTTP/1.1 messages), RFC 2326 section 4 (RTSP), cameras.md A1 for what cameras do to it.
 * A head is spans into the caller's bytes; nothing is copied or owned.
 *
 * Two levels. head_parse() is for what cameras send: either line end, blanks anywhere, lines that are not
 * fields left out, junk before the start line. http_request_parse() (http.h) is for requests that we serve:
 * what RFC 9112 forbids is refused with a status. Tests: tests/unit/wire/test_head.c,
 * tests/fuzz/fuzz_rtsp_message.c. */
#ifndef WIRE_HEAD_H
#define WIRE_HEAD_H

#include "common/base/span.h"

#define HEAD_FIELDS_MAX 64 /* fields kept; more set `cut` */

enum head_kind { HEAD_NONE = 0, HEAD_REQUEST = 1, HEAD_STATUS = 2 };

struct head_field {
    struct span name, value; /* value without blanks at both ends, may be empty */
};

struct head {
    enum head_kind kind;
    struct span method, target; /* of a request */
    unsigned status;            /* of a status line: 100 to 999 */
    struct span reason;
    struct span protocol; /* "RTSP", "HTTP" */
    unsigned major, minor;
    bool cut; /* more fields than HEAD_FIELDS_MAX */
    size_t n;
    struct head_field f[HEAD_FIELDS_MAX];
};

struct head_limits {
    size_t line_max;  /* start line, without its end */
    size_t total_max; /* the whole head */
};

/* Where the search for a head's end stands. Zeroed at the start of each message. */
struct head_find {
    size_t at;
};

/* Conditions (positive). */
enum { HEAD_E_MORE = 1, HEAD_E_LINE_LONG = 2, HEAD_E_LONG = 3, HEAD_E_BAD = 4 };

/* Finds the empty line that ends the head at the front of `in`; each call offers the same bytes and more.
 * Line ends are CRLF or LF; empty lines before the start line belong to the head. Looks again at no more than
 * the line under way. Returns 0 (*ret_n bytes are the head, its empty line included), HEAD_E_MORE,
 * HEAD_E_LINE_LONG or HEAD_E_LONG. */
int head_find(struct head_find *f, struct span in, const struct head_limits *limits, size_t *ret_n);

/* Liberal parser (C1, C3, C4, C5, C6). 0 or HEAD_E_BAD: no start line in it. */
int head_parse(struct span head, struct head *ret);

/* Value of the first field of that name, names compared case-blind; p == NULL: there is none. An empty value
 * has p != NULL. */
struct span head_get(const struct head *h, const char *name);
/* The next field of that name from *at on (start with 0); false: no more. */
bool head_next(const struct head *h, const char *name, size_t *at, struct span *ret_value);
/* Is `token` a member of the comma-separated lists in the fields of that name? Case-blind. */
bool head_has_token(const struct head *h, const char *name, const char *token);

/* Cuts the next member from a list separated by `sep`, which may stand in quoted strings; trimmed; empty
 * members are left out. false: the end. */
bool head_list_next(struct span *rest, uint8_t sep, struct span *ret_member);
/* Splits "name = value" at the first '='; both trimmed, quotes around the value taken off (escapes stay).
 * Without
 * '=' the value is empty with p == NULL. */
void head_param(struct span member, struct span *ret_name, struct span *ret_value);

/* RFC 9110 5.6.2: 1 or more tchar. */
bool head_is_token(struct span s);

#endif
