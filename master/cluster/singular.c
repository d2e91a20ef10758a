#include "master/cluster/singular.h"
#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/base/mem.h"
#include "common/base/metrics.h"
#include "common/base/rng.h"
#include "master/cluster/net.h"
#include "master/cluster/records.h"
#include "master/master.h"

#include <errno.h>

#define FILE_NAME                                                                                            \
    "acts" /* in state-dir: a msgpack array of [node, stale, act]; node 0: it is being decided */
#define FILE_MOST (4u << 20)
#define ROWS_MAX  40000 /* bytes of rows that an answer has */
#define KEEPER_US (25 * US_PER_S)
#define WRITE_NOW 64 /* with more waiting the file is written once a beat */

static const char *const cmds[ACT_KINDS] = {
    [ACT_DELETE] = "archive delete", [ACT_LOCK] = "archive lock", [ACT_UNLOCK] = "archive unlock"};

/* What the keeper is asked. */
struct keep_ask {
    struct list link;
    uint64_t id, ref; /* of KEEP_ASK; of the act */
    enum act_keep what;
    struct stamp stamp, held; /* held: the highest that it has named */
    bool promised;            /* by one storage at least */
    struct buf rows;
    uint32_t n_rows;
    usec_t until_us;
};
struct singular {
    struct cluster *c;
    struct acts acts;
    struct state_file *file;
    struct list asks; /* struct keep_ask */
    bool unsaved;
};

static struct singular *of(const struct master *m)
{
    return m->cluster ? m->cluster->singular : NULL;
}

/* --- what waits, in state-dir --- */

static void save_row(struct packer *p, uint16_t node, bool stale, const struct act *act)
{
    pack_array(p, 3);
    pack_u64(p, node);
    pack_bool(p, stale);
    act_pack(p, act);
}

static void save(struct singular *g)
{
    const struct act *act;
    uint32_t deciding = 0;
    struct buf b;
    struct packer p;

    buf_init(&b, FILE_MOST);
    p = packer_of(&b);
    while (acts_deciding(&g->acts, deciding)) deciding++;
    pack_array(&p, (uint32_t)g->acts.n_waits + deciding);
    for (uint32_t i = 0; (act = acts_deciding(&g->acts, i)); i++) save_row(&p, 0, false, act);
    LIST_EACH(&g->acts.waits, link)
    {
        const struct act_wait *w = LIST_ITEM(link, struct act_wait, link);

        save_row(&p, w->node, w->stale, &w->act);
    }
    if (p.bad)
        state_file_too_large(g->file);
    else
        state_file_write(g->file, buf_span(&b));
    buf_done(&b);
    g->unsaved = false;
}

static bool load_row(struct singular *g, const struct packed *row)
{
    usec_t now_us = clock_mono_us();
    uint64_t node = packed_as_u64(packed_at(row, 0), UINT64_MAX);
    struct act act;

    if (node > UINT16_MAX || !act_read(packed_at(row, 2), &act) || act.stamp.term == 0) return false;
    if (node == 0)
        acts_recover(&g->acts, &act, now_us);
    else
        acts_wait(&g->acts, &act, (uint16_t)node, now_us);
    return true;
}

static bool load(void *arg, struct span bytes)
{
    struct unpack *u = NULL;
    bool ok = unpack_file(bytes, &u) == 0 && packed_kind(unpack_root(u)) == PACKED_ARRAY;
    size_t n = ok ? packed_n(unpack_root(u)) : 0;

    for (size_t i = 0; i < n; i++)
        if (!load_row(arg, packed_at(unpack_root(u), i))) ok = false; /* the others count */
    unpack_done(u);
    return ok;
}

/* --- what the acts call (struct act_ops) --- */

/* What does not come is said again. */
static void was_sent(struct master *m, void *arg, int err)
{
    (void)m;
    (void)arg;
    (void)err;
}

static void say(void *arg, uint16_t node, const struct act_word *w)
{
    struct singular *g = arg;
    struct buf b;
    struct packer p;

    buf_init(&b, NET_BODY_MAX);
    p = packer_of(&b);
    act_word_pack(&p, w);
    if (!p.bad) net_send(g->c->m, node, NET_KIND_ACT, buf_span(&b), was_sent, NULL);
    buf_done(&b);
}

