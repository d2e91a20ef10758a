/* The publish listener: takes connections of cameras that push, looks at the first request of each without
 * taking it out of the socket (MSG_PEEK), and hands the connection to the worker of the stream that its URL
 * names: "rtsp://host:7554/<uid>/...", below the listener's base. Who comes from elsewhere than
 * whitelist-publishers is closed at once; a trusted proxy may say first whose connection it is
 * (common/wire/proxy.h). What is no RTSP request within PUSH_HEAD_US or PUSH_HEAD_MAX bytes is 400, a stream
 * that takes no pushes 404, one whose worker is away, or that is asked too often, 503; "OPTIONS *" is
 * answered here. Bounded in connections, of all and of one address; log lines are rate-limited. Never watched
 * by the loop's own set (loop.h). Tests: tests/unit/connector/test_push.c, tests/e2e/test_push.py. */
#ifndef CONNECTOR_PUSH_H
#define CONNECTOR_PUSH_H

#include "master/connector/peers.h"

#define PUSH_HEAD_MAX    8192
#define PUSH_HEAD_US     (5 * US_PER_S)
#define PUSH_LINGER_US   (1 * US_PER_S) /* behind a refusal, so that it is read */
#define PUSH_CONNS_MAX   256            /* whose request has not come yet */
#define PUSH_CONNS_ONE   16             /* of these of one address */
#define PUSH_CIDRS_MAX   4096
#define PUSH_LISTEN_MAX  16
#define PUSH_OPTIONS_MAX 3 /* "OPTIONS *" of one connection */

struct push;
struct push *push_new(struct loop *l, struct peers *peers);
void push_free(struct push *p);
/* PUSH_CONF: the listeners of before are closed. */
void push_conf(struct push *p, const struct packed *body);
/* PUSH_TLS: takes fd. Its whitelist and limits go by the address that the message names. */
void push_take(struct push *p, const struct packed *body, int fd);
/* LISTEN, of kind publish: takes fd. */
void push_listen(struct push *p, const struct packed *body, int fd);

#endif
