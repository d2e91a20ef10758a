/* One attempt to connect: resolve, check each address, connect, check the peer (SSRF: an address that was
 * resolved is the address that is connected to). A dial is a state machine with one timer; a new start ends
 * the one before. */
#ifndef CONNECTOR_DIAL_H
#define CONNECTOR_DIAL_H

#include "common/base/bucket.h"
#include "master/connector/policy.h"
#include "master/connector/resolve.h"

#define DIAL_TIMEOUT_US     (5 * US_PER_S)
#define DIAL_TIMEOUT_MAX_US (60 * US_PER_S)

struct dialer;
/* fleet: the rate of all dials together; servers as in resolver_new. */
struct dialer *dialer_new(struct loop *l, struct bucket fleet, const char *servers);
void dialer_free(struct dialer *d);

struct dial_result {
    int err;                                     /* 0, or a positive errno */
    const char *text;                            /* why, in words */
    const struct sockaddr_storage *addr, *local; /* NULL unless err is 0 */
    usec_t dns_us, tcp_us;
    int fd; /* the receiver's; -1 unless err is 0 */
};

enum dial_state { DIAL_IDLE, DIAL_WAITING /* for its turn */, DIAL_RESOLVING, DIAL_CONNECTING };
struct dial {
    struct dialer *dialer;
    void (*fn)(struct dial *d, const struct dial_result *r);
    enum dial_state state;
    const struct policy *policy;
    char host[POLICY_HOST_MAX];
    uint16_t port;
    bool has_turn; /* of the fleet */
    usec_t timeout_us, deadline_us, began_us, dns_us;
    struct loop_timer timer;
    struct lookup *lookup;
    struct sockaddr_storage addrs[RESOLVE_ADDRS_MAX];
    size_t n_addrs, next;
    int fd;
    int last_err;
    char last_text[96];
};

struct dial_order {
    const struct policy *policy; /* must outlive the dial */
    const char *host;
    uint16_t port;
    usec_t timeout_us; /* from the beginning */
    usec_t after_us;   /* not before then (the stream's rate); the fleet's rate may make it later */
    void (*fn)(struct dial *d, const struct dial_result *r); /* from the loop, once */
};
/* Zeroed memory is an idle dial. */
void dial_start(struct dialer *dialer, struct dial *d, const struct dial_order *order);
void dial_stop(struct dial *d);

/* "192.168.1.5:554", "[2001:db8::1]:554"; cap at least DIAL_TEXT_MAX. */
#define DIAL_TEXT_MAX 64
const char *dial_text(const struct sockaddr_storage *addr, char *dst);

#endif
