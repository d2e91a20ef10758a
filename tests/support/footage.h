/* Made-up footage for tests of the archive: H.264, AAC and G.711 that no decoder would take, each byte known.
 */
#ifndef SUPPORT_FOOTAGE_H
#define SUPPORT_FOOTAGE_H

#include "common/media/frame.h"
#include "common/media/track.h"

#define FOOTAGE_START_US (1700000000 * US_PER_S)

struct footage {
    struct track_set tracks;
    struct frame *f; /* in the order of their arrival */
    size_t n;
    uint8_t *bytes;
};
/* seconds of 25 pictures, 15.6 AAC frames and 50 blocks of G.711 a second, a key frame every gop pictures. */
void footage_make(struct footage *f, unsigned seconds, unsigned gop, usec_t start_us);
void footage_done(struct footage *f);
/* Frames from `at` on that belong into one fragment of a second (by their wall clock). */
size_t footage_second(const struct footage *f, size_t at);

#endif
