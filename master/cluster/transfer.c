#include "master/cluster/transfer_impl.h"
#include "common/base/clock.h"
#include "common/base/err.h"
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

const char *transfers_agreed(struct master *m, const char *uid, bool based)
{
    struct transfers *t = transfers_of(m);
    struct transfer *x = t ? transfers_find(t, span_of(uid)) : NULL;

    if (!x || !x->pushed || (x->phase != TRANSFER_SPREAD && !(x->phase == TRANSFER_SETTLE && based)))
        return NULL; /* another push */
    return set_order(t, x, x->phase == TRANSFER_SPREAD);
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

/* Its order still stands: what was pushed since has it too. false: another one was given meanwhile, and this
 * transfer is over. */
static bool stands(struct transfers *t, struct transfer *x, bool with_old)
{
    const struct spread_file *f = files_version(t->c->m, x->uid);
    unsigned by = f ? f->stamp.node : transfers_self(t);
    char text[64];

    if (!has_order(t, x, with_old)) {
        snprintf(text, sizeof(text), "node %u has given the stream another order meanwhile", by);
        transfer_enter(t, x, TRANSFER_FAILED, text);
        return false;
    }
    if (f && stamp_cmp(&f->stamp, &x->order) > 0) {
        x->order = f->stamp;
        transfers_save(t);
    }
    return true;
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

    if (!singular_reach(t->c, text)) {
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

/* The order has been put into the site's etcd, and has come back; the other nodes have it from there too.
 * While etcd is away, and where somebody has changed the record meanwhile, it is put there again. */
static bool is_stored(struct transfers *t, struct transfer *x, bool settle, usec_t now_us)
{
    const char *wrong;

    if (!x->pushed) {
        wrong = set_order(t, x, !settle);
        /* what was begun with etcd waits for it */
        x->pushed = !wrong || x->put_us > 0;
        x->put_us = now_us;
        if (!x->pushed) transfer_enter(t, x, TRANSFER_FAILED, wrong);
        return false;
    }
    if (has_order(t, x, !settle)) return true;
    snprintf(x->text, sizeof(x->text), "waits for the site's etcd");
    if (now_us - x->put_us > PUT_AGAIN_US) x->pushed = false;
    return false;
}

/* The order has been pushed, and the nodes of this transfer have it. */
static bool is_pushed(struct transfers *t, struct transfer *x, bool settle)
{
    const struct spread_file *f;

    if (!x->pushed && settle) x->pushed = x->n_from > 0 && has_order(t, x, false); /* before a restart */
    if (!x->pushed) {
        if (!settle || stands(t, x, true)) begin_push(t, x, settle);
        return false;
    }
    if (files_pushing(t->c->m, x->uid)) {
        snprintf(x->text, sizeof(x->text), "waits for nodes to agree to its new order");
        return false;
    }
    if (!has_order(t, x, !settle)) {
        x->pushed = false; /* it was another push */
        if (files_lost(t->c->m, x->uid)[0])
            transfer_enter(t, x, TRANSFER_FAILED, files_lost(t->c->m, x->uid));
        else if (++x->pushes == PUSHES_MAX)
            transfer_enter(t, x, TRANSFER_FAILED, "its file does not take the new order");
        return false;
    }
    f = files_version(t->c->m, x->uid);
    if (f) x->order = f->stamp;
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
    int err;

    for (size_t i = 0; t && i < t->n; i++) {
        struct transfer *x = t->v[i];

        if (transfer_is_over(x)) continue;
        transfer_ask_sides(t, x, now_us);
        steps[x->phase](t, x, now_us);
        if (!conf_stream(c->m->conf, span_of(x->uid)) && !transfer_is_over(x))
            transfer_enter(t, x, TRANSFER_FAILED, "the stream was removed");
    }
    err = t ? state_file_failed(t->file) : 0;
    if (err < 0)
        log_error("state-dir-write", "file=%s err=%s", TRANSFER_FILE_NAME, log_q(span_of(err_text(err))));
}

/* --- its life --- */

int transfers_open(struct cluster *c)
{
    struct transfers *t = c->transfers = NEW(struct transfers);
    int err;

    t->c = c;
    t->covers = covers_new(c->m, &transfer_cover_ops);
    t->file = state_file_new(c->m->state_dir, TRANSFER_FILE_NAME);
    err = t->file ? transfers_load(t, c->m->state_dir) : -EMFILE;
    if (err < 0)
        log_error("state-dir-read", "file=%s err=%s", TRANSFER_FILE_NAME, log_q(span_of(err_text(err))));
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
