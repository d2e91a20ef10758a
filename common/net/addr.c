#include "common/net/addr.h"
#include "common/base/mem.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>

static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};

struct addr addr_of_v4(const uint8_t four[4])
{
    struct addr a;

    memcpy(a.b, mapped, sizeof(mapped));
    memcpy(a.b + 12, four, 4);
    return a;
}

bool addr_of(const struct sockaddr *sa, struct addr *ret)
{
    uint8_t four[4];

    if (sa->sa_family == AF_INET) {
        memcpy(four, &((const struct sockaddr_in *)(const void *)sa)->sin_addr, 4);
        *ret = addr_of_v4(four);
        return true;
    }
    if (sa->sa_family != AF_INET6) return false;
    memcpy(ret->b, &((const struct sockaddr_in6 *)(const void *)sa)->sin6_addr, 16);
    return true;
}

bool addr_parse(struct span text, struct addr *ret)
{
    char name[INET6_ADDRSTRLEN + 1];
    uint8_t four[4], six[16];

    if (text.n > 2 && text.p[0] == '[' && text.p[text.n - 1] == ']') text = span_sub(text, 1, text.n - 2);
    if (span_find(text, 0) >= 0 || !span_copy(text, name, sizeof(name))) return false;
    if (inet_pton(AF_INET, name, four) == 1) {
        *ret = addr_of_v4(four);
        return true;
    }
    if (inet_pton(AF_INET6, name, six) != 1) return false;
    memcpy(ret->b, six, sizeof(six));
    return true;
}

bool addr_has_prefix(const struct addr *a, const uint8_t *prefix, unsigned bits)
{
    unsigned whole = bits / 8, rest = bits % 8;

    if (memcmp(a->b, prefix, whole) != 0) return false;
    return rest == 0 || ((a->b[whole] ^ prefix[whole]) >> (8 - rest)) == 0;
}

bool addr_is_v4(const struct addr *a)
{
    return addr_has_prefix(a, mapped, ADDR_V4_BITS);
}

bool addr_is_loopback(const struct addr *a)
{
    static const uint8_t one[16] = {[15] = 1};

    return addr_is_v4(a) ? a->b[12] == 127 : memcmp(a->b, one, sizeof(one)) == 0;
}

bool addr_is_private(const struct addr *a)
{
    static const struct {
        uint8_t four[4];
        unsigned bits;
    } v4[] = {{{127, 0, 0, 0}, 8}, {{10, 0, 0, 0}, 8}, {{172, 16, 0, 0}, 12}, {{192, 168, 0, 0}, 16},
        {{169, 254, 0, 0}, 16}};
    static const uint8_t local[16] = {[15] = 1}, unique[16] = {0xfc}, link[16] = {0xfe, 0x80};

    for (size_t i = 0; i < ARRAY_N(v4); i++) {
        struct addr net = addr_of_v4(v4[i].four);

        if (addr_has_prefix(a, net.b, ADDR_V4_BITS + v4[i].bits)) return true;
    }
    return addr_has_prefix(a, local, 128) || addr_has_prefix(a, unique, 7) || addr_has_prefix(a, link, 10);
}

bool addr_eq(const struct addr *a, const struct addr *b)
{
    return memcmp(a->b, b->b, sizeof(a->b)) == 0;
}

const char *addr_text(const struct addr *a, char dst[ADDR_TEXT_MAX])
{
    bool v4 = addr_is_v4(a);

    if (!inet_ntop(v4 ? AF_INET : AF_INET6, v4 ? a->b + 12 : a->b, dst, ADDR_TEXT_MAX)) dst[0] = '\0';
    return dst;
}

struct addr addr_source(const struct addr *a)
{
    struct addr s = *a;

    if (!addr_is_v4(a)) memset(s.b + 8, 0, 8);
    return s;
}

/* ---- networks ---- */

bool cidr_parse(struct span text, struct cidr *ret)
{
    struct span bits_text = text, addr_part;
    uint64_t bits, most;
    struct addr addr;

    if (!span_split(&bits_text, '/', &addr_part)) return false;
    addr_part = span_trim(addr_part);
    if (!addr_parse(addr_part, &addr)) return false;
    /* "::ffff:10.0.0.0/104" counts its bits as IPv6. */
    most = span_find(addr_part, ':') < 0 ? 32 : 128;
    bits = most;
    if (bits_text.p && !span_u64(span_trim(bits_text), most, &bits)) return false;
    *ret = (struct cidr){addr, (unsigned)(bits + 128 - most)};
    return true;
}

bool cidr_has(const struct cidr *c, const struct addr *a)
{
    return addr_has_prefix(a, c->addr.b, c->bits);
}

int cidrs_parse(struct span text, size_t most, struct cidrs *ret)
{
    struct cidrs l = {NULL, 0};
    struct span piece;

    *ret = l;
    while (span_split(&text, ',', &piece)) {
        struct cidr c;

        piece = span_trim(piece);
        if (piece.n == 0) continue;
        if (l.n == most || !cidr_parse(piece, &c)) {
            cidrs_done(&l);
            return -EINVAL;
        }
        l.v = mem_renew(l.v, (l.n + 1) * sizeof(*l.v));
        l.v[l.n++] = c;
    }
    *ret = l;
    return 0;
}

bool cidrs_has(const struct cidrs *l, const struct addr *a)
{
    for (size_t i = 0; i < l->n; i++)
        if (cidr_has(&l->v[i], a)) return true;
    return false;
}

void cidrs_done(struct cidrs *l)
{
    mem_free(l->v);
    *l = (struct cidrs){NULL, 0};
}