static void pack_act(struct packer *p, const struct act *a, usec_t until_us)
{
    pack_key(p, "act");
    pack_map(p, 4);
    stamp_kv(p, "stamp", &a->stamp);
    pack_kv_i64(p, "id", (int64_t)a->id);
    pack_kv_i64(p, "at_us", a->at_us);
    pack_kv_i64(p, "until_us", until_us);
}

static void pack_args(struct packer *p, const struct act *a, enum act_keep what)
{
    const char *const args[] = {a->uid, a->from, a->to, a->note};
    size_t n = what != ACT_KEEP_DO ? 1 : a->kind == ACT_UNLOCK ? 2 : a->kind == ACT_DELETE ? 3 : 4;

    pack_key(p, "args");
    pack_array(p, (uint32_t)n);
    for (size_t i = 0; i < n; i++) pack_str(p, span_of(args[i]));
}

static bool keep(void *arg, uint64_t ref, enum act_keep what, const struct act *a, usec_t until_us)
{
    struct singular *g = arg;
    struct master *m = g->c->m;
    struct channel *keeper = services_channel(m, SERVICE_KEEPER);
    struct keep_ask *q;
    struct packer *p;

    if (!keeper) return false;
    /* decided here: with a store also by its lease */
    if (what == ACT_KEEP_DO && until_us > 0) until_us = records_until(g->c, a->uid, until_us);
    q = NEW(struct keep_ask);
    *q = (struct keep_ask){.id = ++m->control.asks,
        .ref = ref,
        .what = what,
        .stamp = a->stamp,
        .until_us = clock_mono_us() + KEEPER_US};
    buf_init(&q->rows, ROWS_MAX);
    list_push(&g->asks, &q->link);
    p = channel_begin(keeper, MSG_KEEP_ASK, 5);
    pack_kv_u64(p, "id", q->id);
    pack_kv_text(p, "cmd",
        what == ACT_KEEP_PROMISE   ? "act promise"
            : what == ACT_KEEP_DID ? "act did"
                                   : cmds[a->kind]);
    pack_kv_text(p, "by", a->by);
    pack_args(p, a, what);
    pack_act(p, a, until_us);
    channel_end(keeper, NULL, 0);
    return true;
}

/* Rows of another node are rows, and as many as a message may have. */
static bool are_rows(struct span rows)
{
    struct unpack *u = NULL;
    bool ok = rows.p && unpack_new(rows, &u) == 0 && packed_n(unpack_root(u)) > 0 &&
        packed_n(unpack_root(u)) <= CTL_ROWS_MAX;

    for (size_t i = 0; ok && i < packed_n(unpack_root(u)); i++)
        ok = packed_kind(packed_at(unpack_root(u), i)) == PACKED_MAP;
    unpack_done(u);
    return ok;
}

static void answer(void *arg, uint64_t who, int code, const char *text, struct span rows)
{
    const struct singular *g = arg;
    struct session *s = control_acting(g->c->m, who);

    if (!s) {
        exports_acted(g->c->m, who, code);
        return;
    }
    s->act_id = 0;
    control_answer_late(s, code, text, are_rows(rows) ? rows : SPAN_NONE);
}

/* Who records it, by the highest term; where nobody does, the first of its nodes who is there. */
static uint16_t holder(void *arg, const char *uid)
{
    const struct singular *g = arg;
    const struct stream *st = fleet_stream(g->c->m, span_of(uid));
    const struct cluster_stream *s = st ? st->cluster : NULL;
    int64_t first = 0, best = 0;
    uint32_t top = 0;

    for (size_t i = 0; s && i < s->place.n; i++) {
        const struct place_said *said = &s->place.said[i];
        bool me = i == s->place.me;
        bool there = me || (s->place.nodes[i] && member_near(s->place.nodes[i]));
        bool runs = there && ((me ? s->is.flags : said->flags) & HEARTBEAT_RUNS) && (me || said->at_us > 0);
        uint32_t term = me ? s->is.term : said->term;

        if (there && first == 0) first = me ? g->c->m->conf->server.node_id : s->nodes[i];
        if (!runs || (best != 0 && term <= top)) continue;
        best = me ? g->c->m->conf->server.node_id : s->nodes[i];
        top = term;
    }
    return (uint16_t)(best != 0 ? best : first);
}

