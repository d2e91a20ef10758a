/* The parameter sets of a video track, by kind and id, as they came. A camera may keep several ids, flip
 * between contents, or repeat them with every key frame (V8): a set that comes again with other bytes but the
 * same `core` (what a decoder needs of it) is no change. Used by h264.h and h265.h. Tests:
 * tests/unit/media/test_params.c. */
#ifndef MEDIA_PARAMS_H
#define MEDIA_PARAMS_H

#include "common/base/span.h"

#define PARAMS_MAX     48   /* sets of one track */
#define PARAMS_SET_MAX 1024 /* bytes of one set */

struct param {
    uint8_t *p;
    uint16_t n;
    uint16_t id, parent; /* parent: id of the set it refers to (PPS -> SPS, SPS -> VPS) */
    uint8_t kind;        /* NAL unit type */
    uint8_t parent_kind; /* of the set whose use makes this one wanted too, 0: none */
    bool used;           /* a picture referred to it */
    bool in_config;      /* the decoder configuration handed out last says the same */
    uint32_t rev;        /* number of this content, counts over the store */
    uint64_t core;       /* equal: the same to a decoder */
};

/* A zeroed one is empty. */
struct params {
    struct param *v;
    uint16_t n, cap;
    uint32_t rev;
    bool any_used;
};

/* Conditions (positive). */
enum { PARAMS_OK = 0 /* as before */, PARAMS_NEW = 1, PARAMS_CHANGED = 2, PARAMS_FULL = 3 };

void params_done(struct params *s);
struct param *params_find(const struct params *s, uint8_t kind, uint16_t id);
/* Copies nal. PARAMS_FULL: too long, or all places taken by sets in use. */
int params_put(struct params *s, const struct param *what, struct span nal);
static inline struct span param_span(const struct param *p)
{
    return span(p->p, p->n);
}
/* A picture refers to it. */
void params_use(struct params *s, struct param *p);

/* Which sets belong into a description. A stray one of the session description can do harm there (S13). */
enum params_pick {
    PARAMS_WANTED, /* used, or belonging to a used one; all as long as none is used */
    PARAMS_USED
};
bool params_picked(const struct params *s, const struct param *p, enum params_pick pick);
unsigned params_count(const struct params *s, uint8_t kind, enum params_pick pick);
/* The next one by rising id, after `after` (-1: the first); NULL: no more. */
const struct param *params_next(const struct params *s, uint8_t kind, enum params_pick pick, int after);

#endif
