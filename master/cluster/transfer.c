#include "master/cluster/transfer_impl.h"
#include "common/base/clock.h"
#include "common/base/mem.h"
#include "common/conf/report.h"
#include "master/cluster/records.h"
#include "master/edits.h"

#include <errno.h>

#define HEARD_US     (5 * US_PER_S) /* what a node said holds for so long */
#define PUT_AGAIN_US (15 * US_PER_S)
#define PUSHES_MAX   3 /* of one phase: others push too */

const char *transfer_phase_word(enum transfer_phase phase)
{
    static const char *const words[TRANSFER_PHASES] = {
        "spread", "take", "fill", "settle", "free", "done", "failed"};

    return words[phase];
}

struct transfers *transfers_of(const struct master *m)
{
    return m->cluster ? m->cluster->transfers : NULL;
}

uint16_t transfers_self(const struct transfers *t)
{
    return (uint16_t)t->c->m->conf->server.node_id;
}

struct transfer *transfers_find(const struct transfers *t, struct span uid)
{
    for (size_t i = 0; i < t->n; i++)
        if (span_is(uid, t->v[i]->uid)) return t->v[i];
    return NULL;
}

bool transfer_is_over(const struct transfer *x)
{
    return x->phase >= TRANSFER_DONE;
}

struct side *transfer_side(struct transfer *x, uint16_t node)
{
    for (size_t i = 0; x && i < x->n_to; i++)
        if (x->to[i].node == node) return &x->to[i];
    for (size_t i = 0; x && i < x->n_from; i++)
        if (x->from[i].node == node) return &x->from[i];
    return NULL;
}

/* No node has the number 0. */
bool transfer_version(const struct transfers *t, const char *uid, struct stamp *ret)
{
    const struct spread_file *f = files_version(t->c->m, uid);

    if (records_has(t->c->m, uid)) {
        *ret = (struct stamp){.term = records_revision(t->c->m, uid)};
        return ret->term > 0;
    }
    if (f) *ret = f->stamp;
    return f != NULL;
}

bool side_fresh(const struct side *s, usec_t now_us)
{
    return s->heard_us > 0 && now_us - s->heard_us < HEARD_US;
}

/* --- its phases --- */

void transfer_enter(struct transfers *t, struct transfer *x, enum transfer_phase phase, const char *text)
{
    x->phase = phase;
    x->pushed = false;
    x->pushes = 0;
    x->since_us = clock_wall_us();
    span_copy(span_sub(span_of(text), 0, sizeof(x->text) - 1), x->text, sizeof(x->text));
    log_event_of(LOG_NOTE, x->uid, "transfer", "phase=%s text=%s", transfer_phase_word(phase),
        log_q(span_of(x->text)));
    transfers_save(t);
}

void sides_text(struct wr *w, const struct side *v, size_t n)
{
    for (size_t i = 0; i < n; i++) wr_fmt(w, "%s%u", w->n > 0 ? "," : "", v[i].node);
}

/* From here on another order than that of this version is somebody else's. */
static void set_version(struct transfers *t, struct transfer *x, const struct stamp *order)
{
    if (stamp_cmp(order, &x->order) == 0) return;
    x->order = *order;
    transfers_save(t);
}

/* The stream's file gets this order here; where the site's etcd keeps it, there. NULL, or what is wrong. */
static const char *set_order(const struct transfers *t, struct transfer *x, bool with_old)
{
    bool stored = records_has(t->c->m, x->uid);
    char first[8], others[96];
    struct wr w = wr_of(others, sizeof(others));
    const struct conf_set set[] = {
        {.key = "primary-node", .value = first}, {.key = "secondary-node", .value = others}};
    struct stream_edit edit = {.kind = EDIT_SET, .uid = x->uid, .set = set, .n = ARRAY_N(set)};
    const struct edits_order order = {
        .v = &edit, .n = 1, .pushed = !stored, .who = RECORDS_NOBODY, .by = x->by, .why = "transfer"};
    struct conf_report report = {0};
    struct edits_result result;
    int code;

    snprintf(first, sizeof(first), "%u", x->to[0].node);
    sides_text(&w, x->to + 1, x->n_to - 1);
    if (with_old) sides_text(&w, x->from, x->n_from);
    (void)wr_cstr(&w);
    code = edits_apply(t->c->m, &order, &report, &result);
    mem_free(result.etags);
    conf_report_done(&report);
    if (code == EDITS_LATER) return NULL;
    if (code != CTL_OK) {
        snprintf(x->text, sizeof(x->text), "%.180s", result.text);
        return x->text;
    }
    return NULL;
}