static bool is_there(const struct singular *g, uint16_t node)
{
    const struct cluster_node *n = cluster_node(g->c, node);

    return node == g->acts.self || (n && member_near(&n->member));
}

static bool there(void *arg, uint16_t node)
{
    return is_there(arg, node);
}

static bool twice(void *arg)
{
    const struct singular *g = arg;

    return cluster_twice(g->c, clock_mono_us());
}

static uint64_t next_term(void *arg, uint64_t above)
{
    const struct singular *g = arg;

    (void)cluster_heard_term(g->c, above);
    return cluster_next_term(g->c);
}

static void changed(void *arg)
{
    struct singular *g = arg;

    g->unsaved = true;
    if (g->acts.n_waits <= WRITE_NOW && g->file) save(g);
    courier_hold(g->c->m, false);
}

static const struct act_ops ops = {say, keep, answer, holder, there, twice, next_term, changed};

/* --- its life --- */

int singular_open(struct cluster *c)
{
    struct singular *g = c->singular = NEW(struct singular);

    g->c = c;
    list_init(&g->asks);
    acts_init(&g->acts, &ops, g, (uint16_t)c->m->conf->server.node_id, c->boot, clock_mono_us());
    singular_conf(c);
    /* The stamps, and with them the order of acts, stand in the index: new ones may be decided without it. */
    (void)state_file_read(c->m->state_dir, FILE_NAME, FILE_MOST, load, g);
    g->file = state_file_new(c->m->state_dir, FILE_NAME); /* nothing is written before all is read */
    return g->file ? 0 : -EMFILE;
}

static void ask_free(struct keep_ask *q)
{
    list_remove(&q->link);
    buf_done(&q->rows);
    mem_free(q);
}

void singular_close(struct cluster *c)
{
    struct singular *g = c->singular;

    if (!g) return;
    if (g->unsaved && g->file) save(g);
    LIST_EACH(&g->asks, link) ask_free(LIST_ITEM(link, struct keep_ask, link));
    acts_done(&g->acts);
    state_file_free(g->file);
    mem_free(g);
    c->singular = NULL;
}

void singular_conf(struct cluster *c)
{
    uint16_t *nodes = mem_new((c->n_nodes + 1) * sizeof(*nodes));
    size_t n = 0;

    nodes[0] = (uint16_t)c->m->conf->server.node_id;
    for (size_t i = 0; i < c->n_nodes; i++) nodes[i + 1] = c->nodes[i].member.id;
    if (c->singular) n = acts_nodes(&c->singular->acts, nodes, c->n_nodes + 1);
    if (n > 0) log_note("acts-dropped", "n=%zu why=\"their nodes are none of the cluster any more\"", n);
    mem_free(nodes);
}

static void kept(struct singular *g, struct keep_ask *q, int code, const char *text)
{
    struct buf all;
    struct packer p;
    bool rows = q->what == ACT_KEEP_DO && q->n_rows > 0;
    uint64_t ref = q->ref;
    struct stamp held = q->held;

    buf_init(&all, ROWS_MAX + 16);
    p = packer_of(&all);
    if (rows) {
        pack_array(&p, q->n_rows);
        rows = buf_put(&all, buf_span(&q->rows)) && !p.bad;
    }
    if (q->what == ACT_KEEP_PROMISE && (code == CTL_OK || code == CTL_FAILED)) {
        /* a storage that is not there has promised nothing, and does nothing either */
        code = q->promised ? CTL_OK : CTL_FAILED;
        if (!q->promised && !text[0]) text = "no storage is in order here";
    }
    if (q->what == ACT_KEEP_DID && (code == CTL_OK || q->promised)) code = q->promised ? CTL_OK : CTL_CHANGED;
    ask_free(q);
    acts_kept(&g->acts, &(struct act_kept){ref, code, text, held, rows ? buf_span(&all) : SPAN_NONE},
        clock_mono_us());
    buf_done(&all);
}

