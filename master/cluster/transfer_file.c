#include "master/cluster/transfer_impl.h"
#include "common/base/mem.h"

#define FILE_MOST (1u << 20)

/* A msgpack array, a row each. */
static void sides_pack(struct packer *p, const char *key, const struct side *v, size_t n)
{
    pack_key(p, key);
    pack_array(p, (uint32_t)n);
    for (size_t i = 0; i < n; i++) {
        pack_array(p, 2);
        pack_u64(p, v[i].node);
        pack_bool(p, v[i].freed);
    }
}

static size_t sides_read(const struct packed *list, struct side *ret)
{
    size_t n = MIN(packed_n(list), TRANSFER_SIDES_MAX);

    for (size_t i = 0; i < n; i++)
        ret[i] = (struct side){.node = (uint16_t)packed_as_u64(packed_at(packed_at(list, i), 0), 0),
            .freed = packed_as_bool(packed_at(packed_at(list, i), 1), false)};
    return n;
}

void transfers_save(struct transfers *t)
{
    struct buf b;
    struct packer p;

    buf_init(&b, FILE_MOST);
    p = packer_of(&b);
    pack_array(&p, (uint32_t)t->n);
    for (size_t i = 0; i < t->n; i++) {
        const struct transfer *x = t->v[i];

        pack_map(&p, x->order.term > 0 ? 11 : 10);
        if (x->order.term > 0) stamp_kv(&p, "order", &x->order);
        pack_kv_text(&p, "uid", x->uid);
        pack_kv_text(&p, "by", x->by);
        pack_kv_text(&p, "before", x->before);
        pack_kv_text(&p, "text", x->text);
        pack_kv_u64(&p, "phase", x->phase);
        sides_pack(&p, "to", x->to, x->n_to);
        sides_pack(&p, "from", x->from, x->n_from);
        pack_kv_bool(&p, "keep", x->keep);
        pack_kv_i64(&p, "began_us", x->began_us);
        pack_kv_i64(&p, "since_us", x->since_us);
    }
    if (p.bad)
        state_file_too_large(t->file);
    else
        state_file_write(t->file, buf_span(&b));
    buf_done(&b);
}

static bool load_row(struct transfers *t, const struct packed *row)
{
    struct transfer *x = t->n < TRANSFERS_MAX ? NEW(struct transfer) : NULL;
    uint64_t phase = packed_u64(row, "phase", TRANSFER_PHASES);

    if (!x) return false;
    x->n_to = sides_read(packed_get(row, "to"), x->to);
    x->n_from = sides_read(packed_get(row, "from"), x->from);
    x->keep = packed_bool(row, "keep", true);
    (void)stamp_get(row, "order", &x->order); /* none before its file is pushed */
    x->began_us = packed_i64(row, "began_us", 0);
    x->since_us = packed_i64(row, "since_us", 0);
    (void)packed_text(row, "by", x->by, sizeof(x->by));
    (void)packed_text(row, "before", x->before, sizeof(x->before));
    (void)packed_text(row, "text", x->text, sizeof(x->text));
    if (!packed_text(row, "uid", x->uid, sizeof(x->uid)) || phase >= TRANSFER_PHASES || x->n_to == 0) {
        mem_free(x);
        return false;
    }
    x->phase = (enum transfer_phase)phase;
    t->v[t->n++] = x;
    return true;
}

static bool take(void *arg, struct span bytes)
{
    struct unpack *u = NULL;
    bool ok = unpack_file(bytes, &u) == 0 && packed_kind(unpack_root(u)) == PACKED_ARRAY;
    size_t n = ok ? packed_n(unpack_root(u)) : 0;

    for (size_t i = 0; i < n; i++)
        if (!load_row(arg, packed_at(unpack_root(u), i))) ok = false; /* the others count */
    unpack_done(u);
    return ok;
}

void transfers_load(struct transfers *t, int state_dir)
{
    /* Those in it are asked for anew. */
    (void)state_file_read(state_dir, TRANSFER_FILE_NAME, FILE_MOST, take, t);
}
