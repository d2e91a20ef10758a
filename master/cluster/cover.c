#include "master/cluster/cover.h"
#include "common/base/clock.h"
#include "common/base/mem.h"
#include "master/master.h"

#include <stdlib.h>

struct spans {
    struct cover_span *v;
    size_t n;
    bool known, many; /* many: more than can be told */
};
/* What is known of one stream and node. */
struct cover {
    char uid[CONF_UID_MAX + 1];
    uint16_t node;
    struct spans ours, theirs;
    usec_t asked_us, looked_us, found_us; /* somebody has asked; it was begun; it was found to be so */
};
/* A question to our keeper. */
struct look {
    struct list link;
    uint64_t id;
    char uid[CONF_UID_MAX + 1];
    uint16_t to; /* another node wants it; 0: we do */
    struct spans spans;
    usec_t until_us;
};
struct covers {
    struct master *m;
    cover_tell_fn *tell;
    struct cover v[COVERS_MAX];
    size_t n;
    struct list looks;
};

/* --- pure --- */

static int by_start(const void *a, const void *b)
{
    const struct cover_span *x = a, *y = b;

    return x->from_us < y->from_us ? -1 : x->from_us > y->from_us;
}

bool cover_holds(struct cover_span *ours, size_t n_ours, struct cover_span *theirs, size_t n_theirs)
{
    size_t k = 0;
    usec_t until_us = INT64_MIN / 2; /* theirs are joined up to here, */
    usec_t since_us = INT64_MIN / 2; /* from here */

    if (n_ours > 0) qsort(ours, n_ours, sizeof(*ours), by_start);
    if (n_theirs > 0) qsort(theirs, n_theirs, sizeof(*theirs), by_start);
    for (size_t i = 0; i < n_ours; i++) {
        while (k < n_theirs && until_us + COVER_SLACK_US < ours[i].to_us) {
            if (theirs[k].from_us > until_us + COVER_SLACK_US) since_us = theirs[k].from_us;
            until_us = MAX(until_us, theirs[k++].to_us);
        }
        if (since_us > ours[i].from_us + COVER_SLACK_US || until_us + COVER_SLACK_US < ours[i].to_us)
            return false;
    }
    return true;
}

/* --- what is asked --- */

static void spans_done(struct spans *s)
{
    mem_free(s->v);
    *s = (struct spans){.n = 0};
}

static void spans_add(struct spans *s, usec_t from_us, usec_t to_us)
{
    s->many |= s->n == COVER_SPANS_MAX;
    if (s->many || from_us < 0 || to_us < from_us) return;
    s->v = mem_renew(s->v, (s->n + 1) * sizeof(*s->v));
    s->v[s->n++] = (struct cover_span){from_us, to_us};
}

struct covers *covers_new(struct master *m, cover_tell_fn *tell)
{
    struct covers *c = NEW(struct covers);

    c->m = m;
    c->tell = tell;
    list_init(&c->looks);
    return c;
}

static void look_free(struct look *l)
{
    list_remove(&l->link);
    spans_done(&l->spans);
    mem_free(l);
}

void covers_free(struct covers *c)
{
    if (!c) return;
    LIST_EACH(&c->looks, link) look_free(LIST_ITEM(link, struct look, link));
    for (size_t i = 0; i < c->n; i++) {
        spans_done(&c->v[i].ours);
        spans_done(&c->v[i].theirs);
    }
    mem_free(c);
}

static void look(struct covers *c, const char *uid, uint16_t to, usec_t now_us)
{
    struct look *l;
    uint64_t id;
    usec_t until_us = clock_wall_us() + 86400 * US_PER_S;
    char until[24];

    LIST_EACH(&c->looks, link)
    {
        l = LIST_ITEM(link, struct look, link);
        if (now_us >= l->until_us)
            look_free(l);
        else if (l->to == to && strcmp(l->uid, uid) == 0)
            return; /* it is being asked */
    }
    snprintf(until, sizeof(until), "%lld", (long long)until_us);
    id = control_keeper(c->m, "archive ranges", "transfer",
        (const struct span[]){span_of(uid), SPAN_LIT("0"), span_of(until)}, 3);
    if (id == 0) return;
    l = NEW(struct look);
    l->id = id;
    l->to = to;
    l->until_us = now_us + COVER_LATE_US;
    span_copy(span_of(uid), l->uid, sizeof(l->uid));
    list_push(&c->looks, &l->link);
}

static struct cover *cover_of(struct covers *c, const char *uid, uint16_t node)
{
    struct cover *oldest = c->v;

