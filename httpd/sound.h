/* Telephone sound (G.711) of segments as AAC frames of a constant size, for what plays AAC only. A frame's
 * bytes follow from its place alone, so that lengths and offsets are known before anything is encoded: frame
 * i of a stretch is bytes [i * sound_bytes, (i + 1) * sound_bytes), and stands for the samples from 1,024 i
 * on; nothing has to be taken off by an edit list (httpd/picture/aac.h). Frames are made SOUND_CHUNK at a
 * time, each chunk with two frames of run-in from what lies before it: whoever asks for the same stretch gets
 * the same bytes, whatever part of it he reads. Chunks are kept as pictures are (httpd/pictures.h).
 * Used by archive_sound.c. Tests: tests/unit/httpd/test_sound.c, tests/e2e/test_picture.py. */
#ifndef HTTPD_SOUND_H
#define HTTPD_SOUND_H

#include "archive/reader.h"
#include "httpd/pictures.h"

#define SOUND_SAMPLES     PICTURE_AAC_SAMPLES /* a frame */
#define SOUND_CHUNK       512                 /* frames: 65 s of 8 kHz */
#define SOUND_SOURCES_MAX 3

/* The AAC track that stands for a G.711 one; codec CODEC_NONE: for this one there is none. */
struct track sound_track(const struct track *g711);
/* Bytes of each frame. */
uint32_t sound_bytes(const struct track *g711);

/* A segment whose sound may be heard in a stretch. */
struct sound_source {
    const struct seg_table *t;
    int fd;
    uint8_t track; /* of the table's */
};
/* frames of AAC from the media time `first` (of like's clock) on. Sources in the order of time: the segment
 * it is of, and those before and behind, which may be missing and are then silent, as gaps are. A track that
 * is not like `like` in codec, clock and number of channels is silent too. Same key, same bytes: it
 * names all sources and the first frame. */
struct sound {
    const char *key;
    struct track like; /* G.711 */
    int64_t first;
    uint32_t frames;
    struct sound_source source[SOUND_SOURCES_MAX];
    size_t n_sources;
};
/* The chunk of `frame`: *ret (the caller's reference) holds the frames from *ret_first on, up to SOUND_CHUNK
 * of them. Reads from disks and waits for a helper: for a pool's thread. 0, enum pictures_err, or -errno. */
int sound_make(
    struct pictures *p, const struct sound *s, uint32_t frame, uint32_t *ret_first, struct picture **ret);

#endif
