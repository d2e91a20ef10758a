/* Our access tokens: text that says who may do what with which streams, under a key that only the nodes have.
 *
 *   v1.<kid>.<base64url(payload)>.<base64url(HMAC-SHA-256)>
 *
 * The MAC is over "msv1" 0 kid 0 payload. The payload is 12 fields in this order, each u16 length | bytes:
 * audience (the cluster's number as text), user, token id (16), streams (each u8 length | pattern),
 * operations (u32), not before, not after, footage from, footage to (i64 seconds, 0: open), address (none, or
 * 16 bytes and u8 bits, IPv4 mapped), sessions at a time (u32, 0: no limit), made at (i64 microseconds).
 * Numbers are big-endian. There is one text for one token: another spelling of it is none.
 *
 * Pure: time and randomness come in. Source: spec "Tokens, sessions, sign-in". Tests:
 * tests/unit/wire/test_token.c, tests/fuzz/fuzz_token.c. */
#ifndef WIRE_TOKEN_H
#define WIRE_TOKEN_H

#include "common/base/secret.h"
#include "common/base/wr.h"

#define TOKEN_KID_MAX      32
#define TOKEN_AUDIENCE_MAX 32
#define TOKEN_USER_MAX     64
#define TOKEN_PATTERN_MAX  37 /* a uid and '*' */
#define TOKEN_STREAMS_MAX  16
#define TOKEN_ID_N         16
#define TOKEN_PAYLOAD_MAX  1024
#define TOKEN_TEXT_MAX     1536
#define TOKEN_SKEW_S       30 /* that clocks may differ by */
#define TOKEN_KEYS_MAX     32

enum token_op {
    TOKEN_LIVE = 1,
    TOKEN_DVR = 2,
    TOKEN_COPY = 4,
    TOKEN_PUBLISH = 8,
    TOKEN_API = 16,
    TOKEN_OPS_ALL = 31
};
/* "live, dvr": false: another word, or none. */
bool token_ops_of(struct span text, unsigned *ret_ops);
void token_ops_write(struct wr *w, unsigned ops); /* "live,dvr" */

struct token {
    char audience[TOKEN_AUDIENCE_MAX + 1];
    char user[TOKEN_USER_MAX + 1];
    uint8_t id[TOKEN_ID_N];
    char streams[TOKEN_STREAMS_MAX][TOKEN_PATTERN_MAX + 1]; /* exact, or a prefix and '*' */
    size_t n_streams;
    unsigned ops; /* enum token_op */
    int64_t not_before_s, not_after_s;
    int64_t from_s, to_s; /* of footage */
    bool bound;           /* to an address */
    uint8_t address[16], address_bits;
    uint32_t sessions_max;
    int64_t made_us;
};

struct token_key {
    char kid[TOKEN_KID_MAX + 1];
    struct secret secret;
    int64_t not_before_s, not_after_s; /* 0: open */
};
/* In the order of the configuration; "0" is auth-secret. */
struct token_keys {
    struct token_key v[TOKEN_KEYS_MAX];
    size_t n;
};
/* false: it does not fit, or there is no secret. */
bool token_keys_add(
    struct token_keys *k, struct span kid, struct span secret, int64_t not_before_s, int64_t not_after_s);
void token_keys_done(struct token_keys *k);
/* The id of the tokens by which an export is fetched, whenever and on whichever node they are made: they end
 * with it. */
void token_id_of_export(struct span export_id, uint8_t ret[static TOKEN_ID_N]);

/* Conditions (positive). */
enum {
    TOKEN_E_FORGED = 1, /* no token, of no key of ours, or changed */
    TOKEN_E_TIME = 2,   /* ours, and not of now */
    TOKEN_E_AUDIENCE = 3
};
/* The same work for whatever is wrong: an unknown key costs a MAC too. *ret_until_s: until when it is good
 * (with the skew, or its key's end; 0: no end). */
struct token_check {
    const struct token_keys *keys;
    const char *audience;
    int64_t now_s;
};
int token_verify(const struct token_check *c, struct span text, struct token *ret, int64_t *ret_until_s);
/* Until when a token with that end is taken: what takes it back must be known for as long. 0: no end. */
int64_t token_good_until(int64_t not_after_s);

/* By the last key in the list that is good now. ret: TOKEN_TEXT_MAX bytes. false: there is none, or a field
 * cannot be. */
bool token_mint(const struct token_keys *k, const struct token *t, int64_t now_s, char *ret);

bool token_fits_stream(const struct token *t, struct span uid);
bool token_is_for_all(const struct token *t); /* it names no streams, or "*" */
/* A pattern: a uid's characters, maybe with '*' at its end, or "*" alone. */
bool token_pattern_ok(struct span pattern);
bool token_pattern_fits(struct span pattern, struct span uid);
/* Fits a pattern all that another one does? */
bool token_pattern_covers(struct span pattern, struct span other);

/* The parts, for tests. */
void token_write(struct wr *w, const struct token *t);
bool token_read(struct span payload, struct token *ret);

#endif
