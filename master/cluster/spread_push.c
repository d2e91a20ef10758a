/* Who may push: a quorum promises. Any two quorums share a node, so two pushes have one order, and a push
 * that replaces one version alone (its base) is lost where anything newer was promised since. Nothing is said
 * of a promise before it is durable; asked again, for the same stamp, it is given again. */
#include "common/base/err.h"
#include "common/base/wr.h"
#include "master/cluster/quorum.h"
#include "master/cluster/spread_impl.h"

#include <stdio.h>
#include <string.h>

static const struct stamp none = {.term = 0};

static struct stamp newer_of(struct stamp a, struct stamp b)
{
    return stamp_cmp(&a, &b) > 0 ? a : b;
}

/* The highest that this node knows of: decided, or promised. */
static struct stamp highest(const struct spread_file *f)
{
    return newer_of(newer_of(f->stamp, f->wanted), f->promised);
}

/* --- the end of it --- */

static void lose(struct spread *s, struct spread_file *f, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

static void lose(struct spread *s, struct spread_file *f, const char *fmt, ...)
{
    struct wr w = wr_of(f->lost, sizeof(f->lost));
    va_list ap;

    va_start(ap, fmt);
    wr_vfmt(&w, fmt, ap);
    va_end(ap);
    (void)wr_cstr(&w);
    f->mine = none;
    memset(s->told_us, 0, sizeof(s->told_us)); /* who has a newer one says so */
    s->ops->changed(s->arg);
    s->ops->pushed(s->arg, f, f->lost);
}

static void lose_to(struct spread *s, struct spread_file *f, const struct stamp *by)
{
    lose(s, f, "node %u has pushed another version meanwhile: look at it, and push again", by->node);
}

void spread_overtaken(struct spread *s, struct spread_file *f, const struct stamp *by)
{
    if (f->mine.term > 0 && (f->based || stamp_cmp(by, &f->mine) > 0)) lose_to(s, f, by);
}

static bool is_quorum(const struct spread *s, const struct spread_file *f)
{
    uint16_t lowest = s->self;
    bool with_lowest = true;
    size_t n = 1;

    for (size_t i = 0; i < s->n_nodes; i++) {
        bool has = f->agreed >> i & 1;

        n += has;
        if (s->nodes[i] > lowest) continue;
        lowest = s->nodes[i];
        with_lowest = has;
    }
    return f->agreed_here && quorum(n, s->n_nodes + 1, with_lowest);
}

static void decide(struct spread *s, struct spread_file *f, usec_t now_us)
{
    char etag[SPREAD_ETAG_MAX] = "";
    struct stamp stamp = f->mine;
    const char *why;

    if (f->mine.term == 0 || !is_quorum(s, f)) return;
    why = s->ops->agreed(s->arg, f);
    if (why) {
        lose(s, f, "%s", why);
        return;
    }
    if (!f->mine_gone && (!s->ops->look(s->arg, f->uid, etag) || !etag[0])) {
        lose(s, f, "its file is not there any more");
        return;
    }
    f->mine = none;
    spread_set_version(s, f, &stamp, etag);
    f->decided = stamp;
    f->decided_base = f->based ? f->base : none;
    f->asked_us = 0;
    for (size_t i = 0; i < s->n_nodes; i++) s->told_us[i] = now_us - SPREAD_AGAIN_US; /* with the next tick */
}

/* --- asking --- */

static void row(struct spread_rows *r, const char *uid, const struct stamp *stamp, const struct stamp *more)
{
    struct packer p = packer_of(&r->b);

    pack_array(&p, more ? 3 : 2);
    pack_str(&p, span_of(uid));
    stamp_pack(&p, stamp);
    if (more) stamp_pack(&p, more);
    if (++r->n == SPREAD_ROWS_MAX) spread_rows_flush(r);
}

/* By a new term, above all that was named. */
static void propose(struct spread *s, struct spread_file *f, uint64_t above)
{
    f->mine = (struct stamp){s->ops->next_term(s->arg, MAX(above, highest(f).term)), s->self, s->boot};
    f->promised = f->mine;
    f->agreed = 0;
    f->agreed_here = false;
    f->asked_us = 0;
    s->ops->changed(s->arg);
}

bool spread_push(struct spread *s, const char *uid, const struct spread_how *how, usec_t now_us)
{
    char etag[SPREAD_ETAG_MAX] = "";
    struct spread_file *f;
    struct stamp known;

    if (s->muted || (!how->gone && (!s->ops->look(s->arg, uid, etag) || !etag[0]))) return false;
    f = spread_file_of(s, uid);
    known = highest(f);
    f->mine_gone = how->gone;
    f->keep = how->keep;
    f->based = how->base.term > 0;
    f->base = f->based ? how->base : f->stamp;
    f->until_us = now_us + SPREAD_ONCE_US;
    f->tries = 0;
    f->lost[0] = 0;
    if (f->based && stamp_cmp(&known, &f->base) > 0)
        lose_to(s, f, &known);
    else
        propose(s, f, 0);
    return true;
}

static void ask(struct spread_rows *r, const struct spread_file *f)
{
    row(r, f->uid, &f->mine, f->based ? &f->base : NULL);
}

static bool is_due(const struct spread_file *f, usec_t now_us)
{
    return (f->mine.term > 0 || f->decided.term > 0) &&
        (f->asked_us == 0 || now_us - f->asked_us >= SPREAD_ASK_US);
}

static void ask_node(struct spread *s, size_t i, usec_t now_us)
{
    bool self = i == s->n_nodes;
    struct spread_rows r =
        spread_rows_to(s, self ? s->self : s->nodes[i], self ? SPREAD_PROMISED : SPREAD_PROMISE, true);
    struct map_slot slot;
    size_t at = 0;

    while (map_next(&s->files, &at, &slot)) {
        const struct spread_file *f = slot.value;

        if (!is_due(f, now_us)) continue;
        /* its own: what is durable counts, and is said */
        if (self && f->decided.term > 0) row(&r, f->uid, &f->decided, &f->decided);
        if (self && f->mine.term > 0 && !f->agreed_here) row(&r, f->uid, &f->mine, &f->promised);
        if (!self && f->mine.term > 0 && !(f->agreed >> i & 1)) ask(&r, f);
    }
    spread_rows_end(&r);
}

/* Too late for who waits. What is to be kept is asked for anew, and replaces nothing but what was there when
 * it was asked. */
static void end_late(struct spread *s, struct spread_file *f, usec_t now_us)
{
    if (!f->keep) {
        lose(s, f, "too few nodes have agreed in time: push again");
        return;
    }
    f->based = true;
    f->agreed = 0;
    f->agreed_here = false;
    f->asked_us = 0;
    f->until_us = now_us + SPREAD_ONCE_US;
}

void spread_push_tick(struct spread *s, usec_t now_us)
{
    struct map_slot slot;
    size_t at = 0;
    bool any = false;

    if (s->muted) return;
    while (map_next(&s->files, &at, &slot)) {
        struct spread_file *f = slot.value;

        if (f->mine.term > 0 && now_us >= f->until_us) end_late(s, f, now_us);
        decide(s, f, now_us);
        any |= is_due(f, now_us);
    }
    if (!any) return;
    for (size_t i = 0; i <= s->n_nodes; i++)
        if (i == s->n_nodes || s->ops->there(s->arg, s->nodes[i])) ask_node(s, i, now_us);
    for (at = 0; map_next(&s->files, &at, &slot);) {
        struct spread_file *f = slot.value;

        if (is_due(f, now_us)) f->asked_us = now_us;
    }
}

bool spread_pushing(const struct spread *s, const char *uid)
{
    const struct spread_file *f = spread_file(s, uid);

    return f && (f->mine.term > 0 || f->decided.term > 0);
}

const char *spread_lost(const struct spread *s, const char *uid)
{
    const struct spread_file *f = spread_file(s, uid);

    return f ? f->lost : "";
}

/* --- promising --- */

/* *ret_held: its own stamp, promised; or what is newer here. */
static void promise(struct spread *s, struct spread_file *f, const struct stamp *stamp,
    const struct stamp *base, struct stamp *ret_held)
{
    struct stamp known = highest(f);

    *ret_held = known;
    if (stamp_cmp(stamp, &known) < 0 ||
        (base && stamp_cmp(&known, base) > 0 && stamp_cmp(&known, stamp) != 0))
        return;
    f->promised = *ret_held = *stamp;
    s->ops->changed(s->arg);
    if (stamp_cmp(stamp, &f->mine) > 0) f->agreed_here = false; /* to our own push, which is older */
}

void spread_on_promise(struct spread_heard *h, const struct packed *word)
{
    const struct packed *rows = h->s->muted ? NULL : packed_get(word, "rows");

    for (size_t i = 0; i < MIN(packed_n(rows), SPREAD_ROWS_MAX); i++) {
        const struct packed *v = packed_at(rows, i);
        struct stamp stamp, base, held;
        struct spread_file *f;
        char uid[SPREAD_UID_MAX];
        bool based = packed_n(v) > 2;

        /* nobody stamps for another one */
        if (!spread_uid_of(packed_as_str(packed_at(v, 0)), uid) || !stamp_read(packed_at(v, 1), &stamp) ||
            stamp.node != h->from || (based && packed_kind(packed_at(v, 2)) != PACKED_ARRAY))
            continue;
        (void)stamp_read(packed_at(v, 2), &base); /* of what was never pushed: none */
        f = spread_named(h->s, uid);
        if (!f) continue;
        promise(h->s, f, &stamp, based ? &base : NULL, &held);
        row(&h->promised, uid, &stamp, &held);
    }
}

static void say_decided(struct spread *s, struct spread_file *f)
{
    s->ops->pushed(s->arg, f, NULL);
    f->decided = none;
}

/* Something newer was promised there. */
static void outdone(struct spread *s, struct spread_file *f, const struct stamp *held)
{
    if (f->based)
        lose_to(s, f, held);
    else if (++f->tries == SPREAD_TRIES)
        lose(s, f, "others push at the same time: push again");
    else
        propose(s, f, held->term);
}

void spread_on_promised(struct spread_heard *h, const struct packed *word)
{
    const struct packed *rows = packed_get(word, "rows");

    for (size_t i = 0; i < MIN(packed_n(rows), SPREAD_ROWS_MAX); i++) {
        const struct packed *v = packed_at(rows, i);
        struct spread_file *f = NULL;
        struct stamp stamp, held;
        char uid[SPREAD_UID_MAX];

        if (spread_uid_of(packed_as_str(packed_at(v, 0)), uid)) f = map_get(&h->s->files, span_of(uid));
        if (!f || !stamp_read(packed_at(v, 1), &stamp) || !stamp_read(packed_at(v, 2), &held)) continue;
        if (h->bit == 0 && stamp_cmp(&stamp, &f->decided) == 0) say_decided(h->s, f);
        if (f->mine.term == 0 || stamp_cmp(&stamp, &f->mine) != 0) continue;
        if (stamp_cmp(&held, &f->mine) != 0) {
            outdone(h->s, f, &held);
            continue;
        }
        if (h->bit == 0)
            f->agreed_here = stamp_cmp(&f->promised, &f->mine) == 0;
        else
            f->agreed |= h->bit; /* the tick decides */
    }
}
