#include "httpd/rtsp/target.h"

/* Path and query: what is behind "rtsp://host:port", or all of it. p == NULL: neither. */
static struct span tail_of(struct span text)
{
    static const char *const schemes[] = {"rtsp://", "rtsps://", "rtspt://", "rtspu://"};

    for (size_t i = 0; i < ARRAY_N(schemes); i++) {
        struct span rest;
        ssize_t slash;

        if (!span_istarts(text, schemes[i])) continue;
        rest = span_from(text, strlen(schemes[i]));
        slash = span_find(rest, '/');
        return slash < 0 ? SPAN_NONE : span_from(rest, (size_t)slash);
    }
    return text.n > 0 && text.p[0] == '/' ? text : SPAN_NONE;
}

static bool is_control(struct span s)
{
    return span_istarts(s, "trackID=") || span_istarts(s, "track=");
}

/* Takes the control off the end of path or query. */
static void cut_control(struct span *s, struct span *ret_control)
{
    size_t at = s->n;

    while (at > 0 && s->p[at - 1] != '/') at--;
    if (at == 0 || !is_control(span_from(*s, at))) return;
    *ret_control = span_from(*s, at);
    *s = span_sub(*s, 0, at - 1);
}

static void cut_slash(struct span *s)
{
    if (s->n > 0 && s->p[s->n - 1] == '/') s->n--;
}

bool rtsp_target(struct span text, const char *base, struct rtsp_target *ret)
{
    struct rtsp_target t = {0};
    struct span path = tail_of(text), first, prefix = span_of(base);
    ssize_t mark = span_find(path, '?');

    if (path.p == NULL) return false;
    if (mark >= 0) {
        t.query = span_from(path, (size_t)mark + 1);
        path = span_sub(path, 0, (size_t)mark);
        cut_control(&t.query, &t.control);
        cut_slash(&t.query);
    }
    if (t.control.n == 0) cut_control(&path, &t.control);
    t.base = span_sub(text, 0, text.n - t.control.n);
    if (!span_starts(path, prefix)) return false;
    path = span_from(path, prefix.n);
    cut_slash(&path);
    if (!span_split(&path, '/', &first)) return false;
    t.uid = first;
    if (path.p != NULL && (span_is(first, "live") || span_is(first, "dvr"))) {
        t.dvr = span_is(first, "dvr");
        t.original = true;
        span_split(&path, '/', &t.uid);
    }
    if (path.p != NULL || t.uid.n == 0) return false;
    *ret = t;
    return true;
}