void singular_tick(struct cluster *c, usec_t now_us)
{
    struct singular *g = c->singular;

    if (!g) return;
    LIST_EACH(&g->asks, link)
    {
        struct keep_ask *q = LIST_ITEM(link, struct keep_ask, link);

        if (now_us >= q->until_us) kept(g, q, CTL_FAILED, "the keeper does not answer");
    }
    acts_tick(&g->acts, now_us);
    if (g->unsaved) save(g);
    (void)state_file_say(g->file);
}

bool singular_reach(const struct cluster *c, char *text)
{
    return !c || !c->singular || acts_reach(&c->singular->acts, text);
}

size_t singular_waiting(const struct cluster *c, uint16_t node)
{
    return c->singular ? acts_waiting(&c->singular->acts, node) : 0;
}

size_t singular_deletes(const struct cluster *c, uint16_t node)
{
    return c->singular ? acts_deletes(&c->singular->acts, node) : 0;
}

void singular_each_delete(const struct cluster *c, void (*fn)(void *arg, const struct act_wait *w), void *arg)
{
    if (c->singular) acts_each_delete(&c->singular->acts, fn, arg);
}

void singular_metrics(const struct cluster *c, struct metrics *to)
{
    const struct acts *a = c->singular ? &c->singular->acts : NULL;
    const struct {
        const char *name, *help;
        enum metrics_kind kind;
        uint64_t v;
    } rows[] = {{"ms_cluster_acts_total", "Deletes and locks that this node has decided.", METRICS_COUNTER,
                    a ? a->decided : 0},
        {"ms_cluster_acts_refused_total", "Those that were not decided.", METRICS_COUNTER,
            a ? a->refused : 0},
        {"ms_cluster_acts_older_total", "Refused by this keeper, as a newer one had been promised or done.",
            METRICS_COUNTER, a ? a->older : 0},
        {"ms_cluster_acts_waiting", "What other nodes have still to do.", METRICS_GAUGE, a ? a->n_waits : 0}};

    for (size_t i = 0; i < ARRAY_N(rows); i++) {
        metrics_family(to, rows[i].name, rows[i].kind, rows[i].help);
        metrics_u64(to, rows[i].name, NULL, 0, rows[i].v);
    }
}

/* --- what comes --- */

void singular_got(struct master *m, uint16_t node, uint64_t boot, struct span body)
{
    struct singular *g = of(m);
    struct unpack *u = NULL;
    struct act_word *w = NEW(struct act_word);

    (void)boot; /* the stamp has that of the act */
    if (g && unpack_new(body, &u) == 0 && act_word_read(unpack_root(u), w))
        acts_heard(&g->acts, node, w, clock_mono_us());
    unpack_done(u);
    mem_free(w);
}

static struct keep_ask *ask_of(struct singular *g, const struct packed *body)
{
    uint64_t id = packed_u64(body, "id", 0);

    LIST_EACH(&g->asks, link)
    {
        struct keep_ask *q = LIST_ITEM(link, struct keep_ask, link);

        if (q->id == id) return q;
    }
    return NULL;
}

static void take_row(struct keep_ask *q, const struct packed *row)
{
    struct packer p = packer_of(&q->rows);
    struct stamp held;

    if (stamp_get(row, "held", &held)) {
        if (stamp_cmp(&held, &q->held) > 0) q->held = held;
        q->promised |= stamp_cmp(&held, &q->stamp) == 0;
    } else if (q->n_rows < CTL_ROWS_MAX && buf_n(&q->rows) < ROWS_MAX - 8192) {
        pack_value(&p, row);
        q->n_rows++;
    }
}

bool singular_keep_row(struct master *m, const struct packed *body)
{
    struct singular *g = of(m);
    struct keep_ask *q = g ? ask_of(g, body) : NULL;
    const struct packed *rows = packed_get(body, "rows");

    if (!q) return false;
    q->until_us = clock_mono_us() + KEEPER_US;
    for (size_t i = 0; i < packed_n(rows); i++) take_row(q, packed_at(rows, i));
    return true;
}

