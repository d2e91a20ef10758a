/* MP4 files of the archive: a period as one film, the picture at a moment, N pictures of a period. A request
 * goes three ways, one behind the other: its segments are listed (archive_find.c, all storages at once),
 * their tables walked (archive_walk.c, in turns, in the pools of their storages), and the file that
 * archive/export laid out is sent (archive_send.c). Films that were laid out a moment ago are kept for the
 * next range of them (films.h). Tests: tests/unit/httpd/test_archive_mp4.c, tests/e2e/test_http_mp4.py. */
#ifndef HTTPD_ARCHIVE_MP4_H
#define HTTPD_ARCHIVE_MP4_H

#include "archive/export.h"
#include "httpd/archive.h"
#include "httpd/films.h"
#include "httpd/lend.h"
#include "httpd/pictures.h"
#include "httpd/sight.h"

#define STRIP_MOST    200 /* pictures */
#define STRIP_SHOW_S  1
#define STRIP_SHOW_US (STRIP_SHOW_S * US_PER_S)
#define FILM_OUT_MAX  (32u << 20) /* rows of one segment, and more */

enum film_kind { FILM_WHOLE, FILM_PICTURE, FILM_STRIP, FILM_STRIP_LIST };
struct film_ask {
    enum film_kind kind;
    usec_t from_us, to_us;
    struct sight sight;
    unsigned pictures;
    bool keep_gaps, no_sound, make_sound;
};

/* A request on its way. */
struct film_answer {
    struct lent lent; /* its job and h are used for the walk before, too */
    struct film_ask ask;
    char uid[RING_UID_MAX + 1];
    struct storage *st[ARCHIVE_STORAGES_MAX]; /* by struct export_source's storage */
    size_t n_st;
    unsigned missing; /* storages */
    struct film *film;
    struct pictures *pictures; /* that make sound */
    int sound_err;             /* enum pictures_err: of the sound that was to be made last */
    struct films *films;
    /* the walk */
    size_t at; /* segment, or picture */
    int err;
    struct seg_table *t; /* of the source `loaded` */
    uint32_t loaded;
    /* the sending */
    struct buf out;     /* goes first */
    uint64_t next, end; /* of the film: what is prepared next, and where the range ends */
    int fd;
    struct seg_range *r; /* of the piece of media at hand, from r[r_at] on, `left` bytes of it */
    size_t n_r, r_at;
    uint64_t left;
};
void film_answer_free(struct film_answer *a);
/* A source's file and its table, as far as it is wanted; ret_t NULL: the file alone. 0, positive, -errno. */
int film_source(const struct film_answer *a, uint32_t source, int *ret_fd, struct seg_table **ret_t);

/* archive_sound.c: the first telephone sound of a segment, and what it is made into. false: it has none. */
bool film_sound_form(const struct seg_table *t, struct track *ret_source, struct export_made *ret);
/* Frames of an EXPORT_MADE piece into a->out, from a->next on. 0 or -errno; a->sound_err says why. */
int film_sound_put(struct film_answer *a, const struct export_piece *p);
/* The first of them that will be sent from this storage is made ahead, so that a helper that is away is known
 * while an answer can still say so. */
int film_sound_first(struct film_answer *a);
/* A sentence for the viewer. */
const char *film_sound_why(int err);

/* Lists the segments, then goes on. Answers itself where nothing is there. */
void film_find(struct http *h, const struct film_ask *ask);
/* a->film has its sources. Takes a. */
void film_walk(struct http *h, struct film_answer *a);
/* a->film is laid out. Takes a. */
void film_send(struct http *h, struct film_answer *a);

#endif
