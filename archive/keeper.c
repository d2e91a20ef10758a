#include "archive/keeper_impl.h"
#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/base/mem.h"

#include <errno.h>

#define TICK_US       US_PER_S
#define PULSES_US     (250 * US_PER_MS)
#define SYNC_LEAST_US (100 * US_PER_MS)
#define SYNC_MOST_US  (600 * US_PER_S)

struct store *keeper_store(struct keeper *k, const char *name)
{
    LIST_EACH(&k->stores, link)
    {
        struct store *s = LIST_ITEM(link, struct store, link);

        if (strcmp(s->conf.name, name) == 0) return s;
    }
    return NULL;
}

bool keeper_store_ok(const struct store *s)
{
    return s->known && !s->ending && !s->stalled && s->report.state == STORAGE_OK;
}

static void note_ok(struct store *s)
{
    if (!keeper_store_ok(s))
        s->ok_us = 0;
    else if (s->ok_us == 0)
        s->ok_us = loop_now_us(s->keeper->loop);
}

/* --- storages: what their threads say --- */

static void send_state(const struct store *s)
{
    struct channel *ch = child_control(s->keeper->child);
    bool stalled = s->stalled && s->report.state == STORAGE_OK;
    struct packer *m;

    if (!ch) return;
    m = channel_begin(ch, MSG_STORAGE_STATE, 18);
    pack_kv_text(m, "name", s->conf.name);
    pack_kv_text(m, "state", storage_state_name(stalled ? STORAGE_FAILED : s->report.state));
    pack_kv_u64(m, "errno", (uint64_t)(stalled ? ETIMEDOUT : s->report.err));
    pack_kv_text(m, "uuid", s->report.uuid);
    pack_kv_u64(m, "total", s->report.total);
    pack_kv_u64(m, "free", s->report.free);
    pack_kv_u64(m, "files", s->report.files);
    pack_kv_u64(m, "files_free", s->report.files_free);
    pack_kv_u64(m, "floor", s->report.floor);
    pack_kv_u64(m, "rate", s->report.rate);
    pack_kv_u64(m, "footage", s->report.footage);
    pack_kv_u64(m, "held", s->report.held);
    pack_kv_i64(m, "oldest_s", s->report.oldest_us / US_PER_S);
    pack_kv_i64(m, "full_s", s->report.forecast.full_us / US_PER_S);
    pack_kv_i64(m, "keeps_s", s->report.forecast.keeps_us / US_PER_S);
    pack_kv_i64(m, "ahead_s", s->report.ahead_us / US_PER_S);
    pack_kv_u64(m, "spare", s->report.forecast.spare);
    pack_kv_bool(m, "silent", s->silent);
    channel_end(ch, NULL, 0);
}

static void follow_pulse(struct store *s)
{
    bool wanted = s->conf.pulse && s->known && !s->ending && s->report.state == STORAGE_OK;

    if (wanted == (s->pulse != NULL)) return;
    pulse_free(s->pulse);
    s->pulse = wanted ? pulse_new(s->conf.path) : NULL;
    s->silent = false;
}

static void on_state(void *arg, const struct disk_report *r)
{
    struct store *s = arg;

    if (s->ending) return;
    s->report = *r;
    s->known = true;
    note_ok(s);
    follow_pulse(s);
    send_state(s);
    keeper_serve(s->keeper);
}

static void on_folder(void *arg, const char *uid, int fd, int err)
{
    keeper_folder(arg, uid, fd, err);
}

static void on_stored(void *arg, const char *uid, uint64_t id)
{
    struct store *s = arg;

    keeper_stored(s->keeper, uid, id);
}

static void on_index(void *arg, const char *path)
{
    struct store *s = arg;
    struct channel *ch = child_control(s->keeper->child);
    struct packer *m;

    if (!ch || s->ending) return;
    m = channel_begin(ch, MSG_INDEX_READY, 2);
    pack_kv_text(m, "name", s->conf.name);
    pack_kv_text(m, "path", path);
    channel_end(ch, NULL, 0);
}

static void on_locks(void *arg, const struct index_lock *list, size_t n, bool last)
{
    keeper_keep_locks(arg, list, n, last);
}

static void on_rows(void *arg, uint64_t id, uint32_t n, struct span rows)
{
    keeper_ask_rows(arg, id, n, rows);
}

static void on_answer(void *arg, uint64_t id, int code, const char *text)
{
    keeper_ask_answered(arg, id, code, text);
}

