#include "httpd/proxied.h"

#include <sys/socket.h>

/* "10.0.0.1", "[::1]", either with a port, as some proxies write them; "::1". */
static bool address_of(struct span text, struct addr *ret)
{
    ssize_t colon = span_find(text, ':'), bracket = span_find(text, ']');

    if (bracket > 0) return addr_parse(span_sub(text, 0, (size_t)bracket + 1), ret);
    if (colon > 0 && span_find(span_from(text, (size_t)colon + 1), ':') < 0)
        text = span_sub(text, 0, (size_t)colon);
    return addr_parse(text, ret);
}

/* The last member, cut off. Several fields of the name are one list, the last one its end. */
static bool last_member(struct span *rest, struct span *ret)
{
    size_t i = rest->n;

    if (!rest->p) return false;
    while (i > 0 && rest->p[i - 1] != ',') i--;
    *ret = span_trim(span_from(*rest, i));
    *rest = i > 0 ? span_sub(*rest, 0, i - 1) : SPAN_NONE;
    return true;
}

/* false: what stands before is said by nobody we trust. */
static bool walk_back(const struct cidrs *proxies, struct span list, struct addr *address)
{
    struct span member;

    while (cidrs_has(proxies, address) && last_member(&list, &member)) {
        struct addr before;

        if (member.n == 0) continue;
        if (!address_of(member, &before)) return false;
        *address = before;
    }
    return cidrs_has(proxies, address);
}

void proxied_viewer(
    const struct cidrs *proxies, const struct sockaddr *peer, const struct head *head, struct access_ask *a)
{
    struct span fields[HEAD_FIELDS_MAX], value;
    size_t n = 0, at = 0;

    if (!addr_of(peer, &a->address) || !cidrs_has(proxies, &a->address)) return;
    a->secure |= span_iis(span_trim(head_get(head, "X-Forwarded-Proto")), "https");
    while (n < HEAD_FIELDS_MAX && head_next(head, "X-Forwarded-For", &at, &value)) fields[n++] = value;
    while (n > 0 && walk_back(proxies, fields[n - 1], &a->address)) n--;
}
