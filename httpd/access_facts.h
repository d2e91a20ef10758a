/* What is known of a question before it is decided, and the rules over it. The script of the site decides by
 * the same facts (lua/modules/auth/validate.lua); these rules are those of the script that is shipped: what
 * they refuse is not worth asking it, and they decide where there is no script (tests).
 * Tests: tests/unit/httpd/test_access_table.c. */
#ifndef HTTPD_ACCESS_FACTS_H
#define HTTPD_ACCESS_FACTS_H

#include "common/ipc/pack.h"
#include "common/wire/token.h"
#include "httpd/access.h"

enum known { NOT_KNOWN = -1, KNOWN_NO = 0, KNOWN_YES = 1 };

struct facts {
    /* of the stream and the address */
    enum access_mode mode;
    bool enabled, proto_ok;
    enum known listed, server_listed;
    /* of the credentials */
    bool has_token, token_valid, stream_ok, address_ok;
    struct token token; /* when it is valid */
    int64_t until_s;    /* of the token or link; 0: no end */
    char kid[TOKEN_KID_MAX + 1];
    enum known link;                /* the secure link; NOT_KNOWN: the site has none, or none was given */
    char user[ACCESS_USER_MAX + 1]; /* of an account whose password was right; "": none */
    const char *role;
    bool other_camera; /* an account was right that is not for this stream: as if there were none */
    /* of the site's own server */
    enum known backend;
    char backend_user[ACCESS_USER_MAX + 1];
    int64_t backend_s; /* so long it holds */
    uint32_t backend_sessions;
    bool guessed; /* something was wrong that only guessing gets wrong */
};
/* What is asked. */
struct asked {
    enum access_op op;
    enum access_road road;
    struct addr address;
    usec_t from_us, to_us;
    struct span user_agent;
};

/* Of the stream's rule and the address, as they are now. */
void facts_of_rule(struct facts *f, const struct access_ask *a);
/* Of token and link. */
void facts_of_token(struct facts *f, const struct access_ask *a);
/* An account was right: it counts where it is for the stream. */
struct camera_list;
void facts_of_account(
    struct facts *f, const char *login, const char *role, const struct camera_list *cameras, const char *uid);
/* 200, 401 (nothing was shown), 403, 503 (switched off). */
unsigned facts_rules(const struct facts *f, const struct asked *q);
/* Is there anything in it that somebody has given? */
bool facts_shown(const struct facts *f);
/* The script's request (contract of validate.lua). */
void facts_pack(struct packer *p, const struct facts *f, const struct asked *q, const char *uid);

#endif
