/* The newest key frame of a ring, with its tracks: what a preview is made of. In the stream's hub. */
#ifndef HTTPD_KEY_FRAME_H
#define HTTPD_KEY_FRAME_H

#include "httpd/stream.h"

/* The newest key frame's number and times. false: there is none. *ret_r is the caller's to close then. */
bool key_frame_find(const struct stream *s, struct ring_reader **ret_r, struct frame *ret);
/* Its bytes, in `into`. RING_OK, or why there is none; RING_E_AGAIN: it is no picture. */
int key_frame_read(
    struct ring_reader *r, uint64_t seq, struct buf *into, struct frame *ret, struct track_set *ret_tracks);

#endif
