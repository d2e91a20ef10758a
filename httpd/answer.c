#include "httpd/answer.h"
#include "httpd/bytes.h"
#include "httpd/elsewhere.h"
#include "httpd/gzip.h"
#include "httpd/hls.h"
#include "httpd/http_access.h"
#include "httpd/json.h"
#include "common/base/mem.h"

#define HEAD_MAX  (2048 + HTTP_COOKIE_MAX)
#define ERROR_MAX 300
#define PAGE_MAX  (1024 + 6 * ERROR_MAX)

#define PAGE_POLICY                                                                                          \
    "Content-Security-Policy: default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' "      \
    "data:; "                                                                                                \
    "media-src 'self' blob:; connect-src 'self'; worker-src 'self'; base-uri 'none'; form-action 'none'; "   \
    "frame-ancestors "

/* What is no page is never shown as one; nothing of API and panel stands in a frame. */
#define DATA_POLICY  "Content-Security-Policy: default-src 'none'; frame-ancestors 'none'\r\n"
#define PANEL_POLICY "X-Frame-Options: DENY\r\nCross-Origin-Opener-Policy: same-origin\r\n"
/* A browser keeps to it on every port of a host: only where no listener is without TLS. */
#define TLS_POLICY "Strict-Transport-Security: max-age=31536000\r\n"

void body_set(struct body *b, struct chunk *plain)
{
    body_done(b);
    b->plain = plain;
    snprintf(
        b->etag, sizeof(b->etag), "\"%016llx\"", (unsigned long long)hash_fnv1a(span(plain->data, plain->n)));
}

void body_done(struct body *b)
{
    chunk_unref(b->plain);
    chunk_unref(b->packed);
    *b = (struct body){0};
}

static bool origin_allowed(const char *list, struct span origin)
{
    struct span rest = span_of(list), piece;

    while (span_split(&rest, ',', &piece))
        if (span_ieq(span_trim(piece), origin)) return true;
    return false;
}

bool answer_origin_named(const struct http *h, struct span origin)
{
    return strcmp(h->hub->allow_origin, "*") != 0 && origin_allowed(h->hub->allow_origin, origin);
}

/* CORS on the roads of media only; none where a page or the panel is served. */
static void write_cors(struct wr *w, const struct http *h)
{
    const struct route *r = h->ask->match.route;
    struct span origin;

    if (!r || !(r->flags & ROUTE_MEDIA) || h->hub->allow_origin[0] == '\0') return;
    if (strcmp(h->hub->allow_origin, "*") == 0) {
        wr_text(w, "Access-Control-Allow-Origin: *\r\n");
    } else {
        wr_text(w, "Vary: Origin\r\n");
        origin = head_get(&h->ask->req.head, "Origin");
        if (!origin.p || !origin_allowed(h->hub->allow_origin, origin)) return;
        wr_fmt(w, "Access-Control-Allow-Origin: %.*s\r\n", SPAN_FMT(origin));
    }
    wr_text(w,
        "Access-Control-Expose-Headers: Content-Length, Content-Range, Date, ETag, X-Tracks-Left-Out, "
        "X-Nearest-Recorded, X-Archive-Incomplete, X-Archive-From, X-Archive-To, X-Archive-Gaps, "
        "X-Archive-Gap-Seconds, X-Format-Changes, Content-Disposition, X-Picture-Time, X-Picture-Age\r\n");
}

static void write_policy(struct wr *w, const struct http *h, const struct answer *a)
{
    const struct route *r = h->ask ? h->ask->match.route : NULL;
    bool frame = r && (r->flags & ROUTE_FRAME);

    wr_text(w, "X-Content-Type-Options: nosniff\r\nReferrer-Policy: no-referrer\r\n");
    if (a->type && span_starts(span_of(a->type), SPAN_LIT("text/html")))
        wr_fmt(w, PAGE_POLICY "%s\r\n", frame ? "*" : "'none'");
    else if (h->module)
        wr_text(w, DATA_POLICY);
    if (h->module && !frame) wr_text(w, PANEL_POLICY);
    if (conn_is_tls(h->conn) && !atomic_load(&h->hub->server->plain)) wr_text(w, TLS_POLICY);
}

