/* A worker: one stream's capture and recording. Puts the parts together: the master's messages, the ring, the
 * session with the camera, the recorder, the state; and has the one timer. Settings that change are taken
 * over while it runs; only another way to the camera is another worker.
 *
 * Few wake-ups: without followers the session drains its sockets a few times a second, and everything else
 * that is due (beat, reports, watchdogs, keep-alive, poking the recorder) rides on that turn. */
#ifndef WORKER_WORKER_H
#define WORKER_WORKER_H

#include "common/net/loop.h"

/* Runs until the master stops it or is gone; does not return. Exit codes: child.h. */
_Noreturn void worker_run(const char *uid);

#endif
