#include "archive/keeper.h"
#include "archive/disk.h"
#include "archive/store_choice.h"
#include "common/base/clock.h"
#include "common/base/err.h"
#include "common/base/fd.h"
#include "common/base/list.h"
#include "common/base/log.h"
#include "common/base/mem.h"

#include <errno.h>
#include <unistd.h>

#define STORES_MAX    256
#define TICK_US       US_PER_S
#define RETRY_US      US_PER_S /* before a worker whose write has failed gets its folder again */
#define SYNC_US       (5 * US_PER_S)
#define SYNC_LEAST_US (100 * US_PER_MS)
#define SYNC_MOST_US  (600 * US_PER_S)

struct store {
    struct list link;
    struct keeper *keeper;
    struct disk *disk;
    struct disk_conf conf; /* as the master sent it last */
    struct disk_report report;
    bool known;   /* a report has come */
    bool stalled; /* its thread has been waiting for the disk for too long: said to the master */
    bool ending;  /* its thread ends: the conf has changed, or */
    bool gone;    /* it is no longer in the configuration */
};

enum peer_state {
    PEER_QUIET = 0, /* has not asked */
    PEER_WANTS,     /* waits for its folder, */
    PEER_ASKED,     /* which is being made */
    PEER_HAS
};
struct peer {
    struct list link;
    struct keeper *keeper;
    struct channel *ch;
    char uid[40];
    uid_t os_uid;
    gid_t os_gid;
    char archive[1024];
    enum peer_state state;
    int told;                 /* errno of the last "wait", -1: none told */
    struct store *store;      /* chosen, NULL: none */
    struct store *open_store; /* of the segment that is open */
    uint64_t open_id;
    usec_t not_before_us;
};

struct keeper {
    struct loop *loop;
    struct child *child;
    struct list stores, peers;
    struct loop_timer tick;
    void (*done)(void *arg); /* NULL: not stopping */
    void *done_arg;
};

static struct store *find_store(struct keeper *k, const char *name)
{
    LIST_EACH(&k->stores, link)
    {
        struct store *s = LIST_ITEM(link, struct store, link);

        if (strcmp(s->conf.name, name) == 0) return s;
    }
    return NULL;
}

static struct peer *find_peer(struct keeper *k, const char *uid)
{
    LIST_EACH(&k->peers, link)
    {
        struct peer *p = LIST_ITEM(link, struct peer, link);

        if (strcmp(p->uid, uid) == 0) return p;
    }
    return NULL;
}

static bool store_ok(const struct store *s)
{
    return s->known && !s->ending && s->report.state == STORAGE_OK;
}

/* --- workers --- */

static void send_archive(struct peer *p, int err, int fd)
{
    struct packer *m = channel_begin(p->ch, MSG_ARCHIVE, 4);

    pack_kv_text(m, "state", err ? "wait" : "ok");
    pack_kv_u64(m, "errno", (uint64_t)err);
    pack_kv_text(m, "storage", p->store ? p->store->conf.name : "");
    pack_kv_u64(m, "sync_us", (uint64_t)(p->store ? p->store->conf.sync_us : SYNC_US));
    channel_end(p->ch, &fd, err ? 0 : 1);
    p->told = err ? err : -1;
}

static void send_wait(struct peer *p, int err)
{
    if (p->told == err && p->state != PEER_HAS) return;
    if (p->state == PEER_HAS) p->state = PEER_WANTS;
    send_archive(p, err ? err : EAGAIN, -1);
}

static struct store *choose(const struct peer *p)
{
    struct choice_store list[STORES_MAX] = {0};
    struct store *stores[STORES_MAX] = {0};
    size_t n = 0;
    int at;

    LIST_EACH(&p->keeper->stores, link)
    {
        struct store *s = LIST_ITEM(link, struct store, link);

        if (s->gone || n == STORES_MAX) continue;
        stores[n] = s;
        list[n++] = (struct choice_store){span_of(s->conf.name), span_of(s->conf.path), store_ok(s)};
    }
    at = choice_store(span_of(p->archive), p->uid, list, n);
    return at < 0 ? NULL : stores[at];
}

/* Gives a worker what it waits for, or says why not. A storage that is ok keeps its streams. */
static void serve(struct peer *p)
{
    if (p->state == PEER_QUIET || p->state == PEER_ASKED) return;
    if (p->state == PEER_HAS && p->store && store_ok(p->store)) return;
    if (!p->store || !store_ok(p->store)) p->store = choose(p);
    if (!p->store) {
        send_wait(p, ENOENT);
    } else if (!store_ok(p->store)) {
        if (p->store->known || p->state == PEER_HAS) send_wait(p, p->store->report.err);
    } else if (loop_now_us(p->keeper->loop) >= p->not_before_us) {
        p->state = PEER_ASKED;
        disk_folder(p->store->disk, p->uid, p->os_uid, p->os_gid);
    }
}

static void serve_all(struct keeper *k)
{
    LIST_EACH(&k->peers, link) serve(LIST_ITEM(link, struct peer, link));
}

