#include "tests/support/away_site.h"
#include "archive/reader.h"
#include "common/base/err.h"
#include "common/base/fd.h"
#include "common/base/mem.h"
#include "common/ipc/event.h"
#include "tests/support/tool.h"

#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <sys/socket.h>

#define NODE     2
#define PAGE_MAX 100

struct away_site away_site;

/* Two loops: the courier's, and that of httpd's main thread. */
static struct {
    struct loop *loop;
    pthread_t thread;
} courier, host;
static struct channel *channel; /* the courier's end */
static sem_t posted;

static void *run(void *loop)
{
    loop_run(loop);
    return NULL;
}

/* --- the courier --- */

static struct packer *answer(enum message type, struct incoming *in, uint32_t pairs)
{
    struct packer *p = channel_begin(channel, type, pairs + 2);

    pack_kv_u64(p, "id", packed_u64(in->body, "id", 0));
    pack_kv_u64(p, "node", NODE);
    return p;
}

static void say_last(enum message type, struct incoming *in, bool missing)
{
    struct packer *p = answer(type, in, 2);

    pack_kv_bool(p, "last", true);
    pack_key(p, "missing");
    pack_array(p, missing);
    if (missing) pack_u64(p, NODE);
    channel_end(channel, NULL, 0);
}

/* Of one of the node's storages. */
static void send_infos(
    struct incoming *in, const struct seg_info *page, size_t n, unsigned storage, bool more)
{
    struct packer *p = answer(MSG_AWAY_FOUND, in, 3);
    uint32_t own = 0;

    for (size_t i = 0; i < n; i++) own += i % 2 == storage;
    pack_kv_text(p, "storage", storage == 0 ? "a" : "b");
    pack_kv_bool(p, "more", more);
    pack_key(p, "infos");
    pack_array(p, own);
    for (size_t i = 0; i < n; i++) {
        struct seg_info info = page[i];
        uint8_t text[SEG_INFO_WIRE_MAX];
        struct wr w = wr_of(text, sizeof(text));

        if (i % 2 != storage) continue;
        if (info.id == away_site.open) info.flags |= SEG_OPEN;
        seg_info_write(&w, &info);
        pack_bin(p, wr_span(&w));
    }
    channel_end(channel, NULL, 0);
}

/* As if every second segment lay on another storage. */
static void on_find(struct incoming *in)
{
    CLEANUP(mem_freep) struct seg_info *page = mem_new_n(PAGE_MAX, sizeof(*page));
    size_t most = (size_t)CLAMP(packed_u64(in->body, "most", 12), 1, away_site.most), n = 0;
    char uid[40];
    struct index_query q = {.uid = uid,
        .from_us = packed_i64(in->body, "from_us", 0),
        .to_us = packed_i64(in->body, "to_us", 0),
        .after_id = packed_u64(in->body, "after", 0)};

    away_site.finds++;
    must(packed_u64(in->body, "node", 0) == NODE);
    must(packed_text(in->body, "uid", uid, sizeof(uid)));
    must(index_segments(away_site.ix, &q, page, most, &n) == INDEX_OK);
    send_infos(in, page, n, 1, n == most);
    send_infos(in, page, n, 0, n == most);
    say_last(MSG_AWAY_FOUND, in, false);
}

static void on_ranges(struct incoming *in)
{
    struct index_range page[PAGE_MAX];
    char uid[40];
    struct index_query q = {
        .uid = uid, .from_us = packed_i64(in->body, "from_us", 0), .to_us = packed_i64(in->body, "to_us", 0)};
    size_t n = 0;
    struct packer *p;

    must(packed_text(in->body, "uid", uid, sizeof(uid)));
    must(index_ranges(away_site.ix, &q, page, PAGE_MAX, &n) == INDEX_OK);
    p = answer(MSG_AWAY_SPANS, in, 1);
    pack_key(p, "spans");
    pack_array(p, (uint32_t)(2 * n));
    for (size_t i = 0; i < n; i++) {
        pack_i64(p, page[i].start_us);
        pack_i64(p, page[i].end_us);
    }
    channel_end(channel, NULL, 0);
    say_last(MSG_AWAY_SPANS, in, false);
}

static void mark_begin(struct incoming *in, struct packer **ret, const char *key, uint32_t pairs)
{
    *ret = answer(MSG_AWAY_HAPPENED, in, 1);
    pack_key(*ret, key);
    pack_map(*ret, pairs);
}

/* An event, twice, the second time with its end; a lock that holds, and one that does not. */
static void on_marks(struct incoming *in)
{
    struct packer *p;

    for (unsigned i = 0; i < 2 + away_site.events; i++) {
        struct event e = {
            .id = 41, .uid = SITE_UID, .kind = "motion", .source = "onvif", .start_us = SITE_T0};

        if (i == 1) e.end_us = SITE_T0 + US_PER_S;
        if (i > 1) e.start_us += (usec_t)i * US_PER_S;
        mark_begin(in, &p, "event", EVENT_KEYS);
        event_pack(p, &e);
        channel_end(channel, NULL, 0);
    }
    for (unsigned i = 0; i < 2 + away_site.locks; i++) {
        mark_begin(in, &p, "lock", 8);
        pack_kv_text(p, "uid", SITE_UID);
        pack_kv_u64(p, "id", 0xa0 + i);
        pack_kv_i64(p, "start_us", SITE_T0);
        pack_kv_i64(p, "end_us", SITE_T0 + US_PER_S);
        pack_kv_i64(p, "version_us", SITE_T0);
        pack_kv_i64(p, "released_us", i == 1 ? SITE_T0 : 0);
        pack_kv_text(p, "by", "somebody");
        pack_kv_text(p, "note", "");
        channel_end(channel, NULL, 0);
    }
    say_last(MSG_AWAY_HAPPENED, in, false);
}

