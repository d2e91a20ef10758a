#include "common/wire/http.h"
#include "common/base/wr.h"
#include "common/wire/hex.h"

#define CHUNK_LINE_MAX 8192 /* size line with its extensions, or all trailers */

static const char *const METHODS[HTTP_METHODS] = {
    [HTTP_GET] = "GET",
    [HTTP_HEAD] = "HEAD",
    [HTTP_POST] = "POST",
    [HTTP_PUT] = "PUT",
    [HTTP_DELETE] = "DELETE",
    [HTTP_OPTIONS] = "OPTIONS",
    [HTTP_PATCH] = "PATCH",
};

static const struct {
    unsigned status;
    const char *reason;
} REASONS[] = {
    {100, "Continue"},
    {101, "Switching Protocols"},
    {200, "OK"},
    {201, "Created"},
    {202, "Accepted"},
    {204, "No Content"},
    {206, "Partial Content"},
    {301, "Moved Permanently"},
    {302, "Found"},
    {303, "See Other"},
    {304, "Not Modified"},
    {307, "Temporary Redirect"},
    {308, "Permanent Redirect"},
    {400, "Bad Request"},
    {401, "Unauthorized"},
    {403, "Forbidden"},
    {404, "Not Found"},
    {405, "Method Not Allowed"},
    {406, "Not Acceptable"},
    {408, "Request Timeout"},
    {409, "Conflict"},
    {410, "Gone"},
    {411, "Length Required"},
    {412, "Precondition Failed"},
    {413, "Content Too Large"},
    {414, "URI Too Long"},
    {415, "Unsupported Media Type"},
    {416, "Range Not Satisfiable"},
    {417, "Expectation Failed"},
    {421, "Misdirected Request"},
    {422, "Unprocessable Content"},
    {426, "Upgrade Required"},
    {429, "Too Many Requests"},
    {431, "Request Header Fields Too Large"},
    {500, "Internal Server Error"},
    {501, "Not Implemented"},
    {502, "Bad Gateway"},
    {503, "Service Unavailable"},
    {504, "Gateway Timeout"},
    {505, "HTTP Version Not Supported"},
    {507, "Insufficient Storage"},
};

const char *http_method_name(enum http_method m)
{
    return (unsigned)m < HTTP_METHODS ? METHODS[m] : "";
}

const char *http_reason(unsigned status)
{
    for (size_t i = 0; i < ARRAY_N(REASONS); i++)
        if (REASONS[i].status == status) return REASONS[i].reason;
    return "";
}

/* The next line, which must end with CRLF and hold no other control than a tab. */
static bool strict_line(struct span *rest, struct span *ret_line)
{
    struct span line;

    if (!span_split(rest, '\n', &line) || rest->p == NULL) return false;
    if (line.n == 0 || line.p[line.n - 1] != '\r') return false;
    line.n--;
    for (size_t i = 0; i < line.n; i++)
        if ((line.p[i] < ' ' && line.p[i] != '\t') || line.p[i] == 0x7f) return false;
    *ret_line = line;
    return true;
}

static unsigned version(struct span s, struct head *h)
{
    bool digits =
        s.n == 8 && s.p[5] >= '0' && s.p[5] <= '9' && s.p[6] == '.' && s.p[7] >= '0' && s.p[7] <= '9';

    if (!digits || !span_starts(s, SPAN_LIT("HTTP/"))) return 400;
    h->protocol = span_sub(s, 0, 4);
    h->major = s.p[5] - '0';
    h->minor = s.p[7] - '0';
    return h->major == 1 ? 0 : 505;
}

/* method SP target SP version, RFC 9112 3. */
static unsigned request_line(struct span line, struct http_request *r)
{
    struct span rest = line, proto;
    unsigned e;

    if (!span_split(&rest, ' ', &r->head.method) || rest.p == NULL) return 400;
    if (!span_split(&rest, ' ', &r->head.target) || rest.p == NULL) return 400;
    proto = rest;
    if (!head_is_token(r->head.method) || r->head.target.n == 0) return 400;
    e = version(proto, &r->head);
    if (e) return e;
    r->head.kind = HEAD_REQUEST;
    for (unsigned m = 0; m < HTTP_METHODS; m++) {
        if (!span_is(r->head.method, METHODS[m])) continue;
        r->method = (enum http_method)m;
        return 0;
    }
    return 501;
}

static bool valid_host(struct span s)
{
    static const char marks[] = "-._~!$&'()*+,;=:[]%";

    for (size_t i = 0; i < s.n; i++) {
        uint8_t c = s.p[i];

        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                (c && strchr(marks, c))))
            return false;
    }
    return true;
}

