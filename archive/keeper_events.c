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

/* A stream without a worker is nowhere in particular: what happens there is told to all. */
static bool is_of(const struct store *s, const struct peer *p)
{
    const struct choice_store one = {
        .name = span_of(s->conf.name), .path = span_of(s->conf.path), .ok = true};

    return p && choice_store(span_of(p->archive), p->uid, &one, 1) == 0;
}

/* One that goes on, as the master says. */
struct open_event {
    bool everywhere; /* told to all storages: its end is, too */
};

static struct span key_of(const struct event *e, char dst[24])
{
    snprintf(dst, 24, "%llx", (unsigned long long)e->id);
    return span_of(dst);
}

/* Keeps what is known of those that go on. Is it to be told to all? */
static bool note_open(struct keeper *k, const struct event *e, const struct peer *p)
{
    char mem[24];
    struct span key = key_of(e, mem);
    struct open_event *open = map_get(&k->open_events, key);
    bool everywhere = !p || (open && open->everywhere);

    if (e->end_us != 0) {
        mem_free(map_remove(&k->open_events, key));
        return everywhere;
    }
    if (!open) {
        open = NEW(struct open_event);
        map_set(&k->open_events, key, open);
    }
    open->everywhere = everywhere;
    return everywhere;
}

int keeper_event(struct keeper *k, struct incoming *in)
{
    struct event *e = NEW(struct event);
    bool ok = event_read(in->body, e) && seg_uid_ok(e->uid);
    const struct peer *p = ok ? peer_of(k, e->uid) : NULL;
    bool everywhere = ok && note_open(k, e, p);

    LIST_EACH(&k->stores, link)
    {
        struct store *s = LIST_ITEM(link, struct store, link);

        if (ok && s->disk && keeper_store_ok(s) && (everywhere || is_of(s, p))) disk_event(s->disk, e);
    }
    mem_free(e);
    return ok ? 0 : -EPROTO;
}

void keeper_event_stored(struct store *s, const struct event *e)
{
    struct channel *ch = child_control(s->keeper->child);

    if (ch && !s->ending) event_send(ch, e);
}

/* Its master was killed: the next one does not know of it, and nobody else will say that it has ended. */
void keeper_event_open(struct store *s, const struct event *e)
{
    struct keeper *k = s->keeper;
    char mem[24];

    if (!k->complete || s->ending || map_get(&k->open_events, key_of(e, mem))) return;
    disk_event_over(s->disk, e, k->begun_wall_us);
}

void keeper_events_done(struct keeper *k)
{
    map_drop(&k->open_events, mem_free);
}
