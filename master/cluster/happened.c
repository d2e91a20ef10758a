#include "master/cluster/happened.h"
#include "common/base/mem.h"
#include "master/cluster/net.h"
#include "master/master.h"

#define BODY_MAX (2 * EVENT_PAYLOAD_MAX)

static void was_sent(struct master *m, void *arg, int err)
{
    (void)m;
    (void)arg;
    (void)err;
}

void happened_tell(const struct stream *s, const struct event *e)
{
    const struct cluster_stream *c = s->m->cluster ? s->cluster : NULL;
    struct packer p;
    struct buf b;

    if (!c || c->place.n < 2) return;
    buf_init(&b, BODY_MAX);
    p = packer_of(&b);
    pack_map(&p, EVENT_KEYS);
    event_pack(&p, e);
    for (size_t i = 0; !p.bad && i < c->place.n; i++)
        if (i != c->place.me && c->nodes[i] > 0 && c->place.nodes[i] && member_near(c->place.nodes[i]))
            net_send(s->m, (uint16_t)c->nodes[i], NET_KIND_EVENT, buf_span(&b), was_sent, NULL);
    buf_done(&b);
}

void happened_got(struct master *m, uint16_t node, uint64_t boot, struct span body)
{
    CLEANUP(mem_freep) struct event *e = NEW(struct event);
    struct unpack *u = NULL;
    struct stream *s = NULL;

    (void)node;
    (void)boot;
    if (unpack_new(body, &u) == 0 && event_read(unpack_root(u), e) && strcmp(e->source, "call") == 0)
        s = fleet_stream(m, span_of(e->uid));
    if (s) events_take(s, e);
    unpack_done(u);
}
