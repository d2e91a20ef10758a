#include "archive/keeper_impl.h"
#include "archive/store_choice.h"
#include "common/base/err.h"
#include "common/base/fd.h"
#include "common/base/log.h"
#include "common/base/mem.h"

#include <errno.h>
#include <unistd.h>

#define RETRY_US  US_PER_S        /* before a worker whose write has failed gets its folder again */
#define STEADY_US (10 * US_PER_S) /* all right for so long: streams that belong there come back */

static struct peer *find_peer(struct keeper *k, const char *uid)
{
    LIST_EACH(&k->peers, link)
    {
        struct peer *p = LIST_ITEM(link, struct peer, link);

        if (strcmp(p->uid, uid) == 0) return p;
    }
    return NULL;
}

static void send_archive(struct peer *p, int err, int fd)
{
    struct packer *m = channel_begin(p->ch, MSG_ARCHIVE, 3);

    pack_kv_text(m, "state", err ? "wait" : "ok");
    pack_kv_u64(m, "errno", (uint64_t)err);
    pack_kv_text(m, "storage", p->store ? p->store->conf.name : "");
    channel_end(p->ch, &fd, err ? 0 : 1);
    p->told = err ? err : -1;
}

static void send_wait(struct peer *p, int err)
{
    if (p->told == err && p->state != PEER_HAS) return;
    if (p->state == PEER_HAS) p->state = PEER_WANTS;
    send_archive(p, err ? err : EAGAIN, -1);
}

/* Not known yet, as at the start, or being opened anew, and likely to answer soon. */
static bool coming(const struct store *s)
{
    return (!s->known || s->ending) && !s->gone && loop_now_us(s->keeper->loop) - s->begun_us < DISK_STALL_US;
}

/* A stream that records leaves its storage only for one that has been all right for a while. */
static bool may_take(const struct peer *p, const struct store *s)
{
    if (p->state != PEER_HAS || !p->store || !keeper_store_ok(p->store))
        return keeper_store_ok(s) || coming(s);
    return s == p->store || (s->ok_us > 0 && loop_now_us(s->keeper->loop) - s->ok_us >= STEADY_US);
}

static struct store *choose(const struct peer *p)
{
    struct choice_store list[KEEPER_STORES_MAX] = {0};
    struct store *stores[KEEPER_STORES_MAX] = {0};
    size_t n = 0;
    int at;

    LIST_EACH(&p->keeper->stores, link)
    {
        struct store *s = LIST_ITEM(link, struct store, link);

        if (s->gone || n == KEEPER_STORES_MAX) continue;
        stores[n] = s;
        list[n++] = (struct choice_store){span_of(s->conf.name), span_of(s->conf.path), may_take(p, s)};
    }
    at = choice_store(span_of(p->archive), p->uid, list, n);
    return at < 0 ? NULL : stores[at];
}

/* What it has left on the one before is looked at there: messages of a segment may be on their way. */
static void set_store(struct peer *p, struct store *s)
{
    struct store *old = p->store;

    p->next = NULL;
    if (old == s) return;
    p->store = s;
    if (old && old->disk) disk_look(old->disk, p->uid, true);
}

static void ask_for_folder(const struct peer *p, const struct store *s)
{
    disk_folder(s->disk, p->uid, p->os_uid, p->os_gid);
}

/* A storage that was chosen for want of a better one is left when that is back. The worker records on until
 * it has the folder there. */
static void look_for_better(struct peer *p)
{
    struct store *best;

    if (p->next && keeper_store_ok(p->next)) return;
    p->next = NULL;
    if (!p->several || loop_now_us(p->keeper->loop) < p->not_before_us) return;
    best = choose(p);
    if (!best || best == p->store) return;
    p->next = best;
    ask_for_folder(p, best);
}