    for (size_t i = 0; i < c->n; i++) {
        if (c->v[i].node == node && strcmp(c->v[i].uid, uid) == 0) return &c->v[i];
        if (c->v[i].asked_us < oldest->asked_us) oldest = &c->v[i];
    }
    return c->n < COVERS_MAX ? NULL : oldest;
}

bool covers_ask(struct covers *c, const char *uid, uint16_t node, usec_t now_us)
{
    struct cover *v = cover_of(c, uid, node);

    if (!v) v = &c->v[c->n++];
    if (v->node != node || strcmp(v->uid, uid) != 0) {
        spans_done(&v->ours);
        spans_done(&v->theirs);
        *v = (struct cover){.node = node};
        span_copy(span_of(uid), v->uid, sizeof(v->uid));
    }
    v->asked_us = now_us;
    if (v->looked_us == 0 || now_us - v->looked_us >= COVER_EVERY_US) {
        v->looked_us = now_us;
        look(c, uid, 0, now_us);
        c->tell(c->m, node, uid, SPAN_NONE, true);
    }
    return v->found_us > 0 && now_us - v->found_us < COVER_FRESH_US;
}

/* Both are known: laid over each other, and asked anew the next time. */
static void compare(struct cover *v)
{
    bool holds;

    if (!v->ours.known || !v->theirs.known) return;
    holds = !v->ours.many && !v->theirs.many && cover_holds(v->ours.v, v->ours.n, v->theirs.v, v->theirs.n);
    v->found_us = holds ? clock_mono_us() : 0;
    spans_done(&v->ours);
    spans_done(&v->theirs);
}

/* --- what comes --- */

static void take_ours(struct covers *c, const char *uid, struct spans *spans)
{
    for (size_t i = 0; i < c->n; i++) {
        struct cover *v = &c->v[i];

        if (strcmp(v->uid, uid) != 0) continue;
        spans_done(&v->ours);
        v->ours = *spans;
        v->ours.v = spans->n > 0 ? mem_dup(spans->v, spans->n * sizeof(*spans->v)) : NULL;
        v->ours.known = true;
        compare(v);
    }
}

static void answer(const struct covers *c, const struct look *l)
{
    struct packer p;
    struct buf b;

    buf_init(&b, 60000);
    p = packer_of(&b);
    pack_array(&p, (uint32_t)l->spans.n * 2);
    for (size_t i = 0; i < l->spans.n; i++) {
        pack_i64(&p, l->spans.v[i].from_us);
        pack_i64(&p, l->spans.v[i].to_us);
    }
    if (!p.bad && !l->spans.many) c->tell(c->m, l->to, l->uid, buf_span(&b), false);
    buf_done(&b);
}

void covers_heard(struct covers *c, uint16_t node, const char *uid, const struct packed *spans, bool want)
{
    if (want) {
        look(c, uid, node, clock_mono_us());
        return;
    }
    for (size_t i = 0; i < c->n; i++) {
        struct cover *v = &c->v[i];

        if (v->node != node || strcmp(v->uid, uid) != 0) continue;
        spans_done(&v->theirs);
        for (size_t k = 0; k + 1 < packed_n(spans); k += 2)
            spans_add(&v->theirs, packed_as_i64(packed_at(spans, k), -1),
                packed_as_i64(packed_at(spans, k + 1), -1));
        v->theirs.known = true;
        compare(v);
    }
}

static struct look *look_of(struct covers *c, const struct packed *body)
{
    uint64_t id = packed_u64(body, "id", 0);

    LIST_EACH(&c->looks, link)
    {
        struct look *l = LIST_ITEM(link, struct look, link);

        if (l->id == id) return l;
    }
    return NULL;
}

bool covers_keep_row(struct covers *c, const struct packed *body)
{
    struct look *l = look_of(c, body);
    const struct packed *rows = packed_get(body, "rows");

    for (size_t i = 0; l && i < packed_n(rows); i++)
        spans_add(&l->spans, packed_i64(packed_at(rows, i), "from_us", -1),
            packed_i64(packed_at(rows, i), "to_us", -1));
    return l != NULL;
}

/* A storage that did not answer may have footage: nothing is known then. */
bool covers_keep_end(struct covers *c, const struct packed *body)
{
    struct look *l = look_of(c, body);

    if (!l) return false;
    if (packed_u64(body, "code", CTL_FAILED) == CTL_OK && l->to == 0)
        take_ours(c, l->uid, &l->spans);
    else if (packed_u64(body, "code", CTL_FAILED) == CTL_OK)
        answer(c, l);
    look_free(l);
    return true;
}
