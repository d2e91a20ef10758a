/* The parameter sets that stand in a decoder configuration (avcC, hvcC). Sources: ISO/IEC 14496-15 5.3.3.1
 * and 8.3.3.1. What is damaged ends the reading. Tests: tests/unit/media/test_ts.c, fuzz_ts. */
#ifndef MEDIA_SETS_H
#define MEDIA_SETS_H

#include "common/media/track.h"

struct sets {
    struct rd r;
    bool h265;
    unsigned lists; /* to come: of SPS and PPS; arrays of hvcC */
    unsigned left;  /* sets to come of this list */
};

/* Of a track that is neither H.264 nor H.265 there are none. */
struct sets sets_of(const struct track *t);
/* The next one, with its header and without start code; empty ones are left out. false: no more. */
bool sets_next(struct sets *s, struct span *ret_nal);
/* Their bytes, each behind a start code of four. */
size_t sets_annexb_n(const struct track *t);

#endif