static void on_event(void *arg, const struct event *e)
{
    keeper_event_stored(arg, e);
}

static void on_open_event(void *arg, const struct event *e)
{
    keeper_event_open(arg, e);
}

static void on_fill(void *arg, uint64_t id, int fd, int err)
{
    keeper_fill(arg, id, fd, err);
}

/* The master tells whoever wants to hear of it. */
static void on_gone(void *arg, const struct disk_gone *g)
{
    struct store *s = arg;
    struct channel *ch = child_control(s->keeper->child);
    struct packer *m;

    if (!ch) return;
    m = channel_begin(ch, MSG_FOOTAGE_GONE, 5);
    pack_kv_text(m, "uid", g->uid);
    pack_kv_u64(m, "segments", g->segments);
    pack_kv_u64(m, "bytes", g->bytes);
    pack_kv_i64(m, "from_us", g->from_us);
    pack_kv_i64(m, "to_us", g->to_us);
    channel_end(ch, NULL, 0);
}

static void on_end(void *arg);
static const struct disk_ops disk_ops = {on_state, on_folder, on_stored, on_index, on_locks, on_rows,
    on_answer, on_event, on_open_event, on_fill, on_gone, on_end};

static void begin(struct store *s)
{
    s->begun_us = loop_now_us(s->keeper->loop);
    s->disk = disk_new(s->keeper->loop, &s->conf, &disk_ops, s);
    keeper_keep_tell(s);
}

static void store_free(struct store *s)
{
    keeper_forget(s->keeper, s);
    pulse_free(s->pulse);
    list_remove(&s->link);
    mem_free(s);
}

