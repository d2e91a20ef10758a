/* Is all footage of one node at another one? Two masters with a keeper each, which answers when it is asked
 * to. */
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include "common/base/clock.h"
#include "common/base/mem.h"
#include "common/ipc/ctl.h"
#include "master/cluster/cover.h"

#define S(from, to)                                                                                          \
    {                                                                                                        \
        (from) * US_PER_S, (to)*US_PER_S                                                                     \
    }

static void stretches_are_laid_over_each_other(void **state)
{
    static const struct {
        struct cover_span ours[3], theirs[4];
        size_t n_ours, n_theirs;
        bool holds;
    } rows[] = {
        {{S(0, 0)}, {S(0, 0)}, 0, 0, true}, /* there is nothing */
        {{S(10, 20)}, {S(0, 0)}, 1, 0, false},
        {{S(10, 20)}, {S(10, 20)}, 1, 1, true},
        {{S(10, 20)}, {S(11, 19)}, 1, 1, true}, /* a second is no gap */
        {{S(10, 20)}, {S(12, 20)}, 1, 1, false},
        {{S(10, 20)}, {S(10, 18)}, 1, 1, false},
        {{S(10, 20)}, {S(10, 15), S(15, 20)}, 1, 2, true},
        {{S(10, 20)}, {S(10, 14), S(16, 20)}, 1, 2, false}, /* a hole */
        {{S(10, 20)}, {S(16, 30), S(0, 16)}, 1, 2, true},   /* in any order, and more than that */
        {{S(40, 50), S(10, 20)}, {S(10, 20), S(40, 50)}, 2, 2, true},
        {{S(40, 50), S(10, 20)}, {S(10, 20)}, 2, 1, false},
        {{S(10, 20), S(30, 40)}, {S(5, 60), S(12, 13)}, 2, 2, true},
        {{S(10, 20), S(12, 18), S(30, 31)}, {S(10, 12), S(12, 20), S(25, 26), S(29, 32)}, 3, 4, true},
        {{S(30, 40)}, {S(0, 10), S(15, 35)}, 1, 2, false},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_N(rows); i++) {
        struct cover_span ours[3], theirs[4];

        memcpy(ours, rows[i].ours, sizeof(ours));
        memcpy(theirs, rows[i].theirs, sizeof(theirs));
        if (cover_holds(ours, rows[i].n_ours, theirs, rows[i].n_theirs) != rows[i].holds)
            fail_msg("row %zu is not %d", i, rows[i].holds);
    }
}

/* --- two masters --- */

#define UID     "cam-1"
#define MANY    (4 * COVER_SPANS_MAX)
#define T0      (1700000000 * US_PER_S)
#define EACH_US (10 * US_PER_S)
#define HAS_US  (5 * US_PER_S) /* of each ten seconds */

struct word { /* that is on its way */
    struct list link;
    struct cover_word w;
    int from;
    uint16_t to;
    size_t n;
    uint8_t spans[];
};
struct node {
    struct covers *covers;
    struct cover_span *v; /* what its keeper has */
    size_t n;
    struct {
        uint64_t id;
        struct cover_span window;
    } asks[8];
    size_t n_asks;
    bool keeper; /* it runs, and says that all is well */
};
static struct node nodes[2]; /* numbers 1 and 2; a master is its node */
static struct list words;
static uint64_t last_ask;
static size_t largest, turns;

static uint64_t look(struct master *m, const char *uid, const struct cover_span *window)
{
    struct node *n = (struct node *)m;

    assert_string_equal(uid, UID);
    assert_true(n->n_asks < ARRAY_N(n->asks));
    n->asks[n->n_asks].id = ++last_ask;
    n->asks[n->n_asks++].window = *window;
    return last_ask;
}

static void tell(struct master *m, uint16_t node, const char *uid, const struct cover_word *word)
{
    struct word *w = mem_new(sizeof(*w) + word->packed.n);

    assert_string_equal(uid, UID);
    *w = (struct word){
        .w = *word, .from = (struct node *)m == &nodes[0] ? 1 : 2, .to = node, .n = word->packed.n};
    if (word->packed.n > 0) memcpy(w->spans, word->packed.p, word->packed.n);
    largest = MAX(largest, word->packed.n);
    list_push(&words, &w->link);
}

static const struct cover_ops ops = {look, tell};