/* origin-form, absolute-form, or "*" for OPTIONS (RFC 9112 3.2). */
static unsigned target(struct http_request *r)
{
    struct span t = r->head.target;
    ssize_t at;

    for (size_t i = 0; i < t.n; i++)
        if (t.p[i] <= ' ' || t.p[i] >= 0x7f || t.p[i] == '#') return 400;
    if (span_is(t, "*") && r->method == HTTP_OPTIONS) {
        r->path = t;
        return 0;
    }
    if (span_istarts(t, "http://") || span_istarts(t, "https://")) {
        t = span_from(t, (size_t)span_find_span(t, SPAN_LIT("://")) + 3);
        for (at = 0; (size_t)at < t.n && t.p[at] != '/' && t.p[at] != '?'; at++) continue;
        r->host = span_sub(t, 0, (size_t)at);
        t = span_from(t, (size_t)at);
        if (r->host.n == 0 || !valid_host(r->host)) return 400;
    } else if (t.p[0] != '/') {
        return 400;
    }
    at = span_find(t, '?');
    r->path = at < 0 ? t : span_sub(t, 0, (size_t)at);
    r->query = at < 0 ? SPAN_NONE : span_from(t, (size_t)at + 1);
    if (r->path.n == 0) r->path = SPAN_LIT("/");
    return 0;
}

static unsigned fields(struct span rest, struct head *h)
{
    struct span line, name;

    for (;;) {
        ssize_t colon;

        if (!strict_line(&rest, &line)) return 400;
        if (line.n == 0) return rest.n == 0 ? 0 : 400;
        colon = span_find(line, ':');
        if (colon < 1) return 400;
        name = span_sub(line, 0, (size_t)colon);
        if (!head_is_token(name)) return 400; /* also a blank before the colon, and a folded line */
        if (h->n == HEAD_FIELDS_MAX) return 431;
        h->f[h->n++] = (struct head_field){name, span_trim(span_from(line, (size_t)colon + 1))};
    }
}

static unsigned host(struct http_request *r)
{
    struct span value;
    size_t at = 0, n = 0;

    while (head_next(&r->head, "Host", &at, &value)) {
        if (++n > 1 || !valid_host(value)) return 400;
        if (r->host.p == NULL) r->host = value; /* an absolute target's wins */
    }
    return n == 0 && r->head.minor > 0 ? 400 : 0;
}

static unsigned content_length(struct http_request *r, uint64_t body_max)
{
    struct span value, first = SPAN_NONE;
    size_t at = 0, n = 0;

    while (head_next(&r->head, "Content-Length", &at, &value))
        if (n++ == 0) first = value;
    if (n == 0) return 0;
    if (n > 1 || first.n == 0) return 400;
    for (size_t i = 0; i < first.n; i++)
        if (first.p[i] < '0' || first.p[i] > '9') return 400;
    return span_u64(first, body_max, &r->body_n) ? 0 : 413;
}

/* RFC 9112 6.1: "chunked", once and last; other codings are 501. */
static unsigned transfer_encoding(struct http_request *r)
{
    struct span value, member;
    size_t at = 0, fields_n = 0, chunked = 0, others = 0;
    bool last = false;

    while (head_next(&r->head, "Transfer-Encoding", &at, &value)) {
        fields_n++;
        while (head_list_next(&value, ',', &member)) {
            last = span_iis(member, "chunked");
            chunked += last;
            others += !last;
        }
    }
    if (fields_n == 0) return 0;
    if (r->head.minor == 0 || head_get(&r->head, "Content-Length").p) return 400;
    if (!last || chunked != 1) return 400;
    if (others > 0) return 501;
    r->chunked = fields_n == 1;
    return r->chunked ? 0 : 400;
}

static void connection(struct http_request *r)
{
    const struct head *h = &r->head;

    r->keep_alive = h->minor > 0 ? !head_has_token(h, "Connection", "close")
                                 : head_has_token(h, "Connection", "keep-alive");
    r->upgrade = h->minor > 0 && head_has_token(h, "Connection", "upgrade");
    r->expect_continue = h->minor > 0 && span_iis(head_get(h, "Expect"), "100-continue");
}

static unsigned parse(struct span head, uint64_t body_max, struct http_request *r)
{
    struct span rest = head, line;
    unsigned e;

    do {
        if (!strict_line(&rest, &line)) return 400;
    } while (line.n == 0 && rest.n > 0);
    e = request_line(line, r);
    if (!e) e = target(r);
    if (!e) e = fields(rest, &r->head);
    if (!e) e = host(r);
    if (!e) e = content_length(r, body_max);
    if (!e) e = transfer_encoding(r);
    if (!e) connection(r);
    return e;
}

int http_request_parse(
    struct head_find *f, struct span in, uint64_t body_max, struct http_request *ret, size_t *ret_n)
{
    static const struct head_limits limits = {HTTP_LINE_MAX, HTTP_HEAD_MAX};
    size_t n;

    switch (head_find(f, in, &limits, &n)) {
    case 0: break;
    case HEAD_E_MORE: return HEAD_E_MORE;
    case HEAD_E_LINE_LONG: return 414;
    default: return 431;
    }
    *ret = (struct http_request){0};
    *ret_n = n;
    return (int)parse(span_sub(in, 0, n), body_max, ret);
}

/* ---- chunked bodies ---- */

