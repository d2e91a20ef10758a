/* Hubs without threads, for what a hub owns: their turns are the test's. */
#ifndef SUPPORT_HUB_HELP_H
#define SUPPORT_HUB_HELP_H

#include "httpd/auth.h"
#include "httpd/question.h"
#include "httpd/quota.h"
#include "httpd/stream.h"

#define HUB_HELP_HUBS 2

struct hub_help {
    struct server server;
};
void hub_help_start(struct hub_help *h);
void hub_help_stop(struct hub_help *h);
/* Everything that was posted to the hubs. */
void hub_help_turn(struct hub_help *h);
struct stream *hub_help_stream(struct hub_help *h, unsigned hub, const char *uid, unsigned limit);
/* A session on that stream from this address, with an identity of its own. NULL: there are too many. */
struct session *hub_help_session(struct stream *s, const char *address, const struct grant *g);

#endif
