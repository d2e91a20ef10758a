/* msgpack behind a sticky, bounded face. A message is a map of short text keys; both sides ignore keys they
 * do not know. The reader scans sizes and depth before anything is unpacked: at most PACK_DEPTH_MAX deep, no
 * count that the bytes left cannot hold. */
#ifndef IPC_PACK_H
#define IPC_PACK_H

#include "common/base/buf.h"

#define PACK_DEPTH_MAX      8
#define PACK_ITEMS_MAX      20000
#define PACK_FILE_ITEMS_MAX 1000000 /* of a file that this node has written */

/* Writing: pack_* onto a buf; bad once the buf's limit is passed. */
struct packer {
    struct buf *to;
    bool bad;
};
struct packer packer_of(struct buf *to);
void pack_map(struct packer *p, uint32_t pairs);
void pack_array(struct packer *p, uint32_t n);
void pack_u64(struct packer *p, uint64_t v);
void pack_i64(struct packer *p, int64_t v);
void pack_bool(struct packer *p, bool v);
void pack_f64(struct packer *p, double v);
void pack_nil(struct packer *p);
void pack_str(struct packer *p, struct span s);
void pack_bin(struct packer *p, struct span s);
/* key and value */
void pack_kv_u64(struct packer *p, const char *key, uint64_t v);
void pack_kv_i64(struct packer *p, const char *key, int64_t v);
void pack_kv_f64(struct packer *p, const char *key, double v);
void pack_kv_bool(struct packer *p, const char *key, bool v);
void pack_kv_str(struct packer *p, const char *key, struct span s);
void pack_kv_text(struct packer *p, const char *key, const char *s); /* NULL as "" */
void pack_kv_bin(struct packer *p, const char *key, struct span s);
void pack_key(struct packer *p, const char *key);
struct packed;
void pack_value(struct packer *p, const struct packed *v); /* as it was read; NULL as nil */
void pack_ready(struct packer *p, struct span value);      /* one value that was packed before */

/* Reading. An unpacked value and everything in it lives until unpack_done; text and bin point into the input.
 */
struct unpack;
struct packed; /* a value */
/* 0 or a positive condition: UNPACK_E_BAD, UNPACK_E_DEEP, UNPACK_E_MANY. */
enum { UNPACK_E_BAD = 1, UNPACK_E_DEEP = 2, UNPACK_E_MANY = 3 };
int unpack_new(struct span in, struct unpack **ret);
int unpack_file(struct span in, struct unpack **ret); /* the same, of a file that this node has written */
void unpack_done(struct unpack *u);
const struct packed *unpack_root(const struct unpack *u);

enum packed_kind {
    PACKED_NIL,
    PACKED_BOOL,
    PACKED_INT, /* of 64 bits with a sign; larger ones are PACKED_FLOAT */
    PACKED_FLOAT,
    PACKED_TEXT, /* or bin */
    PACKED_ARRAY,
    PACKED_MAP
};
enum packed_kind packed_kind(const struct packed *v); /* NULL: PACKED_NIL */
bool packed_as_bool(const struct packed *v, bool otherwise);
double packed_as_f64(const struct packed *v, double otherwise); /* of an integer too */

/* Total functions: a value of another type, a missing key, a number out of range give the default. */
const struct packed *packed_get(const struct packed *map, const char *key); /* NULL: not there */
uint64_t packed_u64(const struct packed *map, const char *key, uint64_t otherwise);
int64_t packed_i64(const struct packed *map, const char *key, int64_t otherwise);
bool packed_bool(const struct packed *map, const char *key, bool otherwise);
struct span packed_str(const struct packed *map, const char *key); /* text or bin; SPAN_NONE: not there */
bool packed_text(
    const struct packed *map, const char *key, char *dst, size_t cap); /* false: not there or too long */
size_t packed_n(const struct packed *v);                               /* items of an array, pairs of a map */
const struct packed *packed_at(const struct packed *array, size_t i);  /* NULL: out of range */
bool packed_pair(const struct packed *map, size_t i, struct span *ret_key, const struct packed **ret_v);
bool packed_is_str(const struct packed *v);
struct span packed_as_str(const struct packed *v);
uint64_t packed_as_u64(const struct packed *v, uint64_t otherwise);
int64_t packed_as_i64(const struct packed *v, int64_t otherwise);

#endif
