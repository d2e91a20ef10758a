#include "master/cluster/transfer_impl.h"
#include "common/base/clock.h"
#include "common/base/mem.h"
#include "master/cluster/net.h"

#define VERSION 1
#define FREE_US (60 * US_PER_S) /* a keeper's answer */

/* Between masters. */
enum { MOVE_ASK = 1, MOVE_STATE, MOVE_FREE, MOVE_FREED, MOVE_WANT, MOVE_SPANS };

/* --- what goes --- */

static void was_sent(struct master *m, void *arg, int err)
{
    (void)m;
    (void)arg;
    (void)err; /* it is asked again */
}

static void tell(struct transfers *t, uint16_t node, struct buf *b, const struct packer *p)
{
    if (!p->bad) net_send(t->c->m, node, NET_KIND_MOVE, buf_span(b), was_sent, NULL);
    buf_done(b);
}

static struct packer begin(struct buf *b, unsigned kind, const char *uid, uint32_t more)
{
    struct packer p;

    buf_init(b, NET_BODY_MAX);
    p = packer_of(b);
    pack_map(&p, 3 + more);
    pack_kv_u64(&p, "v", VERSION);
    pack_kv_u64(&p, "kind", kind);
    pack_kv_text(&p, "uid", uid);
    return p;
}

/* How it is here: whether it is recorded and plays, what is left to be fetched, and whether `first` has all
 * of it. */
static struct side state_here(const struct transfers *t, const char *uid, uint16_t first)
{
    usec_t now_us = clock_mono_us();
    const struct stream *st = fleet_stream(t->c->m, span_of(uid));
    const struct cluster_stream *s = st ? st->cluster : NULL;
    struct side ret = {.node = transfers_self(t), .heard_us = now_us};

    if (!s) return ret;
    ret.runs = st->proc.wanted || st->proc.state != PROC_OFF;
    ret.ready = (s->is.flags & HEARTBEAT_READY) || (ret.runs && s->place.n == 1);
    if (first == 0) return ret;
    if (first != transfers_self(t)) ret.covered = covers_ask(t->covers, uid, first, now_us) && !ret.runs;
    if (first == transfers_self(t)) {
        ret.left = s->fill_left;
        ret.left_bytes = s->fill_left_bytes;
    }
    return ret;
}

static void on_ask(struct transfers *t, uint16_t from, const char *uid, const struct packed *word)
{
    struct side s = state_here(t, uid, (uint16_t)packed_u64(word, "first", 0));
    struct packer p;
    struct buf b;

    p = begin(&b, MOVE_STATE, uid, 5);
    pack_kv_bool(&p, "runs", s.runs);
    pack_kv_bool(&p, "ready", s.ready);
    pack_kv_bool(&p, "covered", s.covered);
    pack_kv_u64(&p, "left", s.left);
    pack_kv_u64(&p, "left_bytes", s.left_bytes);
    tell(t, from, &b, &p);
}

static void on_state(struct transfers *t, uint16_t from, const char *uid, const struct packed *word)
{
    struct side *s = transfer_side(transfers_find(t, span_of(uid)), from);

    if (!s) return;
    s->heard_us = clock_mono_us();
    s->runs = packed_bool(word, "runs", false);
    s->ready = packed_bool(word, "ready", false);
    s->covered = packed_bool(word, "covered", false);
    s->left = packed_u64(word, "left", UINT64_MAX);
    s->left_bytes = packed_u64(word, "left_bytes", 0);
}

/* --- letting copies go --- */

static void set_freed(struct transfers *t, const char *uid, uint16_t node)
{
    struct side *s = transfer_side(transfers_find(t, span_of(uid)), node);

    if (s) s->freed = true;
    transfers_save(t);
}

