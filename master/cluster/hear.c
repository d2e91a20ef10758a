/* Datagrams that come: whose they are, whether they are believed, what they change. */
#include "common/base/clock.h"
#include "common/base/rd.h"
#include "common/base/wr.h"
#include "common/wire/crypto.h"
#include "master/cluster/cluster.h"
#include "master/master.h"

#define CHALLENGE_US (10 * US_PER_S) /* a challenge is good in its own span of time, and the next */

static const char *const words[CLUSTER_BADS] = {
    "length", "form", "key", "forged", "foreign", "stranger", "mirrored", "replayed", "unproven", "twice"};

const char *cluster_bad_word(enum cluster_bad b)
{
    return words[b];
}

/* One line a minute, whatever comes: nothing of it has changed anything. */
static void refuse(struct cluster *c, enum cluster_bad why, const struct sockaddr_in6 *from, unsigned node)
{
    char text[LINK_TEXT_MAX];
    uint32_t held;

    c->bad[why]++;
    if (log_limited(&c->bad_rate, c->beat_us, &held))
        log_warn("heartbeat-refused", "why=%s node=%u from=%s held=%u", words[why], node,
            link_text(from, text), held);
}

/* --- proof --- */

/* What a start of a node has to say back; the same one for a while, so that none need be kept. */
static uint64_t challenge_of(const struct cluster *c, const struct heartbeat *h, usec_t at_us)
{
    uint8_t who[18], value[CRYPTO_SHA256_N];
    struct wr w = wr_of(who, sizeof(who));
    struct span piece;
    struct rd r;

    wr_u16(&w, h->from);
    wr_u64(&w, h->boot);
    wr_u64(&w, (uint64_t)(at_us / CHALLENGE_US));
    piece = wr_span(&w);
    crypto_hmac_sha256(span(c->secret, sizeof(c->secret)), &piece, 1, value);
    r = rd_of(span(value, sizeof(value)));
    return rd_u64(&r) | 1; /* 0 asks nothing */
}

static bool proves(const struct cluster *c, const struct heartbeat *h, usec_t now_us)
{
    return h->answer != 0 &&
        (h->answer == challenge_of(c, h, now_us) || h->answer == challenge_of(c, h, now_us - CHALLENGE_US));
}

/* --- what is believed --- */

static void hear_peers(struct cluster *c, const struct heartbeat *h, usec_t now_us)
{
    for (size_t i = 0; i < h->n_peers; i++) {
        const struct heartbeat_peer *p = &h->peers[i];
        struct cluster_node *n = cluster_node(c, p->node);

        if (n && p->node != h->from) member_relayed(&n->member, p, now_us);
        if (p->node == c->m->conf->server.node_id && (p->flags & HEARTBEAT_TWICE)) c->twice_us = now_us;
    }
}

static void say_term(struct cluster *c, const struct heartbeat *h)
{
    uint32_t held;

    if (log_limited(&c->term_rate, c->beat_us, &held))
        log_error("term-refused", "node=%u term=%llu ours=%llu held=%u", h->from, (unsigned long long)h->term,
            (unsigned long long)c->term, held);
}

static void believe(struct cluster *c, struct cluster_node *n, const struct heartbeat *h, bool anew)
{
    usec_t now_us = clock_mono_us();

    n->heard++;
    if (anew) streams_forget(c, n);
    if (!cluster_heard_term(c, h->term)) say_term(c, h);
    hear_peers(c, h, now_us);
    streams_heard(c, n, h, now_us);
}

static void say_twice(struct cluster *c, unsigned node, const struct sockaddr_in6 *from)
{
    char text[LINK_TEXT_MAX];
    uint32_t held;

    c->bad[CLUSTER_BAD_TWICE]++;
    if (log_limited(&c->twice_rate, c->beat_us, &held))
        log_error("node-twice",
            "node=%u from=%s what=\"two servers have this number: neither takes over\" held=%u", node,
            link_text(from, text), held);
}

/* Our number, by another: an old datagram of ours says nothing, a server that answers does. */
static void hear_self(struct cluster *c, const struct heartbeat *h, const struct sockaddr_in6 *from)
{
    usec_t now_us = clock_mono_us();

    if (h->boot == c->boot) {
        refuse(c, CLUSTER_BAD_MIRRORED, from, h->from);
    } else if (proves(c, h, now_us)) {
        c->twice_us = now_us;
        say_twice(c, h->from, from);
        if (h->challenge != 0) tell_back(c, h->from, from, 0, h->challenge);
    } else {
        refuse(c, CLUSTER_BAD_UNPROVEN, from, h->from);
        tell_back(c, h->from, from, challenge_of(c, h, now_us), h->challenge);
    }
}

static void hear_node(
    struct cluster *c, struct cluster_node *n, const struct heartbeat *h, const struct sockaddr_in6 *from)
{
    usec_t now_us = clock_mono_us();
    uint64_t boot = n->member.now.boot, challenge = 0;
    enum member_verdict v =
        member_hear(&n->member, h, h->boot != boot && proves(c, h, now_us), now_us, clock_wall_us());

    switch (v) {
    case MEMBER_BELIEVED: believe(c, n, h, n->member.now.boot != boot); break;
    case MEMBER_REPLAYED: refuse(c, CLUSTER_BAD_REPLAYED, from, h->from); return;
    case MEMBER_DOUBLE: say_twice(c, h->from, from); break;
    case MEMBER_UNPROVEN:
        challenge = challenge_of(c, h, now_us);
        c->bad[CLUSTER_BAD_UNPROVEN]++;
        break;
    }
    if ((challenge != 0 || h->challenge != 0) && bucket_peek(&n->replies, now_us) == 0) {
        bucket_take(&n->replies, now_us);
        tell_back(c, h->from, from, challenge, h->challenge);
    }
}

void hear_datagram(void *arg, struct span datagram, const struct sockaddr_in6 *from)
{
    static const enum cluster_bad bads[] = {[HEARTBEAT_E_LENGTH] = CLUSTER_BAD_LENGTH,
        [HEARTBEAT_E_FORM] = CLUSTER_BAD_FORM,
        [HEARTBEAT_E_KEY] = CLUSTER_BAD_KEY,
        [HEARTBEAT_E_FORGED] = CLUSTER_BAD_FORGED};
    struct cluster *c = arg;
    const struct conf_server *s = &c->m->conf->server;
    struct cluster_node *n;
    struct heartbeat h;
    enum heartbeat_bad bad = heartbeat_open(datagram, c->keys, c->n_keys, &h);
    bool ours;

    if (bad != HEARTBEAT_OK) {
        refuse(c, bads[bad], from, h.from);
        return;
    }
    n = cluster_node(c, h.from);
    ours = h.cluster == s->cluster_id;
    if (ours && h.from == s->node_id)
        hear_self(c, &h, from);
    else if (!ours || h.to != s->node_id)
        refuse(c, CLUSTER_BAD_FOREIGN, from, h.from);
    else if (!n)
        refuse(c, CLUSTER_BAD_STRANGER, from, h.from);
    else
        hear_node(c, n, &h, from);
}
