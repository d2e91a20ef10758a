/* The frame ring: a memfd with a header, the stream's status, two slots of track description, a table of
 * fixed- size descriptors and a ring of bytes. One writer (the stream's worker) that never waits; any number
 * of readers that trust nothing they read there. The master creates it and keeps it, so that it outlives a
 * worker.
 *
 *   master   ring_mem_create -> descriptor to the worker; ring_mem_reopen_ro -> descriptor to httpd
 *   worker   ring_writer_open, ring_put, ring_set_tracks; its recorder thread reads through ring_view
 *   httpd    ring_reader_open, ring_read
 *
 * Size is sealed (SHRINK, GROW, SEAL) and fchmod(0): another size is another ring with the next ring
 * generation; the worker copies what the old one holds (ring_writer_move), frame numbers run on. Readers:
 * every index is masked, every descriptor copied once and then checked, bytes copied out and the write
 * position checked afterwards, CRC-32C over the frame, at most ring_retry_max rounds.
 * Tests: tests/unit/ring, tests/fuzz/fuzz_ring_reader.c. */
#ifndef RING_RING_H
#define RING_RING_H

#include <stdatomic.h>

#include "common/base/buf.h"
#include "common/media/frame.h"
#include "common/media/track.h"

#define RING_UID_MAX    36
#define RING_DATA_MIN   (1u << 20)
#define RING_DATA_MAX   (256u << 20)
#define RING_REASON_MAX 128

/* Conditions (positive). */
enum {
    RING_OK = 0,
    RING_E_AGAIN = 1, /* not written yet */
    RING_E_LOST = 2,  /* overwritten: go to ring_oldest_key or ring_last_key */
    RING_E_BAD = 3,   /* the memory is not a ring, or says what cannot be: give this ring up */
    RING_E_LARGE = 4, /* a frame longer than a quarter of the ring: not stored */
    RING_E_GEN = 5    /* that track description is no longer there */
};

enum stream_state {
    STREAM_CONNECTING = 0,
    STREAM_ACTIVE,
    STREAM_STALE,
    STREAM_DOWN,
    STREAM_INVALID,
    STREAM_DISABLED,
    STREAM_IDLE,
    STREAM_STATES
};
const char *ring_state_word(enum stream_state state); /* "active"; "?": none of them */

enum record_state {
    RECORD_OFF = 0,
    RECORD_ON,
    RECORD_PAUSED /* storage missing, full, read-only */,
    RECORD_WAITING /* for a key frame */,
    RECORD_ARMED /* for an event, a window of the schedule, an order */
};

/* What came broken, or from nobody we asked, a counter a kind. The word is msctl's key and the log's event.
 */
enum ring_fault {
    FAULT_RTSP = 0, /* messages that are none */
    FAULT_FRAMING,  /* interleaved bytes out of frame: searches (C8) */
    FAULT_CHANNEL,  /* frames on channels that nobody set up (P10) */
    FAULT_SDP,      /* session descriptions that are none */
    FAULT_RTP,      /* packets that are none */
    FAULT_RTCP,     /* packets of a compound that are none */
    FAULT_FOREIGN,  /* RTP of another payload type or source (S9, K6) */
    FAULT_PAYLOAD,  /* NAL units, audio frames, documents without sense */
    FAULT_STRANGER, /* datagrams from elsewhere than the camera (T18) */
    FAULT_OVERFLOW, /* datagrams the kernel had no room for (T16) */
    FAULTS
};
const char *ring_fault_word(enum ring_fault f); /* "rtsp_bad" */

/* Why an attempt, or a session that had played, was over. */
enum ring_end {
    END_UNREACHABLE = 0, /* no connection: refused, no route, no such name, policy */
    END_AUTH,            /* the credentials do not work */
    END_CAPACITY,        /* the camera is full */
    END_NOT_FOUND,
    END_UNSUPPORTED, /* nothing that we can record, no transport in common */
    END_PROTOCOL,    /* what came is not RTSP, or not usable */
    END_TIMEOUT,     /* no answer, or no media after PLAY */
    END_CLOSED,      /* by the camera, after it had played */
    END_SILENT,      /* given up by us: no media, no key frame */
    ENDS
};
const char *ring_end_word(enum ring_end e); /* "unreachable" */