static void serve(struct peer *p)
{
    bool settled = p->store && keeper_store_ok(p->store);
    struct store *best;

    if (p->state == PEER_QUIET || (p->state == PEER_ASKED && settled)) return;
    if (p->state == PEER_HAS && settled) {
        look_for_better(p);
        return;
    }
    best = settled ? p->store : choose(p);
    if (best && best == p->store && !best->ending &&
        (p->state == PEER_ASKED || (p->state == PEER_HAS && best->stalled)))
        return; /* no other is there: the late answer will do, or the disk may come back */
    set_store(p, best);
    if (p->state == PEER_ASKED) p->state = PEER_WANTS;
    if (!best) {
        send_wait(p, ENOENT);
    } else if (!keeper_store_ok(best)) {
        if (p->state == PEER_HAS || !coming(best)) send_wait(p, best->stalled ? ETIMEDOUT : best->report.err);
    } else if (loop_now_us(p->keeper->loop) >= p->not_before_us) {
        p->state = PEER_ASKED;
        ask_for_folder(p, best);
    }
}

void keeper_serve(struct keeper *k)
{
    LIST_EACH(&k->peers, link) serve(LIST_ITEM(link, struct peer, link));
}

bool keeper_is_written(struct keeper *k, const char *uid)
{
    return find_peer(k, uid) != NULL;
}

static void peer_free(struct peer *p)
{
    struct keeper *k = p->keeper;

    if (p->store && p->store->disk) disk_look(p->store->disk, p->uid, true);
    if (p->open_store && p->open_store != p->store && p->open_store->disk)
        disk_look(p->open_store->disk, p->uid, true);
    list_remove(&p->link);
    channel_free(p->ch);
    mem_free(p);
    keeper_ask_unwritten(k);
}

static int archive_ask(struct peer *p, const struct packed *body)
{
    (void)body;
    if (p->state != PEER_ASKED) p->state = PEER_WANTS;
    p->told = -1;
    serve(p);
    return 0;
}

/* It says where: a worker that has been told of another storage may not have heard of it yet, and one that is
 * older than we are has its folder from the keeper before us. */
static int seg_opened(struct peer *p, const struct packed *body)
{
    char name[DISK_NAME_MAX];

    p->open_id = packed_u64(body, "id", 0);
    p->open_store = packed_text(body, "storage", name, sizeof(name)) ? keeper_store(p->keeper, name) : NULL;
    if (!p->store) p->store = p->open_store ? p->open_store : choose(p);
    if (!p->open_store) p->open_store = p->store;
    if (p->open_store && p->open_store->disk) disk_opened(p->open_store->disk, p->uid, p->open_id);
    return 0;
}

/* The master passes it on to whoever wants to hear of it. */
static void tell_segment(const struct peer *p, const struct store *s, struct span bytes)
{
    struct channel *ch = child_control(p->keeper->child);
    struct seg_info *info = NEW(struct seg_info);
    struct packer *m;

    if (ch && seg_info_read(bytes, info)) {
        m = channel_begin(ch, MSG_SEGMENT, 6);
        pack_kv_text(m, "uid", p->uid);
        pack_kv_text(m, "storage", s->conf.name);
        pack_kv_text(m, "path", info->path);
        pack_kv_i64(m, "start_us", info->start_us);
        pack_kv_i64(m, "end_us", info->end_us);
        pack_kv_u64(m, "bytes", info->bytes);
        channel_end(ch, NULL, 0);
    }
    mem_free(info);
}

static int seg_closed(struct peer *p, const struct packed *body)
{
    uint64_t id = packed_u64(body, "id", 0);
    struct store *s = p->open_store && p->open_id == id ? p->open_store : p->store;

    if (s && s->disk) disk_closed(s->disk, p->uid, id);
    if (s) tell_segment(p, s, packed_str(body, "info"));
    if (s && s->disk && s != p->store) disk_look(s->disk, p->uid, true); /* it writes there no more */
    if (p->open_id == id) p->open_id = 0;
    return 0;
}

static int write_failed(struct peer *p, const struct packed *body)
{
    int err = (int)packed_u64(body, "errno", 0);

    log_event_of(LOG_WARN, p->uid, "write-failed", "storage=%s err=%s", p->store ? p->store->conf.name : "",
        log_q(span_of(err_text(-err))));
    if (p->state != PEER_ASKED) p->state = PEER_WANTS;
    p->told = -1;
    p->next = NULL;
    p->not_before_us = loop_now_us(p->keeper->loop) + RETRY_US;
    if (p->store && p->store->disk) {
        disk_look(p->store->disk, p->uid, false);
        disk_probe(p->store->disk);
    }
    return 0;
}