/* Our copies have gone. */
static void freed(struct transfers *t, uint16_t for_node, const char *uid)
{
    struct packer p;
    struct buf b;

    if (for_node == transfers_self(t)) {
        set_freed(t, uid, transfers_self(t));
        return;
    }
    p = begin(&b, MOVE_FREED, uid, 0);
    tell(t, for_node, &b, &p);
}

/* Only what this node's own file says: the stream is no longer its. */
static bool may_free(const struct transfers *t, const char *uid, const struct stamp *stamp)
{
    const struct stream *st = fleet_stream(t->c->m, span_of(uid));
    struct stamp ours;

    return transfer_version(t, uid, &ours) && (ours.node == 0) == (stamp->node == 0) &&
        stamp_cmp(&ours, stamp) >= 0 && st && st->cluster && st->cluster->place.me == st->cluster->place.n &&
        !st->proc.wanted && st->proc.state == PROC_OFF;
}

static void free_copies(
    struct transfers *t, const char *uid, uint16_t for_node, const struct stamp *stamp, uint16_t first)
{
    struct master *m = t->c->m;
    struct freeing *f = NULL;
    uint64_t ask;
    usec_t until_us = clock_wall_us() + 86400 * US_PER_S;
    char until[24];

    for (size_t i = 0; i < TRANSFER_SIDES_MAX; i++) {
        struct freeing *k = &t->freeing[i];

        if (k->ask != 0 && clock_mono_us() < k->until_us && strcmp(k->uid, uid) == 0)
            return; /* it is at it */
        if (k->ask == 0 || clock_mono_us() >= k->until_us) f = k;
    }
    if (!f || !may_free(t, uid, stamp)) return; /* he asks again */
    if (first == 0 || first == transfers_self(t)) return;
    if (!covers_ask_anew(t->covers, uid, first, clock_mono_us())) return; /* he asks again */
    snprintf(until, sizeof(until), "%lld", (long long)until_us);
    ask = control_keeper(m, "archive delete", "transfer",
        (const struct span[]){span_of(uid), SPAN_LIT("1"), span_of(until)}, 3);
    if (ask == 0) return;
    *f = (struct freeing){.ask = ask, .for_node = for_node, .until_us = clock_mono_us() + FREE_US};
    span_copy(span_of(uid), f->uid, sizeof(f->uid));
}

bool transfers_keep_row(struct master *m, const struct packed *body)
{
    return transfers_of(m) && covers_keep_row(transfers_of(m)->covers, body);
}

bool transfers_keep_end(struct master *m, const struct packed *body)
{
    struct transfers *t = transfers_of(m);
    uint64_t id = packed_u64(body, "id", 0);

    if (t && covers_keep_end(t->covers, body)) return true;
    for (size_t i = 0; t && id > 0 && i < TRANSFER_SIDES_MAX; i++) {
        struct freeing *f = &t->freeing[i];

        if (f->ask != id) continue;
        f->ask = 0;
        if (packed_u64(body, "code", CTL_FAILED) == CTL_OK) freed(t, f->for_node, f->uid);
        return true;
    }
    return false;
}

static void on_free(struct transfers *t, uint16_t from, const char *uid, const struct packed *word)
{
    struct stamp stamp;

    if (stamp_get(word, "stamp", &stamp))
        free_copies(t, uid, from, &stamp, (uint16_t)packed_u64(word, "first", 0));
}

static void on_freed(struct transfers *t, uint16_t from, const char *uid, const struct packed *word)
{
    (void)word;
    set_freed(t, uid, from);
}

static struct cover_word cover_word(const struct packed *word, bool want)
{
    return (struct cover_word){.want = want,
        .many = packed_bool(word, "many", false),
        .window = {packed_i64(word, "from_us", 0), packed_i64(word, "to_us", 0)},
        .spans = packed_get(word, "spans")};
}

static void on_want(struct transfers *t, uint16_t from, const char *uid, const struct packed *word)
{
    const struct cover_word w = cover_word(word, true);

    covers_heard(t->covers, from, uid, &w);
}

