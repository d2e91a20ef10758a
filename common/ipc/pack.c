#include "common/ipc/pack.h"
#include "common/base/mem.h"
#include "common/base/rd.h"

#include <errno.h>
#include <msgpack.h>

/* --- writing --- */

static int put(void *arg, const char *p, size_t n)
{
    struct packer *to = arg;

    if (!to->bad && !buf_put(to->to, span(p, n))) to->bad = true;
    return to->bad ? -1 : 0;
}

static msgpack_packer face_of(struct packer *p)
{
    msgpack_packer face;

    msgpack_packer_init(&face, p, put);
    return face;
}

struct packer packer_of(struct buf *to)
{
    return (struct packer){.to = to};
}

void pack_map(struct packer *p, uint32_t pairs)
{
    msgpack_packer face = face_of(p);

    msgpack_pack_map(&face, pairs);
}

void pack_array(struct packer *p, uint32_t n)
{
    msgpack_packer face = face_of(p);

    msgpack_pack_array(&face, n);
}

void pack_u64(struct packer *p, uint64_t v)
{
    msgpack_packer face = face_of(p);

    msgpack_pack_uint64(&face, v);
}

void pack_i64(struct packer *p, int64_t v)
{
    msgpack_packer face = face_of(p);

    msgpack_pack_int64(&face, v);
}

void pack_bool(struct packer *p, bool v)
{
    msgpack_packer face = face_of(p);

    if (v)
        msgpack_pack_true(&face);
    else
        msgpack_pack_false(&face);
}

void pack_f64(struct packer *p, double v)
{
    msgpack_packer face = face_of(p);

    msgpack_pack_double(&face, v);
}

void pack_nil(struct packer *p)
{
    msgpack_packer face = face_of(p);

    msgpack_pack_nil(&face);
}

void pack_ready(struct packer *p, struct span value)
{
    (void)put(p, (const char *)value.p, value.n);
}

void pack_str(struct packer *p, struct span s)
{
    msgpack_packer face = face_of(p);

    msgpack_pack_str(&face, s.n);
    if (s.n > 0) msgpack_pack_str_body(&face, s.p, s.n);
}

void pack_bin(struct packer *p, struct span s)
{
    msgpack_packer face = face_of(p);

    msgpack_pack_bin(&face, s.n);
    if (s.n > 0) msgpack_pack_bin_body(&face, s.p, s.n);
}

void pack_key(struct packer *p, const char *key)
{
    pack_str(p, span_of(key));
}

void pack_kv_u64(struct packer *p, const char *key, uint64_t v)
{
    pack_key(p, key);
    pack_u64(p, v);
}

void pack_kv_i64(struct packer *p, const char *key, int64_t v)
{
    pack_key(p, key);
    pack_i64(p, v);
}

void pack_kv_f64(struct packer *p, const char *key, double v)
{
    pack_key(p, key);
    pack_f64(p, v);
}

void pack_kv_bool(struct packer *p, const char *key, bool v)
{
    pack_key(p, key);
    pack_bool(p, v);
}

void pack_kv_str(struct packer *p, const char *key, struct span s)
{
    pack_key(p, key);
    pack_str(p, s);
}

void pack_kv_text(struct packer *p, const char *key, const char *s)
{
    pack_kv_str(p, key, span_of(s));
}

void pack_kv_bin(struct packer *p, const char *key, struct span s)
{
    pack_key(p, key);
    pack_bin(p, s);
}

/* --- looking before unpacking --- */

/* What a first byte announces (msgpack specification, "Formats"). */
enum shape { SHAPE_PLAIN, SHAPE_BYTES, SHAPE_ARRAY, SHAPE_MAP, SHAPE_REFUSED };
struct form {
    enum shape shape;
    unsigned width; /* plain: bytes of value; others: bytes of count, 0: in the first byte */
};

static const struct form forms_c0[32] = {
    {SHAPE_PLAIN, 0},
    {SHAPE_REFUSED, 0},
    {SHAPE_PLAIN, 0},
    {SHAPE_PLAIN, 0}, /* nil, -, false, true */
    {SHAPE_BYTES, 1},
    {SHAPE_BYTES, 2},
    {SHAPE_BYTES, 4}, /* bin */
    {SHAPE_REFUSED, 0},
    {SHAPE_REFUSED, 0},
    {SHAPE_REFUSED, 0}, /* ext: not in our messages */
    {SHAPE_PLAIN, 4},
    {SHAPE_PLAIN, 8}, /* float */
    {SHAPE_PLAIN, 1},
    {SHAPE_PLAIN, 2},
    {SHAPE_PLAIN, 4},
    {SHAPE_PLAIN, 8}, /* unsigned */
    {SHAPE_PLAIN, 1},
    {SHAPE_PLAIN, 2},
    {SHAPE_PLAIN, 4},
    {SHAPE_PLAIN, 8}, /* signed */
    {SHAPE_REFUSED, 0},
    {SHAPE_REFUSED, 0},
    {SHAPE_REFUSED, 0},
    {SHAPE_REFUSED, 0}, /* fixext */
    {SHAPE_REFUSED, 0},
    {SHAPE_BYTES, 1},
    {SHAPE_BYTES, 2},
    {SHAPE_BYTES, 4}, /* fixext, str */
    {SHAPE_ARRAY, 2},
    {SHAPE_ARRAY, 4},
    {SHAPE_MAP, 2},
    {SHAPE_MAP, 4},
};

