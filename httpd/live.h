/* What the live roads have in common. */
#ifndef HTTPD_LIVE_H
#define HTTPD_LIVE_H

#include "httpd/answer.h"
#include "httpd/follow.h"

#define LIVE_SEGMENT      "video/mp4"
#define LIVE_TS           "video/mp2t"
#define LIVE_CACHE_WHILE  "public, max-age=120" /* about as long as it is listed */
#define LIVE_LEFT_OUT_MAX 128

/* The request needs a picture that is not there yet: waits for it where it may still come, up to HTTP_WAIT_US
 * for a camera that is being connected or connected on demand; else answers. */
void live_wait(struct http *h);
/* Follows the stream of the request; NULL: live_wait was called. */
struct follow *live_follow(struct http *h);
/* "X-Tracks-Left-Out: PCMA\r\n" for tracks that are not in the mask, or "". */
const char *live_left_out(const struct init *init, unsigned mask, char *dst, size_t cap);

#endif
