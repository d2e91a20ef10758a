/* HTTP requests that httpd makes itself: an auth backend, webhooks, what a site's scripts ask for. One thread
 * with libcurl (its only door) does them all; any loop's thread asks, the answer comes to that loop. URLs are
 * the site's, never a viewer's. http and https only, no redirect is followed, no proxy of the environment is
 * used, certificates are checked against the machine's. Tests: tests/unit/httpd/test_outgoing.c. */
#ifndef HTTPD_OUTGOING_H
#define HTTPD_OUTGOING_H

#include "common/base/clock.h"
#include "common/base/span.h"

struct loop;
struct outgoing;

#define OUTGOING_OPEN_MAX   64   /* at a time, of all together */
#define OUTGOING_QUEUE_MAX  1024 /* that wait for one of these */
#define OUTGOING_URL_MAX    2048
#define OUTGOING_FIELDS_MAX 16384 /* bytes of the answer's head */

/* Conditions (positive). */
enum outgoing_err {
    OUTGOING_E_BUSY = 1, /* too many wait */
    OUTGOING_E_NONE,     /* it does not run */
    OUTGOING_E_URL,      /* not http or https, or too long */
    OUTGOING_E_LATE,     /* no whole answer within the limit */
    OUTGOING_E_LARGE,    /* the answer is larger than was wanted */
    OUTGOING_E_CONNECT,  /* no such host, nobody listens, the connection broke */
    OUTGOING_E_TLS       /* the certificate is not trusted, or the hand-shake failed */
};
const char *outgoing_why(int err); /* "the certificate is not trusted" */

struct outgoing_field {
    const char *name, *value; /* without CR and LF: others are left out */
};
struct outgoing_answer {
    int err;         /* 0: status, fields and body are there */
    unsigned status; /* of HTTP */
    struct span body, fields;
};
/* Everything is copied. */
struct outgoing_ask {
    const char *method, *url;
    const struct outgoing_field *fields;
    size_t n_fields;
    struct span body; /* p NULL: none */
    usec_t limit_us;  /* to the last byte of the answer */
    size_t answer_max;
    struct loop *loop;
    void (*done)(void *arg, const struct outgoing_answer *a); /* once, in loop */
    void *arg;
};

struct outgoing *outgoing_new(void); /* NULL: no thread, no memory */
/* What is under way is given up, without a done. NULL too. */
void outgoing_free(struct outgoing *o);
/* 0: done comes later. BUSY, NONE (o is NULL) and URL come at once, and no done. */
int outgoing_send(struct outgoing *o, const struct outgoing_ask *ask);
/* The last field of this name, without blanks around it; an empty span: there is none. */
struct span outgoing_field(const struct outgoing_answer *a, const char *name);

#endif