/* Once the first order has been agreed upon, what is pushed while it is taken up is somebody else's. */
const char *transfers_agreed(struct master *m, const struct spread_file *f)
{
    struct transfers *t = transfers_of(m);
    struct transfer *x = t ? transfers_find(t, span_of(f->uid)) : NULL;
    bool first = x && x->phase == TRANSFER_SPREAD && x->order.term == 0;
    const char *why;

    if (!x || !x->pushed || (!first && !(x->phase == TRANSFER_SETTLE && f->based)))
        return NULL; /* another push */
    why = set_order(t, x, first);
    if (!why && first) set_version(t, x, &f->mine);
    return why;
}

/* The stream has the order that this transfer gives it, as far as this node knows. */
static bool has_order(const struct transfers *t, const struct transfer *x, bool with_old)
{
    const struct stream *st = fleet_stream(t->c->m, span_of(x->uid));
    const struct cluster_stream *s = st ? st->cluster : NULL;
    size_t n = x->n_to + (with_old ? x->n_from : 0);
    bool same = s && s->place.n == n;

    for (size_t i = 0; same && i < n; i++)
        same = s->nodes[i] == (i < x->n_to ? x->to[i].node : x->from[i - x->n_to].node);
    return same;
}

/* It is not known by whom where the site's etcd keeps the stream. */
static void fail_by_other(struct transfers *t, struct transfer *x)
{
    const struct spread_file *f = files_version(t->c->m, x->uid);
    unsigned node = f ? f->stamp.node : transfers_self(t);
    char by[16] = "somebody", text[64];

    if (!records_has(t->c->m, x->uid)) snprintf(by, sizeof(by), "node %u", node);
    snprintf(text, sizeof(text), "%s has given the stream another order meanwhile", by);
    transfer_enter(t, x, TRANSFER_FAILED, text);
}

/* Its order still stands: what was pushed since has it too. false: another one was given meanwhile, and this
 * transfer is over. */
static bool stands(struct transfers *t, struct transfer *x, bool with_old)
{
    const struct spread_file *f = files_version(t->c->m, x->uid);

    if (!has_order(t, x, with_old)) {
        fail_by_other(t, x);
        return false;
    }
    if (f && stamp_cmp(&f->stamp, &x->order) > 0) set_version(t, x, &f->stamp);
    return true;
}

/* The first push was agreed upon. It is lost where this node was killed before that was durable, and somebody
 * pushed since. */
static bool is_decided(struct transfers *t, struct transfer *x)
{
    const struct spread_file *f = files_version(t->c->m, x->uid);
    const char *lost = files_lost(t->c->m, x->uid);

    if (f && stamp_cmp(&f->stamp, &x->order) >= 0) return stands(t, x, true);
    transfer_enter(
        t, x, TRANSFER_FAILED, lost[0] ? lost : "its new order was not agreed upon: transfer it again");
    return false;
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

        if (node == transfers_self(t) || files_has(t->c->m, f, node)) continue;
        if (i > 0 && n && !member_near(&n->member)) continue; /* it gets it when it is back */
        all = false;
        if (files_refuses(t->c->m, f, node))
            snprintf(text, TRANSFER_TEXT_MAX, "node %u refuses its file: %.150s", node, f->why);
        else if (!text[0])
            snprintf(text, TRANSFER_TEXT_MAX, "waits for node %u to take its file", node);
    }
    return f && all;
}