enum { CHUNK_SIZE = 0, CHUNK_EXT, CHUNK_SIZE_LF, CHUNK_DATA, CHUNK_CR, CHUNK_LF, CHUNK_TRAILER, CHUNK_OVER };

/* One byte of a size line: digits, extensions, CR. */
static int size_byte(struct http_chunked *c, uint8_t byte)
{
    int d = hex_digit(byte);

    if (++c->line > CHUNK_LINE_MAX) return HTTP_CHUNK_BAD;
    if (c->state == CHUNK_SIZE && d >= 0) {
        if (c->left > UINT64_MAX >> 5) return HTTP_CHUNK_BAD;
        c->left = c->left << 4 | (uint64_t)d;
        return 0;
    }
    if (c->line == 1) return HTTP_CHUNK_BAD;
    if (byte == '\r') {
        c->state = CHUNK_SIZE_LF;
        return 0;
    }
    if (c->state == CHUNK_SIZE && byte != ';' && byte != ' ' && byte != '\t') return HTTP_CHUNK_BAD;
    if (byte < ' ' && byte != '\t') return HTTP_CHUNK_BAD;
    c->state = CHUNK_EXT;
    return 0;
}

/* Trailer lines are passed over. `left` counts the bytes of the line under way here. */
static int trailer_byte(struct http_chunked *c, uint8_t byte)
{
    if (++c->line > CHUNK_LINE_MAX) return HTTP_CHUNK_BAD;
    if (byte == '\r') {
        c->state = CHUNK_OVER;
        return 0;
    }
    if (byte < ' ' && byte != '\t') return HTTP_CHUNK_BAD;
    c->left++;
    return 0;
}

static int frame_byte(struct http_chunked *c, uint8_t byte, uint64_t body_max)
{
    switch (c->state) {
    case CHUNK_SIZE:
    case CHUNK_EXT: return size_byte(c, byte);
    case CHUNK_SIZE_LF:
        if (byte != '\n') return HTTP_CHUNK_BAD;
        if (c->left > body_max || c->total > body_max - c->left) return HTTP_CHUNK_LARGE;
        c->total += c->left;
        c->state = c->left > 0 ? CHUNK_DATA : CHUNK_TRAILER;
        c->line = 0;
        return 0;
    case CHUNK_CR: c->state = CHUNK_LF; return byte == '\r' ? 0 : HTTP_CHUNK_BAD;
    case CHUNK_LF: c->state = CHUNK_SIZE; return byte == '\n' ? 0 : HTTP_CHUNK_BAD;
    case CHUNK_TRAILER: return trailer_byte(c, byte);
    default:
        if (byte != '\n') return HTTP_CHUNK_BAD;
        if (c->left == 0) return HTTP_CHUNK_END;
        c->left = 0;
        c->state = CHUNK_TRAILER;
        return 0;
    }
}

int http_chunked_next(struct http_chunked *c, struct span *in, uint64_t body_max, struct span *ret_data)
{
    while (in->n > 0) {
        int e;

        if (c->state == CHUNK_DATA) {
            size_t n = (size_t)MIN(c->left, (uint64_t)in->n);

            *ret_data = span_sub(*in, 0, n);
            *in = span_from(*in, n);
            c->left -= n;
            if (c->left == 0) c->state = CHUNK_CR;
            return 0;
        }
        e = frame_byte(c, in->p[0], body_max);
        *in = span_from(*in, 1);
        if (e) return e;
    }
    return HTTP_CHUNK_MORE;
}

/* ---- paths ---- */

/* One segment, decoded behind what is in w. */
static bool path_segment(struct span segment, struct wr *w)
{
    size_t start = w->n;
    struct span decoded;

    for (size_t i = 0; i < segment.n; i++) {
        uint8_t c = segment.p[i];

        if (c == '%') {
            int high = i + 2 < segment.n ? hex_digit(segment.p[i + 1]) : -1;
            int low = i + 2 < segment.n ? hex_digit(segment.p[i + 2]) : -1;

            if (high < 0 || low < 0) return false;
            c = (uint8_t)(high << 4 | low);
            i += 2;
        }
        if (c < ' ' || c == 0x7f || c == '/' || c == '\\') return false;
        wr_u8(w, c);
    }
    if (!wr_ok(w)) return false;
    decoded = span_from(wr_span(w), start);
    return !span_is(decoded, "..");
}

bool http_path_decode(struct span path, char *dst, size_t cap)
{
    struct wr w = wr_of(dst, cap - 1);
    struct span rest = path, segment;

    if (path.n == 0 || path.p[0] != '/') return false;
    rest = span_from(path, 1);
    wr_u8(&w, '/');
    while (span_split(&rest, '/', &segment)) {
        size_t start = w.n;

        if (!path_segment(segment, &w)) return false;
        if (span_is(span_from(wr_span(&w), start), ".")) w.n = start;
        if (w.n > start && rest.p != NULL) wr_u8(&w, '/');
    }
    if (!wr_ok(&w)) return false;
    dst[w.n] = 0;
    return true;
}
