#include "httpd/storages.h"
#include "common/base/clock.h"
#include "common/base/mem.h"

struct storages {
    pthread_mutex_t lock; /* never held over a disk access */
    struct storage *v[STORAGES_MAX];
    size_t n;
};

struct storages *storages_new(void)
{
    struct storages *s = NEW(struct storages);

    pthread_mutex_init(&s->lock, NULL);
    return s;
}

void storages_free(struct storages *s)
{
    if (!s) return;
    for (size_t i = 0; i < s->n; i++) storage_unref(s->v[i]);
    pthread_mutex_destroy(&s->lock);
    mem_free(s);
}

struct storage *storage_ref(struct storage *st)
{
    atomic_fetch_add(&st->refs, 1);
    return st;
}

/* The last one has no job left, so the pool's threads are idle. */
void storage_unref(struct storage *st)
{
    if (!st || atomic_fetch_sub(&st->refs, 1) != 1) return;
    pool_free(st->pool);
    cuts_free(st->cuts);
    scans_free(st->scans);
    shelf_free(st->shelf);
    index_close(st->index);
    pthread_mutex_destroy(&st->say_lock);
    pthread_mutex_destroy(&st->index_lock);
    pthread_cond_destroy(&st->index_free);
    mem_free(st);
}

static struct storage *storage_new(struct span name, struct span path)
{
    struct storage *st = NEW(struct storage);

    span_copy(name, st->name, sizeof(st->name));
    span_copy(path, st->path, sizeof(st->path));
    atomic_init(&st->refs, 1);
    pthread_mutex_init(&st->say_lock, NULL);
    pthread_mutex_init(&st->index_lock, NULL);
    pthread_cond_init(&st->index_free, NULL);
    st->cuts = cuts_new(CUTS_BYTES_MAX);
    st->scans = scans_new(SCANS_BYTES_MAX);
    st->pool = pool_new(POOL_THREADS, POOL_QUEUE_MAX);
    return st;
}

static struct storage **find(struct storages *s, struct span name)
{
    for (size_t i = 0; i < s->n; i++)
        if (span_is(name, s->v[i]->name)) return &s->v[i];
    return NULL;
}

/* A stream's archive may name a storage by its path. */
static struct storage *find_any(struct storages *s, struct span word)
{
    struct storage **at = find(s, word);

    if (at) return *at;
    for (size_t i = 0; i < s->n; i++)
        if (s->v[i]->node == 0 && span_is(word, s->v[i]->path)) return s->v[i];
    return NULL;
}

void storage_remove(struct storages *s, struct span name)
{
    struct storage **at, *old = NULL;

    pthread_mutex_lock(&s->lock);
    at = find(s, name);
    if (at) {
        old = *at;
        *at = s->v[--s->n];
    }
    pthread_mutex_unlock(&s->lock);
    storage_unref(old);
}

static void put(struct storages *s, struct storage *st)
{
    bool full;

    pthread_mutex_lock(&s->lock);
    full = s->n == STORAGES_MAX;
    if (!full) s->v[s->n++] = st;
    pthread_mutex_unlock(&s->lock);
    if (!full) return;
    log_warn("storages-full", "name=%s most=%d", log_q(span_of(st->name)), STORAGES_MAX);
    storage_unref(st);
}

void storage_set(struct storages *s, struct span name, struct span path)
{
    struct storage *st = storage_by_name(s, name);
    bool same = st && span_is(path, st->path);

    storage_unref(st);
    if (same) return;
    storage_remove(s, name);
    put(s, storage_new(name, path));
}

/* --- other nodes --- */

static bool among(const struct storage_node *nodes, size_t n, const struct storage *st)
{
    for (size_t i = 0; i < n; i++)
        if (nodes[i].node == st->node) return strcmp(nodes[i].host, st->host) == 0;
    return false;
}

/* Takes one out that is no node any more, or has another host; NULL: there is none. */
static struct storage *take_stale_node(
    struct storages *s, uint16_t self, const struct storage_node *nodes, size_t n)
{
    struct storage *st = NULL;

    pthread_mutex_lock(&s->lock);
    for (size_t i = 0; i < s->n && !st; i++) {
        if (s->v[i]->node == 0 || (s->v[i]->self == self && among(nodes, n, s->v[i]))) continue;
        st = s->v[i];
        s->v[i] = s->v[--s->n];
    }
    pthread_mutex_unlock(&s->lock);
    return st;
}

static struct storage *node_new(struct away *away, uint16_t self, const struct storage_node *node)
{
    char name[STORAGE_NAME_MAX];
    struct storage *st;

    snprintf(name, sizeof(name), "node:%u", node->node);
    st = storage_new(span_of(name), SPAN_NONE);
    st->node = node->node;
    st->self = self;
    st->away = away;
    st->shelf = shelf_new(away, node->node, SHELF_BYTES_MAX);
    span_copy(span_of(node->host), st->host, sizeof(st->host));
    return st;
}

void storages_nodes(
    struct storages *s, struct away *away, uint16_t self, const struct storage_node *nodes, size_t n)
{
    struct storage *st;

    while ((st = take_stale_node(s, self, nodes, n))) storage_unref(st);
    for (size_t i = 0; i < n; i++) {
        struct storage *made = node_new(away, self, &nodes[i]);

        st = storage_by_name(s, span_of(made->name));
        if (st)
            storage_unref(made);
        else
            put(s, made);
        storage_unref(st);
    }
}

void storage_index_ready(struct storages *s, struct span name, struct span dir)
{
    struct storage *st = storage_by_name(s, name);

    if (!st) return;
    pthread_mutex_lock(&st->say_lock);
    span_copy(dir, st->index_dir, sizeof(st->index_dir));
    st->index_said++;
    pthread_mutex_unlock(&st->say_lock);
    storage_unref(st);
}

