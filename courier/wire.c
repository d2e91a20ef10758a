#include "courier/wire.h"
#include "common/base/rd.h"

static const struct row {
    const char *name;
    unsigned number, side;
    size_t most;
} rows[] = {
#define FRAME(name, number, side, most) {#name, (number), (side), (most)},
    WIRE_FRAMES(FRAME)
#undef FRAME
};

static const struct row *row_of(uint64_t number)
{
    for (size_t i = 0; i < ARRAY_N(rows); i++)
        if (rows[i].number == number) return &rows[i];
    return NULL;
}

const char *wire_name(enum wire_type type)
{
    const struct row *r = row_of((uint64_t)type);

    return r ? r->name : "?";
}

/* The number stands in the first bytes: a small frame that says it is long is refused before it is here. */
static bool may_be(const struct unpack *u, size_t n, enum wire_side from, struct wire_frame *ret)
{
    const struct packed *root = unpack_root(u);
    const struct row *r = row_of(packed_as_u64(packed_at(root, 0), 0));

    if (packed_kind(root) != PACKED_ARRAY || packed_n(root) != 3 || !r || !(r->side & from) || n > r->most)
        return false;
    ret->type = (enum wire_type)r->number;
    ret->id = packed_as_u64(packed_at(root, 1), 0);
    ret->body = packed_at(root, 2);
    return packed_kind(ret->body) == PACKED_MAP;
}

enum wire_read wire_read(struct span bytes, enum wire_side from, struct wire_frame *ret)
{
    struct rd r = rd_of(bytes);
    uint32_t n = rd_u32(&r);
    struct wire_frame f = {.n = WIRE_HEAD + (size_t)n};

    if (bytes.n < WIRE_HEAD) return WIRE_SHORT;
    if (n == 0 || n > (from == WIRE_ACCEPTER ? WIRE_BULK_MAX : WIRE_FRAME_MAX)) return WIRE_BAD;
    if (bytes.n - WIRE_HEAD < n) return WIRE_SHORT;
    if (unpack_new(span_sub(bytes, WIRE_HEAD, n), &f.u) != 0) return WIRE_BAD;
    if (!may_be(f.u, n, from, &f)) {
        unpack_done(f.u);
        return WIRE_BAD;
    }
    *ret = f;
    return WIRE_OK;
}

void wire_frame_done(struct wire_frame *f)
{
    unpack_done(f->u);
    f->u = NULL;
    f->body = NULL;
}

struct packer wire_begin(struct buf *to, enum wire_type type, uint64_t id, uint32_t pairs)
{
    struct packer p = packer_of(to);

    p.bad = !buf_put(to, span((const uint8_t[WIRE_HEAD]){0}, WIRE_HEAD));
    pack_array(&p, 3);
    pack_u64(&p, (uint64_t)type);
    pack_u64(&p, id);
    pack_map(&p, pairs);
    return p;
}

bool wire_end(struct packer *p, size_t from)
{
    size_t n = buf_n(p->to) - from;
    uint8_t *head = p->to->mem + p->to->from + from;

    if (p->bad || n <= WIRE_HEAD) {
        p->to->to -= n;
        return false;
    }
    n -= WIRE_HEAD;
    for (size_t i = 0; i < WIRE_HEAD; i++) head[i] = (uint8_t)(n >> (8 * (WIRE_HEAD - 1 - i)));
    return true;
}