static void write_cache(struct wr *w, const struct http *h, const char *cache)
{
    struct span rest = span_of(cache), shared = SPAN_LIT("public");

    if (h->ask && h->ask->not_public && span_starts(rest, shared))
        wr_fmt(w, "Cache-Control: private%s\r\n", cache + shared.n);
    else
        wr_fmt(w, "Cache-Control: %s\r\n", cache);
}

static void write_head(struct wr *w, struct http *h, const struct answer *a, uint64_t n)
{
    char date[HTTP_DATE_MAX];

    wr_fmt(w, "HTTP/1.1 %u %s\r\n", a->status, http_reason(a->status));
    wr_text(w, hub_date(h->hub));
    if (a->type) wr_fmt(w, "Content-Type: %s\r\n", a->type);
    if (n != ANSWER_ENDLESS && a->status != 304 && a->status != 204)
        wr_fmt(w, "Content-Length: %llu\r\n", (unsigned long long)n);
    if (a->coding) wr_fmt(w, "Content-Encoding: %s\r\n", a->coding);
    if (a->vary) wr_text(w, "Vary: Accept-Encoding\r\n");
    if (a->cache) write_cache(w, h, a->cache);
    if (a->v.etag.n > 0) wr_fmt(w, "ETag: %.*s\r\n", SPAN_FMT(a->v.etag));
    if (a->v.modified_us > 0) wr_fmt(w, "Last-Modified: %s\r\n", http_date(a->v.modified_us, date));
    if (h->ask) write_cors(w, h);
    write_policy(w, h, a);
    if (a->extra) wr_text(w, a->extra);
    if (a->cookie) wr_text(w, a->cookie);
    if (h->last) wr_text(w, "Connection: close\r\n");
    wr_text(w, "\r\n");
}

bool answer_head_put(struct http *h, const struct answer *a, uint64_t n, struct buf *to)
{
    uint8_t mem[HEAD_MAX];
    struct wr w = wr_of(mem, sizeof(mem));

    write_head(&w, h, a, n);
    return wr_ok(&w) && buf_put(to, wr_span(&w));
}

void answer_head(struct http *h, const struct answer *a, uint64_t n)
{
    uint8_t mem[HEAD_MAX];
    struct wr w = wr_of(mem, sizeof(mem));

    if (n == ANSWER_ENDLESS) h->last = true;
    write_head(&w, h, a, n);
    if (!wr_ok(&w)) { /* only an absurd Origin list could do that */
        http_cut(h);
        return;
    }
    conn_send(h->conn, wr_span(&w));
}

void answer_empty(struct http *h, const struct answer *a)
{
    answer_head(h, a, 0);
    http_done(h);
}

bool answer_range(
    struct http *h, struct answer *a, uint64_t n, char *extra, size_t cap, struct http_range *ret_range)
{
    const struct head *head = &h->ask->req.head;
    unsigned status = http_conditions(head, true, &a->v);

    *ret_range = (struct http_range){0, n};
    if (status == 304) {
        a->status = 304;
        a->coding = NULL;
        answer_empty(h, a);
        return false;
    }
    if (status != 0) {
        answer_error(h, status, "the precondition does not hold");
        return false;
    }
    snprintf(extra, cap, "Accept-Ranges: bytes\r\n%s", a->extra ? a->extra : "");
    switch (http_range_of(head, &a->v, n, ret_range)) {
    case HTTP_RANGE_ONE:
        a->status = 206;
        snprintf(extra, cap, "Accept-Ranges: bytes\r\nContent-Range: bytes %llu-%llu/%llu\r\n%s",
            (unsigned long long)ret_range->from, (unsigned long long)(ret_range->from + ret_range->n - 1),
            (unsigned long long)n, a->extra ? a->extra : "");
        break;
    case HTTP_RANGE_NOT_SATISFIABLE:
        snprintf(extra, cap, "Content-Range: bytes */%llu\r\n", (unsigned long long)n);
        answer_error_with(h, 416, extra, "the range lies outside of %llu bytes", (unsigned long long)n);
        return false;
    default: *ret_range = (struct http_range){0, n}; break;
    }
    a->extra = extra;
    return true;
}

