/* What httpd and its picture helpers (ms-picture) say to each other over their socket, one request at a time.
 *
 *   request   u32 length | msgpack map | the coded bytes it names
 *   answer    u32 length | msgpack map | the bytes it names
 *
 * Both sides check what they read against the limits here; a side that breaks them is closed. After its birth
 * a helper says an answer of id 0 first, whose `missing` are the layers of the cage that do
 * not stand. Tests: tests/unit/picture/test_wire.c, tests/fuzz/fuzz_picture.c. */
#ifndef PICTURE_WIRE_H
#define PICTURE_WIRE_H

#include "common/base/buf.h"
#include "common/media/track.h"

#define PICTURE_HEAD_MAX  (64u << 10) /* of the msgpack map */
#define PICTURE_BYTES_MAX (16u << 20) /* of coded bytes, either way */
#define PICTURE_UNITS_MAX 600         /* access units of one request: a long group of pictures */
#define PICTURE_SIDE_MAX  8192        /* luma samples of what is decoded */
#define PICTURE_OUT_MAX   4096        /* of the JPEG: what is larger is scaled down */
#define PICTURE_OUT_MIN   16
#define PICTURE_QUALITY   80 /* 1 to 100 */

/* AAC frames of a constant size: the encoder never needs more (ISO 14496-3: 6144 bits a channel). */
#define PICTURE_AAC_SAMPLES 1024
#define PICTURE_AAC_BYTES   768  /* a channel */
#define PICTURE_AAC_RUN_IN  2    /* frames before the first that is answered */
#define PICTURE_AAC_MAX     4096 /* frames of one request */

enum picture_kind { PICTURE_JPEG = 1, PICTURE_AAC = 2 };

/* Of an answer. */
enum picture_err {
    PICTURE_OK = 0,
    PICTURE_E_BAD = 1,   /* these bytes are no picture */
    PICTURE_E_LARGE = 2, /* larger than the limits allow */
    PICTURE_E_MEMORY = 3
};

struct picture_unit {
    uint32_t size;
    int64_t pts; /* any unit, rising towards later pictures */
};
struct picture_ask {
    uint64_t id; /* > 0; the answer says it again */
    enum picture_kind kind;
    enum codec codec;
    uint32_t n_bytes; /* that follow the map */
    /* JPEG: access units in decode order, the first one a key frame; the picture of `want_pts`, or the last
     * one before it */
    uint16_t width; /* 0: as coded, with square samples */
    uint8_t quality;
    uint16_t sar_w, sar_h;
    int64_t want_pts;
    uint16_t n_units;
    struct picture_unit units[PICTURE_UNITS_MAX];
    uint16_t config_n; /* decoder configuration, as struct track has it */
    uint8_t config[TRACK_CONFIG_MAX];
    /* AAC: G.711 from PICTURE_AAC_RUN_IN frames before the first frame wanted to one frame behind the last */
    uint32_t rate;
    uint16_t channels;
    uint16_t frames; /* wanted */
};
struct picture_answer {
    uint64_t id;
    enum picture_err err;
    unsigned missing; /* layers of the cage, in the first answer */
    uint16_t width, height;
    int64_t pts; /* of the picture that was taken */
    uint32_t n_bytes;
};

/* The map with its length, appended. false: memory. */
bool picture_ask_write(struct buf *to, const struct picture_ask *a);
bool picture_answer_write(struct buf *to, const struct picture_answer *a);
/* The map without its length. false: not one, or beyond a limit; *ret is then unspecified. */
bool picture_ask_read(struct span map, struct picture_ask *ret);
bool picture_answer_read(struct span map, struct picture_answer *ret);
/* Bytes that an AAC request carries: run-in, the frames and one behind them. */
size_t picture_aac_in(const struct picture_ask *a);
size_t picture_aac_out(const struct picture_ask *a);

/* All n bytes by until_us (monotonic). 0, -ETIMEDOUT, -EPIPE (the peer has gone), -errno. */
int picture_send(int fd, struct span s, usec_t until_us);
int picture_recv(int fd, void *p, size_t n, usec_t until_us);
/* Length and map of the peer's next message, into at least PICTURE_HEAD_MAX bytes. As picture_recv, or
 * -EPROTO. */
int picture_recv_map(int fd, uint8_t *into, struct span *ret, usec_t until_us);

#endif