static void on_open(struct incoming *in)
{
    char uid[40], path[SEG_PATH_MAX];
    CLEANUP(fd_close) int fd = -1;
    int err;
    struct packer *p;

    away_site.opens++;
    must(packed_text(in->body, "uid", uid, sizeof(uid)));
    seg_path_of(packed_u64(in->body, "segment", 0), path);
    err = away_site.mode == AWAY_NO_FILES ? -EHOSTUNREACH : seg_open(away_site.dir, uid, path, &fd);
    p = answer(MSG_AWAY_FILE, in, 1);
    pack_kv_i64(p, "err", -err);
    channel_end(channel, &fd, err == 0);
}

static void absent(enum message type, struct incoming *in)
{
    struct packer *p;

    if (type != MSG_AWAY_FILE) {
        say_last(type, in, true);
        return;
    }
    p = answer(type, in, 1);
    pack_kv_i64(p, "err", EHOSTUNREACH);
    channel_end(channel, NULL, 0);
}

static int on_message(struct channel *ch, struct incoming *in)
{
    static const struct {
        enum message type, answer;
        void (*fn)(struct incoming *in);
    } rows[] = {{MSG_AWAY_FIND, MSG_AWAY_FOUND, on_find}, {MSG_AWAY_RANGES, MSG_AWAY_SPANS, on_ranges},
        {MSG_AWAY_EVENTS, MSG_AWAY_HAPPENED, on_marks}, {MSG_AWAY_OPEN, MSG_AWAY_FILE, on_open}};

    (void)ch;
    away_site.gone += in->type == MSG_AWAY_GONE;
    for (size_t i = 0; i < ARRAY_N(rows); i++) {
        if (rows[i].type != in->type || away_site.mode == AWAY_SILENT) continue;
        if (away_site.mode == AWAY_ABSENT)
            absent(rows[i].answer, in);
        else
            rows[i].fn(in);
    }
    return 0;
}

static void on_close(struct channel *ch, int err)
{
    (void)err;
    channel_free(ch);
    channel = NULL;
}

static const struct channel_ops ops = {on_message, on_close};

/* --- its socket --- */

static void take_end(void *fd)
{
    channel = channel_new(courier.loop, *(int *)fd, ROLE_COURIER, ROLE_HTTPD, &ops, NULL);
    sem_post(&posted);
}

static void hand_over(void *fd)
{
    away_socket(away_site.away, *(int *)fd);
    sem_post(&posted);
}

void away_site_connect(void)
{
    static int pair[2];

    must(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) == 0);
    loop_post(host.loop, hand_over, &pair[0]);
    loop_post(courier.loop, take_end, &pair[1]);
    sem_wait(&posted);
    sem_wait(&posted);
}

static void hang_up(void *arg)
{
    (void)arg;
    channel_free(channel);
    channel = NULL;
    sem_post(&posted);
}

void away_site_hang_up(void)
{
    loop_post(courier.loop, hang_up, NULL);
    sem_wait(&posted);
}

/* --- life --- */

void away_site_start(usec_t from_us, unsigned segments)
{
    tool_tmpdir(away_site.dir, sizeof(away_site.dir));
    must(index_open(away_site.dir, &away_site.ix) == INDEX_OK);
    for (unsigned i = 0; i < segments; i++)
        site_put_segment(away_site.dir, away_site.ix, from_us + i * SITE_FOOTAGE_S * US_PER_S, i == 0);
    sem_init(&posted, 0, 0);
    away_site.most = PAGE_MAX;
    courier.loop = loop_new();
    host.loop = loop_new();
    must(pthread_create(&courier.thread, NULL, run, courier.loop) == 0);
    must(pthread_create(&host.thread, NULL, run, host.loop) == 0);
    away_site.away = away_new(host.loop);
    away_site_connect();
    away_site_nodes("");
}

void away_site_nodes(const char *host_of)
{
    struct storage_node node = {.node = NODE};

    storages_nodes(site.help.storages, away_site.away, 1, NULL, 0);
    span_copy(span_of(host_of), node.host, sizeof(node.host));
    storages_nodes(site.help.storages, away_site.away, 1, &node, 1);
}

static void end_loop(void *loop)
{
    loop_break(loop);
}

void away_site_stop(void)
{
    loop_post(courier.loop, end_loop, courier.loop);
    pthread_join(courier.thread, NULL);
    channel_free(channel);
    channel = NULL;
}

/* What still waits for it has been told by now that nobody is there. */
void away_site_free(void)
{
    loop_post(host.loop, end_loop, host.loop);
    pthread_join(host.thread, NULL);
    away_free(away_site.away);
    loop_free(courier.loop);
    loop_free(host.loop);
    index_close(away_site.ix);
    sem_destroy(&posted);
    tool_rmdir(away_site.dir);
    away_site = (struct away_site){.away = NULL};
}
