#include "common/conf/store.h"
#include "common/base/wr.h"
#include "common/wire/url.h"

#define PORT 2379

static bool decode(struct span s, char *to, size_t cap)
{
    struct wr w = wr_of(to, cap - 1);

    if (!url_decode(s, false, &w)) return false;
    to[w.n] = 0;
    return strlen(to) == w.n;
}

/* "host", "host:2379", "[::1]:2379". */
static bool add_host(struct conf_store *c, struct span s, bool tls)
{
    bool bracket = s.n > 0 && s.p[0] == '[';
    ssize_t end = bracket ? span_find(s, ']') : -1, colon;
    struct span rest = end >= 0 ? span_from(s, (size_t)end + 1) : s;
    uint64_t port = PORT;

    if (c->n == CONF_STORE_HOSTS_MAX || s.n == 0 || (bracket && end < 2)) return false;
    for (size_t i = 0; i < s.n; i++)
        if (s.p[i] <= ' ' || s.p[i] >= 0x7f || strchr("\\\"'#?@/%", s.p[i])) return false;
    colon = span_find(rest, ':');
    if (bracket && rest.n > 0 && colon != 0) return false;
    if (colon >= 0 && (!span_u64(span_from(rest, (size_t)colon + 1), 65535, &port) || port == 0))
        return false;
    s = span_sub(s, 0, s.n - (colon >= 0 ? rest.n - (size_t)colon : 0));
    if (s.n == 0 || s.n > URL_HOST_MAX) return false;
    snprintf(c->urls[c->n++], CONF_STORE_URL_MAX, "%s://%.*s:%u", tls ? "https" : "http", SPAN_FMT(s),
        (unsigned)port);
    return true;
}

static bool read_user(struct span s, struct conf_store *c)
{
    ssize_t colon = span_find(s, ':');

    return colon > 0 && decode(span_sub(s, 0, (size_t)colon), c->user, sizeof(c->user)) &&
        decode(span_from(s, (size_t)colon + 1), c->password, sizeof(c->password));
}

const char *conf_store_read(struct span text, struct conf_store *ret)
{
    bool tls = span_istarts(text, "etcds://");
    struct span rest = span_from(text, tls ? 8 : 7), hosts, host;
    ssize_t slash, at;

    *ret = (struct conf_store){.n = 0};
    if (!tls && !span_istarts(text, "etcd://")) return "does not begin with etcd:// or etcds://";
    slash = span_find(rest, '/');
    if (slash < 0 || (size_t)slash + 1 >= rest.n)
        return "names no prefix behind its hosts: etcd://host:2379/media";
    hosts = span_sub(rest, 0, (size_t)slash);
    rest = span_from(rest, (size_t)slash);
    while (rest.n > 1 && rest.p[rest.n - 1] == '/') rest.n--;
    if (rest.n == 1 || !span_copy(rest, ret->prefix, sizeof(ret->prefix)) || strpbrk(ret->prefix, " \t?#"))
        return "has a prefix that is too long, or has a blank, '?' or '#' in it";
    at = span_find(hosts, '@');
    if (at >= 0 && !read_user(span_sub(hosts, 0, (size_t)at), ret))
        return "has no user and password before the '@', user:password@";
    hosts = span_from(hosts, (size_t)(at + 1));
    while (span_split(&hosts, ',', &host))
        if (!add_host(ret, host, tls)) return "has a host that is none, or more than 8 of them";
    return ret->n > 0 ? NULL : "names no host";
}
