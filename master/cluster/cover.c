#include "master/cluster/cover.h"
#include "common/base/clock.h"
#include "common/base/mem.h"
#include "common/conf/conf.h"
#include "common/ipc/ctl.h"

#include <stdlib.h>

#define AHEAD_US  (86400 * US_PER_S) /* of clocks that differ, and of footage that is still written */
#define WORD_MOST 60000              /* bytes of spans */

struct spans {
    struct cover_span *v;
    size_t n;
    bool known, many; /* many: more than can be told */
};
/* What is known of one stream and node. */
struct cover {
    char uid[CONF_UID_MAX + 1];
    uint16_t node;
    bool looking;
    struct cover_span window; /* that is being looked at */
    usec_t end_us;            /* of the last one */
    struct spans ours, theirs;
    usec_t asked_us, looked_us;      /* somebody has asked; the window was begun */
    usec_t began_us;                 /* the first window was */
    usec_t found_us, found_began_us; /* all was found to be there, by a look that was begun then */
    usec_t anew_us, repeated_us;     /* what a newer look is to answer: asked first, 0: nothing; and last */
};
/* A question to our keeper. */
struct look {
    struct list link;
    uint64_t id;
    char uid[CONF_UID_MAX + 1];
    uint16_t to; /* another node wants it; 0: we do */
    struct cover_span window;
    struct spans spans;
    usec_t until_us;
};
struct covers {
    struct master *m;
    const struct cover_ops *ops;
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

struct covers *covers_new(struct master *m, const struct cover_ops *ops)
{
    struct covers *c = NEW(struct covers);

    c->m = m;
    c->ops = ops;
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

static bool same(const struct cover_span *a, const struct cover_span *b)
{
    return a->from_us == b->from_us && a->to_us == b->to_us;
}

/* One at a time for each that wants it: another window takes the place of the one before. */
static void look(
    struct covers *c, const char *uid, uint16_t to, const struct cover_span *window, usec_t now_us)
{
    struct look *l;
    uint64_t id;

    LIST_EACH(&c->looks, link)
    {
        l = LIST_ITEM(link, struct look, link);
        if (now_us < l->until_us && (l->to != to || strcmp(l->uid, uid) != 0)) continue;
        if (now_us < l->until_us && same(&l->window, window)) return; /* it is being asked */
        look_free(l);
    }
    id = c->ops->look(c->m, uid, window);
    if (id == 0) return;
    l = NEW(struct look);
    l->id = id;
    l->to = to;
    l->window = *window;
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

static void look_at(struct covers *c, struct cover *v, usec_t from_us, usec_t to_us)
{
    const struct cover_word word = {.want = true, .window = {from_us, to_us}};

    v->looking = true;
    v->window = word.window;
    v->looked_us = clock_mono_us();
    spans_done(&v->ours);
    spans_done(&v->theirs);
    look(c, v->uid, 0, &word.window, v->looked_us);
    c->ops->tell(c->m, v->node, v->uid, &word);
}

static struct cover *asked(struct covers *c, const char *uid, uint16_t node)
{
    struct cover *v = cover_of(c, uid, node);

