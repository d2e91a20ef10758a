/* A request that waits for a picture, live or of the archive, and its answer. */
#ifndef HTTPD_PICTURE_ROAD_H
#define HTTPD_PICTURE_ROAD_H

#include "httpd/answer.h"
#include "httpd/pictures.h"

/* Wait for a picture; its maker gives up before. */
#define SHOT_WAIT_US (15 * US_PER_S)

struct shot {
    struct picture_job job;
    struct http *h;    /* NULL: the connection has gone, or was answered */
    usec_t wall_us;    /* of pts 0, which counts microseconds */
    usec_t age_us;     /* of a picture of a camera that is down now; 0: it is not */
    const char *cache; /* what a cache may do with it */
    char key[PICTURES_KEY_MAX];
};

/* width= of the query; 0: none was asked for. false: it was answered by 400. */
bool shot_width(struct http *h, uint16_t *ret);
/* What a helper has to know of the track; the units are the caller's. false: not a picture that we decode. */
bool shot_source(struct picture_source *src, const struct track *t, uint16_t width);
/* Takes w (mem_new). src: taken; NULL: only if the picture is known. false: it is not; w is the caller's. */
bool shot_start(struct http *h, struct shot *w, struct picture_source *src);

/* picture_archive.c: the picture that was recorded last, of a camera that shows none now, with its age. Where
 * there is none: 503 with `why`. */
#define SHOT_WHY_MAX 200
void shot_last(struct http *h, uint16_t width, const char *why);
/* X-Picture-Time, and X-Picture-Age of one that is old (age_us > 0). */
void shot_times(struct wr *w, usec_t wall_us, usec_t age_us);

#endif
