#include "httpd/stream_rows.h"
#include "common/base/clock.h"
#include "common/base/list.h"
#include "common/base/mem.h"

/* Whoever waits for rows. */
struct waiter {
    struct list link;
    void (*done)(void *arg, const struct rows *rows);
    void *arg;
};
struct stream_rows {
    struct loop *loop;
    struct master_asks *master;
    struct list now, behind; /* waiters for the question under way, and for the one behind it */
    bool asking, stale;      /* stale: what comes was asked for before a change */
    usec_t asked_us, fresh_us;
    /* what has come last */
    struct master_answer answer;
    struct unpack **pages;
    size_t n_pages;
    const struct packed **v;
    size_t n;
    uint64_t turn;
};

static void ask(struct stream_rows *x);

static void forget(struct stream_rows *x)
{
    for (size_t i = 0; i < x->n_pages; i++) unpack_done(x->pages[i]);
    mem_free(x->pages);
    mem_free(x->v);
    master_answer_done(&x->answer);
    x->pages = NULL;
    x->v = NULL;
    x->n_pages = x->n = 0;
    x->fresh_us = 0;
}

/* false: a page cannot be read. */
static bool take(struct stream_rows *x, struct master_answer *a)
{
    forget(x);
    x->answer = *a;
    *a = (struct master_answer){.code = CTL_OK};
    x->pages = mem_renew(NULL, (x->answer.n_pages + 1) * sizeof(*x->pages));
    x->v = mem_renew(NULL, (x->answer.n_pages * CTL_ROWS_MAX + 1) * sizeof(*x->v));
    for (size_t i = 0; i < x->answer.n_pages; i++) {
        size_t from = i > 0 ? x->answer.ends[i - 1] : 0;
        const struct packed *rows;

        if (unpack_new(span_sub(buf_span(&x->answer.rows), from, x->answer.ends[i] - from), &x->pages[i]) !=
            0)
            return false;
        x->n_pages++;
        rows = unpack_root(x->pages[i]);
        for (size_t k = 0; k < MIN(packed_n(rows), (size_t)CTL_ROWS_MAX); k++)
            x->v[x->n++] = packed_at(rows, k);
    }
    return true;
}

static void tell(struct list *waiters, const struct rows *rows)
{
    while (!list_empty(waiters)) {
        struct waiter *w = LIST_ITEM(waiters->next, struct waiter, link);

        list_remove(&w->link);
        w->done(w->arg, rows);
        mem_free(w);
    }
}

static void answered(void *arg, struct master_answer *a)
{
    struct stream_rows *x = arg;
    struct rows rows = {.why = NULL};
    struct list waiters;

    x->asking = false;
    list_init(&waiters);
    while (!list_empty(&x->now)) {
        struct list *w = x->now.next;

        list_remove(w);
        list_push(&waiters, w);
    }
    if (a->code != CTL_OK)
        rows.why = a->text[0] ? a->text : "the server is busy";
    else if (!take(x, a))
        rows.why = "the server's answer cannot be read";
    if (rows.why) forget(x);
    rows.v = x->v;
    rows.n = x->n;
    rows.turn = ++x->turn;
    x->fresh_us = rows.why || x->stale ? 0 : x->asked_us + ROWS_FRESH_US;
    tell(&waiters, &rows);
    if (!x->asking && !list_empty(&x->behind)) ask(x);
}

static void ask(struct stream_rows *x)
{
    const struct master_question q = {.cmd = SPAN_LIT("api streams")};

    while (!list_empty(&x->behind)) {
        struct list *w = x->behind.next;

        list_remove(w);
        list_push(&x->now, w);
    }
    x->asked_us = clock_mono_us();
    x->stale = false;
    x->asking = master_ask(x->master, &q, answered, x);
    if (!x->asking) tell(&x->now, &(struct rows){.why = "the server is busy"});
}

void stream_rows_get(struct stream_rows *x, void (*done)(void *arg, const struct rows *rows), void *arg)
{
    struct waiter *w;

    if (x->fresh_us > clock_mono_us()) {
        done(arg, &(struct rows){.v = x->v, .n = x->n, .turn = x->turn});
        return;
    }
    w = NEW(struct waiter);
    w->done = done;
    w->arg = arg;
    list_push(x->asking && !x->stale ? &x->now : &x->behind, &w->link);
    if (!x->asking) ask(x);
}

void stream_rows_drop(struct stream_rows *x)
{
    x->fresh_us = 0;
    x->stale = true;
}

struct stream_rows *stream_rows_new(struct loop *l, struct master_asks *master)
{
    struct stream_rows *x = NEW(struct stream_rows);

    x->loop = l;
    x->master = master;
    list_init(&x->now);
    list_init(&x->behind);
    return x;
}

void stream_rows_free(struct stream_rows *x)
{
    if (!x) return;
    tell(&x->now, &(struct rows){.why = "the server ends"});
    tell(&x->behind, &(struct rows){.why = "the server ends"});
    forget(x);
    mem_free(x);
}
