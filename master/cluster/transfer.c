#include "master/cluster/transfer.h"
#include "common/base/clock.h"
#include "common/base/err.h"
#include "common/base/fd.h"
#include "common/base/mem.h"
#include "common/conf/nodes.h"
#include "common/conf/report.h"
#include "master/cluster/cover.h"
#include "master/cluster/net.h"
#include "master/edits.h"
#include "master/master.h"

#include <errno.h>

#define FILE_NAME "transfers" /* in state-dir: a msgpack array, a row each, as row_pack writes them */
#define FILE_MOST (1u << 20)
#define VERSION   1
#define ASK_US    US_PER_S        /* each node of it is asked so often how it is */
#define HEARD_US  (5 * US_PER_S)  /* what it said holds for so long */
#define FREE_US   (60 * US_PER_S) /* a keeper's answer */
#define SIDES_MAX PLACE_NODES_MAX

static const char *const words[TRANSFER_PHASES] = {
    "spread", "take", "fill", "settle", "free", "done", "failed"};

/* Between masters. */
enum { MOVE_ASK = 1, MOVE_STATE, MOVE_FREE, MOVE_FREED, MOVE_WANT, MOVE_SPANS };

/* A node of a transfer. */
struct side {
    uint16_t node;
    bool freed;
    /* as it said last */
    usec_t heard_us; /* 0: never */
    bool runs, ready;
    bool covered;              /* of one that leaves: the first of the new nodes has all that it has */
    uint64_t left, left_bytes; /* segments that it has to fetch */
};
struct transfer {
    char uid[CONF_UID_MAX + 1], by[CONTROL_BY_MAX], text[TRANSFER_TEXT_MAX];
    enum transfer_phase phase;
    struct side to[SIDES_MAX], from[SIDES_MAX]; /* from: those that leave */
    size_t n_to, n_from;
    bool keep, pushed;         /* pushed: the file of this phase */
    usec_t began_us, since_us; /* wall clock */
    usec_t asked_us;
};
/* The keeper lets copies go, for another node's transfer or our own. */
struct freeing {
    uint64_t ask; /* 0: none */
    char uid[CONF_UID_MAX + 1];
    uint16_t for_node;
    usec_t until_us;
};
struct transfers {
    struct cluster *c;
    struct state_file *file;
    struct transfer *v[TRANSFERS_MAX];
    size_t n;
    struct freeing freeing[SIDES_MAX];
    struct covers *covers;
};

static struct transfers *of(const struct master *m)
{
    return m->cluster ? m->cluster->transfers : NULL;
}

static uint16_t self(const struct transfers *t)
{
    return (uint16_t)t->c->m->conf->server.node_id;
}

static struct transfer *find(const struct transfers *t, struct span uid)
{
    for (size_t i = 0; i < t->n; i++)
        if (span_is(uid, t->v[i]->uid)) return t->v[i];
    return NULL;
}

static bool is_over(const struct transfer *x)
{
    return x->phase >= TRANSFER_DONE;
}

/* --- state-dir --- */

static void sides_pack(struct packer *p, const char *key, const struct side *v, size_t n)
{
    pack_key(p, key);
    pack_array(p, (uint32_t)n);
    for (size_t i = 0; i < n; i++) {
        pack_array(p, 2);
        pack_u64(p, v[i].node);
        pack_bool(p, v[i].freed);
    }
}

static size_t sides_read(const struct packed *list, struct side *ret)
{
    size_t n = MIN(packed_n(list), SIDES_MAX);

    for (size_t i = 0; i < n; i++)
        ret[i] = (struct side){.node = (uint16_t)packed_as_u64(packed_at(packed_at(list, i), 0), 0),
            .freed = packed_as_bool(packed_at(packed_at(list, i), 1), false)};
    return n;
}

