#include "httpd/h2_head.h"

#define PART_MAX (HTTP_HEAD_MAX + 1)

/* Of the connection, not of the message (RFC 9113 8.2.2). */
static const char *const connection_fields[] = {
    "connection", "keep-alive", "proxy-connection", "transfer-encoding", "upgrade"};

void h2_request_init(struct h2_request *r)
{
    *r = (struct h2_request){.bad = false};
    buf_init(&r->method, PART_MAX);
    buf_init(&r->path, PART_MAX);
    buf_init(&r->authority, PART_MAX);
    buf_init(&r->cookie, PART_MAX);
    buf_init(&r->fields, PART_MAX);
}

void h2_request_done(struct h2_request *r)
{
    buf_done(&r->method);
    buf_done(&r->path);
    buf_done(&r->authority);
    buf_done(&r->cookie);
    buf_done(&r->fields);
}

/* Would end a line of HTTP/1.1, or its first part. */
static bool breaks(struct span s, uint8_t upto)
{
    for (size_t i = 0; i < s.n; i++)
        if (s.p[i] == 0 || s.p[i] == '\r' || s.p[i] == '\n' || s.p[i] <= upto || s.p[i] == 0x7f) return true;
    return false;
}

static void put(struct h2_request *r, struct buf *to, struct span s)
{
    if (!buf_put(to, s)) r->large = true;
}

static void pseudo(struct h2_request *r, struct span name, struct span value)
{
    const struct {
        const char *name;
        struct buf *to;
    } rows[] = {{":method", &r->method}, {":path", &r->path}, {":authority", &r->authority}};

    for (size_t i = 0; i < ARRAY_N(rows); i++) {
        if (!span_is(name, rows[i].name)) continue;
        r->bad |= breaks(value, ' ') || buf_n(rows[i].to) > 0;
        put(r, rows[i].to, value);
    }
}

static bool of_connection(struct span name)
{
    for (size_t i = 0; i < ARRAY_N(connection_fields); i++)
        if (span_is(name, connection_fields[i])) return true;
    return false;
}

void h2_request_field(struct h2_request *r, struct span name, struct span value)
{
    if (r->bad || r->large) return;
    if (name.n > 0 && name.p[0] == ':') {
        pseudo(r, name, value);
        return;
    }
    r->bad |= breaks(value, 0) || !head_is_token(name) || of_connection(name);
    if (span_is(name, "content-length")) r->has_length = true;
    if (span_is(name, "cookie")) {
        if (buf_n(&r->cookie) > 0) put(r, &r->cookie, SPAN_LIT("; "));
        put(r, &r->cookie, value);
        return;
    }
    /* A Host that says the same as :authority would be a second one. */
    if (span_is(name, "host") && span_ieq(value, buf_span(&r->authority)) && value.n > 0) return;
    put(r, &r->fields, name);
    put(r, &r->fields, SPAN_LIT(": "));
    put(r, &r->fields, value);
    put(r, &r->fields, SPAN_LIT("\r\n"));
    if (buf_n(&r->fields) > HTTP_HEAD_MAX) r->large = true;
}

static bool put_line(struct buf *to, const char *before, const struct buf *value)
{
    return buf_n(value) == 0 ||
        (buf_text(to, before) && buf_put(to, buf_span(value)) && buf_text(to, "\r\n"));
}

unsigned h2_request_text(const struct h2_request *r, bool body, struct buf *to)
{
    if (r->bad) return 400;
    if (r->large) return 431;
    if (span_is(buf_span(&r->method), "CONNECT")) return 501;
    if (buf_n(&r->method) == 0 || buf_n(&r->path) == 0) return 400;
    if (!buf_put(to, buf_span(&r->method)) || !buf_text(to, " ") || !buf_put(to, buf_span(&r->path)) ||
        !buf_text(to, " HTTP/1.1\r\n") || !put_line(to, "Host: ", &r->authority) ||
        !buf_put(to, buf_span(&r->fields)) || !put_line(to, "Cookie: ", &r->cookie) ||
        (body && !r->has_length && !buf_text(to, "Transfer-Encoding: chunked\r\n")) ||
        !buf_text(to, "Connection: close\r\n\r\n"))
        return 431;
    return 0;
}

/* --- answers --- */

static nghttp2_nv nv_of(struct span name, struct span value)
{
    return (nghttp2_nv){.name = (uint8_t *)(uintptr_t)name.p,
        .value = (uint8_t *)(uintptr_t)value.p,
        .namelen = name.n,
        .valuelen = value.n};
}

static void lower(struct span s)
{
    uint8_t *p = (uint8_t *)(uintptr_t)s.p;

    for (size_t i = 0; i < s.n; i++)
        if (p[i] >= 'A' && p[i] <= 'Z') p[i] = (uint8_t)(p[i] - 'A' + 'a');
}

bool h2_answer_of(struct span text, struct h2_answer *ret)
{
    struct head head;

    if (head_parse(text, &head) != 0 || head.kind != HEAD_STATUS || head.cut || head.status < 200)
        return false;
    snprintf(ret->status, sizeof(ret->status), "%u", head.status % 1000);
    ret->v[0] = nv_of(SPAN_LIT(":status"), span(ret->status, 3));
    ret->n = 1;
    for (size_t i = 0; i < head.n; i++) {
        lower(head.f[i].name);
        if (!of_connection(head.f[i].name)) ret->v[ret->n++] = nv_of(head.f[i].name, head.f[i].value);
    }
    return true;
}