/* A KEEP_ROW of so many. */
static void say_rows(struct node *n, uint64_t id, const struct cover_span *rows, size_t n_rows)
{
    struct buf b;
    struct packer p;
    struct unpack *u;

    buf_init(&b, 60000);
    p = packer_of(&b);
    pack_map(&p, 2);
    pack_kv_u64(&p, "id", id);
    pack_key(&p, "rows");
    pack_array(&p, (uint32_t)n_rows);
    for (size_t i = 0; i < n_rows; i++) {
        pack_map(&p, 2);
        pack_kv_i64(&p, "from_us", rows[i].from_us);
        pack_kv_i64(&p, "to_us", rows[i].to_us);
    }
    assert_false(p.bad);
    assert_int_equal(unpack_new(buf_span(&b), &u), 0);
    assert_true(covers_keep_row(n->covers, unpack_root(u)));
    unpack_done(u);
    buf_done(&b);
}

/* Cut to the window, as the keeper does. */
static void answer_rows(struct node *n, uint64_t id, const struct cover_span *window)
{
    struct cover_span page[CTL_ROWS_MAX];
    size_t rows = 0;

    for (size_t i = 0; i < n->n; i++) {
        if (n->v[i].to_us <= window->from_us || n->v[i].from_us >= window->to_us) continue;
        page[rows++] =
            (struct cover_span){MAX(n->v[i].from_us, window->from_us), MIN(n->v[i].to_us, window->to_us)};
        if (rows < CTL_ROWS_MAX) continue;
        say_rows(n, id, page, rows);
        rows = 0;
    }
    if (rows > 0) say_rows(n, id, page, rows);
}

static void answer_end(struct node *n, uint64_t id)
{
    struct buf b;
    struct packer p;
    struct unpack *u;

    buf_init(&b, 256);
    p = packer_of(&b);
    pack_map(&p, 2);
    pack_kv_u64(&p, "id", id);
    pack_kv_u64(&p, "code", n->keeper ? CTL_OK : CTL_FAILED);
    assert_int_equal(unpack_new(buf_span(&b), &u), 0);
    (void)covers_keep_end(n->covers, unpack_root(u));
    unpack_done(u);
    buf_done(&b);
}

static void deliver(struct word *w)
{
    struct unpack *u = NULL;

    if (w->n > 0) {
        assert_int_equal(unpack_new(span(w->spans, w->n), &u), 0);
        w->w.spans = unpack_root(u);
    }
    covers_heard(nodes[w->to - 1].covers, (uint16_t)w->from, UID, &w->w);
    unpack_done(u);
    list_remove(&w->link);
    mem_free(w);
}

/* All that keepers and masters have to say, until nobody has any more. */
static void settle(void)
{
    for (bool more = true; more; turns++) {
        more = !list_empty(&words);
        if (more) deliver(LIST_ITEM(words.next, struct word, link));
        for (int i = 0; i < 2; i++) {
            struct node *n = &nodes[i];
            uint64_t id = n->n_asks > 0 ? n->asks[0].id : 0;
            struct cover_span window = n->asks[0].window;

            if (id == 0) continue;
            memmove(n->asks, n->asks + 1, --n->n_asks * sizeof(n->asks[0]));
            answer_rows(n, id, &window);
            answer_end(n, id);
            more = true;
        }
        assert_true(turns < 10000);
    }
}

/* Asked so late that what was found before counts no more. */
static bool is_covered(void)
{
    static usec_t later_us;
    usec_t now_us;

    later_us += COVER_LATE_US;
    now_us = clock_mono_us() + later_us;
    (void)covers_ask(nodes[0].covers, UID, 2, now_us);
    settle();
    return covers_ask(nodes[0].covers, UID, 2, clock_mono_us());
}

static void give(struct node *n, size_t count)
{
    n->v = mem_renew(n->v, count * sizeof(*n->v));
    for (size_t i = 0; i < count; i++)
        n->v[i] = (struct cover_span){T0 + (usec_t)i * EACH_US, T0 + (usec_t)i * EACH_US + HAS_US};
    n->n = count;
}

static int set_up(void **state)
{
    (void)state;
    list_init(&words);
    largest = turns = 0;
    for (int i = 0; i < 2; i++) {
        nodes[i] = (struct node){.keeper = true};
        nodes[i].covers = covers_new((struct master *)&nodes[i], &ops);
        give(&nodes[i], 3);
    }
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    LIST_EACH(&words, link) mem_free(LIST_ITEM(link, struct word, link));
    for (int i = 0; i < 2; i++) {
        covers_free(nodes[i].covers);
        mem_free(nodes[i].v);
    }
    return 0;
}

static void found_and_not_found(void **state)
{
    (void)state;
    assert_true(is_covered());
    nodes[1].n--; /* the last is missing there */
    assert_false(is_covered());
    nodes[1].n++;
    assert_true(is_covered());
    nodes[0].n = 0; /* nothing is here */
    assert_true(is_covered());
}