/* The first one replaces whatever was pushed before; the second one nothing but the first. */
static void begin_push(struct transfers *t, struct transfer *x, bool settle)
{
    char text[EDITS_TEXT_MAX];

    if (!files_may_push(t->c->m, text)) {
        snprintf(x->text, sizeof(x->text), "%.180s", text);
        return;
    }
    /* one that was under way when this node was stopped, or is somebody else's, comes to its end first */
    x->pushed = files_pushing(t->c->m, x->uid) ||
        files_push(t->c->m, x->uid, settle ? &x->order : &(struct stamp){.term = 0});
    if (!x->pushed)
        transfer_enter(
            t, x, TRANSFER_FAILED, "its file holds other streams too, or is too large: it cannot be pushed");
}

/* The order of nodes that the stream has, as far as this node knows; "": none. */
static void order_text(
    const struct transfers *t, const struct transfer *x, char dst[static TRANSFER_ORDER_MAX])
{
    const struct stream *st = fleet_stream(t->c->m, span_of(x->uid));
    const struct cluster_stream *s = st ? st->cluster : NULL;
    struct wr w = wr_of(dst, TRANSFER_ORDER_MAX);

    for (size_t i = 0; s && i < s->place.n; i++)
        wr_fmt(&w, "%s%lld", i > 0 ? "," : "", (long long)s->nodes[i]);
    (void)wr_cstr(&w);
}

/* What is in the site's etcd is what this transfer replaces: the order that there was when it was put there
 * first; of the last one, its own first. false: somebody has given another one, and this transfer is over. */
static bool may_put(struct transfers *t, struct transfer *x, bool settle)
{
    char now[TRANSFER_ORDER_MAX];

    if (settle) return stands(t, x, true);
    order_text(t, x, now);
    if (x->before[0] && strcmp(now, x->before) != 0) {
        fail_by_other(t, x);
        return false;
    }
    if (x->before[0]) return true;
    span_copy(span_of(now), x->before, sizeof(x->before));
    transfers_save(t);
    return true;
}

/* The order has been put into the site's etcd, and has come back; the other nodes have it from there too.
 * While etcd is away, and where somebody has changed something else of the record meanwhile, it is put there
 * again. */
static bool is_stored(struct transfers *t, struct transfer *x, bool settle, usec_t now_us)
{
    bool begun = x->before[0] != 0;
    const char *wrong;

    if (has_order(t, x, !settle)) return true;
    if (!may_put(t, x, settle)) return false;
    if (!x->pushed) {
        wrong = set_order(t, x, !settle);
        /* what was begun with etcd waits for it */
        x->pushed = !wrong || begun;
        x->put_us = now_us;
        if (!x->pushed) transfer_enter(t, x, TRANSFER_FAILED, wrong);
        return false;
    }
    snprintf(x->text, sizeof(x->text), "waits for the site's etcd");
    if (now_us - x->put_us > PUT_AGAIN_US) x->pushed = false;
    return false;
}

/* The order has been pushed, and the nodes of this transfer have it. */
static bool is_pushed(struct transfers *t, struct transfer *x, bool settle)
{
    const struct spread_file *f;

    if (!x->pushed) /* before a restart */
        x->pushed = settle ? x->n_from > 0 && has_order(t, x, false) : x->order.term > 0;
    if (!x->pushed) {
        if (!settle || stands(t, x, true)) begin_push(t, x, settle);
        return false;
    }
    if (files_pushing(t->c->m, x->uid)) {
        snprintf(x->text, sizeof(x->text), "waits for nodes to agree to its new order");
        return false;
    }
    if (!settle && x->order.term > 0) return is_decided(t, x) && is_spread(t, x, x->text);
    if (!has_order(t, x, !settle)) {
        x->pushed = false; /* it was another push */
        if (files_lost(t->c->m, x->uid)[0])
            transfer_enter(t, x, TRANSFER_FAILED, files_lost(t->c->m, x->uid));
        else if (++x->pushes == PUSHES_MAX)
            transfer_enter(t, x, TRANSFER_FAILED, "its file does not take the new order");
        return false;
    }
    f = files_version(t->c->m, x->uid);
    if (f) set_version(t, x, &f->stamp);
    return is_spread(t, x, x->text);
}

