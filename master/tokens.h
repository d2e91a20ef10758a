/* Access tokens as the master knows them: by which keys they are made (the configuration's), and which count
 * no more. What is revoked is kept in state-dir and told to httpd: a token by its id until it would have
 * ended anyway; all tokens of a user, or for a stream, that were made before that moment. Tests:
 * tests/e2e/test_access.py. */
#ifndef MASTER_TOKENS_H
#define MASTER_TOKENS_H

#include "common/wire/token.h"
#include "master/minted.h"
#include "master/state_file.h"

#define TOKENS_FILE        "revoked" /* in state-dir: "<kind> <at_us> <until_s> <name>" a line */
#define TOKENS_REVOKED_MAX 10000
#define TOKENS_NAME_MAX    64

struct channel;
struct conf;
struct master;
struct packed;
struct packer;

enum revoked_kind { REVOKED_TOKEN, REVOKED_USER, REVOKED_STREAM, REVOKED_KINDS };
struct revoked_row {
    enum revoked_kind kind;
    char name[TOKENS_NAME_MAX + 1]; /* an id in hex, a user, a uid */
    usec_t at_us;
    int64_t until_s; /* forgotten then; 0: never */
};
struct tokens {
    struct minted minted; /* what was made here */
    struct state_file *file;
    struct revoked_row *v;
    size_t n;
    bool lost; /* which are revoked is not known: none is taken */
};

/* 0 or -errno. */
int tokens_open(struct tokens *t, int state_dir);
void tokens_close(struct tokens *t);
/* NULL, or why not. Replaces a row of the same name; tells httpd, and the other nodes. */
const char *tokens_revoke(struct master *m, const struct revoked_row *row);
/* Rows as tokens_pack writes them, of another node: what is new in them counts here too. */
void tokens_learn(struct master *m, const struct packed *rows);
/* TOKEN_MADE of httpd. */
void tokens_made(struct master *m, const struct packed *body);
/* All that is revoked, to a new httpd. */
void tokens_tell(struct master *m, struct channel *httpd);
void tokens_check(
    struct master *m); /* once a second: what has ended is forgotten; a failed write is logged */
const char *tokens_kind_word(enum revoked_kind kind);
void tokens_pack(struct packer *p, const struct revoked_row *row); /* as a map */

/* By the configuration: tokens_keys_done afterwards. */
void tokens_keys(const struct conf *c, struct token_keys *ret);
/* What tokens of this cluster say of it; returns dst. */
const char *tokens_audience(const struct conf *c, char dst[TOKEN_AUDIENCE_MAX + 1]);

#endif
