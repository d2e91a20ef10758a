/* The keeper's side of events: to the storages that their stream records on, and back to the master when one
 * has it. */
#include "archive/keeper_impl.h"
#include "archive/store_choice.h"
#include "common/base/mem.h"

#include <errno.h>

static const struct peer *peer_of(const struct keeper *k, const char *uid)
{
    LIST_EACH(&k->peers, link)
    {
        const struct peer *p = LIST_ITEM(link, struct peer, link);

        if (strcmp(p->uid, uid) == 0) return p;
    }
    return NULL;
}

/* A stream without a worker is nowhere in particular. */
static bool is_of(const struct store *s, const struct peer *p)
{
    const struct choice_store one = {
        .name = span_of(s->conf.name), .path = span_of(s->conf.path), .ok = true};

    return !p || choice_store(span_of(p->archive), p->uid, &one, 1) == 0;
}

int keeper_event(struct keeper *k, struct incoming *in)
{
    struct event *e = NEW(struct event);
    bool ok = event_read(in->body, e) && seg_uid_ok(e->uid);
    const struct peer *p = ok ? peer_of(k, e->uid) : NULL;

    LIST_EACH(&k->stores, link)
    {
        struct store *s = LIST_ITEM(link, struct store, link);

        if (ok && s->disk && keeper_store_ok(s) && is_of(s, p)) disk_event(s->disk, e);
    }
    mem_free(e);
    return ok ? 0 : -EPROTO;
}

void keeper_event_stored(struct store *s, const struct event *e)
{
    struct channel *ch = child_control(s->keeper->child);

    if (ch && !s->ending) event_send(ch, e);
}
