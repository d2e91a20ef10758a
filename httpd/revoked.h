/* Tokens that count no more (REVOKED), as a hub knows them: by id, or all of a user, or for a stream, that
 * were made before a moment. What runs on one of them ends when the message comes. Tests:
 * tests/unit/httpd/test_revoked.c. */
#ifndef HTTPD_REVOKED_H
#define HTTPD_REVOKED_H

#include "common/base/map.h"
#include "common/wire/token.h"

#define REVOKED_NAME_MAX 64

struct hub;
struct packed;
struct server;

struct revoked {
    struct map tokens, users, streams; /* to struct revoked_until */
};
void revoked_done(struct revoked *r);
/* Does this token count, for this stream? */
bool revoked_token(const struct revoked *r, const struct token *t, struct span uid);
/* A row of the message, to every hub. false: it is none. */
bool revoked_read(struct server *server, const struct packed *row);

#endif