static void peer_free(struct peer *p)
{
    if (p->store && p->store->disk) disk_look(p->store->disk, p->uid, true);
    if (p->open_store && p->open_store != p->store && p->open_store->disk)
        disk_look(p->open_store->disk, p->uid, true);
    list_remove(&p->link);
    channel_free(p->ch);
    mem_free(p);
}

static int archive_ask(struct peer *p, const struct packed *body)
{
    (void)body;
    if (p->state != PEER_ASKED) p->state = PEER_WANTS;
    p->told = -1;
    serve(p);
    return 0;
}

static int seg_opened(struct peer *p, const struct packed *body)
{
    p->open_id = packed_u64(body, "id", 0);
    if (!p->store) p->store = choose(p); /* it has its folder from the keeper before us */
    p->open_store = p->store;
    if (p->open_store && p->open_store->disk) disk_opened(p->open_store->disk, p->uid, p->open_id);
    return 0;
}

static int seg_closed(struct peer *p, const struct packed *body)
{
    uint64_t id = packed_u64(body, "id", 0);
    struct store *s = p->open_store && p->open_id == id ? p->open_store : p->store;

    if (s && s->disk) disk_closed(s->disk, p->uid, id);
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

/* --- storages: what their threads say --- */

static void send_state(const struct store *s)
{
    struct channel *ch = child_control(s->keeper->child);
    bool stalled = s->stalled && s->report.state == STORAGE_OK;
    struct packer *m;

    if (!ch) return;
    m = channel_begin(ch, MSG_STORAGE_STATE, 6);
    pack_kv_text(m, "name", s->conf.name);
    pack_kv_text(m, "state", storage_state_name(stalled ? STORAGE_FAILED : s->report.state));
    pack_kv_u64(m, "errno", (uint64_t)(stalled ? ETIMEDOUT : s->report.err));
    pack_kv_text(m, "uuid", s->report.uuid);
    pack_kv_u64(m, "total", s->report.total);
    pack_kv_u64(m, "free", s->report.free);
    channel_end(ch, NULL, 0);
}

static void on_state(void *arg, const struct disk_report *r)
{
    struct store *s = arg;

    if (s->ending) return;
    s->report = *r;
    s->known = true;
    send_state(s);
    serve_all(s->keeper);
}

static void on_folder(void *arg, const char *uid, int fd, int err)
{
    struct store *s = arg;
    struct peer *p = find_peer(s->keeper, uid);

    if (p && p->store == s && p->state == PEER_ASKED) {
        p->state = err ? PEER_WANTS : PEER_HAS;
        if (err) p->not_before_us = loop_now_us(s->keeper->loop) + RETRY_US;
        if (err)
            send_wait(p, err);
        else
            send_archive(p, 0, fd);
    }
    fd_close(&fd);
}

static void on_stored(void *arg, const char *uid, uint64_t id)
{
    struct store *s = arg;
    struct peer *p = find_peer(s->keeper, uid);
    struct packer *m;

    if (!p) return;
    m = channel_begin(p->ch, MSG_SEG_STORED, 1);
    pack_kv_u64(m, "id", id);
    channel_end(p->ch, NULL, 0);
}

static void on_index(void *arg, const char *path, uint64_t gen)
{
    struct store *s = arg;
    struct channel *ch = child_control(s->keeper->child);
    struct packer *m;

    if (!ch || s->ending) return;
    m = channel_begin(ch, MSG_INDEX_READY, 3);
    pack_kv_text(m, "name", s->conf.name);
    pack_kv_text(m, "path", path);
    pack_kv_u64(m, "gen", gen);
    channel_end(ch, NULL, 0);
}

static void on_end(void *arg);
static const struct disk_ops disk_ops = {on_state, on_folder, on_stored, on_index, on_end};

static void store_free(struct store *s)
{
    LIST_EACH(&s->keeper->peers, link)
    {
        struct peer *p = LIST_ITEM(link, struct peer, link);

        if (p->store == s) p->store = NULL;
        if (p->open_store == s) p->open_store = NULL;
    }
    list_remove(&s->link);
    mem_free(s);
}

static void on_end(void *arg)
{
    struct store *s = arg;
    struct keeper *k = s->keeper;

    disk_free(s->disk);
    s->disk = NULL;
    if (s->gone || k->done) {
        store_free(s);
    } else {
        s->ending = s->known = false;
        s->disk = disk_new(k->loop, &s->conf, &disk_ops, s);
    }
    if (k->done && list_empty(&k->stores)) k->done(k->done_arg);
}

/* --- the master --- */

static bool conf_of(const struct packed *body, struct disk_conf *ret)
{
    char floor[32] = "";

    memset(ret, 0, sizeof(*ret));
    if (!packed_text(body, "name", ret->name, sizeof(ret->name)) || !ret->name[0]) return false;
    if (!packed_text(body, "path", ret->path, sizeof(ret->path)) || ret->path[0] != '/') return false;
    packed_text(body, "index_path", ret->index_path, sizeof(ret->index_path));
    packed_text(body, "uuid", ret->uuid, sizeof(ret->uuid));
    packed_text(body, "free", floor, sizeof(floor));
    if (!storage_floor_parse(span_of(floor), &ret->floor)) return false;
    ret->sync_us = CLAMP(packed_i64(body, "sync_us", SYNC_US), SYNC_LEAST_US, SYNC_MOST_US);
    return true;
}

/* The UUID apart: the master learns it from us. */
static bool same_conf(const struct disk_conf *a, const struct disk_conf *b)
{
    return strcmp(a->path, b->path) == 0 && strcmp(a->index_path, b->index_path) == 0 &&
        a->floor.bytes == b->floor.bytes && a->floor.percent == b->floor.percent && a->sync_us == b->sync_us;
}

/* The index may not be open twice: the next thread begins when this one has ended. */
static void end_store(struct store *s, bool gone)
{
    s->gone = gone;
    if (!s->ending) disk_stop(s->disk);
    s->ending = true;
    serve_all(s->keeper);
}

static int storage(struct keeper *k, struct incoming *in)
{
    struct disk_conf *conf = NEW(struct disk_conf);
    struct store *s;

    if (!conf_of(in->body, conf)) {
        mem_free(conf);
        return -EPROTO;
    }
    s = find_store(k, conf->name);
    if (!s) {
        s = NEW(struct store);
        s->keeper = k;
        s->conf = *conf;
        s->report.state = STORAGE_MISSING;
        list_push(&k->stores, &s->link);
        s->disk = disk_new(k->loop, conf, &disk_ops, s);
    } else if (s->gone || !same_conf(&s->conf, conf)) {
        s->conf = *conf;
        end_store(s, false);
    }
    mem_free(conf);
    return 0;
}

static int storage_gone(struct keeper *k, struct incoming *in)
{
    char name[DISK_NAME_MAX];
    struct store *s = packed_text(in->body, "name", name, sizeof(name)) ? find_store(k, name) : NULL;

    if (s) end_store(s, true);
    return 0;
}

static int storage_accept(struct keeper *k, struct incoming *in)
{
    char name[DISK_NAME_MAX];
    struct store *s = packed_text(in->body, "name", name, sizeof(name)) ? find_store(k, name) : NULL;

    if (s && !s->ending) disk_accept(s->disk);
    return 0;
}

static int keep_peer(struct keeper *k, struct incoming *in)
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
    p->ch = channel_new(k->loop, in->fds[0], ROLE_KEEPER, ROLE_WORKER, &peer_ops, p);
    in->fds[0] = -1;
    list_push(&k->peers, &p->link);
    return 0;
}

