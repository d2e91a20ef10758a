#include "httpd/key_frame.h"

bool key_frame_find(const struct stream *s, struct ring_reader **ret_r, struct frame *ret)
{
    struct ring_reader *r;
    uint64_t seq;

    if (!s->has_ring || ring_reader_open(s->ring.ring_fd, &r) != 0) return false;
    if (ring_last_key(r, &seq) == RING_OK && ring_peek(r, seq, ret) == RING_OK) {
        ret->seq = seq;
        *ret_r = r;
        return true;
    }
    ring_reader_close(r);
    return false;
}

int key_frame_read(
    struct ring_reader *r, uint64_t seq, struct buf *into, struct frame *ret, struct track_set *ret_tracks)
{
    int err = ring_read(r, seq, into, ret);

    if (err == RING_OK) err = ring_tracks(r, ret->gen, ret_tracks);
    if (err == RING_OK && (ret->track >= ret_tracks->n || ret_tracks->t[ret->track].kind != TRACK_VIDEO))
        err = RING_E_AGAIN;
    return err;
}