bool singular_keep_end(struct master *m, const struct packed *body)
{
    struct singular *g = of(m);
    struct keep_ask *q = g ? ask_of(g, body) : NULL;
    char text[ACT_TEXT_MAX] = "";

    if (!q) return false;
    (void)packed_text(body, "text", text, sizeof(text));
    kept(g, q, (int)MIN(packed_u64(body, "code", CTL_FAILED), CTL_BUSY), text);
    return true;
}

void singular_keeper_gone(struct master *m)
{
    struct singular *g = of(m);

    if (!g) return;
    while (!list_empty(&g->asks))
        kept(g, LIST_ITEM(g->asks.next, struct keep_ask, link), CTL_FAILED,
            "the keeper died while it was asked");
}

/* --- who asks --- */

bool singular_shared(const struct master *m, const char *uid)
{
    const struct stream *st = m->cluster && m->cluster->n_nodes > 0 ? fleet_stream(m, span_of(uid)) : NULL;

    return st && st->cluster && (st->cluster->place.n > 1 || st->cluster->nodes[0] != 0);
}

static bool take(struct session *s, enum act_kind kind, struct act *ret)
{
    char by[CONTROL_BY_MAX];
    const char *to = kind == ACT_UNLOCK ? "" : s->args[2],
               *note = kind == ACT_LOCK && s->n_args > 3 ? s->args[3] : "";

    *ret = (struct act){.kind = kind, .at_us = clock_wall_us()};
    while (ret->id == 0) rng_bytes(&ret->id, sizeof(ret->id));
    return span_copy(span_of(s->args[0]), ret->uid, sizeof(ret->uid)) &&
        span_copy(span_of(control_by(s, by)), ret->by, sizeof(ret->by)) &&
        span_copy(span_of(s->args[1]), ret->from, sizeof(ret->from)) &&
        span_copy(span_of(to), ret->to, sizeof(ret->to)) &&
        span_copy(span_of(note), ret->note, sizeof(ret->note));
}

int singular_run(struct session *s, enum act_kind kind)
{
    struct singular *g = of(s->m);
    struct act act;

    if (!g || !singular_shared(s->m, s->args[0])) return control_ask_keeper(s);
    if (!take(s, kind, &act)) {
        span_copy(SPAN_LIT("wrong arguments: too long"), s->text, sizeof(s->text));
        return CTL_USAGE;
    }
    s->act_id = ++s->m->control.asks;
    control_wait(s);
    /* may be answered at once */
    acts_ask(&g->acts, &act, s->act_id, clock_mono_us());
    return CONTROL_WAITS;
}

void singular_unlock(struct master *m, const char *uid, const char *lock, const char *by, uint64_t who)
{
    struct singular *g = of(m);
    struct act act = {.kind = ACT_UNLOCK, .at_us = clock_wall_us()};

    while (act.id == 0) rng_bytes(&act.id, sizeof(act.id));
    if (g && span_copy(span_of(uid), act.uid, sizeof(act.uid)) &&
        span_copy(span_of(lock), act.from, sizeof(act.from)) &&
        span_copy(span_of(by), act.by, sizeof(act.by)))
        acts_ask(&g->acts, &act, who, clock_mono_us());
}

void singular_forget(struct session *s)
{
    struct singular *g = of(s->m);

    if (g && s->act_id) acts_forget(&g->acts, s->act_id);
    s->act_id = 0;
}

bool singular_row(struct session *s, struct packer *p)
{
    const struct singular *g = of(s->m);
    size_t at = 0;

    if (!g) return false;
    LIST_EACH(&g->acts.waits, link)
    {
        const struct act_wait *w = LIST_ITEM(link, struct act_wait, link);

        if (at++ < s->at) continue;
        s->at++;
        pack_map(p, 7);
        pack_kv_u64(p, "node", w->node);
        pack_kv_text(p, "uid", w->act.uid);
        pack_kv_text(p, "what", cmds[w->act.kind]);
        pack_kv_text(p, "by", w->act.by);
        pack_kv_i64(p, "since_s", w->act.at_us / US_PER_S);
        pack_kv_u64(p, "term", w->act.stamp.term);
        pack_kv_text(p, "why",
            !is_there(g, w->node)   ? "away"
                : w->stale          ? "gets a new stamp"
                : w->code == CTL_OK ? "asked"
                                    : "could not do it, is asked again");
        return true;
    }
    return false;
}
