/* A log whose lines, each an object of JSON, hold the digest of the line before: one that is changed, put in
 * or taken out shows. Whoever can write the whole file can write it anew; so the last digest is worth noting
 * elsewhere. Pure. Tests: tests/unit/wire/test_chain.c, tests/fuzz/fuzz_chain.c. */
#ifndef WIRE_CHAIN_H
#define WIRE_CHAIN_H

#include "common/base/buf.h"
#include "common/wire/crypto.h"

#define CHAIN_DIGEST (2 * CRYPTO_SHA256_N + 1)

/* Ends the line that b holds, an object without its last brace: `"before":`, `"digest":`, the brace, the
 * line's end. digest: of the line before, "" at first; then of this one. false: b is full. */
bool chain_end(struct buf *b, char digest[CHAIN_DIGEST]);
/* Do these lines follow each other as they were written? digest: of the line before the first, or "" where it
 * is not known; then of the last. The number of the first line that does not, or 0. */
size_t chain_check(struct span lines, char digest[CHAIN_DIGEST], size_t *ret_n);
/* The text or number of a member of such a line, as it stands; p NULL: there is none. */
struct span chain_member(struct span line, const char *key);

#endif
