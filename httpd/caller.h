/* Who asks the API or the panel, once that is found out (who.h): an account that has signed in, or a token.
 * Every answer about a stream is for callers that may see it. Tests: tests/unit/httpd/test_caller.c. */
#ifndef HTTPD_CALLER_H
#define HTTPD_CALLER_H

#include "common/wire/token.h"
#include "httpd/access.h"

#define CALLER_ID_DIGITS 32

/* The streams somebody is for: uids, and beginnings with '*'. */
struct camera_list {
    char v[TOKEN_STREAMS_MAX][TOKEN_PATTERN_MAX + 1];
    size_t n; /* 0: all */
};
/* A list with commas; "": all. false: one is no pattern, or there are too many; *ret then fits no stream. */
bool camera_list_read(struct span text, struct camera_list *ret);
bool camera_list_has(const struct camera_list *c, struct span uid);
/* "cam-*,yard" */
#define CAMERA_LIST_TEXT_MAX (TOKEN_STREAMS_MAX * (TOKEN_PATTERN_MAX + 1) + 1)
const char *camera_list_text(const struct camera_list *c, char dst[CAMERA_LIST_TEXT_MAX]);

struct caller {
    char name[ACCESS_USER_MAX + 1];
    const char *role; /* "root", "admin", "user", "guest" */
    const char *by;   /* "session", "basic", "token" */
    char address[ADDR_TEXT_MAX];
    char id[CALLER_ID_DIGITS + 1]; /* of the sign-in (signins.h); "": none */
    int64_t until_s;               /* wall clock; 0: no end */
    uint8_t token_id[TOKEN_ID_N]; /* of the token, and when it was made: what takes tokens back names these */
    int64_t token_made_us;
    int64_t shown_until_s; /* of a session: until then its password counts as just shown */
    struct camera_list cameras;
};
/* c NULL: nobody in particular, such as a script on its own account; it sees all. */
bool caller_sees(const struct caller *c, struct span uid);
/* root and admin; NULL too. */
bool caller_changes(const struct caller *c);
/* What was recorded, and what happened and was changed when: all but guests; NULL too. */
bool caller_looks_back(const struct caller *c);
/* What only who has shown a password a moment ago may do: a cookie that somebody has taken is not enough. */
bool caller_confirmed(const struct caller *c);
/* One map, for scripts: name, role, by, [cameras]. */
struct packer;
void caller_pack(struct packer *p, const struct caller *c);

#endif
