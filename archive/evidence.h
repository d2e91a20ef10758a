/* A period of a stream's footage as one MP4 that leaves the server, and what is known of all that it is made
 * of. The bytes are those that httpd sends for the same period.
 *
 * All segments' files are opened at once and stay open: what retention deletes meanwhile is read to its end,
 * and a process that is killed leaves nothing behind, no lock either. The segment that is being written is no
 * part of it: nobody can say yet what it will be. Every call may block on a disk. Tests:
 * tests/unit/archive/test_evidence.c, tests/e2e/test_evidence.py. */
#ifndef ARCHIVE_EVIDENCE_H
#define ARCHIVE_EVIDENCE_H

#include "archive/export.h"
#include "archive/export_find.h"
#include "archive/index.h"
#include "common/wire/crypto.h"

#define EVIDENCE_SUM_MAX (2 * CRYPTO_SHA256_N + 1)

struct evidence_place {
    const char *name, *path; /* of the storage; the caller's */
    struct index *ix;
};
/* A track, as far as people want to know. */
struct evidence_track {
    enum codec codec;
    uint16_t width, height, channels;
    uint32_t sample_rate;
};
struct evidence_segment {
    uint64_t id, bytes;
    usec_t start_us, end_us;
    uint32_t flags, damaged, repaired; /* SEG_*; frames */
    enum seg_clock clock;
    int64_t clock_offset_us;
    uint8_t place; /* the storage that it lies on */
    bool part;     /* only [from_us, until_us) of it: another node's footage is before, or behind */
    usec_t from_us, until_us;
    int fd;
    int err;                    /* -errno, or positive: it cannot be read as a segment */
    bool used;                  /* something of it is in the MP4 */
    usec_t gap_from_us, gap_us; /* what is missing before it */
    bool another;               /* form than the one before, or the first */
    struct evidence_track t[TRACK_MAX];
    uint8_t n_tracks;
    char sum[EVIDENCE_SUM_MAX]; /* SHA-256 of its file, once it was written */
};
struct evidence {
    const char *uid;
    usec_t from_us, to_us;
    bool keep_gaps;
    const struct evidence_place *places;
    size_t n_places;
    /* Now and then; false: it is given up (-ECANCELED). */
    bool (*alive)(void *arg, uint64_t done, uint64_t all);
    void *arg;
    /* what was found */
    bool damaged; /* records of an index cannot be read: something may be missing */
    struct evidence_segment *v;
    size_t n;
    struct export *x;
    char sum[EVIDENCE_SUM_MAX]; /* of the whole MP4, once it was written */
    uint64_t done, all;         /* bytes */
};

/* Finds the segments, and lays the MP4 out. EXPORT_OK, EXPORT_E_MANY, EXPORT_E_NONE, -errno. */
int evidence_lay(struct evidence *e);
/* Writes it. EXPORT_OK, EXPORT_E_CHANGED, -errno of the footage; -(EVIDENCE_OUT + errno) of fd. */
#define EVIDENCE_OUT 1000000
int evidence_write(struct evidence *e, int fd);
/* Frees what was found. */
void evidence_done(struct evidence *e);

/* Footage around a time that holds none: the moments that lie nearest, 0: none. */
struct evidence_near {
    usec_t before_us, after_us;
};
struct evidence_near evidence_near(const struct evidence *e);

#endif