static const struct peer_row {
    enum message type;
    int (*fn)(struct peer *p, const struct packed *body);
} peer_rows[] = {
    {MSG_ARCHIVE_ASK, archive_ask},
    {MSG_SEG_OPENED, seg_opened},
    {MSG_SEG_CLOSED, seg_closed},
    {MSG_WRITE_FAILED, write_failed},
};

static int on_peer_message(struct channel *ch, struct incoming *in)
{
    for (size_t i = 0; i < ARRAY_N(peer_rows); i++)
        if (peer_rows[i].type == in->type) return peer_rows[i].fn(channel_arg(ch), in->body);
    return -EPROTO;
}

static void on_peer_close(struct channel *ch, int err)
{
    struct peer *p = channel_arg(ch);

    if (err) log_event_of(LOG_WARN, p->uid, "peer-closed", "err=%s", log_q(span_of(err_text(err))));
    peer_free(p);
}

static const struct channel_ops peer_ops = {on_peer_message, on_peer_close};

struct store *keeper_store_of(struct keeper *k, const char *uid, struct owner *ret_owner)
{
    const struct peer *p = find_peer(k, uid);

    if (!p) return NULL;
    if (ret_owner) *ret_owner = (struct owner){p->os_uid, p->os_gid};
    return p->store ? p->store : choose(p);
}

/* --- from keeper.c --- */

/* A folder on a storage that the stream has left meanwhile is nobody's. */
void keeper_folder(struct store *s, const char *uid, int fd, int err)
{
    struct peer *p = find_peer(s->keeper, uid);
    bool better = p && p->state == PEER_HAS && p->next == s;
    bool wanted = p && p->state == PEER_ASKED && p->store == s;

    if (p && p->next == s) p->next = NULL;
    if (err && (better || wanted)) p->not_before_us = loop_now_us(s->keeper->loop) + RETRY_US;
    if (better && !err && keeper_store_ok(s)) {
        log_event_of(LOG_NOTE, uid, "storage-changed", "from=%s to=%s", p->store->conf.name, s->conf.name);
        set_store(p, s);
        send_archive(p, 0, fd);
    } else if (wanted) {
        p->state = err ? PEER_WANTS : PEER_HAS;
        if (err)
            send_wait(p, err);
        else
            send_archive(p, 0, fd);
    } else if (!p || p->store != s) {
        disk_look(s->disk, uid, true);
    }
    fd_close(&fd);
}

void keeper_stored(struct keeper *k, const char *uid, uint64_t id)
{
    struct peer *p = find_peer(k, uid);
    struct packer *m;

    if (!p) return;
    m = channel_begin(p->ch, MSG_SEG_STORED, 1);
    pack_kv_u64(m, "id", id);
    channel_end(p->ch, NULL, 0);
}

void keeper_forget(struct keeper *k, const struct store *s)
{
    LIST_EACH(&k->peers, link)
    {
        struct peer *p = LIST_ITEM(link, struct peer, link);

        if (p->store == s) p->store = NULL;
        if (p->next == s) p->next = NULL;
        if (p->open_store == s) p->open_store = NULL;
    }
}

int keeper_peer(struct keeper *k, struct incoming *in)
{
    char uid[40];
    struct peer *p;

    if (in->n_fds != 1 || !packed_text(in->body, "uid", uid, sizeof(uid)) || !seg_uid_ok(uid)) return -EPROTO;
    p = find_peer(k, uid);
    if (p) peer_free(p);
    p = NEW(struct peer);
    p->keeper = k;
    p->told = -1;
    memcpy(p->uid, uid, sizeof(uid));
    p->os_uid = (uid_t)packed_u64(in->body, "os_uid", geteuid());
    p->os_gid = (gid_t)packed_u64(in->body, "os_gid", getegid());
    packed_text(in->body, "archive", p->archive, sizeof(p->archive));
    p->several = strchr(p->archive, ',') != NULL;
    p->ch = channel_new(k->loop, in->fds[0], ROLE_KEEPER, ROLE_WORKER, &peer_ops, p);
    in->fds[0] = -1;
    list_push(&k->peers, &p->link);
    return 0;
}

int keeper_peer_gone(struct keeper *k, struct incoming *in)
{
    char uid[40];
    struct peer *p = packed_text(in->body, "uid", uid, sizeof(uid)) ? find_peer(k, uid) : NULL;

    if (p) peer_free(p);
    return 0;
}
