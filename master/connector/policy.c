#include "master/connector/policy.h"
#include "common/base/mem.h"

#include <arpa/inet.h>
#include <errno.h>

#define V4_BITS 96 /* of the mapped form before the address */

static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};

static bool has_prefix(const uint8_t addr[16], const uint8_t *prefix, unsigned bits)
{
    unsigned whole = bits / 8, rest = bits % 8;

    if (memcmp(addr, prefix, whole) != 0) return false;
    return rest == 0 || ((addr[whole] ^ prefix[whole]) >> (8 - rest)) == 0;
}

static void from_v4(const uint8_t four[4], uint8_t addr[16])
{
    memcpy(addr, mapped, sizeof(mapped));
    memcpy(addr + 12, four, 4);
}

/* Where an IPv6 address carries an IPv4 one (RFC 4291 2.5.5, RFC 6052 2.1, RFC 3056 2). */
static const struct {
    uint8_t prefix[12];
    unsigned bits, at;
} carriers[] = {
    {{0}, 96, 12},
    {{0x00, 0x64, 0xff, 0x9b}, 96, 12},
    {{0x20, 0x02}, 16, 2},
};

static bool normal(const struct sockaddr *sa, uint8_t addr[16])
{
    uint8_t four[4];

    if (sa->sa_family == AF_INET) {
        memcpy(four, &((const struct sockaddr_in *)(const void *)sa)->sin_addr, 4);
        from_v4(four, addr);
        return true;
    }
    if (sa->sa_family != AF_INET6) return false;
    memcpy(addr, &((const struct sockaddr_in6 *)(const void *)sa)->sin6_addr, 16);
    for (size_t i = 0; i < ARRAY_N(carriers); i++) {
        if (!has_prefix(addr, carriers[i].prefix, carriers[i].bits)) continue;
        /* ::1 and :: are themselves, not carriers of 0.0.0.1. */
        if (i == 0 && has_prefix(addr, (const uint8_t[16]){0}, 120) && addr[15] <= 1) continue;
        memcpy(four, addr + carriers[i].at, 4);
        from_v4(four, addr);
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
    {{[10] = 0xff, 0xff, 0}, V4_BITS + 8, false, "unspecified address"},
    {{[10] = 0xff, 0xff, 224}, V4_BITS + 4, false, "multicast address"},
    {{[10] = 0xff, 0xff, 255, 255, 255, 255}, 128, false, "broadcast address"},
    {{[10] = 0xff, 0xff, 127}, V4_BITS + 8, true, "loopback address"},
    {{[10] = 0xff, 0xff, 169, 254}, V4_BITS + 16, true, "link-local address"},
    {{0}, 128, false, "unspecified address"},
    {{[15] = 1}, 128, true, "loopback address"},
    {{0xff}, 8, false, "multicast address"},
    {{0xfe, 0x80}, 10, true, "link-local address"},
};

/* Is this address what the configuration itself wrote? */
static bool named_itself(const struct policy *p, const char *asked_host, const uint8_t addr[16])
{
    struct sockaddr_storage own;
    uint8_t own_addr[16];

    if (!span_ieq(span_of(asked_host), span_of(p->host))) return false;
    if (span_iis(span_of(p->host), "localhost")) return true;
    if (!policy_literal(p->host, 0, &own) || !normal((const struct sockaddr *)&own, own_addr)) return false;
    return memcmp(own_addr, addr, 16) == 0;
}

static bool listed(const struct cidr *list, size_t n, const uint8_t addr[16])
{
    for (size_t i = 0; i < n; i++)
        if (has_prefix(addr, list[i].addr, list[i].bits)) return true;
    return false;
}

const char *policy_refuses(const struct policy *p, const char *asked_host, const struct sockaddr *sa)
{
    uint8_t addr[16];

    if (!normal(sa, addr)) return "not an internet address";
    for (size_t i = 0; i < ARRAY_N(classes); i++) {
        if (!has_prefix(addr, classes[i].prefix, classes[i].bits)) continue;
        if (!classes[i].local || !named_itself(p, asked_host, addr)) return classes[i].why;
    }
    if (listed(p->deny, p->n_deny, addr)) return "in camera-deny";
    if (p->n_allow > 0 && !listed(p->allow, p->n_allow, addr)) return "not in camera-allow";
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

static bool read_cidr(struct span text, struct cidr *ret)
{
    struct span bits_text = text, addr_text;
    struct sockaddr_storage sa;
    char addr[64];
    uint64_t bits, most;

    if (!span_split(&bits_text, '/', &addr_text)) return false;
    if (!span_copy(span_trim(addr_text), addr, sizeof(addr)) || !policy_literal(addr, 0, &sa)) return false;
    most = sa.ss_family == AF_INET ? 32 : 128;
    if (bits_text.p == NULL)
        bits = most;
    else if (!span_u64(span_trim(bits_text), most, &bits))
        return false;
    ret->bits = (unsigned)bits + (unsigned)(128 - most);
    if (sa.ss_family == AF_INET) {
        uint8_t four[4];

        memcpy(four, &((const struct sockaddr_in *)(const void *)&sa)->sin_addr, 4);
        from_v4(four, ret->addr);
    } else {
        memcpy(ret->addr, &((const struct sockaddr_in6 *)(const void *)&sa)->sin6_addr, 16);
    }
    return true;
}

static int read_cidrs(struct span text, struct cidr **ret, size_t *ret_n)
{
    struct cidr *list = mem_new_n(POLICY_CIDRS_MAX, sizeof(*list));
    struct span piece;
    size_t n = 0;

    while (span_split(&text, ',', &piece)) {
        piece = span_trim(piece);
        if (piece.n == 0) continue;
        if (n == POLICY_CIDRS_MAX || !read_cidr(piece, &list[n])) {
            mem_free(list);
            return -EINVAL;
        }
        n++;
    }
    *ret = n > 0 ? mem_dup(list, n * sizeof(*list)) : NULL;
    *ret_n = n;
    mem_free(list);
    return 0;
}

int policy_new(const char *host, struct span allow, struct span deny, struct policy *ret)
{
    struct policy p = {.n_allow = 0};
    struct span name = span_of(host);
    int err;

    if (name.n > 2 && name.p[0] == '[' && name.p[name.n - 1] == ']') name = span_sub(name, 1, name.n - 2);
    err = span_copy(name, p.host, sizeof(p.host)) ? 0 : -EINVAL;
    if (err == 0) err = read_cidrs(allow, &p.allow, &p.n_allow);
    if (err == 0) err = read_cidrs(deny, &p.deny, &p.n_deny);
    if (err < 0) {
        /* The empty prefix in deny: everything. */
        policy_done(&p);
        p.deny = NEW(struct cidr);
        p.n_deny = 1;
    }
    *ret = p;
    return err;
}

void policy_done(struct policy *p)
{
    mem_free(p->allow);
    mem_free(p->deny);
    p->allow = p->deny = NULL;
    p->n_allow = p->n_deny = 0;
}
