/* Questions of other nodes about this one's footage: what there is, events and locks with it, and segments
 * themselves, in chunks, as far as the other side has said that it has room for them. Each storage is read in
 * its own thread; footage of several segments goes in turns and never fills the connection, so that small
 * messages pass. Tests: tests/unit/courier/test_away.c. */
#ifndef COURIER_SERVE_H
#define COURIER_SERVE_H

#include "common/base/list.h"
#include "courier/shelves.h"
#include "courier/trunk.h"

#define SERVE_QUESTIONS_MAX 64           /* of one connection at a time */
#define SERVE_FLOWS_MAX     8            /* of them segments on their way */
#define SERVE_ROOM_MAX      (8u << 20)   /* bytes on their way of one segment */
#define SERVE_PAGE_BYTES    60000        /* of FOUND and SPANS */
#define SERVE_FIND_MOST     12           /* segments of a page, where nothing is said */
#define SERVE_EVENTS_MAX    512          /* and locks, of a page and one storage, ... */
#define SERVE_MARKS_BYTES   (128u << 10) /* ... and bytes */
#define SERVE_AT_MAX        72           /* bytes of the place where another page goes on */

struct serve {
    struct loop *loop;
    struct shelves *shelves;
    struct list questions, flows;
};
void serve_init(struct serve *s, struct loop *l, struct shelves *shelves);
/* false: it is no question of these. */
bool serve_ask(struct serve *s, struct trunk *t, const struct wire_frame *f);
void serve_room(struct serve *s, const struct trunk *t); /* it takes bytes again */
void serve_end(struct serve *s, const struct trunk *t);  /* it has ended */
/* END of a question. */
void serve_say_end(struct trunk *t, uint64_t id, int err);

#endif