static void save(struct transfers *t)
{
    struct buf b;
    struct packer p;

    buf_init(&b, FILE_MOST);
    p = packer_of(&b);
    pack_array(&p, (uint32_t)t->n);
    for (size_t i = 0; i < t->n; i++) {
        const struct transfer *x = t->v[i];

        pack_map(&p, 9);
        pack_kv_text(&p, "uid", x->uid);
        pack_kv_text(&p, "by", x->by);
        pack_kv_text(&p, "text", x->text);
        pack_kv_u64(&p, "phase", x->phase);
        sides_pack(&p, "to", x->to, x->n_to);
        sides_pack(&p, "from", x->from, x->n_from);
        pack_kv_bool(&p, "keep", x->keep);
        pack_kv_i64(&p, "began_us", x->began_us);
        pack_kv_i64(&p, "since_us", x->since_us);
    }
    if (!p.bad) state_file_write(t->file, buf_span(&b));
    buf_done(&b);
}

static void load_row(struct transfers *t, const struct packed *row)
{
    struct transfer *x = NEW(struct transfer);
    uint64_t phase = packed_u64(row, "phase", TRANSFER_PHASES);

    x->n_to = sides_read(packed_get(row, "to"), x->to);
    x->n_from = sides_read(packed_get(row, "from"), x->from);
    x->keep = packed_bool(row, "keep", true);
    x->began_us = packed_i64(row, "began_us", 0);
    x->since_us = packed_i64(row, "since_us", 0);
    (void)packed_text(row, "by", x->by, sizeof(x->by));
    (void)packed_text(row, "text", x->text, sizeof(x->text));
    if (!packed_text(row, "uid", x->uid, sizeof(x->uid)) || phase >= TRANSFER_PHASES || x->n_to == 0) {
        mem_free(x);
        return;
    }
    x->phase = (enum transfer_phase)phase;
    t->v[t->n++] = x;
}

static int load(struct transfers *t, int state_dir)
{
    struct unpack *u = NULL;
    uint8_t *bytes;
    size_t n;
    int err = fd_read_file(state_dir, FILE_NAME, FILE_MOST, &bytes, &n);

    if (err < 0) return err == -ENOENT ? 0 : err;
    err = unpack_new(span(bytes, n), &u) == 0 ? 0 : -EBADMSG;
    for (size_t i = 0; err == 0 && i < MIN(packed_n(unpack_root(u)), TRANSFERS_MAX); i++)
        load_row(t, packed_at(unpack_root(u), i));
    unpack_done(u);
    mem_free(bytes);
    return err;
}