static struct form form_of(uint8_t first, uint32_t *ret_count)
{
    *ret_count = 0;
    if (first < 0x80 || first >= 0xe0) return (struct form){SHAPE_PLAIN, 0};
    if (first < 0xa0) {
        *ret_count = first & 0x0f;
        return (struct form){first < 0x90 ? SHAPE_MAP : SHAPE_ARRAY, 0};
    }
    if (first < 0xc0) {
        *ret_count = first & 0x1f;
        return (struct form){SHAPE_BYTES, 0};
    }
    return forms_c0[first - 0xc0];
}

static uint32_t count_of(struct rd *r, unsigned width)
{
    return width == 1 ? rd_u8(r) : width == 2 ? rd_u16(r) : rd_u32(r);
}

/* Counts the values of one message; 0 or UNPACK_E_*. Every value is at least one byte: a count that the bytes
 * left cannot hold is refused before it is believed. */
static int scan(struct span in, uint32_t most, uint32_t *ret_items)
{
    uint32_t left[PACK_DEPTH_MAX + 1] = {1}, items = 0;
    unsigned depth = 0;
    struct rd r = rd_of(in);

    for (;;) {
        uint32_t count;
        struct form f;

        while (left[depth] == 0) {
            if (depth == 0) {
                *ret_items = items;
                return rd_left(&r) == 0 ? 0 : UNPACK_E_BAD;
            }
            depth--;
        }
        left[depth]--;
        if (++items > most) return UNPACK_E_MANY;
        f = form_of(rd_u8(&r), &count);
        if (f.shape != SHAPE_PLAIN && f.width > 0) count = count_of(&r, f.width);
        if (f.shape == SHAPE_PLAIN) rd_skip(&r, f.width);
        if (f.shape == SHAPE_BYTES) rd_skip(&r, count);
        if (!rd_ok(&r) || f.shape == SHAPE_REFUSED) return UNPACK_E_BAD;
        if (f.shape != SHAPE_ARRAY && f.shape != SHAPE_MAP) continue;
        if (count > rd_left(&r) / (f.shape == SHAPE_MAP ? 2 : 1)) return UNPACK_E_BAD;
        if (++depth > PACK_DEPTH_MAX) return UNPACK_E_DEEP;
        left[depth] = f.shape == SHAPE_MAP ? count * 2 : count;
    }
}

/* --- reading --- */

/* At most 64 times the message plus a constant, and never above (reliability.md F25). */
#define UNPACK_MEMORY_MAX (1u << 20)

struct unpack {
    msgpack_zone zone;
    msgpack_object root;
};

static const struct packed *face(const msgpack_object *o)
{
    return (const struct packed *)(const void *)o;
}

static const msgpack_object *object(const struct packed *v)
{
    return (const msgpack_object *)(const void *)v;
}

/* One chunk that holds all: the pairs of a map take two objects' room, arrays are aligned to eight. */
static size_t memory_for(uint32_t items)
{
    return (size_t)items * (sizeof(msgpack_object) + 8) + 64;
}

static int unpack_most(struct span in, uint32_t most, size_t memory_most, struct unpack **ret)
{
    uint32_t items;
    size_t off = 0, memory;
    struct unpack *u;
    int err = scan(in, most, &items);

    if (err != 0) return err;
    memory = memory_for(items);
    if (memory > memory_most) return UNPACK_E_MANY;
    u = mem_try(sizeof(*u));
    if (!u) return -ENOMEM;
    if (!msgpack_zone_init(&u->zone, memory)) {
        mem_free(u);
        return -ENOMEM;
    }
    if (msgpack_unpack((const char *)in.p, in.n, &off, &u->zone, &u->root) != MSGPACK_UNPACK_SUCCESS) {
        unpack_done(u);
        return UNPACK_E_BAD;
    }
    *ret = u;
    return 0;
}

int unpack_new(struct span in, struct unpack **ret)
{
    return unpack_most(in, PACK_ITEMS_MAX, UNPACK_MEMORY_MAX, ret);
}

int unpack_file(struct span in, struct unpack **ret)
{
    return unpack_most(in, PACK_FILE_ITEMS_MAX, memory_for(PACK_FILE_ITEMS_MAX), ret);
}

void unpack_done(struct unpack *u)
{
    if (!u) return;
    msgpack_zone_destroy(&u->zone);
    mem_free(u);
}

const struct packed *unpack_root(const struct unpack *u)
{
    return face(&u->root);
}

