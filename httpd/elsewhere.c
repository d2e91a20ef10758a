#include "httpd/elsewhere.h"
#include "common/wire/url.h"

bool elsewhere_line(const char *host, struct span url, struct wr *w)
{
    struct url u;

    if (host[0] == '\0' || url_parse(url, &u) != 0) return false;
    u.host = span_of(host);
    u.ipv6 = span_find(u.host, ':') >= 0;
    wr_text(w, "Location: ");
    url_write(w, &u);
    wr_text(w, "\r\n");
    wr_cstr(w);
    return wr_ok(w);
}

bool elsewhere_http(const struct http *h, struct wr *w)
{
    return elsewhere_at(h, h->ask->stream->v.elsewhere, w);
}

bool elsewhere_at(const struct http *h, const char *host, struct wr *w)
{
    const struct ask *a = h->ask;
    char url[URL_MAX];
    struct wr text = wr_of(url, sizeof(url));

    /* a session is this node's */
    if (a->session_id.n > 0) return false;
    wr_text(&text, conn_is_tls(h->conn) ? "https://" : "http://");
    wr_bytes(&text, head_get(&a->req.head, "Host"));
    wr_bytes(&text, a->req.head.target);
    return wr_ok(&text) && elsewhere_line(host, wr_span(&text), w);
}