static void on_spans(struct transfers *t, uint16_t from, const char *uid, const struct packed *word)
{
    const struct cover_word w = cover_word(word, false);

    covers_heard(t->covers, from, uid, &w);
}

void transfers_got(struct master *m, uint16_t node, uint64_t boot, struct span body)
{
    static void (*const on[])(struct transfers * t, uint16_t from, const char *uid,
        const struct packed *word) = {[MOVE_ASK] = on_ask,
        [MOVE_STATE] = on_state,
        [MOVE_FREE] = on_free,
        [MOVE_FREED] = on_freed,
        [MOVE_WANT] = on_want,
        [MOVE_SPANS] = on_spans};
    struct transfers *t = transfers_of(m);
    struct unpack *u = NULL;
    const struct packed *word;
    char uid[CONF_UID_MAX + 1];
    uint64_t kind;

    (void)boot;
    if (!t || unpack_new(body, &u) != 0) return;
    word = unpack_root(u);
    kind = packed_u64(word, "kind", 0);
    if (packed_u64(word, "v", 0) == VERSION && packed_text(word, "uid", uid, sizeof(uid)) &&
        kind < ARRAY_N(on) && on[kind])
        on[kind](t, node, uid, word);
    unpack_done(u);
}

/* --- of covers --- */

static uint64_t look(struct master *m, const char *uid, const struct cover_span *window)
{
    char from[24], to[24];

    snprintf(from, sizeof(from), "%lld", (long long)window->from_us);
    snprintf(to, sizeof(to), "%lld", (long long)window->to_us);
    return control_keeper(
        m, "archive cover", "transfer", (const struct span[]){span_of(uid), span_of(from), span_of(to)}, 3);
}

static void tell_cover(struct master *m, uint16_t node, const char *uid, const struct cover_word *word)
{
    struct packer p;
    struct buf b;

    p = begin(&b, word->want ? MOVE_WANT : MOVE_SPANS, uid, word->want ? 2 : 4);
    pack_kv_i64(&p, "from_us", word->window.from_us);
    pack_kv_i64(&p, "to_us", word->window.to_us);
    if (!word->want) {
        pack_kv_bool(&p, "many", word->many);
        pack_key(&p, "spans");
        pack_ready(&p, word->packed);
    }
    tell(transfers_of(m), node, &b, &p);
}

const struct cover_ops transfer_cover_ops = {look, tell_cover};

/* --- what is asked --- */

/* While it is filled, who leaves looks whether the first of the new nodes has all. */
void transfer_ask_sides(struct transfers *t, struct transfer *x, usec_t now_us)
{
    uint16_t first = x->phase == TRANSFER_FILL ? x->to[0].node : 0;

    if (now_us - x->asked_us < TRANSFER_ASK_US) return;
    x->asked_us = now_us;
    for (size_t i = 0; i < x->n_to + x->n_from; i++) {
        struct side *s = i < x->n_to ? &x->to[i] : &x->from[i - x->n_to];
        bool was = s->freed;
        struct packer p;
        struct buf b;

        if (s->node == transfers_self(t)) {
            *s = state_here(t, x->uid, first);
            s->freed = was;
            continue;
        }
        p = begin(&b, MOVE_ASK, x->uid, 1);
        pack_kv_u64(&p, "first", first);
        tell(t, s->node, &b, &p);
    }
}

void transfer_ask_free(
    struct transfers *t, const struct transfer *x, uint16_t node, const struct stamp *stamp)
{
    struct packer p;
    struct buf b;

    if (node == transfers_self(t)) {
        free_copies(t, x->uid, node, stamp, x->to[0].node);
        return;
    }
    p = begin(&b, MOVE_FREE, x->uid, 2);
    stamp_kv(&p, "stamp", stamp);
    pack_kv_u64(&p, "first", x->to[0].node);
    tell(t, node, &b, &p);
}
