/* What goes with an MP4 that was exported as evidence: a JSON text that says what is in it, and by which the
 * signature is made (docs/reference/evidence.md has every field). Read back by whoever verifies it, as
 * hostile input. Tests: tests/unit/archive/test_evidence.c, tests/fuzz/fuzz_manifest.c. */
#ifndef ARCHIVE_MANIFEST_H
#define ARCHIVE_MANIFEST_H

#include "archive/evidence.h"
#include "common/wire/crypto_sign.h"

#define MANIFEST_FORMAT "media-server evidence 1"
#define MANIFEST_MAX    (64u << 20)

struct manifest {
    const struct evidence *evidence; /* written */
    const char *file;                /* name of the MP4, without its folder */
    const char *name;                /* of the stream; "" */
    const char *version, *revision;
    const struct crypto_key *key;
    int64_t node;
    usec_t now_us;
    const char *const *missing; /* storages that could not be read */
    size_t n_missing;
};
/* false: longer than to's limit. */
bool manifest_write(const struct manifest *m, struct buf *to);

/* What a manifest says, as far as it takes to hold an MP4 against it and to tell people about it. */
struct manifest_claim {
    uint64_t bytes;
    char sum[EVIDENCE_SUM_MAX];
    struct crypto_key key;
    /* as they stand in it, with escapes; of the text that was read */
    struct span uid, name, from, to, exported, version, node;
    unsigned segments, gaps, formats, missing;
};
/* NULL, or what is wrong. */
const char *manifest_read(struct span text, struct manifest_claim *ret);

#endif