/* What the worker says of its stream, in the ring's header: each field is written by one thread and read
 * without a lock; they need not agree with each other. Text fields are guarded by text_seq (odd while being
 * written). */
struct ring_status {
    _Atomic uint32_t state;         /* enum stream_state */
    _Atomic uint32_t record_state;  /* enum record_state */
    _Atomic int64_t state_since_us; /* wall clock */
    _Atomic int64_t beat_mono_us;   /* the worker's heartbeat: at least every 2 s */
    _Atomic int64_t record_beat_us; /* the recorder's: stands still while a disk hangs, with work waiting */
    _Atomic int64_t last_frame_us;  /* wall clock of the last frame */
    _Atomic int64_t last_key_us;    /* wall clock of the last key frame */
    _Atomic uint64_t bytes_in;      /* from the camera */
    _Atomic uint64_t frames_in, frames_damaged, frames_dropped;
    _Atomic uint64_t packets_in, packets_lost, packets_reordered;
    _Atomic uint64_t faults[FAULTS];
    _Atomic uint64_t ts_repairs;
    _Atomic uint64_t connects;   /* attempts to connect; */
    _Atomic uint64_t reconnects; /* sessions that had played and ended */
    _Atomic uint64_t ends[ENDS];
    _Atomic uint32_t gop_frames; /* of the last whole GOP */
    _Atomic uint32_t gop_ms;
    _Atomic uint32_t bitrate_in; /* bit/s over the last 10 s or so */
    _Atomic uint32_t ring_want;  /* bytes of ring the stream needs, measured */
    /* The open segment: readers play it up to rec_bytes although the index does not know it. */
    _Atomic uint64_t rec_segment;  /* id, 0: none open */
    _Atomic int64_t rec_start_us;  /* wall clock of its first frame */
    _Atomic int64_t rec_end_us;    /* wall clock behind the last frame written */
    _Atomic uint64_t rec_bytes;    /* length of the file up to the last whole fragment */
    _Atomic uint64_t rec_next_seq; /* first frame that is not yet in a file: a new worker records from here */
    _Atomic uint64_t recorded_bytes; /* since the start of the ring */
    _Atomic uint64_t recorded_us;    /* media that went into files */
    _Atomic uint64_t wanted_us;      /* time for which there was to be a recording, whatever came of it */
    _Atomic int64_t clock_offset_us; /* the camera's clock minus ours, as last measured */
    _Atomic uint32_t clock_known;    /* 0: it has told none */
    _Atomic int32_t rec_errno;       /* of the last failed write, 0 = none */
    _Atomic uint32_t video, audio;   /* enum codec of the first such track, CODEC_NONE: there is none */
    _Atomic uint32_t width, height;  /* of that video; 0 until known */
    _Atomic uint32_t text_seq;
    char reason[RING_REASON_MAX];   /* why the state is what it is, "" when active */
    char source[RING_REASON_MAX];   /* "tcp 192.168.1.5:554", no credentials */
    char rec_path[RING_REASON_MAX]; /* of the open segment, below the stream's folder */
    char rec_storage[48];           /* its storage's name */
};

struct ring_geom {
    uint32_t data_bytes; /* power of two, RING_DATA_MIN to RING_DATA_MAX */
    uint32_t frames;     /* descriptors, power of two, 512 to 65536 */
};

/* --- memory: all that the master may use --- */
/* 0 or -errno. settings_hash: of the stream's settings; the writer says when it has taken others over. */
int ring_mem_create(
    const char *uid, uint32_t generation, uint64_t settings_hash, struct ring_geom geom, int *ret_fd);
/* The same memory through a descriptor that cannot be written through. 0 or -errno. */
int ring_mem_reopen_ro(int fd, int *ret_fd);
/* Least geometry for so many bytes and frames, within max_bytes. */
struct ring_geom ring_geom_for(uint64_t bytes, uint64_t frames, uint32_t max_bytes);
/* Maps the status only; checks size, seals and magic. 0, -errno or RING_E_BAD. */
int ring_status_map(int fd, const struct ring_status **ret);
void ring_status_unmap(const struct ring_status *s);

