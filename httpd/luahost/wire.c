#include "httpd/luahost/wire.h"
#include "common/base/rd.h"
#include "common/base/wr.h"

#define LENGTH_N 4

const char *luahost_slot_name(enum luahost_slot slot)
{
    static const char *const names[LUAHOST_PLUGIN] = {
        [LUAHOST_AUTH] = "auth", [LUAHOST_API] = "api", [LUAHOST_API3] = "api3", [LUAHOST_CPANEL] = "cpanel"};
    static const char *const plugins[LUAHOST_PLUGINS_MAX] = {
        "plugin-1", "plugin-2", "plugin-3", "plugin-4", "plugin-5", "plugin-6", "plugin-7", "plugin-8"};

    return slot < LUAHOST_PLUGIN ? names[slot] : plugins[slot - LUAHOST_PLUGIN];
}

struct packer luahost_begin(struct buf *to, enum luahost_op op, uint32_t pairs, size_t *ret_at)
{
    struct packer p = packer_of(to);
    uint8_t *length = buf_room(to, LENGTH_N);

    *ret_at = buf_n(to);
    p.bad = length == NULL;
    if (p.bad) return p;
    buf_added(to, LENGTH_N);
    pack_map(&p, pairs + 1);
    pack_kv_u64(&p, "op", op);
    return p;
}

bool luahost_end(struct packer *p, size_t at)
{
    struct buf *b = p->to;
    size_t n = buf_n(b) - at;
    struct wr w;

    if (p->bad || n < LENGTH_N || n - LENGTH_N > LUAHOST_MESSAGE_MAX) {
        b->to = b->from + at;
        return false;
    }
    w = wr_of(b->mem + b->from + at, LENGTH_N);
    wr_u32(&w, (uint32_t)(n - LENGTH_N));
    return true;
}

int luahost_next(struct span in, struct span *ret_map, size_t *ret_n)
{
    struct rd r = rd_of(in);
    uint32_t n;

    if (in.n < LENGTH_N) return LUAHOST_E_MORE;
    n = rd_u32(&r);
    if (n == 0 || n > LUAHOST_MESSAGE_MAX) return LUAHOST_E_BAD;
    if (rd_left(&r) < n) return LUAHOST_E_MORE;
    *ret_map = rd_bytes(&r, n);
    *ret_n = LENGTH_N + n;
    return 0;
}