size_t storages_suspect(struct storages *s, char (*ret)[STORAGE_NAME_MAX], size_t max)
{
    size_t n = 0;

    pthread_mutex_lock(&s->lock);
    for (size_t i = 0; i < s->n && n < max; i++)
        if (atomic_exchange(&s->v[i]->index_suspect, false))
            memcpy(ret[n++], s->v[i]->name, STORAGE_NAME_MAX);
    pthread_mutex_unlock(&s->lock);
    return n;
}

struct storage *storage_by_name(struct storages *s, struct span name)
{
    struct storage **at, *st;

    pthread_mutex_lock(&s->lock);
    at = find(s, name);
    st = at ? storage_ref(*at) : NULL;
    pthread_mutex_unlock(&s->lock);
    return st;
}

void storage_say(struct storage *st, enum storage_fault what, const char *uid, int err)
{
    static const char *const events[STORAGE_FAULTS] = {
        "archive-unread", "archive-slow", "index-damaged", "segment-flawed"};
    uint32_t held;
    bool now;

    pthread_mutex_lock(&st->say_lock);
    now = log_limited(&st->rates[what], clock_mono_us(), &held);
    pthread_mutex_unlock(&st->say_lock);
    if (now) log_event_of(LOG_WARN, uid, events[what], "storage=%s err=%d held=%u", st->name, err, held);
}

bool storage_flawed(struct storage *st, const char *uid, uint64_t id)
{
    uint32_t n = atomic_load(&st->n_flaws);
    bool found = false;

    if (n == 0) return false;
    pthread_mutex_lock(&st->say_lock);
    for (uint32_t i = 0; i < MIN(n, STORAGE_FLAWS) && !found; i++)
        found = st->flaws[i].id == id && strcmp(st->flaws[i].uid, uid) == 0;
    pthread_mutex_unlock(&st->say_lock);
    return found;
}

void storage_flaw(struct storage *st, const char *uid, uint64_t id)
{
    uint32_t at;

    if (storage_flawed(st, uid, id)) return;
    pthread_mutex_lock(&st->say_lock);
    at = atomic_load(&st->n_flaws) % STORAGE_FLAWS;
    span_copy(span_of(uid), st->flaws[at].uid, sizeof(st->flaws[at].uid));
    st->flaws[at].id = id;
    atomic_fetch_add(&st->n_flaws, 1);
    pthread_mutex_unlock(&st->say_lock);
    storage_say(st, STORAGE_FLAWED, uid, SEG_E_BAD);
}

static size_t add(struct storages *s, struct span word, struct storage **ret, size_t n, size_t max)
{
    struct storage *st = find_any(s, word);

    for (size_t i = 0; i < n; i++)
        if (ret[i] == st) return n;
    if (st && n < max) ret[n++] = storage_ref(st);
    return n;
}

/* "name*weight": the weight says where to record, not where to look. */
static struct span without_weight(struct span word)
{
    ssize_t star = span_find(word, '*');

    return span_trim(star < 0 ? word : span_sub(word, 0, (size_t)star));
}

static bool is_one_of(const struct storage *st, const uint16_t *nodes, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (nodes[i] == st->node) return true;
    return false;
}

size_t storages_of(struct storages *s, struct span archive, const uint16_t *first, size_t n_first,
    struct storage **ret, size_t max)
{
    struct span piece;
    size_t n = 0;

    pthread_mutex_lock(&s->lock);
    while (span_split(&archive, ',', &piece)) {
        piece = without_weight(piece);
        if (piece.n > 0) n = add(s, piece, ret, n, max);
    }
    if (n == 0) n = add(s, SPAN_LIT("default"), ret, n, max);
    for (int others = 0; others < 2; others++)
        for (size_t i = 0; i < s->n && n < max; i++)
            if (s->v[i]->node != 0 && is_one_of(s->v[i], first, n_first) == (others == 0))
                ret[n++] = storage_ref(s->v[i]);
    pthread_mutex_unlock(&s->lock);
    return n;
}

/* Index lock held. Readers of the one before are waited for: it is unmapped. */
static void reopen(struct storage *st, uint64_t said, const char *dir)
{
    int err;

    while (st->index_users > 0) pthread_cond_wait(&st->index_free, &st->index_lock);
    if (st->index && st->index_open == said) return;
    index_close(st->index);
    st->index = NULL;
    err = index_open_ro(dir, &st->index);
    if (err == 0)
        st->index_open = said;
    else
        st->index = NULL;
    if (err == INDEX_E_DAMAGED) atomic_store(&st->index_suspect, true);
    if (err != 0) log_warn("index-unopened", "storage=%s err=%d", st->name, err);
}

struct index *storage_index_get(struct storage *st)
{
    char dir[STORAGE_PATH_MAX];
    struct index *ix;
    uint64_t said;

    pthread_mutex_lock(&st->say_lock);
    said = st->index_said;
    memcpy(dir, st->index_dir, sizeof(dir));
    pthread_mutex_unlock(&st->say_lock);
    if (said == 0) return NULL;
    pthread_mutex_lock(&st->index_lock);
    if (!st->index || st->index_open < said) reopen(st, said, dir);
    ix = st->index;
    if (ix) st->index_users++;
    pthread_mutex_unlock(&st->index_lock);
    return ix;
}

void storage_index_put(struct storage *st)
{
    pthread_mutex_lock(&st->index_lock);
    if (st->index_told < st->index_open && index_broken(st->index)) {
        st->index_told = st->index_open;
        atomic_store(&st->index_suspect, true);
    }
    if (--st->index_users == 0) pthread_cond_broadcast(&st->index_free);
    pthread_mutex_unlock(&st->index_lock);
}
