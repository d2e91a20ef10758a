/* What /<uid>/mse_ld sends, in the form that Flussonic's browser player reads: a text message with the tracks
 * and their init segments, then binary messages, each a fragment of one track (common/media/mp4.h,
 * mp4_single_head). Frames of RFC 6455 and all, made once a fragment, shared by all viewers. Tests:
 * tests/unit/httpd/test_mse.c. */
#ifndef HTTPD_MSE_H
#define HTTPD_MSE_H

#include "httpd/fragment.h"

/* The text message that says what comes: the tracks of mask. NULL: memory is out. */
struct chunk *mse_init_text(const struct init *init, unsigned mask);
/* Its messages, one behind the other by the tracks' indexes: f->mse.c up to f->mse.end[i] those of track i
 * and of the ones before it. false: memory is out. */
bool mse_form(struct fragment *f, const struct init *init);
/* "v1", "a1", "d1": the name of a track, at least MSE_NAME_MAX bytes. */
#define MSE_NAME_MAX 8
const char *mse_name(const struct track_set *s, unsigned track, char *dst);

#endif
