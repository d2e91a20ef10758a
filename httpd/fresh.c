#include "httpd/fresh.h"

bool fresh_start(struct ring_reader *r, usec_t now_us, uint64_t *ret_seq)
{
    uint64_t seq, last = ring_next(r);
    struct frame fr;

    if (last == 0 || ring_peek(r, last - 1, &fr) != RING_OK || now_us - fr.arrival_us > FRESH_US)
        return false;
    if (ring_oldest_key(r, &seq) != RING_OK) return false;
    for (; seq < last; seq++) {
        struct track_set tracks;
        int video;

        if (ring_peek(r, seq, &fr) != RING_OK || !(fr.flags & FRAME_KEY)) continue;
        if (now_us - fr.arrival_us > FRESH_US) continue;
        if (ring_tracks(r, fr.gen, &tracks) != RING_OK) continue;
        video = track_find(&tracks, TRACK_VIDEO);
        if (video >= 0 && fr.track != video) continue;
        *ret_seq = seq;
        return true;
    }
    return ring_last_key(r, ret_seq) == RING_OK;
}