static void on_end(void *arg)
{
    struct store *s = arg;
    struct keeper *k = s->keeper;

    keeper_ask_silent(s);
    keeper_fill_silent(s);
    disk_free(s->disk);
    s->disk = NULL;
    if (s->gone || k->done) {
        store_free(s);
    } else {
        s->ending = s->known = s->stalled = false;
        begin(s);
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
    ret->pulse = packed_bool(body, "pulse", false);
    ret->sync_us = CLAMP(packed_i64(body, "sync_us", SYNC_US), SYNC_LEAST_US, SYNC_MOST_US);
    return true;
}

/* What the storage has to be opened anew for. The UUID apart: the master learns it from us. */
static bool same_conf(const struct disk_conf *a, const struct disk_conf *b)
{
    return strcmp(a->path, b->path) == 0 && strcmp(a->index_path, b->index_path) == 0 &&
        a->floor.automatic == b->floor.automatic && a->floor.bytes == b->floor.bytes &&
        a->floor.percent == b->floor.percent;
}

/* The index may not be open twice: the next thread begins when this one has ended. */
static void end_store(struct store *s, bool gone)
{
    s->gone = gone;
    if (!s->ending) {
        s->begun_us = loop_now_us(s->keeper->loop);
        disk_stop(s->disk);
    }
    s->ending = true;
    note_ok(s);
    follow_pulse(s);
    keeper_serve(s->keeper);
}

static int storage(struct keeper *k, struct incoming *in)
{
    struct disk_conf *conf = NEW(struct disk_conf);
    struct store *s;

    if (!conf_of(in->body, conf)) {
        mem_free(conf);
        return -EPROTO;
    }
    s = keeper_store(k, conf->name);
    if (!s) {
        s = NEW(struct store);
        s->keeper = k;
        s->conf = *conf;
        s->report.state = STORAGE_MISSING;
        list_push(&k->stores, &s->link);
        begin(s);
    } else if (s->gone || !same_conf(&s->conf, conf)) {
        s->conf = *conf;
        end_store(s, false);
    } else if (s->conf.sync_us != conf->sync_us) {
        s->conf.sync_us = conf->sync_us;
        disk_sync_every(s->disk, conf->sync_us);
    }
    s->conf.pulse = conf->pulse;
    follow_pulse(s);
    mem_free(conf);
    return 0;
}

static int storage_gone(struct keeper *k, struct incoming *in)
{
    char name[DISK_NAME_MAX];
    struct store *s = packed_text(in->body, "name", name, sizeof(name)) ? keeper_store(k, name) : NULL;

    if (s) end_store(s, true);
    return 0;
}

static int storage_accept(struct keeper *k, struct incoming *in)
{
    char name[DISK_NAME_MAX];
    struct store *s = packed_text(in->body, "name", name, sizeof(name)) ? keeper_store(k, name) : NULL;

    if (s && !s->ending) disk_accept(s->disk);
    return 0;
}

static int index_suspect(struct keeper *k, struct incoming *in)
{
    char name[DISK_NAME_MAX];
    struct store *s = packed_text(in->body, "name", name, sizeof(name)) ? keeper_store(k, name) : NULL;

    if (s && !s->ending) disk_suspect(s->disk);
    return 0;
}

static int conf_done(struct keeper *k, struct incoming *in)
{
    (void)in;
    k->complete = true;
    keeper_serve(k);
    return 0;
}

static const struct master_row {
    enum message type;
    int (*fn)(struct keeper *k, struct incoming *in);
} master_rows[] = {
    {MSG_STORAGE, storage},
    {MSG_STORAGE_GONE, storage_gone},
    {MSG_STORAGE_INIT, storage_accept},
    {MSG_INDEX_SUSPECT, index_suspect},
    {MSG_KEEP_PEER, keeper_peer},
    {MSG_KEEP_PEER_GONE, keeper_peer_gone},
    {MSG_KEEP_STREAM, keeper_keep_stream},
    {MSG_KEEP_STREAM_GONE, keeper_keep_stream_gone},
    {MSG_KEEP_ASK, keeper_ask},
    {MSG_KEEP_END, keeper_ask_gone},
    {MSG_EVENT, keeper_event},
    {MSG_CONF_DONE, conf_done},
    {MSG_COURIER_SOCK, keeper_courier},
};

int keeper_message(struct keeper *k, struct incoming *in)
{
    if (k->done) return 0;
    for (size_t i = 0; i < ARRAY_N(master_rows); i++)
        if (master_rows[i].type == in->type) return master_rows[i].fn(k, in);
    return -EPROTO;
}

/* A disk that does not answer is said to be so. Its workers go elsewhere where they may; others go on, the
 * page cache may carry them over. */
static void watch_stalls(struct keeper *k)
{
    LIST_EACH(&k->stores, link)
    {
        struct store *s = LIST_ITEM(link, struct store, link);
        bool stalled = s->disk && disk_busy_us(s->disk, clock_mono_us()) > DISK_STALL_US;

        if (stalled == s->stalled || !s->known) continue;
        s->stalled = stalled;
        note_ok(s);
        log_event(stalled ? LOG_WARN : LOG_NOTE, stalled ? "storage-stalled" : "storage-answers",
            "storage=%s", s->conf.name);
        send_state(s);
        if (stalled) keeper_ask_silent(s);
        if (stalled) keeper_fill_silent(s);
    }
}

/* Where others can record instead they are to know soon. */
static void watch_pulses(struct loop_timer *t)
{
    struct keeper *k = t->arg;

    LIST_EACH(&k->stores, link)
    {
        struct store *s = LIST_ITEM(link, struct store, link);
        bool silent = s->pulse && pulse_silent(s->pulse, clock_mono_us());

        if (silent == s->silent) continue;
        s->silent = silent;
        log_event(silent ? LOG_WARN : LOG_NOTE, silent ? "storage-silent" : "storage-answers", "storage=%s",
            s->conf.name);
        send_state(s);
    }
}

static void on_tick(struct loop_timer *t)
{
    struct keeper *k = t->arg;

    watch_stalls(k);
    keeper_serve(k);
    keeper_keep_tick(k);
    keeper_ask_tick(k);
}

struct keeper *keeper_new(struct loop *l, struct child *c)
{
    struct keeper *k = NEW(struct keeper);

    k->loop = l;
    k->child = c;
    k->begun_us = loop_now_us(l);
    k->begun_wall_us = clock_wall_us();
    list_init(&k->stores);
    list_init(&k->peers);
    list_init(&k->asks);
    list_init(&k->fills);
    loop_timer_every(l, &k->tick, TICK_US, on_tick, k);
    loop_timer_every(l, &k->pulses, PULSES_US, watch_pulses, k);
    return k;
}

void keeper_stop(struct keeper *k, void (*done)(void *arg), void *arg)
{
    if (k->done) return;
    k->done = done;
    k->done_arg = arg;
    loop_timer_stop(&k->tick);
    loop_timer_stop(&k->pulses);
    keeper_ask_done(k);
    keeper_keep_done(k);
    keeper_events_done(k);
    keeper_fill_done(k);
    LIST_EACH(&k->stores, link)
    {
        struct store *s = LIST_ITEM(link, struct store, link);

        s->ending = true;
        follow_pulse(s);
        disk_stop(s->disk);
    }
    if (list_empty(&k->stores)) done(arg);
}
