#include "master/storages.h"
#include "common/base/err.h"
#include "common/base/fd.h"
#include "common/base/log.h"
#include "common/base/mem.h"
#include "common/conf/nodes.h"

#include <errno.h>
#include <fcntl.h>

#define FILE_NAME "storages" /* in state-dir: "<uuid> <path>" a line */
#define FILE_MAX  (1u << 20)

/* --- what state-dir remembers --- */

static void remember(struct storages *s, struct span path, struct span uuid)
{
    mem_free(map_set(&s->uuid_by_path, path, span_dup(uuid)));
}

static int parse(struct storages *s, struct span text)
{
    struct span line, uuid;
    int err = 0;

    while (span_split(&text, '\n', &line)) {
        if (line.n == 0) continue;
        if (!span_split(&line, ' ', &uuid) || uuid.n == 0 || uuid.n >= STORAGES_UUID_MAX || line.n == 0 ||
            line.p[0] != '/')
            err = -EBADMSG; /* the others are read */
        else
            remember(s, line, uuid);
    }
    return err;
}

int storages_open(struct storages *s, int state_dir)
{
    uint8_t *p;
    size_t n;
    int err;

    *s = (struct storages){.file = state_file_new(state_dir, FILE_NAME)};
    if (!s->file) return -EMFILE;
    err = fd_read_file(state_dir, FILE_NAME, FILE_MAX, &p, &n);
    if (err == -ENOENT) return 0;
    if (err < 0) return err;
    err = parse(s, span(p, n));
    mem_free(p);
    return err;
}

static void save(struct storages *s)
{
    struct map_slot slot;
    size_t at = 0;
    struct buf b;

    buf_init(&b, FILE_MAX);
    while (map_next(&s->uuid_by_path, &at, &slot)) buf_fmt(&b, "%s %s\n", (const char *)slot.value, slot.key);
    state_file_write(s->file, buf_span(&b));
    buf_done(&b);
}

void storages_check(struct storages *s)
{
    int err = state_file_failed(s->file);

    if (err < 0) log_error("state-dir-write", "file=%s err=%s", FILE_NAME, log_q(span_of(err_text(err))));
}

static void seen_free(void *value)
{
    struct storage_seen *seen = value;

    mem_free(seen->index_path);
    mem_free(seen);
}

void storages_done(struct storages *s)
{
    state_file_free(s->file);
    s->file = NULL;
    map_drop(&s->uuid_by_path, mem_free);
    map_drop(&s->by_name, seen_free);
}

/* --- telling --- */

static void send_one(
    const struct storages *s, const struct conf *c, const struct conf_storage *st, struct channel *to)
{
    struct packer *p = channel_begin(to, MSG_STORAGE, 7);

    pack_kv_text(p, "name", st->name);
    pack_kv_text(p, "path", st->path);
    pack_kv_text(p, "index_path", st->index_path);
    pack_kv_text(p, "free", st->free_text);
    pack_kv_text(p, "uuid", map_get(&s->uuid_by_path, span_of(st->path)));
    pack_kv_i64(p, "sync_us", c->dvr.sync_us);
    pack_kv_bool(p, "pulse", conf_clustered(c));
    channel_end(to, NULL, 0);
}

void storages_send(const struct storages *s, const struct conf *c, struct channel *to)
{
    for (size_t i = 0; i < c->n_storages; i++) send_one(s, c, &c->storages[i], to);
}

static void send_index(const struct storage_seen *seen, const char *name, struct channel *to)
{
    struct packer *p = channel_begin(to, MSG_INDEX_READY, 2);

    pack_kv_text(p, "name", name);
    pack_kv_text(p, "path", seen->index_path);
    channel_end(to, NULL, 0);
}

void storages_send_indexes(const struct storages *s, const struct conf *c, struct channel *to)
{
    for (size_t i = 0; i < c->n_storages; i++) {
        const struct storage_seen *seen = storages_seen(s, c->storages[i].name);

        if (seen && seen->index_path) send_index(seen, c->storages[i].name, to);
    }
}

static bool same(
    const struct conf *a, const struct conf_storage *x, const struct conf *b, const struct conf_storage *y)
{
    return x && y && strcmp(x->path, y->path) == 0 && strcmp(x->index_path, y->index_path) == 0 &&
        strcmp(x->free_text, y->free_text) == 0 && a->dvr.sync_us == b->dvr.sync_us;
}

