/* What couriers say to each other inside TLS: frames of u32 length (big-endian) | msgpack of an array
 * [number, id, map]. Each pair of nodes has up to two connections: who has a question dials, and gets the
 * answers on that connection. id is the question's, of whoever dialled; 0: of the connection itself. Reading
 * is pure: bytes in, frames out; a frame that is no frame, is too long, unknown, or came in the wrong
 * direction ends the connection, and changes nothing. Maps are as in common/ipc/messages.h: keys that are not
 * known are ignored. Tests: tests/unit/courier/test_nodes.c, tests/fuzz/fuzz_courier.c. */
#ifndef COURIER_WIRE_H
#define COURIER_WIRE_H

#include "common/ipc/pack.h"

#define WIRE_PROTO     1
#define WIRE_FRAME_MAX 65536        /* but for footage: */
#define WIRE_CHUNK_MAX (128u << 10) /* bytes of it in a frame */
#define WIRE_BULK_MAX  (WIRE_CHUNK_MAX + 256)
#define WIRE_HEAD      4

enum wire_side { WIRE_DIALLER = 1, WIRE_ACCEPTER = 2 }; /* who may say it */

/* clang-format off */
#define WIRE_FRAMES(FRAME) \
    /* first of both: proto, cluster, node, to (whom it takes the other for), boot (of this start of the node), run (of this start of its \
       courier) */ \
    FRAME(HELLO, 1, WIRE_DIALLER | WIRE_ACCEPTER, 256) \
    FRAME(BEAT, 2, WIRE_DIALLER | WIRE_ACCEPTER, 64)   /* when nothing else was said for a second */ \
    /* of a question: err (0, or a positive errno; EAGAIN: what was said is not all that is there, a storage cannot be read now), and what its row says */ \
    FRAME(END, 3, WIRE_ACCEPTER, 256) \
    FRAME(CANCEL, 4, WIRE_DIALLER, 64)                 /* the answer is not wanted any more; END comes all the same, or has come */ \
    FRAME(POST, 10, WIRE_DIALLER, 65536)               /* seq (of this run of this courier), kind, body: for the master; END: it has it */ \
    FRAME(FIND, 20, WIRE_DIALLER, 256)                 /* uid, from_us, to_us, after, most: FOUND for each storage, END */ \
    FRAME(FOUND, 21, WIRE_ACCEPTER, 65536)             /* storage, infos (array of bin), more (there are others behind) */ \
    FRAME(RANGES, 22, WIRE_DIALLER, 256)               /* uid, from_us, to_us: SPANS for each storage, END */ \
    FRAME(SPANS, 23, WIRE_ACCEPTER, 65536)             /* storage, spans (array of start_us, end_us), more (there are others behind the last one) */ \
    /* storage ("": any), uid, segment, room (bytes that may be on their way): CHUNKs in order, END with bytes, whole (bool: it has been closed) */ \
    FRAME(FETCH, 30, WIRE_DIALLER, 256) \
    FRAME(CHUNK, 31, WIRE_ACCEPTER, WIRE_BULK_MAX)     /* bytes */ \
    FRAME(MORE, 32, WIRE_DIALLER, 64)                  /* bytes: room for so many more */ \
    /* uid ("": all streams), from_us, to_us, [kind], [at]: EVENTs, LOCKs, END with [at]: there is more, asked for by EVENTS with this; some of it may \
       be said twice */ \
    FRAME(EVENTS, 40, WIRE_DIALLER, 512) \
    FRAME(EVENT, 41, WIRE_ACCEPTER, 8192)              /* as EVENT of common/ipc/messages.h */ \
    FRAME(LOCK, 42, WIRE_ACCEPTER, 1024)               /* as FILL_LOCK */ \
    FRAME(KNOWN, 43, WIRE_DIALLER, 128)                /* uid, until_us, as FILL_KNOWN, by the first node of that stream: END */
/* clang-format on */

enum wire_type {
#define FRAME(name, number, side, most) WIRE_##name = (number),
    WIRE_FRAMES(FRAME)
#undef FRAME
};

struct wire_frame {
    enum wire_type type;
    uint64_t id;
    const struct packed *body; /* lives until wire_frame_done */
    struct unpack *u;
    size_t n; /* bytes that it took */
};
/* The first frame of the bytes; they have to live as long as it. */
enum wire_read {
    WIRE_OK = 0,
    WIRE_SHORT = 1, /* the rest has not come yet */
    WIRE_BAD = 2
};
enum wire_read wire_read(struct span bytes, enum wire_side from, struct wire_frame *ret);
void wire_frame_done(struct wire_frame *f); /* after WIRE_OK */
const char *wire_name(enum wire_type type);

/* Writing: wire_begin, the pairs of the map, wire_end. buf: of WIRE_ROOM_MAX or more, what stands in it
 * stays. */
#define WIRE_ROOM_MAX (WIRE_BULK_MAX + WIRE_HEAD + 64)
struct packer wire_begin(struct buf *to, enum wire_type type, uint64_t id, uint32_t pairs);
bool wire_end(struct packer *p, size_t from); /* from: buf_n before; false: it is too long, and taken back */

#endif