/* --- demand page: one page beside each ring, written by httpd, read-only for the worker --- */
struct demand {
    _Atomic uint32_t
        followers; /* viewers that follow the ring live: low latency and a signal a frame while > 0 */
    _Atomic uint32_t wanted;      /* viewers or requests that want the camera connected (on-demand) */
    _Atomic int64_t last_mono_us; /* of the last change */
    _Atomic uint32_t pace_us; /* frames may wait so long to be taken and told of together; 0: each at once */
    _Atomic uint32_t untold;  /* httpd looks by itself: it is told of none */
};
int demand_create(int *ret_fd);
int demand_map(int fd, bool writable, struct demand **ret);
void demand_unmap(struct demand *d);

/* --- writer --- */
struct ring_writer;
int ring_writer_open(
    int fd, struct ring_writer **ret); /* 0, -errno, RING_E_BAD; fd stays the caller's. Resumes
                                          behind the last whole frame of a ring a dead worker left */
void ring_writer_close(struct ring_writer *w);
/* Copies the pieces (frame.h), one behind the other, as frame f (f->data and f->seq are not read); a piece
 * with nal_n > 0 gets nal_n as u32 before it. Sets *ret_seq. RING_OK or RING_E_LARGE. */
int ring_put(
    struct ring_writer *w, const struct frame *f, const struct piece *pieces, size_t n, uint64_t *ret_seq);
/* From the next frame on. Bumps s->gen itself (written back) when the content differs from the last. */
int ring_set_tracks(struct ring_writer *w, struct track_set *s);
struct ring_status *ring_writer_status(struct ring_writer *w);
/* Into the header: the settings that the writer works by from now on. */
void ring_writer_settings(struct ring_writer *w, uint64_t hash);
void ring_status_text(struct ring_status *s, char *field, size_t cap, const char *text);
/* Copies frames, tracks and status of `from` into the new and larger ring. */
void ring_writer_move(struct ring_writer *from, struct ring_writer *to);
struct ring_geom ring_writer_geom(const struct ring_writer *w);
/* A frame where it lies, for the recorder, which gathers from here with writev and then asks ring_view_holds.
 * RING_OK, RING_E_AGAIN, RING_E_LOST. May be called from one other thread of the writer's process. */
int ring_view(const struct ring_writer *w, uint64_t seq, struct frame *ret);
bool ring_view_holds(const struct ring_writer *w, uint64_t seq); /* was it whole until now? */
int ring_writer_tracks(const struct ring_writer *w, uint32_t gen, struct track_set *ret);
uint64_t ring_writer_next(const struct ring_writer *w); /* number the next frame will get */
uint64_t ring_writer_oldest(const struct ring_writer *w);

/* --- reader --- */
struct ring_reader;
int ring_reader_open(int fd, struct ring_reader **ret); /* 0, -errno, RING_E_BAD; fd stays the caller's */
void ring_reader_close(struct ring_reader *r);
/* Meta data only (data.p == NULL, data.n set). RING_OK, AGAIN, LOST, BAD. */
int ring_peek(struct ring_reader *r, uint64_t seq, struct frame *ret);
/* The frame with its bytes in `into`, which is grown by need and overwritten; ret->data lies in it. RING_OK,
 * AGAIN, LOST, BAD, or -ENOMEM. */
int ring_read(struct ring_reader *r, uint64_t seq, struct buf *into, struct frame *ret);
uint64_t ring_next(struct ring_reader *r);
uint64_t ring_oldest(struct ring_reader *r);
/* Newest / oldest key frame of a video track (of any track where there is no video). RING_OK or RING_E_AGAIN
 * (none). */
int ring_last_key(struct ring_reader *r, uint64_t *ret_seq);
int ring_oldest_key(struct ring_reader *r, uint64_t *ret_seq);
/* RING_OK, RING_E_GEN, RING_E_BAD. gen 0: the newest. */
int ring_tracks(struct ring_reader *r, uint32_t gen, struct track_set *ret);
/* A status text, cut and terminated whatever lies there. */
void ring_status_get_text(
    const struct ring_status *s, const char *field, size_t field_cap, char *dst, size_t cap);

#endif