/* --- what masters say --- */

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
    struct side ret = {.node = self(t), .heard_us = now_us};

    if (!s) return ret;
    ret.runs = st->proc.wanted || st->proc.state != PROC_OFF;
    ret.ready = (s->is.flags & HEARTBEAT_READY) || (ret.runs && s->place.n == 1);
    if (first == 0) return ret;
    if (first != self(t)) ret.covered = covers_ask(t->covers, uid, first, now_us) && !ret.runs;
    for (size_t i = 0; first == self(t) && i < t->c->n_nodes; i++) {
        ret.left += t->c->nodes[i].courier.left;
        ret.left_bytes += t->c->nodes[i].courier.left_bytes;
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

static struct side *side_of(struct transfer *x, uint16_t node)
{
    for (size_t i = 0; x && i < x->n_to; i++)
        if (x->to[i].node == node) return &x->to[i];
    for (size_t i = 0; x && i < x->n_from; i++)
        if (x->from[i].node == node) return &x->from[i];
    return NULL;
}

static void on_state(struct transfers *t, uint16_t from, const char *uid, const struct packed *word)
{
    struct side *s = side_of(find(t, span_of(uid)), from);

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
    struct side *s = side_of(find(t, span_of(uid)), node);

    if (s) s->freed = true;
    save(t);
}

/* Our copies have gone. */
static void freed(struct transfers *t, uint16_t for_node, const char *uid)
{
    struct packer p;
    struct buf b;

    if (for_node == self(t)) {
        set_freed(t, uid, self(t));
        return;
    }
    p = begin(&b, MOVE_FREED, uid, 0);
    tell(t, for_node, &b, &p);
}

/* Only what this node's own file says: the stream is no longer its. */
static bool may_free(const struct transfers *t, const char *uid, const struct stamp *stamp)
{
    const struct spread_file *f = files_version(t->c->m, uid);
    const struct stream *st = fleet_stream(t->c->m, span_of(uid));

    return f && stamp_cmp(&f->stamp, stamp) >= 0 && st && st->cluster &&
        st->cluster->place.me == st->cluster->place.n && !st->proc.wanted && st->proc.state == PROC_OFF;
}

static void free_copies(
    struct transfers *t, const char *uid, uint16_t for_node, const struct stamp *stamp, uint16_t first)
{
    struct master *m = t->c->m;
    struct freeing *f = NULL;
    uint64_t ask;
    usec_t until_us = clock_wall_us() + 86400 * US_PER_S;
    char until[24];

    for (size_t i = 0; i < SIDES_MAX; i++) {
        struct freeing *k = &t->freeing[i];

        if (k->ask != 0 && clock_mono_us() < k->until_us && strcmp(k->uid, uid) == 0)
            return; /* it is at it */
        if (k->ask == 0 || clock_mono_us() >= k->until_us) f = k;
    }
    if (!f || !may_free(t, uid, stamp)) return; /* he asks again */
    if (first == 0 || first == self(t) || !covers_ask(t->covers, uid, first, clock_mono_us())) return;
    snprintf(until, sizeof(until), "%lld", (long long)until_us);
    ask = control_keeper(m, "archive delete", "transfer",
        (const struct span[]){span_of(uid), SPAN_LIT("1"), span_of(until)}, 3);
    if (ask == 0) return;
    *f = (struct freeing){.ask = ask, .for_node = for_node, .until_us = clock_mono_us() + FREE_US};
    span_copy(span_of(uid), f->uid, sizeof(f->uid));
}

bool transfers_keep_row(struct master *m, const struct packed *body)
{
    return of(m) && covers_keep_row(of(m)->covers, body);
}

bool transfers_keep_end(struct master *m, const struct packed *body)
{
    struct transfers *t = of(m);
    uint64_t id = packed_u64(body, "id", 0);

    if (t && covers_keep_end(t->covers, body)) return true;
    for (size_t i = 0; t && id > 0 && i < SIDES_MAX; i++) {
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

static void on_want(struct transfers *t, uint16_t from, const char *uid, const struct packed *word)
{
    (void)word;
    covers_heard(t->covers, from, uid, NULL, true);
}

static void on_spans(struct transfers *t, uint16_t from, const char *uid, const struct packed *word)
{
    covers_heard(t->covers, from, uid, packed_get(word, "spans"), false);
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
    struct transfers *t = of(m);
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

/* Of covers. */
static void tell_cover(struct master *m, uint16_t node, const char *uid, struct span spans, bool want)
{
    struct packer p;
    struct buf b;

    p = begin(&b, want ? MOVE_WANT : MOVE_SPANS, uid, want ? 0 : 1);
    if (!want) {
        pack_key(&p, "spans");
        pack_ready(&p, spans);
    }
    tell(of(m), node, &b, &p);
}

/* --- its phases --- */

static void enter(struct transfers *t, struct transfer *x, enum transfer_phase phase, const char *text)
{
    x->phase = phase;
    x->pushed = false;
    x->since_us = clock_wall_us();
    span_copy(span_sub(span_of(text), 0, sizeof(x->text) - 1), x->text, sizeof(x->text));
    log_event_of(LOG_NOTE, x->uid, "transfer", "phase=%s text=%s", words[phase], log_q(span_of(x->text)));
    save(t);
}

static void add_nodes(struct wr *w, const struct side *v, size_t n)
{
    for (size_t i = 0; i < n; i++) wr_fmt(w, "%s%u", w->n > 0 ? "," : "", v[i].node);
}

/* The stream's file gets this order, here and on all nodes. NULL, or what is wrong. */
static const char *push_order(struct transfers *t, struct transfer *x, bool with_old, char *text)
{
    char first[8], others[96];
    struct wr w = wr_of(others, sizeof(others));
    const struct conf_set set[] = {
        {.key = "primary-node", .value = first}, {.key = "secondary-node", .value = others}};
    struct stream_edit edit = {.kind = EDIT_SET, .uid = x->uid, .set = set, .n = ARRAY_N(set)};
    const struct edits_order order = {.v = &edit, .n = 1, .pushed = true, .by = x->by, .why = "transfer"};
    struct conf_report report = {0};
    struct edits_result result;
    int code;

    snprintf(first, sizeof(first), "%u", x->to[0].node);
    add_nodes(&w, x->to + 1, x->n_to - 1);
    if (with_old) add_nodes(&w, x->from, x->n_from);
    (void)wr_cstr(&w);
    code = edits_apply(t->c->m, &order, &report, &result);
    mem_free(result.etags);
    conf_report_done(&report);
    if (code != CTL_OK) {
        snprintf(text, TRANSFER_TEXT_MAX, "%.180s", result.text);
        return text;
    }
    return files_push(t->c->m, x->uid)
        ? NULL
        : "its file holds other streams too, or is too large: it cannot be pushed";
}

/* The first of the new nodes has this version of the file, and the old ones that are there. */
static bool is_spread(const struct transfers *t, const struct transfer *x, char *text)
{
    const struct spread_file *f = files_version(t->c->m, x->uid);
    bool all = true;

    text[0] = 0;
    for (size_t i = 0; f && i < x->n_to + x->n_from; i++) {
        uint16_t node = i < x->n_to ? x->to[i].node : x->from[i - x->n_to].node;
        const struct cluster_node *n = cluster_node(t->c, node);

        if (node == self(t) || files_has(t->c->m, f, node)) continue;
        if (i > 0 && n && !member_near(&n->member)) continue; /* it gets it when it is back */
        all = false;
        if (files_refuses(t->c->m, f, node))
            snprintf(text, TRANSFER_TEXT_MAX, "node %u refuses its file: %.150s", node, f->why);
        else if (!text[0])
            snprintf(text, TRANSFER_TEXT_MAX, "waits for node %u to take its file", node);
    }
    return f && all;
}

/* While it is filled, who leaves looks whether the first of the new nodes has all. */
static void ask_sides(struct transfers *t, struct transfer *x, usec_t now_us)
{
    uint16_t first = x->phase == TRANSFER_FILL ? x->to[0].node : 0;

    if (now_us - x->asked_us < ASK_US) return;
    x->asked_us = now_us;
    for (size_t i = 0; i < x->n_to + x->n_from; i++) {
        struct side *s = i < x->n_to ? &x->to[i] : &x->from[i - x->n_to];
        bool was = s->freed;
        struct packer p;
        struct buf b;

        if (s->node == self(t)) {
            *s = state_here(t, x->uid, first);
            s->freed = was;
            continue;
        }
        p = begin(&b, MOVE_ASK, x->uid, 1);
        pack_kv_u64(&p, "first", first);
        tell(t, s->node, &b, &p);
    }
}

static bool fresh(const struct side *s, usec_t now_us)
{
    return s->heard_us > 0 && now_us - s->heard_us < HEARD_US;
}

static void step_push(struct transfers *t, struct transfer *x, usec_t now_us)
{
    bool settle = x->phase == TRANSFER_SETTLE;
    char text[TRANSFER_TEXT_MAX];
    const char *wrong = NULL;

    (void)now_us;
    if (!x->pushed) {
        wrong = push_order(t, x, !settle, text);
        x->pushed = !wrong;
        if (wrong) enter(t, x, TRANSFER_FAILED, wrong);
        return;
    }
    if (!is_spread(t, x, x->text)) return;
    if (!settle)
        enter(t, x, TRANSFER_TAKE, "");
    else
        enter(t, x, x->keep || x->n_from == 0 ? TRANSFER_DONE : TRANSFER_FREE, "");
}

static void step_take(struct transfers *t, struct transfer *x, usec_t now_us)
{
    const struct stream *st = fleet_stream(t->c->m, span_of(x->uid));

    if (!st || st->conf->enable == CONF_DISABLED) {
        enter(t, x, TRANSFER_FILL, ""); /* nobody records it: there is nothing to hand over */
        return;
    }
    snprintf(x->text, sizeof(x->text), "waits for node %u to record it", x->to[0].node);
    if (!fresh(&x->to[0], now_us) || !x->to[0].runs || !x->to[0].ready) return;
    for (size_t i = 0; i < x->n_from; i++) {
        const struct cluster_node *n = cluster_node(t->c, x->from[i].node);
        bool gone = n && !member_near(&n->member);

        if (gone || (fresh(&x->from[i], now_us) && !x->from[i].runs)) continue;
        snprintf(x->text, sizeof(x->text), "node %u records it; waits for node %u to stop", x->to[0].node,
            x->from[i].node);
        return;
    }
    enter(t, x, TRANSFER_FILL, "");
}

static void step_fill(struct transfers *t, struct transfer *x, usec_t now_us)
{
    const struct stream *st = fleet_stream(t->c->m, span_of(x->uid));
    bool all = true;

    for (size_t i = 0; i < x->n_from && st && st->conf->record; i++) {
        const struct side *s = &x->from[i];

        if (fresh(s, now_us) && s->covered) continue;
        all = false;
        snprintf(x->text, sizeof(x->text),
            fresh(s, now_us) ? "node %u fetches what node %u has" : "node %u waits for node %u",
            x->to[0].node, s->node);
    }
    if (all) enter(t, x, TRANSFER_SETTLE, "");
}

static void step_free(struct transfers *t, struct transfer *x, usec_t now_us)
{
    const struct spread_file *f = files_version(t->c->m, x->uid);
    bool all = true;

    for (size_t i = 0; f && i < x->n_from; i++) {
        struct packer p;
        struct buf b;

        if (x->from[i].freed) continue;
        all = false;
        snprintf(x->text, sizeof(x->text), "waits for node %u to let its copies go", x->from[i].node);
        if (x->asked_us != now_us) continue;
        if (x->from[i].node == self(t)) {
            free_copies(t, x->uid, self(t), &f->stamp, x->to[0].node);
            continue;
        }
        p = begin(&b, MOVE_FREE, x->uid, 2);
        stamp_kv(&p, "stamp", &f->stamp);
        pack_kv_u64(&p, "first", x->to[0].node);
        tell(t, x->from[i].node, &b, &p);
    }
    if (f && all) enter(t, x, TRANSFER_DONE, "");
}

void transfers_tick(struct cluster *c, usec_t now_us)
{
    static void (*const steps[TRANSFER_PHASES])(struct transfers * t, struct transfer * x, usec_t now_us) = {
        [TRANSFER_SPREAD] = step_push,
        [TRANSFER_TAKE] = step_take,
        [TRANSFER_FILL] = step_fill,
        [TRANSFER_SETTLE] = step_push,
        [TRANSFER_FREE] = step_free};
    struct transfers *t = c->transfers;
    int err;

    for (size_t i = 0; t && i < t->n; i++) {
        struct transfer *x = t->v[i];

        if (is_over(x)) continue;
        ask_sides(t, x, now_us);
        steps[x->phase](t, x, now_us);
        if (!conf_stream(c->m->conf, span_of(x->uid)) && !is_over(x))
            enter(t, x, TRANSFER_FAILED, "the stream was removed");
    }
    err = t ? state_file_failed(t->file) : 0;
    if (err < 0) log_error("state-dir-write", "file=%s err=%s", FILE_NAME, log_q(span_of(err_text(err))));
}

/* --- its life --- */

int transfers_open(struct cluster *c)
{
    struct transfers *t = c->transfers = NEW(struct transfers);
    int err;

    t->c = c;
    t->covers = covers_new(c->m, tell_cover);
    t->file = state_file_new(c->m->state_dir, FILE_NAME);
    err = t->file ? load(t, c->m->state_dir) : -EMFILE;
    if (err < 0) log_error("state-dir-read", "file=%s err=%s", FILE_NAME, log_q(span_of(err_text(err))));
    return err;
}

void transfers_close(struct cluster *c)
{
    struct transfers *t = c->transfers;

    if (!t) return;
    for (size_t i = 0; i < t->n; i++) mem_free(t->v[i]);
    state_file_free(t->file);
    covers_free(t->covers);
    mem_free(t);
    c->transfers = NULL;
}

/* --- who asks: transfer UID NODES keep|free --- */

static int refuse(struct session *s, int code, const char *text)
{
    span_copy(span_of(text), s->text, sizeof(s->text));
    return code;
}

static int take_to(struct session *s, struct transfer *x)
{
    struct span list = span_of(s->args[1]), name;

    while (span_split(&list, ',', &name)) {
        int64_t id = conf_node_id(s->m->conf, span_trim(name));

        if (x->n_to == SIDES_MAX || id <= 0 || side_of(x, (uint16_t)id) ||
            (id != s->m->conf->server.node_id && !cluster_node(s->m->cluster, id))) {
            snprintf(s->text, sizeof(s->text), "%.*s: no node of this cluster, or named twice", (int)name.n,
                (const char *)name.p);
            return CTL_USAGE;
        }
        x->to[x->n_to++] = (struct side){.node = (uint16_t)id};
    }
    return x->n_to > 0 ? CTL_OK : refuse(s, CTL_USAGE, "to which nodes? numbers or hosts, with commas");
}

/* Those of today's order that are not of the new one. */
static int take_from(struct session *s, struct transfer *x)
{
    const struct stream *st = fleet_stream(s->m, span_of(s->args[0]));
    const struct cluster_stream *now = st ? st->cluster : NULL;

    if (!now) return refuse(s, CTL_NOT_FOUND, "no such stream");
    if (now->nodes[0] == 0)
        return refuse(
            s, CTL_FAILED, "not done: the stream names no node, each has its own: give it primary-node");
    for (size_t i = 0; i < now->place.n; i++) {
        if (now->nodes[i] == 0 || side_of(x, (uint16_t)now->nodes[i])) continue;
        if (x->n_to + x->n_from == SIDES_MAX) return refuse(s, CTL_FAILED, "not done: too many nodes");
        x->from[x->n_from++] = (struct side){.node = (uint16_t)now->nodes[i]};
    }
    return CTL_OK;
}

static bool same_nodes(const struct transfer *a, const struct transfer *b)
{
    bool same = a->n_to == b->n_to;

    for (size_t i = 0; same && i < a->n_to; i++) same = a->to[i].node == b->to[i].node;
    return same;
}

/* A place for it, of the oldest that is over. */
static struct transfer *place_for(struct transfers *t, const char *uid)
{
    struct transfer *x = find(t, span_of(uid));

    for (size_t i = 0; !x && t->n == TRANSFERS_MAX && i < t->n; i++)
        if (is_over(t->v[i])) x = t->v[i];
    if (x || t->n == TRANSFERS_MAX) return x;
    return t->v[t->n++] = NEW(struct transfer);
}

static int start(struct session *s, struct transfers *t)
{
    struct transfer x = {.keep = strcmp(s->args[2], "free") != 0, .began_us = clock_wall_us()}, *to, *was;
    char by[CONTROL_BY_MAX];
    int code = take_to(s, &x);

    if (code == CTL_OK && strcmp(s->args[2], "free") != 0 && strcmp(s->args[2], "keep") != 0)
        code = refuse(s, CTL_USAGE, "keep or free: what becomes of the old copies");
    if (code == CTL_OK) code = take_from(s, &x);
    if (code != CTL_OK) return code;
    was = find(t, span_of(s->args[0]));
    if (was && !is_over(was)) {
        if (!same_nodes(was, &x))
            return refuse(s, CTL_EXISTS, "the stream is on its way to other nodes already");
        return refuse(s, CTL_OK, "it is on its way already");
    }
    if (was && was->phase == TRANSFER_FAILED && same_nodes(was, &x) && x.n_from == 0) {
        x.n_from = was->n_from; /* its order was changed before it failed */
        memcpy(x.from, was->from, sizeof(x.from));
    }
    if (!singular_reach(s->m->cluster, s->text)) return CTL_BUSY;
    to = place_for(t, s->args[0]);
    if (!to) return refuse(s, CTL_BUSY, "too many streams are on their way");
    span_copy(span_of(s->args[0]), x.uid, sizeof(x.uid));
    span_copy(span_of(control_by(s, by)), x.by, sizeof(x.by));
    *to = x;
    enter(t, to, TRANSFER_SPREAD, "");
    return refuse(s, CTL_OK, "the stream is on its way: msctl transfer says how far");
}

int transfers_run(struct session *s)
{
    struct transfers *t = of(s->m);

    if (!t) return refuse(s, CTL_FAILED, "this node works alone: there is no other one");
    if (s->n_args == 2) span_copy(SPAN_LIT("keep"), s->args[2], sizeof(s->args[2]));
    return start(s, t);
}

int transfers_run_list(struct session *s)
{
    const struct transfers *t = of(s->m);

    if (!t) return refuse(s, CTL_FAILED, "this node works alone: there is no other one");
    if (s->n_args == 0 || find(t, span_of(s->args[0]))) return CTL_OK;
    return refuse(s, CTL_NOT_FOUND, "this stream was never transferred from here");
}

/* Rows: all, or that of the stream that was asked for. */
bool transfers_row(struct session *s, struct packer *p)
{
    const struct transfers *t = of(s->m);
    const struct transfer *x = NULL;
    char to[64], from[64];
    struct wr w_to = wr_of(to, sizeof(to)), w_from = wr_of(from, sizeof(from));
    bool left;

    while (t && s->at < t->n && !x) {
        x = t->v[s->at++];
        if (s->n_args > 0 && strcmp(x->uid, s->args[0]) != 0) x = NULL;
    }
    if (!x) return false;
    add_nodes(&w_to, x->to, x->n_to);
    add_nodes(&w_from, x->from, x->n_from);
    left = x->phase == TRANSFER_FILL && fresh(&x->to[0], clock_mono_us());
    pack_map(p, left ? 11 : 9);
    pack_kv_text(p, "uid", x->uid);
    pack_kv_text(p, "phase", words[x->phase]);
    pack_kv_text(p, "to", wr_cstr(&w_to));
    pack_kv_text(p, "from", wr_cstr(&w_from));
    pack_kv_bool(p, "keep", x->keep);
    pack_kv_i64(p, "began_s", x->began_us / US_PER_S);
    pack_kv_i64(p, "since_s", x->since_us / US_PER_S);
    pack_kv_text(p, "by", x->by);
    pack_kv_text(p, "text", x->text);
    if (left) pack_kv_u64(p, "left", x->to[0].left);
    if (left) pack_kv_u64(p, "left_bytes", x->to[0].left_bytes);
    return true;
}
