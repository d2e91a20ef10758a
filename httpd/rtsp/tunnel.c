#include "httpd/rtsp/tunnel.h"
#include "common/wire/base64.h"

#define TUNNEL_TYPE "application/x-rtsp-tunnelled"

static const struct head_limits limits = {TUNNEL_HEAD_MAX, TUNNEL_HEAD_MAX};

static const struct {
    const char *method;
    enum tunnel_kind kind;
} kinds[] = {{"GET ", TUNNEL_GET}, {"POST ", TUNNEL_POST}};

/* By its first bytes, as far as they go. */
static enum tunnel_kind kind_of(struct span in)
{
    for (size_t i = 0; i < ARRAY_N(kinds); i++) {
        struct span m = span_of(kinds[i].method);

        if (span_starts(in, m)) return kinds[i].kind;
        if (in.n < m.n && span_starts(m, in)) return TUNNEL_MORE;
    }
    return TUNNEL_NONE;
}

enum tunnel_kind tunnel_look(struct head_find *find, struct span in, struct tunnel_head *ret)
{
    enum tunnel_kind kind = kind_of(in);
    struct head *h = &ret->head;
    int err;

    if (kind != TUNNEL_GET && kind != TUNNEL_POST) return kind;
    err = head_find(find, in, &limits, &ret->n);
    if (err == HEAD_E_MORE) return TUNNEL_MORE;
    if (err != 0 || head_parse(span_sub(in, 0, ret->n), h) != 0 || !span_iis(h->protocol, "HTTP"))
        return TUNNEL_BAD;
    if (!span_copy(head_get(h, "x-sessioncookie"), ret->cookie, sizeof(ret->cookie))) return TUNNEL_BAD;
    ret->path = h->target;
    return ret->cookie[0] ? kind : TUNNEL_BAD;
}

bool tunnel_is(const struct head *h)
{
    const char *field = span_is(h->method, "POST") ? "Content-Type" : "Accept";

    if (!span_is(h->method, "GET") && !span_is(h->method, "POST")) return false;
    return head_get(h, "x-sessioncookie").n > 0 && span_iis(head_get(h, field), TUNNEL_TYPE);
}

struct span tunnel_answer(void)
{
    return SPAN_LIT(
        "HTTP/1.0 200 OK\r\nServer: media-server\r\nConnection: close\r\nCache-Control: no-store\r\n"
        "Pragma: no-cache\r\nContent-Type: " TUNNEL_TYPE "\r\n\r\n");
}

bool tunnel_decode(struct tunnel_text *t, struct span in, struct buf *to)
{
    for (size_t i = 0; i < in.n; i++) {
        uint8_t c = in.p[i], three[3];
        struct wr w = wr_of(three, sizeof(three));

        if (c == '\r' || c == '\n' || c == ' ' || c == '\t') continue;
        t->quad[t->n++] = c;
        if (t->n < sizeof(t->quad)) continue;
        t->n = 0;
        if (!base64_read(span(t->quad, sizeof(t->quad)), &w) || !buf_put(to, wr_span(&w))) return false;
    }
    return true;
}