static void step_push(struct transfers *t, struct transfer *x, usec_t now_us)
{
    bool settle = x->phase == TRANSFER_SETTLE;

    if (records_has(t->c->m, x->uid) ? !is_stored(t, x, settle, now_us) : !is_pushed(t, x, settle)) return;
    if (!settle)
        transfer_enter(t, x, TRANSFER_TAKE, "");
    else
        transfer_enter(t, x, x->keep || x->n_from == 0 ? TRANSFER_DONE : TRANSFER_FREE, "");
}

static void step_take(struct transfers *t, struct transfer *x, usec_t now_us)
{
    const struct stream *st = fleet_stream(t->c->m, span_of(x->uid));

    if (!stands(t, x, true)) return;
    if (!st || st->conf->enable == CONF_DISABLED) {
        transfer_enter(t, x, TRANSFER_FILL, ""); /* nobody records it: there is nothing to hand over */
        return;
    }
    snprintf(x->text, sizeof(x->text), "waits for node %u to record it", x->to[0].node);
    if (!side_fresh(&x->to[0], now_us) || !x->to[0].runs || !x->to[0].ready) return;
    for (size_t i = 0; i < x->n_from; i++) {
        const struct cluster_node *n = cluster_node(t->c, x->from[i].node);
        bool gone = n && !member_near(&n->member);

        if (gone || (side_fresh(&x->from[i], now_us) && !x->from[i].runs)) continue;
        snprintf(x->text, sizeof(x->text), "node %u records it; waits for node %u to stop", x->to[0].node,
            x->from[i].node);
        return;
    }
    transfer_enter(t, x, TRANSFER_FILL, "");
}

/* Stretches a second apart are one: of what is missing for less long the new node itself knows. */
static void step_fill(struct transfers *t, struct transfer *x, usec_t now_us)
{
    const struct stream *st = fleet_stream(t->c->m, span_of(x->uid));
    const struct side *first = &x->to[0];
    bool all = true;

    if (!stands(t, x, true)) return;
    for (size_t i = 0; i < x->n_from && st && st->conf->record; i++) {
        const struct side *s = &x->from[i];

        if (side_fresh(s, now_us) && s->covered && side_fresh(first, now_us) && first->left == 0) continue;
        all = false;
        snprintf(x->text, sizeof(x->text),
            side_fresh(s, now_us) ? "node %u fetches what node %u has" : "node %u waits for node %u",
            first->node, s->node);
    }
    if (all) transfer_enter(t, x, TRANSFER_SETTLE, "");
}

static void step_free(struct transfers *t, struct transfer *x, usec_t now_us)
{
    struct stamp version;
    bool known = transfer_version(t, x->uid, &version), all = true;

    if (!stands(t, x, false)) return;
    for (size_t i = 0; known && i < x->n_from; i++) {
        if (x->from[i].freed) continue;
        all = false;
        snprintf(x->text, sizeof(x->text), "waits for node %u to let its copies go", x->from[i].node);
        if (x->asked_us == now_us) transfer_ask_free(t, x, x->from[i].node, &version);
    }
    if (known && all) transfer_enter(t, x, TRANSFER_DONE, "");
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

    for (size_t i = 0; t && i < t->n; i++) {
        struct transfer *x = t->v[i];

        if (transfer_is_over(x)) continue;
        transfer_ask_sides(t, x, now_us);
        steps[x->phase](t, x, now_us);
        if (!conf_stream(c->m->conf, span_of(x->uid)) && !transfer_is_over(x))
            transfer_enter(t, x, TRANSFER_FAILED, "the stream was removed");
    }
    if (t) (void)state_file_say(t->file);
}

/* --- its life --- */

int transfers_open(struct cluster *c)
{
    struct transfers *t = c->transfers = NEW(struct transfers);

    t->c = c;
    t->covers = covers_new(c->m, &transfer_cover_ops);
    t->file = state_file_new(c->m->state_dir, TRANSFER_FILE_NAME);
    if (!t->file) return -EMFILE;
    transfers_load(t, c->m->state_dir);
    return 0;
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
