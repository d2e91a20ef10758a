/* What viewers share: the init segment of a track description, and fragments (moof and mdat) of a frame or a
 * few. Counted without atomics: they belong to one hub. Tests: tests/unit/httpd/test_live.c. */
#ifndef HTTPD_FRAGMENT_H
#define HTTPD_FRAGMENT_H

#include "common/media/ts.h"
#include "common/net/conn.h"

#define INIT_MAX          (64u << 10) /* bytes of an init segment */
#define FRAGMENT_HEAD_MAX (1u << 20)
#define INIT_ID_MAX       20

/* Made when first asked for; NULL: not yet. */
struct init_forms {
    struct chunk *mse; /* the text of mse_ld (mse.h) */
};
struct init {
    uint32_t refs;
    struct chunk *c;
    struct track_set tracks;
    unsigned mask; /* tracks in it */
    int video;     /* index of the video track, or -1 */
    struct init_forms *forms;
    struct ts_program ts;
    char id[INIT_ID_MAX]; /* the same content has the same id, in every process */
};
/* without: tracks left out, a bit each. NULL: nothing in it that MP4 players can play, or memory is out. */
struct init *init_new(const struct track_set *tracks, unsigned without);
struct init *init_ref(struct init *i);
void init_unref(struct init *i);

/* A sample on its way into a fragment. */
struct sample {
    struct mp4_sample m;
    usec_t wall_us;
    struct chunk *data;
};

struct fragment {
    uint32_t refs;
    uint64_t number;
    struct chunk *c; /* head and samples; NULL: shed */
    size_t head_n;
    struct ts_place ts_place; /* set by the follower */
    struct chunk *ts;         /* MPEG-TS, made for the first who asks; NULL: not yet */
    bool key;                 /* a decoder may start with its video (or with it, where there is no video) */
    usec_t wall_us;
    int64_t start_us, end_us; /* media time of the main track: video, else the first */
    uint8_t n_tfdt;
    struct {
        size_t at; /* of the 64-bit time in the head */
        uint8_t track;
    } tfdt[TRACK_MAX];
    struct {
        struct chunk *c; /* NULL: not asked for yet */
        size_t end[TRACK_MAX];
    } mse; /* its form for mse_ld (mse.h), kept as long as viewers begin with it */
    size_t n;
    struct mp4_sample s[];
};
/* One fragment of n samples, in order; media times are not shifted. NULL: memory is out. */
struct fragment *fragment_new(const struct init *init, uint64_t number, const struct sample *s, size_t n);
struct fragment *fragment_ref(struct fragment *f);
void fragment_unref(struct fragment *f);
/* Nobody begins with it any more: the forms that only viewers who begin would share are let go. */
void fragment_old(struct fragment *f);
/* Media time of the earliest sample, in microseconds. */
int64_t fragment_origin_us(const struct fragment *f, const struct init *init);
/* The head with media time 0 at origin_us, for a file that begins there; at least head_n bytes at dst. */
void fragment_head(const struct fragment *f, const struct init *init, int64_t origin_us, uint8_t *dst);

/* The fragment as MPEG-TS, which may be empty; its own reference. NULL: memory is out. */
struct chunk *fragment_ts(struct fragment *f, const struct init *init);
/* The same into memory for ts_place.packets, from the samples' bytes. */
void fragment_ts_put(const struct fragment *f, const struct init *init, struct span data, uint8_t *dst);
/* Bytes of its samples. */
size_t fragment_data_n(const struct fragment *f);
/* Nobody else holds the fragment: lets go what can be made again, and its bytes too where they are kept
 * elsewhere. */
void fragment_shed(struct fragment *f, bool bytes);

/* Many fragments as one (moof, mdat), copied once and then shared. NULL: memory is out. */
struct chunk *fragments_join(struct fragment *const *f, size_t n, uint32_t sequence);

#endif
