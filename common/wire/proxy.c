#include "common/wire/proxy.h"
#include "common/base/rd.h"

static const uint8_t signature[PROXY_SIGNATURE_N] = {
    0x0d, 0x0a, 0x0d, 0x0a, 0x00, 0x0d, 0x0a, 0x51, 0x55, 0x49, 0x54, 0x0a};

#define VERSION   2
#define CMD_LOCAL 0
#define CMD_PROXY 1
#define FAMILY_V4 1
#define FAMILY_V6 2

static bool read_addresses(struct rd *r, struct proxy_said *s, uint8_t family)
{
    size_t one = family == FAMILY_V4 ? 4 : 16;
    struct span from = rd_bytes(r, one);

    rd_skip(r, one); /* where it went */
    s->port = rd_u16(r);
    rd_skip(r, sizeof(s->port));
    if (!rd_ok(r)) return false;
    memcpy(s->address, from.p, one);
    s->v6 = family == FAMILY_V6;
    return true;
}

int proxy_read(struct span in, struct proxy_said *ret, size_t *ret_need)
{
    struct proxy_said s = {.local = false};
    struct rd r = rd_of(in);
    uint8_t command, family;

    if (!span_starts(span(signature, sizeof(signature)), span_sub(in, 0, sizeof(signature))))
        return PROXY_E_NONE;
    *ret_need = PROXY_HEAD_N;
    if (in.n < PROXY_HEAD_N) return PROXY_E_MORE;
    rd_skip(&r, PROXY_SIGNATURE_N);
    command = rd_u8(&r);
    family = rd_u8(&r) >> 4;
    s.n = PROXY_HEAD_N + (size_t)rd_u16(&r);
    if (command >> 4 != VERSION || s.n > PROXY_MAX) return PROXY_E_BAD;
    *ret_need = s.n;
    if (in.n < s.n) return PROXY_E_MORE;
    command &= 0x0f;
    if (command != CMD_LOCAL && command != CMD_PROXY) return PROXY_E_BAD;
    s.local = command == CMD_LOCAL || (family != FAMILY_V4 && family != FAMILY_V6);
    r = rd_of(span_sub(in, PROXY_HEAD_N, s.n - PROXY_HEAD_N));
    if (!s.local && !read_addresses(&r, &s, family)) return PROXY_E_BAD;
    *ret = s;
    return 0;
}
