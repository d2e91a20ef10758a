/* The keeper's side of back-fill: what ms-courier asks for goes to the storage that the stream records on,
 * and what that says goes back. */
#include "archive/keeper_impl.h"
#include "archive/store_choice.h"
#include "archive/work_fill.h"
#include "common/base/err.h"
#include "common/base/fd.h"
#include "common/base/log.h"
#include "common/base/mem.h"

#include <errno.h>

#define FILLS_MAX WORK_FILLS_MAX /* at a time, of all storages */

struct filling {
    struct list link;
    uint64_t id;
    struct store *store;
    bool written; /* FILL_DONE has come: what the storage says next is FILL_STORED */
};

static struct filling *find(struct keeper *k, uint64_t id)
{
    LIST_EACH(&k->fills, link)
    {
        struct filling *f = LIST_ITEM(link, struct filling, link);

        if (f->id == id) return f;
    }
    return NULL;
}

static void forget(struct filling *f)
{
    list_remove(&f->link);
    mem_free(f);
}

static void say(struct keeper *k, enum message type, uint64_t id, int err, int fd)
{
    struct packer *p;

    if (!k->courier) return;
    p = channel_begin(k->courier, type, 2);
    pack_kv_u64(p, "id", id);
    pack_kv_u64(p, "err", (uint64_t)err);
    channel_end(k->courier, &fd, fd >= 0);
}

/* --- what the courier asks --- */

static int on_open(struct keeper *k, const struct packed *body)
{
    uint64_t id = packed_u64(body, "id", 0), node = packed_u64(body, "node", 0);
    struct fill_order *o = NEW(struct fill_order);
    struct filling *f = find(k, id);
    struct owner owner;
    struct store *s;
    char uid[40];
    size_t n = 0;

    LIST_EACH(&k->fills, link) n++;
    if (!packed_text(body, "uid", uid, sizeof(uid)) || !seg_uid_ok(uid) || node == 0 || node > UINT16_MAX ||
        f || !seg_info_read(packed_str(body, "info"), &o->info) || strcmp(o->info.uid, uid) != 0) {
        mem_free(o);
        return -EPROTO;
    }
    o->node = (uint16_t)node;
    s = keeper_store_of(k, uid, &owner);
    if (!s || !keeper_store_ok(s) || n >= FILLS_MAX) {
        say(k, MSG_FILL_FILE, id, EAGAIN, -1);
    } else {
        f = NEW(struct filling);
        *f = (struct filling){.id = id, .store = s};
        list_push(&k->fills, &f->link);
        disk_fill_open(s->disk, id, uid, owner.uid, owner.gid, o);
    }
    mem_free(o);
    return 0;
}

static int on_done(struct keeper *k, const struct packed *body)
{
    struct filling *f = find(k, packed_u64(body, "id", 0));
    bool given_up = packed_u64(body, "err", 0) != 0;

    if (!f) {
        if (!given_up) say(k, MSG_FILL_STORED, packed_u64(body, "id", 0), EAGAIN, -1);
        return 0;
    }
    disk_fill_done(f->store->disk, f->id, given_up);
    f->written = true;
    if (given_up) forget(f);
    return 0;
}

/* It goes where the stream's own go, as if its worker had told of it; nobody waits for it to end. */
static int on_event(struct keeper *k, const struct packed *body)
{
    struct event *e = NEW(struct event);
    bool ok = event_read(body, e) && seg_uid_ok(e->uid);
    struct store *s = ok ? keeper_store_of(k, e->uid, NULL) : NULL;

    if (s && keeper_store_ok(s) && e->end_us > 0) disk_event(s->disk, e);
    mem_free(e);
    return ok ? 0 : -EPROTO;
}

