/* A connection that has become a WebSocket (common/proto/websocket.h): the handshake's answer, what the
 * client sends, pings, the end. Its owner has a struct ws and answers by ws_answer, and queues chunks that
 * hold whole frames. A client's messages are bounded in size and in number; one that breaks RFC 6455 is told
 * the code and closed. Tests: tests/unit/httpd/test_mse.c, tests/e2e/test_lowlat.py. */
#ifndef HTTPD_WS_H
#define HTTPD_WS_H

#include "common/base/bucket.h"
#include "common/proto/websocket.h"
#include "httpd/http.h"

#define WS_PING_US       (15 * US_PER_S) /* a peer that is gone is noticed by what it does not take */
#define WS_TOLD_EVERY_US (100 * US_PER_MS)
#define WS_TOLD_BURST    30 /* messages of a client at once; then one each WS_TOLD_EVERY_US; more is 1008 */
#define WS_ANSWERS_QUEUED                                                                                    \
    (64u << 10) /* while so much waits, a client gets no answers: it does not read them */

struct ws;
struct ws_ops {
    /* false: it was closed. */
    bool (*on_text)(struct ws *w, struct span text);
    /* Last call: the connection goes, or is being closed. The owner may go with it. */
    void (*on_end)(struct ws *w);
};
struct ws {
    struct http *h;
    const struct ws_ops *ops;
    struct ws_reader in;
    struct bucket told;
};

/* Is "https://host:port" a page of this host? */
bool ws_origin_own(struct span origin, struct span host);
/* Does the request open a WebSocket? false: was answered (426, 400). */
bool ws_asked(struct http *h, char ret_accept[WS_ACCEPT_MAX]);
/* Answers 101; the connection is w's from here on. w is zeroed but for what its owner has around it. */
void ws_begin(struct ws *w, struct http *h, const struct ws_ops *ops, const char *accept);
/* A message of ours; dropped where the client does not read (WS_ANSWERS_QUEUED). */
void ws_answer(struct ws *w, struct span text);
/* Says why, and ends; calls on_end. */
void ws_close(struct ws *w, unsigned code, const char *why);

#endif
