/* A question on its way to an answer (access.c): what has to be found out elsewhere comes first: a password
 * that takes a thread (accounts.h), the site's own server (backend.h), then the site's script (lua.h), and
 * its plug-ins (plugins.h). */
#ifndef HTTPD_QUESTION_H
#define HTTPD_QUESTION_H

#include "httpd/access_facts.h"
#include "httpd/accounts.h"
#include "httpd/hub.h"
#include "httpd/lua.h"
#include "common/net/pool.h"

#define QUESTION_SCRIPT_US (2 * US_PER_S) /* a script's host may be away for so long */

/* What was decided. */
struct verdict {
    unsigned status; /* 200, 401, 403; 5xx: nobody could decide */
    usec_t ttl_us;   /* 0: until the session ends */
    char user[ACCESS_USER_MAX + 1];
    uint32_t sessions_max;
};

struct question {
    struct hub *hub;
    struct list asks; /* struct access_ask that wait for the answer; none: they have all gone */
    bool again;       /* nobody waits: a session that runs is looked at again */
    bool stale;       /* its login's nonce is too old, which is no refusal */
    unsigned turn;    /* of refusals.h, when it was begun */
    char uid[RING_UID_MAX + 1], identity[SESSION_ID_DIGITS + 1];
    char session[SESSION_ID_DIGITS + 1]; /* the one that is there; "": none */
    char key[REFUSAL_KEY_MAX];           /* under which it is joined, a refusal kept; "": under none */
    struct asked asked;                  /* its user_agent is `agent` */
    char agent[ACCESS_AGENT_MAX];
    struct facts facts;
    bool slow, right;         /* a password waits to be looked at; it was */
    struct secret login;      /* the slow one */
    struct secret token;      /* for the backend */
    unsigned number;          /* so often it was asked about this session */
    bool asked_backend;       /* it has answered, or does not */
    bool unanswered;          /* it does not, and that is what is said */
    enum luahost_slot plugin; /* the last one it was shown to; LUAHOST_AUTH: none */
    struct verdict verdict;   /* that plug-ins are shown */
    const struct account *account;
    struct job job;
    struct auth *auth; /* as it was: `account` is of it */
};

/* Again about what was found out for a session; the stream's rule is as it is now. */
void question_of_session(struct question *q, const struct session *s);
/* Has anybody to be asked? */
bool question_waits(const struct question *q);
/* For later, and for `a` if q is not of a session that runs; q's secrets are the new one's. */
struct question *question_keep(const struct question *q, struct access_ask *a);
void question_done(struct question *q);
/* Asks whoever is next; the answer ends with question_answer, in a later turn of the loop. */
void question_go_on(struct question *q);

/* By the rules of access_facts.h, where there is no script. */
void question_rules(const struct question *q, struct verdict *ret);
/* access.c: frees q. */
void question_answer(struct question *q, const struct verdict *v);

#endif