static int keep_peer_gone(struct keeper *k, struct incoming *in)
{
    char uid[40];
    struct peer *p = packed_text(in->body, "uid", uid, sizeof(uid)) ? find_peer(k, uid) : NULL;

    if (p) peer_free(p);
    return 0;
}

static int conf_done(struct keeper *k, struct incoming *in)
{
    (void)in;
    serve_all(k);
    return 0;
}

static const struct master_row {
    enum message type;
    int (*fn)(struct keeper *k, struct incoming *in);
} master_rows[] = {
    {MSG_STORAGE, storage},
    {MSG_STORAGE_GONE, storage_gone},
    {MSG_STORAGE_INIT, storage_accept},
    {MSG_KEEP_PEER, keep_peer},
    {MSG_KEEP_PEER_GONE, keep_peer_gone},
    {MSG_CONF_DONE, conf_done},
};

int keeper_message(struct keeper *k, struct incoming *in)
{
    if (k->done) return 0;
    for (size_t i = 0; i < ARRAY_N(master_rows); i++)
        if (master_rows[i].type == in->type) return master_rows[i].fn(k, in);
    return -EPROTO;
}

/* A disk that does not answer is said to be so; its workers go on, the page cache may carry them over. */
static void watch_stalls(struct keeper *k)
{
    LIST_EACH(&k->stores, link)
    {
        struct store *s = LIST_ITEM(link, struct store, link);
        bool stalled = s->disk && disk_busy_us(s->disk, clock_mono_us()) > DISK_STALL_US;

        if (stalled == s->stalled || !s->known) continue;
        s->stalled = stalled;
        log_event(stalled ? LOG_WARN : LOG_NOTE, stalled ? "storage-stalled" : "storage-answers",
            "storage=%s", s->conf.name);
        send_state(s);
    }
}

static void on_tick(struct loop_timer *t)
{
    struct keeper *k = t->arg;

    watch_stalls(k);
    serve_all(k);
}

struct keeper *keeper_new(struct loop *l, struct child *c)
{
    struct keeper *k = NEW(struct keeper);

    k->loop = l;
    k->child = c;
    list_init(&k->stores);
    list_init(&k->peers);
    loop_timer_every(l, &k->tick, TICK_US, on_tick, k);
    return k;
}

void keeper_stop(struct keeper *k, void (*done)(void *arg), void *arg)
{
    if (k->done) return;
    k->done = done;
    k->done_arg = arg;
    loop_timer_stop(&k->tick);
    LIST_EACH(&k->stores, link)
    {
        struct store *s = LIST_ITEM(link, struct store, link);

        s->ending = true;
        disk_stop(s->disk);
    }
    if (list_empty(&k->stores)) done(arg);
}