static int on_lock(struct keeper *k, const struct packed *body)
{
    struct index_lock *l = NEW(struct index_lock);
    bool ok = packed_text(body, "uid", l->uid, sizeof(l->uid)) && seg_uid_ok(l->uid);

    l->id = packed_u64(body, "id", 0);
    l->start_us = packed_i64(body, "start_us", 0);
    l->end_us = packed_i64(body, "end_us", 0);
    l->version_us = packed_i64(body, "version_us", 0);
    l->released_us = packed_i64(body, "released_us", 0);
    packed_text(body, "by", l->by, sizeof(l->by));
    packed_text(body, "note", l->note, sizeof(l->note));
    ok = ok && seg_time_ok(l->start_us) && seg_time_ok(l->end_us) && l->start_us < l->end_us &&
        seg_time_ok(l->version_us) && (l->released_us == 0 || seg_time_ok(l->released_us));
    if (ok && locks_held(&k->locks) < LOCKS_MAX) keeper_keep_lock(k, l);
    mem_free(l);
    return ok ? 0 : -EPROTO;
}

static int on_known(struct keeper *k, const struct packed *body)
{
    char uid[40];

    if (!packed_text(body, "uid", uid, sizeof(uid))) return -EPROTO;
    keeper_keep_late(k, uid, MAX(packed_i64(body, "until_us", 0), 1));
    return 0;
}

static const struct {
    enum message type;
    int (*fn)(struct keeper *k, const struct packed *body);
} rows[] = {
    {MSG_FILL_OPEN, on_open},
    {MSG_FILL_DONE, on_done},
    {MSG_FILL_EVENT, on_event},
    {MSG_FILL_LOCK, on_lock},
    {MSG_FILL_KNOWN, on_known},
};

static int on_message(struct channel *ch, struct incoming *in)
{
    for (size_t i = 0; i < ARRAY_N(rows); i++)
        if (rows[i].type == in->type) return rows[i].fn(channel_arg(ch), in->body);
    return -EPROTO;
}

/* --- life --- */

static void drop_all(struct keeper *k)
{
    LIST_EACH(&k->fills, link)
    {
        struct filling *f = LIST_ITEM(link, struct filling, link);

        if (f->store->disk) disk_fill_done(f->store->disk, f->id, true);
        forget(f);
    }
}

static void on_close(struct channel *ch, int err)
{
    struct keeper *k = channel_arg(ch);

    if (err) log_warn("courier-closed", "err=%s", log_q(span_of(err_text(err))));
    if (k->courier == ch) {
        k->courier = NULL;
        drop_all(k);
    }
    channel_free(ch);
}

static const struct channel_ops courier_ops = {on_message, on_close};

int keeper_courier(struct keeper *k, struct incoming *in)
{
    if (in->n_fds != 1) return -EPROTO;
    drop_all(k);
    channel_free(k->courier);
    k->courier = channel_new(k->loop, in->fds[0], ROLE_KEEPER, ROLE_COURIER, &courier_ops, k);
    in->fds[0] = -1;
    return 0;
}

/* A storage has its file, or not; or it is in the index, or not. Takes fd. */
void keeper_fill(struct store *s, uint64_t id, int fd, int err)
{
    struct keeper *k = s->keeper;
    struct filling *f = find(k, id);

    if (f) {
        say(k, f->written ? MSG_FILL_STORED : MSG_FILL_FILE, id, err, fd);
        if (f->written || err) forget(f);
    }
    fd_close(&fd);
}

void keeper_fill_silent(struct store *s)
{
    LIST_EACH(&s->keeper->fills, link)
    {
        struct filling *f = LIST_ITEM(link, struct filling, link);

        if (f->store != s) continue;
        say(s->keeper, f->written ? MSG_FILL_STORED : MSG_FILL_FILE, f->id, EAGAIN, -1);
        forget(f);
    }
}

void keeper_fill_done(struct keeper *k)
{
    LIST_EACH(&k->fills, link) forget(LIST_ITEM(link, struct filling, link));
    channel_free(k->courier);
    k->courier = NULL;
}
