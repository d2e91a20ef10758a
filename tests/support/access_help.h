/* Who may watch, asked of the real server in a test: every road there is, over HTTP and RTSP, with whatever a
 * viewer shows; a site's own server that answers as the test wants. */
#ifndef SUPPORT_ACCESS_HELP_H
#define SUPPORT_ACCESS_HELP_H

#include <limits.h>
#include <pthread.h>
#include <stdatomic.h>

#include "common/wire/token.h"
#include "tests/support/httpd_help.h"

#define ACCESS_SECRET    "a secret of this test"
#define ACCESS_LINK_KEY  "linkkey"
#define ACCESS_USER      "anna:wonder" /* role user */
#define ACCESS_GUEST     "bert:brick"
#define ACCESS_STRANGER  "anna:wander"
#define ACCESS_FROM_S    1700000000 /* the archive's time that the roads ask for, a minute */
#define ACCESS_HEAD_MAX  8192
#define ACCESS_QUESTIONS 65536 /* bytes that the backend keeps of what it was asked */

/* A road: an HTTP route and an example of its path, RTSP, or a camera that pushes. */
struct access_road_row {
    const char *pattern; /* of the route; NULL: RTSP, or ROAD_PUSH */
    const char *path;    /* '%' stands for the stream */
    enum access_op op;
    enum access_road road;
    const char *fields; /* that it needs */
};
const struct access_road_row *access_rows(size_t *ret_n);

/* The site's own server: 200 where the token begins with "yes", 403 else; `status` other than 0: that. */
#define ACCESS_BACKEND_MUTE UINT_MAX /* closes without an answer */
struct access_backend {
    int fd;
    pthread_t thread;
    char url[64];
    _Atomic unsigned asked, status;
    _Atomic bool holds; /* answers nobody for now */
    const char *fields; /* of its answers; set before it is asked */
};
void access_backend_start(struct access_backend *b);
void access_backend_stop(struct access_backend *b);

/* What the site says; "" or NULL: nothing. */
struct access_site {
    const char *whitelist, *exempt, *proxies, *api_whitelist, *link_key, *backend;
    const char *secret;   /* NULL: ACCESS_SECRET */
    const char *password; /* of anna; NULL: as in ACCESS_USER */
    bool users;           /* those above; browsers are asked for a login */
    bool api;
    unsigned address_limit, connections_limit;
    int64_t key_until_s;
};
struct access_help {
    struct httpd_help http;
    int rtsp_fd, module_fd;
    uint16_t rtsp_port, module_port;
};
void access_help_start(struct access_help *h);
void access_help_stop(struct access_help *h);
void access_help_site(struct access_help *h, const struct access_site *site);
/* Down: what is allowed is answered at once. */
void access_help_stream(
    struct access_help *h, const char *uid, enum access_mode mode, const char *whitelist, unsigned limit);

/* What a viewer shows; all may be NULL. */
struct access_shown {
    const char *token;   /* in the URL */
    const char *fields;  /* more lines of the head */
    const char *session; /* before the path; not over RTSP */
    const char *login;   /* name:password, by Digest */
};
/* Status of the last answer; *ret (may be NULL; of ROAD_PUSH always) is the whole of it. */
unsigned access_help_ask(struct access_help *h, const struct access_road_row *row, const char *uid,
    const struct access_shown *shown, struct http_reply *ret);
/* A camera asks to push, as its worker does, and is held until it is over (pushes_over); id is not 0. */
unsigned access_help_push(struct access_help *h, const char *uid, uint64_t id, const char *token);
/* What is said of one next, of itself. */
unsigned access_help_push_said(void);
static inline bool access_may(unsigned status)
{
    return status != 401 && status != 403;
}
/* The whole answer but its date, into dst. */
void access_help_text(const struct http_reply *r, char dst[ACCESS_HEAD_MAX]);
/* Id of the session on this stream that was used last; "": none. */
void access_help_session(struct access_help *h, const char *uid, char dst[SESSION_ID_DIGITS + 1]);

/* A token that allows to watch `uid`, with an id of its own. */
struct token access_token(const char *uid);
/* Signed under kid with that secret; the text of the call before is gone. */
const char *access_signed(const char *kid, const char *secret, const struct token *t);
const char *access_token_text(struct token t);
/* hash-salt-end-start for any address; key: of the site. */
const char *access_link(const char *uid, const char *key);

#endif
