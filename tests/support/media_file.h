/* Footage for tests: a fragmented MP4 read whole, and one made by ffmpeg. */
#ifndef SUPPORT_MEDIA_FILE_H
#define SUPPORT_MEDIA_FILE_H

#include "common/media/frame.h"
#include "common/media/mp4_read.h"

struct media_file {
    uint8_t *bytes;
    size_t n_bytes;
    struct mp4_movie movie;
    struct mp4_sample *s; /* by their offset in the file */
    size_t n;
};
/* MP4_OK, MP4_E_BAD (also: no moov), MP4_E_MANY, -errno. */
int media_file_load(const char *path, struct media_file *ret);
void media_file_done(struct media_file *f);
struct span media_file_data(const struct media_file *f, size_t sample);
/* The sample as the ring would hold it; media time 0 is wall_us. */
struct frame media_file_frame(const struct media_file *f, size_t sample, usec_t wall_us);

/* Makes a fragmented MP4 with ffmpeg: codec "libx264" or "libx265" (B-frames as it likes), with audio "aac",
 * "pcm_alaw", "libopus" or NULL. 25 frames a second, key frame each second. false: no ffmpeg, or it cannot.
 */
bool media_file_make(const char *path, const char *codec, const char *audio, unsigned seconds);

#endif
