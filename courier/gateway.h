/* What etcd's JSON gateway is asked, and what it answers (/v3/..., etcd 3.4 and later): numbers as text, keys
 * and values as base64, fields that are 0 left out. Pure. Whatever answers is read as a stranger's word:
 * strict JSON, keys and values within limits, numbers that are none are 0, fields of other names are not
 * looked at. Source: etcd's api/etcdserverpb/rpc.proto. Tests: tests/unit/courier/test_gateway.c,
 * tests/fuzz/fuzz_gateway.c. */
#ifndef COURIER_GATEWAY_H
#define COURIER_GATEWAY_H

#include "common/base/buf.h"

#define GATEWAY_KEY_MAX   512
#define GATEWAY_VALUE_MAX (56u << 10)
#define GATEWAY_TOKEN_MAX 1024
#define GATEWAY_WHY_MAX   128

/* --- answers --- */

/* A key as it is in the store, or, gone, was. key and value live until the call returns. */
struct gateway_record {
    struct span key, value;
    uint64_t created, changed; /* revisions */
    uint64_t lease;
    bool gone;
    bool large; /* the value is longer than GATEWAY_VALUE_MAX, and not here */
};
struct gateway_answer {
    uint64_t cluster, revision;    /* of the store, when it answered */
    uint64_t lease, ttl_s;         /* of a lease; ttl_s 0: it is over */
    uint64_t compacted;            /* a watch that ended: what was before is forgotten */
    bool more, succeeded;          /* of a range; of a transaction */
    bool created, canceled;        /* of a watch */
    bool failed;                   /* it is an error: code, why */
    uint64_t code;                 /* of gRPC */
    char why[GATEWAY_WHY_MAX];     /* of an error, or a watch's end: any UTF-8 without control characters */
    char token[GATEWAY_TOKEN_MAX]; /* of authenticate; "": too long, or none */
    size_t records;                /* that were given to fn */
};
#define GATEWAY_UNAUTHENTICATED 16 /* code: the token is not good any more */

/* One answer, or one line of a watch. Records go to fn in their order, once the whole is known to be JSON;
 * those with a key longer than GATEWAY_KEY_MAX, or that is no base64, are left out. false: no JSON. */
bool gateway_read(struct span json, void (*fn)(void *arg, const struct gateway_record *r), void *arg,
    struct gateway_answer *ret);

/* --- questions: each a whole body; false: to's limit --- */

struct gateway_range {
    struct span from, end; /* keys from <= key < end */
    bool behind;           /* from < key */
    uint64_t limit, revision /* 0: as it is now */;
};
bool gateway_range(struct buf *to, const struct gateway_range *r);
bool gateway_watch(struct buf *to, struct span from, struct span end, uint64_t revision);
bool gateway_authenticate(struct buf *to, struct span name, struct span password);
bool gateway_grant(struct buf *to, uint64_t ttl_s);
bool gateway_keep(struct buf *to, uint64_t lease); /* alive */
bool gateway_revoke(struct buf *to, uint64_t lease);
bool gateway_put(struct buf *to, struct span key, struct span value);
bool gateway_delete(struct buf *to, struct span key);
/* Puts the key, under the lease, if it is not there. Succeeded: its revision is the answer's; else the answer
 * has the record as it is. */
bool gateway_claim(struct buf *to, struct span key, struct span value, uint64_t lease);
/* All of them, or none where one is not as it is said to be: of this mod_revision, 0: not there. At least
 * one. */
struct gateway_change {
    struct span key, value;
    uint64_t was;
    bool gone; /* it is deleted */
};
#define GATEWAY_CHANGES_MAX 128 /* of a transaction (etcd's max-txn-ops) */
bool gateway_change(struct buf *to, const struct gateway_change *v, size_t n);
/* Deletes the key if it was made at this revision. */
bool gateway_yield(struct buf *to, struct span key, uint64_t created);

#endif