enum packed_kind packed_kind(const struct packed *v)
{
    static const enum packed_kind kinds[] = {[MSGPACK_OBJECT_NIL] = PACKED_NIL,
        [MSGPACK_OBJECT_BOOLEAN] = PACKED_BOOL,
        [MSGPACK_OBJECT_POSITIVE_INTEGER] = PACKED_INT,
        [MSGPACK_OBJECT_NEGATIVE_INTEGER] = PACKED_INT,
        [MSGPACK_OBJECT_FLOAT32] = PACKED_FLOAT,
        [MSGPACK_OBJECT_FLOAT64] = PACKED_FLOAT,
        [MSGPACK_OBJECT_STR] = PACKED_TEXT,
        [MSGPACK_OBJECT_BIN] = PACKED_TEXT,
        [MSGPACK_OBJECT_ARRAY] = PACKED_ARRAY,
        [MSGPACK_OBJECT_MAP] = PACKED_MAP};

    if (!v || (size_t)object(v)->type >= ARRAY_N(kinds)) return PACKED_NIL;
    if (object(v)->type == MSGPACK_OBJECT_POSITIVE_INTEGER && object(v)->via.u64 > INT64_MAX)
        return PACKED_FLOAT;
    return kinds[object(v)->type];
}

bool packed_as_bool(const struct packed *v, bool otherwise)
{
    return v && object(v)->type == MSGPACK_OBJECT_BOOLEAN ? object(v)->via.boolean : otherwise;
}

double packed_as_f64(const struct packed *v, double otherwise)
{
    if (!v) return otherwise;
    if (object(v)->type == MSGPACK_OBJECT_FLOAT32 || object(v)->type == MSGPACK_OBJECT_FLOAT64)
        return object(v)->via.f64;
    if (object(v)->type == MSGPACK_OBJECT_POSITIVE_INTEGER) return (double)object(v)->via.u64;
    return object(v)->type == MSGPACK_OBJECT_NEGATIVE_INTEGER ? (double)object(v)->via.i64 : otherwise;
}

bool packed_is_str(const struct packed *v)
{
    return v && (object(v)->type == MSGPACK_OBJECT_STR || object(v)->type == MSGPACK_OBJECT_BIN);
}

struct span packed_as_str(const struct packed *v)
{
    if (!packed_is_str(v)) return SPAN_NONE;
    return span(object(v)->via.str.ptr, object(v)->via.str.size);
}

uint64_t packed_as_u64(const struct packed *v, uint64_t otherwise)
{
    return v && object(v)->type == MSGPACK_OBJECT_POSITIVE_INTEGER ? object(v)->via.u64 : otherwise;
}

int64_t packed_as_i64(const struct packed *v, int64_t otherwise)
{
    if (!v) return otherwise;
    if (object(v)->type == MSGPACK_OBJECT_NEGATIVE_INTEGER) return object(v)->via.i64;
    if (object(v)->type != MSGPACK_OBJECT_POSITIVE_INTEGER || object(v)->via.u64 > INT64_MAX)
        return otherwise;
    return (int64_t)object(v)->via.u64;
}

size_t packed_n(const struct packed *v)
{
    if (!v) return 0;
    if (object(v)->type == MSGPACK_OBJECT_ARRAY) return object(v)->via.array.size;
    return object(v)->type == MSGPACK_OBJECT_MAP ? object(v)->via.map.size : 0;
}

const struct packed *packed_at(const struct packed *array, size_t i)
{
    if (!array || object(array)->type != MSGPACK_OBJECT_ARRAY || i >= packed_n(array)) return NULL;
    return face(&object(array)->via.array.ptr[i]);
}

bool packed_pair(const struct packed *map, size_t i, struct span *ret_key, const struct packed **ret_v)
{
    const msgpack_object_kv *kv;

    if (!map || object(map)->type != MSGPACK_OBJECT_MAP || i >= packed_n(map)) return false;
    kv = &object(map)->via.map.ptr[i];
    *ret_key = packed_as_str(face(&kv->key));
    *ret_v = face(&kv->val);
    return true;
}

const struct packed *packed_get(const struct packed *map, const char *key)
{
    const struct packed *v;
    struct span name;

    for (size_t i = 0; packed_pair(map, i, &name, &v); i++)
        if (span_is(name, key)) return v;
    return NULL;
}

uint64_t packed_u64(const struct packed *map, const char *key, uint64_t otherwise)
{
    return packed_as_u64(packed_get(map, key), otherwise);
}

int64_t packed_i64(const struct packed *map, const char *key, int64_t otherwise)
{
    return packed_as_i64(packed_get(map, key), otherwise);
}

bool packed_bool(const struct packed *map, const char *key, bool otherwise)
{
    return packed_as_bool(packed_get(map, key), otherwise);
}

struct span packed_str(const struct packed *map, const char *key)
{
    return packed_as_str(packed_get(map, key));
}

bool packed_text(const struct packed *map, const char *key, char *dst, size_t cap)
{
    const struct packed *v = packed_get(map, key);

    if (!packed_is_str(v) || packed_as_str(v).n >= cap) {
        if (cap > 0) dst[0] = 0;
        return false;
    }
    return span_copy(packed_as_str(v), dst, cap);
}

void pack_value(struct packer *p, const struct packed *v)
{
    msgpack_packer face = face_of(p);

    if (v)
        msgpack_pack_object(&face, *object(v));
    else
        msgpack_pack_nil(&face);
}
