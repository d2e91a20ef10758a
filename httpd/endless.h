/* An answer that does not end: fragments for one viewer each, from the last key frame on, at once. A viewer
 * that falls HTTP_QUEUE_HIGH behind what it was given at the start (at most GOP_BYTES_MAX) is dropped to the
 * next key frame. What goes out is the form's. Tests: tests/unit/httpd/test_live.c, test_live_ts.c. */
#ifndef HTTPD_ENDLESS_H
#define HTTPD_ENDLESS_H

#include "httpd/follow.h"

struct endless {
    struct viewer viewer;
    struct http *h;
    const struct endless_form *form;
    bool begun, joined, behind;
    size_t burst;      /* bytes that were queued at the start and have not been sent */
    int64_t origin_us; /* the form's: media time of the first fragment */
};

struct endless_form {
    const char *type;
    const char *none;   /* said where mask gives nothing */
    bool takes_changes; /* goes on when the tracks change; else the answer ends there */
    unsigned (*mask)(const struct init *init);                                     /* tracks that go out */
    void (*begin)(struct endless *e, struct fragment *f, const struct init *init); /* NULL: nothing to do */
    /* jumped: fragments before it were left out. false: memory is out, it is left out too. */
    bool (*send)(struct endless *e, struct fragment *f, const struct init *init, bool jumped);
};

void endless_serve(struct http *h, const struct endless_form *form);

#endif