void answer_chunk(struct http *h, struct answer *a, struct chunk *c)
{
    char extra[ANSWER_EXTRA_MAX];
    struct http_range range;

    if (!answer_range(h, a, c->n, extra, sizeof(extra), &range)) return;
    answer_head(h, a, range.n);
    if (!h->ask->head_only && range.n > 0) conn_send_chunk(h->conn, c, range.from, range.n);
    http_done(h);
}

struct chunk *body_pack(struct body *b)
{
    uint8_t *p;
    size_t n;

    if (b->pack_tried) return b->packed;
    b->pack_tried = true;
    if (!gzip_pack(span(b->plain->data, b->plain->n), gzip_effort_for(b->plain->n), &p, &n)) return NULL;
    b->packed = bytes_chunk(span(p, n));
    mem_free(p);
    return b->packed;
}

/* A playlist that everybody shares, with the names that this viewer has for what it lists. */
static bool answer_below(struct http *h, struct answer *a, struct body *b)
{
    char prefix[HTTP_PREFIX_MAX];
    struct text below;

    if (a->placed || strcmp(a->type, HLS_TYPE) != 0 || http_prefix(h, prefix)[0] == '\0') return false;
    text_init(&below, 2 * HLS_LIVE_MAX);
    hls_below(&below, span(b->plain->data, b->plain->n), prefix);
    a->placed = true;
    if (text_ok(&below))
        answer_made(h, a, text_span(&below));
    else
        answer_error(h, 503, "out of memory");
    text_done(&below);
    return true;
}

void answer_body(struct http *h, struct answer *a, struct body *b, bool pack)
{
    struct chunk *c = b->plain;
    char etag[ETAG_MAX + 4];

    if (answer_below(h, a, b)) return;
    a->vary = pack;
    a->v.etag = span_of(b->etag);
    if (pack && http_accepts_coding(&h->ask->req.head, "gzip") > 0 && body_pack(b)) {
        c = b->packed;
        a->coding = "gzip";
        snprintf(etag, sizeof(etag), "%.*s-gz\"", (int)(strlen(b->etag) - 1), b->etag);
        a->v.etag = span_of(etag);
    }
    answer_chunk(h, a, c);
}

void answer_made(struct http *h, struct answer *a, struct span bytes)
{
    struct body b = {0};
    struct chunk *c = bytes_chunk(bytes);

    if (!c) {
        answer_error(h, 503, "out of memory");
        return;
    }
    body_set(&b, c);
    answer_body(h, a, &b, true);
    body_done(&b);
}

void answer_bytes(struct http *h, const struct answer *a, struct span bytes)
{
    answer_head(h, a, bytes.n);
    if (!h->ask || !h->ask->head_only) conn_send(h->conn, bytes);
    http_done(h);
}

static void put_html(struct wr *w, struct span text)
{
    for (size_t i = 0; i < text.n; i++) {
        uint8_t c = text.p[i];

        if (c == '<' || c == '>' || c == '&' || c == '"')
            wr_fmt(w, "&#%u;", c);
        else
            wr_u8(w, c);
    }
}