/* What was found before the question counts for nothing, nor does a look that was under way then. */
static void copies_go_by_a_newer_look(void **state)
{
    struct covers **c = &nodes[0].covers;
    usec_t at_us = clock_mono_us(), later_us = at_us + COVER_EVERY_US + US_PER_S;

    assert_false(covers_ask(*c, UID, 2, at_us));
    settle();
    assert_true(covers_ask(*c, UID, 2, at_us + 1));
    nodes[1].n--; /* it has gone there meanwhile */
    assert_false(covers_ask_anew(*c, UID, 2, at_us + 2));
    settle();
    assert_false(covers_ask_anew(*c, UID, 2, at_us + 3));
    nodes[1].n++;
    assert_false(covers_ask_anew(*c, UID, 2, later_us));
    settle();
    assert_true(covers_ask_anew(*c, UID, 2, later_us + 1));
    settle();
    assert_false(covers_ask_anew(*c, UID, 2, later_us + 2)); /* another question */
    settle();
    assert_true(covers_ask_anew(*c, UID, 2, later_us + 3));
    assert_int_equal(tear_down(state) + set_up(state), 0);
    assert_false(covers_ask(*c, UID, 2, later_us));
    assert_false(covers_ask_anew(*c, UID, 2, later_us + 1));
    settle();
    assert_true(covers_ask(*c, UID, 2, later_us + 2));
    assert_false(covers_ask_anew(*c, UID, 2, later_us + 3)); /* that one had been begun before */
    settle();
    assert_true(covers_ask_anew(*c, UID, 2, later_us + 4));
}

static void a_keeper_that_does_not_say_all(void **state)
{
    (void)state;
    for (int i = 0; i < 2; i++) {
        assert_int_equal(tear_down(state) + set_up(state), 0); /* nothing was found before */
        nodes[i].keeper = false;
        assert_false(is_covered());
        nodes[i].keeper = true;
        assert_true(is_covered());
    }
}

/* More than a message has, by far: each of them is looked at, and a message is never longer than it may be.
 */
static void more_than_a_message_has(void **state)
{
    const size_t places[] = {0, 1, MANY / 3, MANY / 2, MANY - 1};

    (void)state;
    give(&nodes[0], MANY);
    give(&nodes[1], MANY);
    assert_true(is_covered());
    assert_in_range(turns, MANY / COVER_SPANS_MAX, 500);
    for (size_t i = 0; i < ARRAY_N(places); i++) {
        struct cover_span was = nodes[1].v[places[i]];

        nodes[1].v[places[i]].to_us = nodes[1].v[places[i]].from_us + US_PER_S;
        turns = 0;
        assert_false(is_covered());
        nodes[1].v[places[i]] = was;
    }
    turns = 0;
    assert_true(is_covered());
    assert_true(largest <= 60000);
}

/* Theirs are many where ours is one. */
static void a_hole_among_many(void **state)
{
    (void)state;
    give(&nodes[0], 1);
    give(&nodes[1], MANY);
    nodes[0].v[0] = (struct cover_span){T0 + 500 * EACH_US, T0 + 500 * EACH_US + HAS_US};
    assert_true(is_covered());
    nodes[0].v[0].to_us += 2 * US_PER_S;
    turns = 0;
    assert_false(is_covered());
}

/* A hole on the border of two windows is none the less one: windows overlap. */
static void a_hole_on_a_border(void **state)
{
    (void)state;
    give(&nodes[0], MANY);
    give(&nodes[1], MANY);
    nodes[0].v[0].to_us = nodes[0].v[MANY - 1].to_us; /* one stretch over all, */
    nodes[1].n = 2;
    for (usec_t at_us = T0 + 100 * US_PER_S; at_us < T0 + 110 * US_PER_S; at_us += 700 * US_PER_MS) {
        nodes[1].v[0] = (struct cover_span){T0, at_us}; /* and there with a hole of a second and a half */
        nodes[1].v[1] = (struct cover_span){at_us + 3 * US_PER_S / 2, nodes[0].v[0].to_us};
        turns = 0;
        assert_false(is_covered());
    }
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
    const struct CMUnitTest tests[] = {cmocka_unit_test(stretches_are_laid_over_each_other),
        T(found_and_not_found), T(copies_go_by_a_newer_look), T(a_keeper_that_does_not_say_all),
        T(more_than_a_message_has), T(a_hole_among_many), T(a_hole_on_a_border)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
