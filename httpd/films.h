/* Films of the archive that were laid out: what they are made of, and where what lies in them
 * (archive/export). A player asks for one in many ranges; its segments' tables are walked once. The cache
 * knows a film by what was asked for and by the segments the index named, so that it never outlives its
 * footage. Capped in number; a film of a day takes 0.3 MB. A lock is held for a look into memory only. Tests:
 * tests/unit/httpd/test_films.c. */
#ifndef HTTPD_FILMS_H
#define HTTPD_FILMS_H

#include <stdatomic.h>

#include "archive/export.h"
#include "archive/export_find.h"
#include "common/base/list.h"
#include "common/ring/ring.h"

#define FILMS_MAX 32

struct film {
    _Atomic uint32_t refs;
    char uid[RING_UID_MAX + 1];
    uint64_t key; /* of what was asked for, and of the sources */
    struct export_source *source;
    size_t n;
    struct export *x;
    struct track sound; /* G.711 that AAC is made of; CODEC_NONE: none is */
    usec_t *times;      /* of pictures: when each was taken */
    size_t n_times;
    struct list link; /* the cache's */
};
/* One reference. Takes the sources. */
struct film *film_new(const char *uid, uint64_t key, struct export_source *source, size_t n);
void film_unref(struct film *f); /* NULL too */

struct films;
struct films *films_new(void);
void films_free(struct films *s); /* NULL too */
/* Thread-safe. Referenced; NULL: not there. */
struct film *films_get(struct films *s, const char *uid, uint64_t key);
void films_put(struct films *s, struct film *f);  /* laid out; keeps a reference of its own */
void films_drop(struct films *s, struct film *f); /* one of its files has changed */

#endif
