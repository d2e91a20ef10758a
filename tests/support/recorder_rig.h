/* A recorder on a small ring and a folder of its own, in its loop. Frames are put with a wall clock that
 * begins at REC_RIG_START_US, and is moved by step_us. */
#ifndef TESTS_RECORDER_RIG_H
#define TESTS_RECORDER_RIG_H

#include "common/net/loop.h"
#include "worker/recorder.h"

#define REC_RIG_INFOS_MAX 64
#define REC_RIG_WAIT_US   (60 * US_PER_S)
#define REC_RIG_FRAME_US  (40 * US_PER_MS)
#define REC_RIG_START_US  (INT64_C(1700000000) * US_PER_S)

extern const struct ring_geom rec_rig_geom;

struct rec_rig {
    struct loop *loop;
    struct loop_timer late;
    struct recorder *rec;
    struct ring_writer *w;
    char dir[64];
    int fd, ring_fd;
    struct seg_info infos[REC_RIG_INFOS_MAX];
    unsigned n_infos, opened, failures;
    int failed;
    bool stopped;
    uint32_t frame;           /* put so far, of video */
    bool silent;              /* no audio is put */
    usec_t step_us, slide_us; /* the wall clock is so much off media time, and so much more each frame */
};

/* cmocka's; *state is the rig. */
int rec_rig_setup(void **state);
int rec_rig_teardown(void **state);
void rec_rig_recorder(struct rec_rig *b); /* a recorder, as in a new worker, on the ring that is there */
int rec_rig_folder(struct rec_rig *b);    /* a descriptor of the folder */
void rec_rig_stop(struct rec_rig *b);     /* and the recorder is freed */
/* 25 video frames a second, an audio frame with each; a key frame every `gop`. */
void rec_rig_put(struct rec_rig *b, unsigned n, unsigned gop, uint16_t first_flags);
void rec_rig_recorded(struct rec_rig *b); /* waits until all that was put is in files */
/* In all segments that were closed. */
unsigned rec_rig_video_samples(struct rec_rig *b);

#endif
