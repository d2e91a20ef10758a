/* What a script may know of a stream's tracks. Tests: tests/e2e/test_api3.py. */
#ifndef HTTPD_API_TRACKS_H
#define HTTPD_API_TRACKS_H

#include "httpd/hub.h"
#include "httpd/lua_calls.h"

/* Answers with an array of { id, kind, codec, mime, clock_rate, width, height, sample_rate, channels }. */
void api_tracks(
    struct server *server, struct loop *loop, const struct lua_call *call, const struct packed *uid);

#endif
