/* common/ipc/pack: any bytes as a message, read through every face, written back and read again. */
#include "common/base/err.h"
#include "common/ipc/pack.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

static void walk(const struct packed *v, struct packer *to, int depth);

static void walk_list(const struct packed *v, struct packer *to, int depth)
{
    for (size_t i = 0; i < packed_n(v); i++) walk(packed_at(v, i), to, depth);
}

static void walk(const struct packed *v, struct packer *to, int depth)
{
    struct span key;
    const struct packed *value;
    char text[16];

    must(depth <= PACK_DEPTH_MAX);
    (void)packed_as_u64(v, 0);
    (void)packed_as_i64(v, 0);
    (void)packed_text(v, "uid", text, sizeof(text));
    (void)packed_bool(v, "on", false);
    if (packed_is_str(v)) pack_bin(to, packed_as_str(v));
    for (size_t i = 0; packed_pair(v, i, &key, &value); i++) {
        pack_str(to, key);
        walk(value, to, depth + 1);
    }
    if (packed_at(v, 0)) walk_list(v, to, depth + 1);
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    struct buf b;
    struct packer to;
    struct unpack *u;

    if (unpack_new(span(p, n), &u) != 0) return 0;
    buf_init(&b, 1 << 20);
    to = packer_of(&b);
    walk(unpack_root(u), &to, 0);
    unpack_done(u);
    buf_done(&b);
    return 0;
}