    if (!v) v = &c->v[c->n++];
    if (v->node != node || strcmp(v->uid, uid) != 0) {
        spans_done(&v->ours);
        spans_done(&v->theirs);
        *v = (struct cover){.node = node};
        span_copy(span_of(uid), v->uid, sizeof(v->uid));
    }
    return v;
}

static bool is_found(struct covers *c, struct cover *v, usec_t now_us)
{
    usec_t every_us = v->looking ? COVER_LATE_US : v->began_us < v->anew_us ? 0 : COVER_EVERY_US;

    v->asked_us = now_us;
    if (v->looked_us == 0 || now_us - v->looked_us >= every_us) {
        v->end_us = clock_wall_us() + AHEAD_US;
        v->began_us = now_us;
        look_at(c, v, 0, v->end_us);
    }
    return v->found_us > 0 && now_us - v->found_us < COVER_FRESH_US;
}

bool covers_ask(struct covers *c, const char *uid, uint16_t node, usec_t now_us)
{
    return is_found(c, asked(c, uid, node), now_us);
}

bool covers_ask_anew(struct covers *c, const char *uid, uint16_t node, usec_t now_us)
{
    struct cover *v = asked(c, uid, node);

    if (v->anew_us == 0 || now_us - v->repeated_us >= COVER_FRESH_US) v->anew_us = now_us;
    v->repeated_us = now_us;
    if (!is_found(c, v, now_us) || v->found_began_us < v->anew_us) return false;
    v->anew_us = 0;
    return true;
}

/* Both are known. What is more than can be told is looked at in halves; behind a window in which nothing is
 * missing comes the next one, twice as wide, which begins so early that no hole lies on the border. */
static void compare(struct covers *c, struct cover *v)
{
    const struct cover_span w = v->window;
    usec_t length_us = w.to_us - w.from_us;
    bool holds;

    if (!v->ours.known || !v->theirs.known) return;
    if (v->ours.many || (v->theirs.many && v->ours.n > 0)) {
        v->looking = length_us > COVER_LEAST_US;
        if (v->looking) look_at(c, v, w.from_us, w.from_us + MAX(length_us / 2, COVER_LEAST_US));
        return;
    }
    holds = cover_holds(v->ours.v, v->ours.n, v->theirs.v, v->theirs.n);
    v->looking = holds && w.to_us < v->end_us;
    if (v->looking) look_at(c, v, w.to_us - 2 * COVER_SLACK_US, MIN(w.to_us + 2 * length_us, v->end_us));
    if (v->looking) return;
    v->found_us = holds ? clock_mono_us() : 0;
    v->found_began_us = v->began_us;
}

/* --- what comes --- */

static void take_ours(struct covers *c, const struct look *l)
{
    for (size_t i = 0; i < c->n; i++) {
        struct cover *v = &c->v[i];

        if (!v->looking || strcmp(v->uid, l->uid) != 0 || !same(&v->window, &l->window)) continue;
        spans_done(&v->ours);
        v->ours = l->spans;
        v->ours.v = l->spans.n > 0 ? mem_dup(l->spans.v, l->spans.n * sizeof(*l->spans.v)) : NULL;
        v->ours.known = true;
        compare(c, v);
    }
}

static void answer(const struct covers *c, const struct look *l)
{
    struct cover_word word = {.window = l->window, .many = l->spans.many};
    size_t n = word.many ? 0 : l->spans.n;
    struct packer p;
    struct buf b;

    buf_init(&b, WORD_MOST);
    p = packer_of(&b);
    pack_array(&p, (uint32_t)n * 2);
    for (size_t i = 0; i < n; i++) {
        pack_i64(&p, l->spans.v[i].from_us);
        pack_i64(&p, l->spans.v[i].to_us);
    }
    word.packed = buf_span(&b);
    if (!p.bad) c->ops->tell(c->m, l->to, l->uid, &word);
    buf_done(&b);
}

static void take_theirs(struct covers *c, struct cover *v, const struct cover_word *word)
{
    spans_done(&v->theirs);
    for (size_t k = 0; k + 1 < packed_n(word->spans); k += 2)
        spans_add(&v->theirs, packed_as_i64(packed_at(word->spans, k), -1),
            packed_as_i64(packed_at(word->spans, k + 1), -1));
    v->theirs.many |= word->many;
    v->theirs.known = true;
    compare(c, v);
}

void covers_heard(struct covers *c, uint16_t node, const char *uid, const struct cover_word *word)
{
    if (word->window.from_us < 0 || word->window.to_us <= word->window.from_us) return;
    if (word->want) {
        look(c, uid, node, &word->window, clock_mono_us());
        return;
    }
    for (size_t i = 0; i < c->n; i++) {
        struct cover *v = &c->v[i];

        if (v->looking && v->node == node && strcmp(v->uid, uid) == 0 && same(&v->window, &word->window))
            take_theirs(c, v, word);
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
    list_remove(&l->link); /* what follows from it may be the next look */
    list_init(&l->link);
    if (packed_u64(body, "code", CTL_FAILED) == CTL_OK && l->to == 0)
        take_ours(c, l);
    else if (packed_u64(body, "code", CTL_FAILED) == CTL_OK)
        answer(c, l);
    look_free(l);
    return true;
}