/* In the place of the player, which other sites frame: a page like it. */
static void put_page(struct wr *w, unsigned status, struct span text)
{
    wr_fmt(w,
        "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n"
        "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
        "<meta name=\"color-scheme\" content=\"light dark\">\n<title>%u %s</title>\n"
        "<link rel=\"stylesheet\" href=\"../cpanel/player/player.css\">\n"
        "<main class=\"player alone\"><div class=\"stage\"><div class=\"notice\" role=\"alert\">"
        "<p class=\"notice-title\">%s</p><p>",
        status, http_reason(status), http_reason(status));
    put_html(w, text);
    wr_text(w, "</p></div></div></main>\n");
}

static bool is_v3(const struct http *h)
{
    return h->ask && h->ask->match.route && h->ask->match.route->flags & ROUTE_V3;
}

/* "not-found" of "Not Found". */
static void put_code(struct text *to, const char *reason)
{
    for (; *reason; reason++)
        text_fmt(to, "%c",
            *reason == ' '                         ? '-'
                : *reason >= 'A' && *reason <= 'Z' ? *reason | 0x20
                                                   : *reason);
}

/* RFC 9457. */
static void send_problem(struct http *h, const struct answer *like, uint32_t incident, struct span why)
{
    struct answer a = *like;
    struct text b;

    a.type = "application/problem+json";
    text_init(&b, ERROR_MAX * 8);
    text_fmt(&b, "{\"type\":\"about:blank\",\"title\":\"%s\",\"status\":%u,\"code\":\"",
        http_reason(a.status), a.status);
    put_code(&b, http_reason(a.status));
    text_put(&b, "\",\"detail\":");
    json_text(&b, why);
    if (incident != 0) text_fmt(&b, ",\"instance\":\"%08x\"", incident);
    text_put(&b, "}\n");
    answer_bytes(h, &a, text_span(&b));
    text_done(&b);
}

PRINTF_LIKE(4, 0)
static void error_text(struct http *h, unsigned status, const char *extra, const char *fmt, va_list ap)
{
    bool page = h->ask && h->ask->match.route && (h->ask->match.route->flags & ROUTE_FRAME);
    struct answer a = {.status = status,
        .type = page ? "text/html; charset=utf-8" : "text/plain; charset=utf-8",
        .cache = CACHE_NEVER,
        .extra = extra};
    uint8_t mem[ERROR_MAX], html[PAGE_MAX];
    struct wr w = wr_of(mem, sizeof(mem)), p = wr_of(html, sizeof(html));

    if (is_v3(h)) {
        wr_vfmt(&w, fmt, ap);
        send_problem(h, &a, 0, wr_span(&w));
        return;
    }
    if (!page) wr_fmt(&w, "%u %s: ", status, http_reason(status));
    wr_vfmt(&w, fmt, ap);
    if (!page) wr_text(&w, "\n");
    if (page) put_page(&p, status, wr_span(&w));
    answer_bytes(h, &a, page ? wr_span(&p) : wr_span(&w));
}

void answer_incident(struct http *h, unsigned status, uint32_t incident, const char *why)
{
    const struct answer a = {.status = status, .cache = CACHE_NEVER};

    if (is_v3(h))
        send_problem(h, &a, incident, span_of(why));
    else
        answer_error(h, status, "%s; the log has it by the id %08x", why, incident);
}

void answer_error(struct http *h, unsigned status, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    error_text(h, status, NULL, fmt, ap);
    va_end(ap);
}

void answer_error_with(struct http *h, unsigned status, const char *extra, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    error_text(h, status, extra, fmt, ap);
    va_end(ap);
}

void answer_not_live(struct http *h)
{
    char line[ELSEWHERE_MAX];
    struct wr w = wr_of(line, sizeof(line));
    struct stream_now now;

    if (elsewhere_http(h, &w)) {
        answer_error_with(h, 307, line, "another node has this stream");
        return;
    }
    stream_now(h->ask->stream, &now);
    answer_error_with(h, 503, "Retry-After: 2\r\n", "the camera is %s%s%s",
        now.state == STREAM_ACTIVE ? "captured, but no picture has come yet" : ring_state_word(now.state),
        now.reason[0] ? ": " : "", now.reason);
}
