/* HTTP/1.x requests as a server must read them: strictly. Source: RFC 9110, 9112. Whatever could be framed in
 * two ways (request smuggling) is refused: bare CR or LF, NUL and other controls, blank before the colon,
 * folded lines, two Content-Lengths, Content-Length with Transfer-Encoding. The result is a status code to
 * answer with; the connection is then closed, because its framing is lost. Tests:
 * tests/unit/wire/test_http.c, tests/fuzz/fuzz_http_request.c. */
#ifndef WIRE_HTTP_H
#define WIRE_HTTP_H

#include "common/wire/head.h"

#define HTTP_LINE_MAX 8192  /* request line: above it 414 */
#define HTTP_HEAD_MAX 16384 /* whole head: above it 431 */
#define HTTP_PATH_MAX 4096

enum http_method {
    HTTP_GET = 0,
    HTTP_HEAD,
    HTTP_POST,
    HTTP_PUT,
    HTTP_DELETE,
    HTTP_OPTIONS,
    HTTP_PATCH,
    HTTP_METHODS
};

struct http_request {
    struct head head;
    enum http_method method;
    struct span path;  /* of the target, still percent-encoded, begins with '/'; "*" for OPTIONS */
    struct span query; /* behind '?'; p == NULL: no '?' */
    struct span host;  /* Host, or the authority of an absolute target; may be empty for HTTP/1.0 */
    uint64_t body_n;   /* Content-Length, 0 when absent or chunked */
    bool chunked;
    bool keep_alive; /* the peer wants to go on after the answer */
    bool expect_continue;
    bool upgrade; /* Connection: upgrade; the protocol stands in Upgrade */
};

/* Finds and parses the request at the front of `in`, with the limits above. 0: *ret and *ret_n (bytes of the
 * head; the body follows). HEAD_E_MORE (1): not all there yet. Else a status code: 400, 413, 414, 431, 501,
 * 505. body_max: a larger Content-Length is 413. */
int http_request_parse(
    struct head_find *f, struct span in, uint64_t body_max, struct http_request *ret, size_t *ret_n);

const char *http_method_name(enum http_method m);
const char *http_reason(unsigned status); /* "Not Found"; "" for a code without a row */

/* Chunked bodies (RFC 9112 7.1), piece by piece. Zeroed at the start. */
struct http_chunked {
    uint64_t left; /* bytes of the chunk that are still to come */
    uint64_t total;
    uint16_t line; /* bytes of the size or trailer line under way, and of all trailers */
    uint8_t state;
};
enum { HTTP_CHUNK_MORE = 1, HTTP_CHUNK_END = 2, HTTP_CHUNK_BAD = 3, HTTP_CHUNK_LARGE = 4 };
/* Takes bytes from *in. 0: *ret_data is a piece of the body, call again; HTTP_CHUNK_MORE: more input is
 * needed; HTTP_CHUNK_END: the body and its trailers are over; HTTP_CHUNK_BAD: 400; HTTP_CHUNK_LARGE: over
 * body_max, 413. */
int http_chunked_next(struct http_chunked *c, struct span *in, uint64_t body_max, struct span *ret_data);

/* Path of a request to something that may be compared and looked up: decoded once, empty and "." segments
 * taken out. false: a broken escape, a NUL or other control, an escaped slash or backslash, a ".." segment,
 * or too long for cap: answer 400 (".." is not resolved: no client of ours sends it). */
bool http_path_decode(struct span path, char *dst, size_t cap);

#endif
