#include "master/connector/policy.h"
#include "common/base/mem.h"

#include <arpa/inet.h>
#include <errno.h>

/* Where an IPv6 address carries an IPv4 one (RFC 4291 2.5.5, RFC 6052 2.1, RFC 3056 2). */
static const struct {
    uint8_t prefix[12];
    unsigned bits, at;
} carriers[] = {
    {{0}, 96, 12},
    {{0x00, 0x64, 0xff, 0x9b}, 96, 12},
    {{0x20, 0x02}, 16, 2},
};

static bool normal(const struct sockaddr *sa, struct addr *addr)
{
    if (!addr_of(sa, addr)) return false;
    for (size_t i = 0; i < ARRAY_N(carriers); i++) {
        if (!addr_has_prefix(addr, carriers[i].prefix, carriers[i].bits)) continue;
        /* ::1 and :: are themselves, not carriers of 0.0.0.1. */
        if (i == 0 && addr_has_prefix(addr, (const uint8_t[16]){0}, 120) && addr->b[15] <= 1) continue;
        *addr = addr_of_v4(addr->b + carriers[i].at);
        return true;
    }
    return true;
}

static const struct {
    uint8_t prefix[16];
    unsigned bits;
    bool local; /* may be named by the configuration itself */
    const char *why;
} classes[] = {
    {{[10] = 0xff, 0xff, 0}, ADDR_V4_BITS + 8, false, "unspecified address"},
    {{[10] = 0xff, 0xff, 224}, ADDR_V4_BITS + 4, false, "multicast address"},
    {{[10] = 0xff, 0xff, 255, 255, 255, 255}, 128, false, "broadcast address"},
    {{[10] = 0xff, 0xff, 127}, ADDR_V4_BITS + 8, true, "loopback address"},
    {{[10] = 0xff, 0xff, 169, 254}, ADDR_V4_BITS + 16, true, "link-local address"},
    {{0}, 128, false, "unspecified address"},
    {{[15] = 1}, 128, true, "loopback address"},
    {{0xff}, 8, false, "multicast address"},
    {{0xfe, 0x80}, 10, true, "link-local address"},
};

/* Is this address what the configuration itself wrote? */
static bool named_itself(const struct policy *p, const char *asked_host, const struct addr *addr)
{
    struct sockaddr_storage own;
    struct addr own_addr;

    if (!span_ieq(span_of(asked_host), span_of(p->host))) return false;
    if (span_iis(span_of(p->host), "localhost")) return true;
    if (!policy_literal(p->host, 0, &own) || !normal((const struct sockaddr *)&own, &own_addr)) return false;
    return addr_eq(&own_addr, addr);
}

const char *policy_refuses(const struct policy *p, const char *asked_host, const struct sockaddr *sa)
{
    struct addr addr;

    if (!normal(sa, &addr)) return "not an internet address";
    for (size_t i = 0; i < ARRAY_N(classes); i++) {
        if (!addr_has_prefix(&addr, classes[i].prefix, classes[i].bits)) continue;
        if (!classes[i].local || !named_itself(p, asked_host, &addr)) return classes[i].why;
    }
    if (cidrs_has(&p->deny, &addr)) return "in camera-deny";
    if (p->allow.n > 0 && !cidrs_has(&p->allow, &addr)) return "not in camera-allow";
    return NULL;
}

bool policy_literal(const char *host, uint16_t port, struct sockaddr_storage *ret)
{
    struct span name = span_of(host);
    char text[INET6_ADDRSTRLEN + 1];
    struct sockaddr_in four = {.sin_family = AF_INET, .sin_port = htons(port)};
    struct sockaddr_in6 six = {.sin6_family = AF_INET6, .sin6_port = htons(port)};

    if (name.n > 2 && name.p[0] == '[' && name.p[name.n - 1] == ']') name = span_sub(name, 1, name.n - 2);
    if (!span_copy(name, text, sizeof(text))) return false;
    memset(ret, 0, sizeof(*ret));
    if (inet_pton(AF_INET, text, &four.sin_addr) == 1) {
        memcpy(ret, &four, sizeof(four));
        return true;
    }
    if (inet_pton(AF_INET6, text, &six.sin6_addr) != 1) return false;
    memcpy(ret, &six, sizeof(six));
    return true;
}

int policy_new(const char *host, struct span allow, struct span deny, struct policy *ret)
{
    struct policy p = {.allow = {NULL, 0}};
    struct span name = span_of(host);
    int err;

    if (name.n > 2 && name.p[0] == '[' && name.p[name.n - 1] == ']') name = span_sub(name, 1, name.n - 2);
    err = span_copy(name, p.host, sizeof(p.host)) ? 0 : -EINVAL;
    if (err == 0) err = cidrs_parse(allow, POLICY_CIDRS_MAX, &p.allow);
    if (err == 0) err = cidrs_parse(deny, POLICY_CIDRS_MAX, &p.deny);
    if (err < 0) {
        /* The empty prefix in deny: everything. */
        policy_done(&p);
        p.deny = (struct cidrs){NEW(struct cidr), 1};
    }
    *ret = p;
    return err;
}

void policy_done(struct policy *p)
{
    cidrs_done(&p->allow);
    cidrs_done(&p->deny);
}
