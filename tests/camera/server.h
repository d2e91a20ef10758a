/* The one thread of ms-camera: epoll, the agenda of frames that are due, and an end-of-turn list. */
#ifndef CAMERA_SERVER_H
#define CAMERA_SERVER_H

#include "common/base/types.h"

struct watch {
    void (*fn)(struct watch *w, unsigned epoll_events);
    int fd;
};
void watch_start(struct watch *w, int fd, unsigned epoll_events, void (*fn)(struct watch *, unsigned));
void watch_change(struct watch *w, unsigned epoll_events);
void watch_stop(struct watch *w); /* closes the descriptor; harmless on a stopped one (fd -1) */

/* Something due at a time. Zeroed: not in the agenda. */
struct due {
    usec_t at_us; /* monotonic */
    size_t slot;  /* place in the heap + 1 */
    void (*fn)(struct due *d, usec_t now_us);
};
void due_set(struct due *d, usec_t at_us, void (*fn)(struct due *, usec_t now_us));
void due_cancel(struct due *d);

/* Runs fn(arg) once this turn's events are handled: for freeing what events still name. */
void server_after(void (*fn)(void *arg), void *arg);

void server_init(void);
void server_run(void); /* until server_stop */
void server_stop(void);
void server_flush(void);    /* runs what server_after() still holds */
usec_t server_now_us(void); /* at the start of this turn */

#endif