void storages_send_changes(
    struct storages *s, const struct conf *before, const struct conf *after, struct channel *to)
{
    for (size_t i = 0; i < before->n_storages; i++) {
        const char *name = before->storages[i].name;
        struct packer *p;

        if (conf_storage(after, span_of(name))) continue;
        p = channel_begin(to, MSG_STORAGE_GONE, 1);
        pack_kv_text(p, "name", name);
        channel_end(to, NULL, 0);
    }
    for (size_t i = 0; i < after->n_storages; i++) {
        const struct conf_storage *st = &after->storages[i];

        if (!same(before, conf_storage(before, span_of(st->name)), after, st)) send_one(s, after, st, to);
    }
}

/* --- hearing --- */

static struct storage_seen *seen_of(struct storages *s, struct span name)
{
    struct storage_seen *seen = map_get(&s->by_name, name);

    if (seen) return seen;
    seen = NEW(struct storage_seen);
    map_set(&s->by_name, name, seen);
    return seen;
}

void storages_on_state(struct storages *s, const struct conf *c, const struct packed *body)
{
    struct span name = packed_str(body, "name");
    const struct conf_storage *st = conf_storage(c, name);
    struct storage_seen *seen;
    const char *known;
    char state[sizeof(seen->state)];

    if (!st) return;
    seen = seen_of(s, name);
    packed_text(body, "state", state, sizeof(state));
    packed_text(body, "uuid", seen->uuid, sizeof(seen->uuid));
    seen->err = packed_i64(body, "errno", 0);
    seen->total = packed_u64(body, "total", 0);
    seen->free = packed_u64(body, "free", 0);
    seen->files = packed_u64(body, "files", 0);
    seen->files_free = packed_u64(body, "files_free", 0);
    seen->floor = packed_u64(body, "floor", 0);
    seen->rate = packed_u64(body, "rate", 0);
    seen->footage = packed_u64(body, "footage", 0);
    seen->held = packed_u64(body, "held", 0);
    seen->oldest_s = packed_i64(body, "oldest_s", 0);
    seen->full_s = packed_i64(body, "full_s", 0);
    seen->keeps_s = packed_i64(body, "keeps_s", 0);
    seen->ahead_s = packed_i64(body, "ahead_s", 0);
    seen->spare = packed_u64(body, "spare", 0);
    seen->silent = packed_bool(body, "silent", false);
    if (strcmp(state, seen->state) != 0) {
        log_event(strcmp(state, "ok") == 0 ? LOG_NOTE : LOG_WARN, "storage-state",
            "storage=%s from=%s to=%s err=%s free=%llu", log_q(name), log_q(span_of(seen->state)),
            log_q(span_of(state)),
            log_q(span_of(seen->err > 0 && seen->err < 4096 ? err_text(-(int)seen->err) : "")),
            (unsigned long long)seen->free);
        span_copy(span_of(state), seen->state, sizeof(seen->state));
    }
    known = map_get(&s->uuid_by_path, span_of(st->path));
    if (strcmp(state, "ok") != 0 || seen->uuid[0] == 0 || strchr(seen->uuid, ' ') ||
        strchr(seen->uuid, '\n') || (known && strcmp(known, seen->uuid) == 0))
        return;
    remember(s, span_of(st->path), span_of(seen->uuid));
    save(s);
}

void storages_on_index(
    struct storages *s, const struct conf *c, const struct packed *body, struct channel *const *to, size_t n)
{
    struct span name = packed_str(body, "name"), path = packed_str(body, "path");
    struct storage_seen *seen;

    if (!conf_storage(c, name) || path.n == 0) return;
    seen = seen_of(s, name);
    mem_free(seen->index_path);
    seen->index_path = span_dup(path);
    for (size_t i = 0; i < n; i++)
        if (to[i]) send_index(seen, conf_storage(c, name)->name, to[i]);
}

void storages_keeper_gone(struct storages *s)
{
    struct map_slot slot;
    size_t at = 0;

    while (map_next(&s->by_name, &at, &slot)) {
        struct storage_seen *seen = slot.value;

        seen->state[0] = 0;
        seen->silent = false;
    }
}

const struct storage_seen *storages_seen(const struct storages *s, const char *name)
{
    return map_get(&s->by_name, span_of(name));
}

size_t storages_ok(const struct storages *s, const struct conf *c)
{
    size_t n = 0;

    for (size_t i = 0; i < c->n_storages; i++) {
        const struct storage_seen *seen = storages_seen(s, c->storages[i].name);

        n += seen && strcmp(seen->state, "ok") == 0;
    }
    return n;
}
