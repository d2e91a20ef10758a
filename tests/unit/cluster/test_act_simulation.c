/* master/cluster/act: nodes that are cut off, stopped, killed, whose wall clocks jump and whose monotonic
 * ones drift, in simulated time; 10,000 acts. A history is written of what each keeper did, and a checker
 * looks for an act whose stamp is older than one that was acted on before, and for one that was done twice.
 * The checker is shown to find planted faults. The seed of a failure is printed. */
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include "common/base/mem.h"
#include "common/ipc/ctl.h"
#include "master/cluster/act.h"

#include <string.h>

#define N_MAX     5
#define UIDS      3
#define STEP_US   (50 * US_PER_MS)
#define QUEUE     20000
#define HISTORY   20000
#define ROUNDS    130 /* seeds */
#define ASKED     80  /* acts of each: more than 10,000 in all */
#define HEALED_US (400 * US_PER_S)

/* Faults that are planted. */
enum plant { PLANT_NONE = 0, PLANT_NO_FENCE = 1, PLANT_NO_CLOCK = 2, PLANT_NO_QUORUM = 4, PLANT_TWICE = 8 };

struct event { /* of the keepers */
    usec_t at_us;
    size_t node, uid;
    struct stamp stamp;
    uint64_t id;
};
struct letter {
    usec_t at_us;
    size_t from, to; /* from == to: an answer of the keeper's, or a question to it */
    enum { LETTER_WORD, LETTER_KEEP, LETTER_KEPT } kind;
    struct act_word word;
    uint64_t ref, boot;
    enum act_keep what;
    usec_t until_us;
};
struct world;
struct sim_node {
    struct world *w;
    size_t i;
    struct acts acts;
    bool up, frozen;
    double drift;       /* of its monotonic clock */
    uint64_t boot, top; /* the highest term that it knows */
    /* what outlives it */
    struct stamp held[UIDS];
    bool over[UIDS];
    uint64_t did[UIDS][N_MAX]; /* of each proposer the last */
    struct act_wait kept[ACT_WAITS_MAX];
    size_t n_kept;
    struct act deciding[ACT_RUNS_MAX];
    size_t n_deciding;
    size_t thinks; /* who it thinks records */
};
struct world {
    size_t n;
    struct sim_node nodes[N_MAX];
    bool cut[N_MAX][N_MAX];
    usec_t now_us, wall_us;
    uint64_t random, boots, ids;
    unsigned plant;
    bool calm; /* nothing happens any more */
    struct letter *letters;
    size_t n_letters;
    struct event *events;
    size_t n_events;
    size_t asked, answered, done, refused;
};

static unsigned roll(struct world *w, unsigned n)
{
    w->random = w->random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (unsigned)(w->random >> 33) % n;
}

static usec_t clock_of(const struct sim_node *n)
{
    return (usec_t)((double)n->w->now_us * n->drift);
}

static size_t uid_of(const struct act *a)
{
    return (size_t)(a->uid[3] - '0');
}

/* --- what the acts call --- */

static struct letter *post(struct world *w, size_t from, size_t to, usec_t within_us)
{
    struct letter *l = &w->letters[w->n_letters++];

    assert_true(w->n_letters < QUEUE);
    *l = (struct letter){.from = from, .to = to, .at_us = w->now_us + 1000 + roll(w, (unsigned)within_us)};
    return l;
}

static void sim_send(void *arg, uint16_t node, const struct act_word *word)
{
    struct sim_node *n = arg;
    size_t to = (size_t)node - 1;
    /* most arrive at once, some after seconds in a queue */
    struct letter *l = post(n->w, n->i, to, roll(n->w, 50) == 0 ? 15000000 : 30000);

    l->word = *word;
}

static bool sim_keep(void *arg, uint64_t ref, enum act_keep what, const struct act *a, usec_t until_us)
{
    struct sim_node *n = arg;
    struct letter *l = post(n->w, n->i, n->i, roll(n->w, 30) == 0 ? 40000000 : 20000);

    l->kind = LETTER_KEEP;
    l->word.act = *a;
    l->ref = ref;
    l->boot = n->boot;
    l->what = what;
    l->until_us = until_us;
    if (until_us > 0 && !n->w->calm && roll(n->w, 20) == 0) n->frozen = true; /* at the worst moment */
    return true;
}

static void sim_answer(void *arg, uint64_t who, int code, const char *text, struct span rows)
{
    struct sim_node *n = arg;

    (void)who;
    (void)text;
    (void)rows;
    n->w->answered++;
    if (code == CTL_OK)
        n->w->done++;
    else
        n->w->refused++;
}

static uint16_t sim_holder(void *arg, const char *uid)
{
    const struct sim_node *n = arg;

    (void)uid;
    return (uint16_t)(n->thinks + 1);
}

static bool sim_there(void *arg, uint16_t node)
{
    const struct sim_node *n = arg;
    size_t k = (size_t)node - 1;

    return k == n->i || (n->w->nodes[k].up && !n->w->cut[n->i][k]);
}

static bool sim_twice(void *arg)
{
    (void)arg;
    return false;
}

static uint64_t sim_term(void *arg, uint64_t above)
{
    struct sim_node *n = arg;

    if (above > n->top) n->top = above;
    return ++n->top;
}

static void sim_changed(void *arg)
{
    struct sim_node *n = arg;
    const struct act *act;

    n->n_kept = n->n_deciding = 0;
    while ((act = acts_deciding(&n->acts, n->n_deciding))) n->deciding[n->n_deciding++] = *act;
    LIST_EACH(&n->acts.waits, link) n->kept[n->n_kept++] = *LIST_ITEM(link, struct act_wait, link);
}

static const struct act_ops ops = {
    sim_send, sim_keep, sim_answer, sim_holder, sim_there, sim_twice, sim_term, sim_changed};

/* --- a node --- */

static void start(struct sim_node *n)
{
    struct world *w = n->w;
    uint16_t nodes[N_MAX];
    size_t n_kept = n->n_kept, n_deciding = n->n_deciding;

    n->up = true;
    n->frozen = false;
    n->boot = ++w->boots;
    acts_init(&n->acts, &ops, n, (uint16_t)(n->i + 1), n->boot, clock_of(n));
    for (size_t k = 0; k < w->n; k++) nodes[k] = (uint16_t)(k + 1);
    if (w->plant & PLANT_NO_QUORUM)
        acts_nodes(&n->acts, &nodes[n->i], 1); /* it decides alone */
    else
        acts_nodes(&n->acts, nodes, w->n);
    for (size_t k = 0; k < n_kept; k++) {
        const struct act_wait kept = n->kept[k];

        acts_wait(&n->acts, &kept.act, kept.node, clock_of(n));
        n->n_kept = n_kept; /* it is being read */
        n->n_deciding = n_deciding;
    }
    for (size_t k = 0; k < n_deciding; k++) {
        const struct act act = n->deciding[k];

        acts_recover(&n->acts, &act, clock_of(n));
    }
    sim_changed(n);
}

static void halt(struct sim_node *n)
{
    acts_done(&n->acts);
    n->up = false;
}

/* As archive/index_acts.c does it. */
static int keeper(struct sim_node *n, const struct letter *l, struct stamp *ret_held)
{
    struct world *w = n->w;
    const struct act *a = &l->word.act;
    size_t u = uid_of(a);
    int way = stamp_cmp(&a->stamp, &n->held[u]);

    *ret_held = n->held[u];
    if (l->what == ACT_KEEP_DID) return n->did[u][a->stamp.node - 1] == a->id ? CTL_OK : CTL_CHANGED;
    if (l->what == ACT_KEEP_DO && n->did[u][a->stamp.node - 1] == a->id && !(w->plant & PLANT_TWICE))
        return CTL_OK;
    if (l->until_us > 0 && clock_of(n) > l->until_us && !(w->plant & PLANT_NO_CLOCK)) return CTL_BUSY;
    if (way < 0 && !(w->plant & PLANT_NO_FENCE)) return CTL_CHANGED;
    if (way == 0 && n->over[u] && !(w->plant & PLANT_TWICE))
        return l->what == ACT_KEEP_DO ? CTL_OK : CTL_CHANGED;
    n->held[u] = *ret_held = a->stamp;
    n->over[u] = l->what == ACT_KEEP_DO;
    if (l->what != ACT_KEEP_DO) return CTL_OK;
    n->did[u][a->stamp.node - 1] = a->id;
    assert_true(w->n_events < HISTORY);
    w->events[w->n_events++] =
        (struct event){.at_us = w->now_us, .node = n->i, .uid = u, .stamp = a->stamp, .id = a->id};
    return CTL_OK;
}

static void deliver(struct world *w, struct letter l)
{
    struct sim_node *n = &w->nodes[l.to];
    struct letter *back;
    struct stamp held;
    int code;

    if (!n->up) return; /* what was on its way has gone */
    if (l.kind == LETTER_WORD) {
        if (!w->cut[l.to][l.from]) acts_heard(&n->acts, (uint16_t)(l.from + 1), &l.word, clock_of(n));
        return;
    }
    if (l.boot != n->boot) return;
    if (l.kind == LETTER_KEPT) {
        acts_kept(&n->acts, &(struct act_kept){l.ref, l.word.code, "", l.word.held, SPAN_NONE}, clock_of(n));
        return;
    }
    code = keeper(n, &l, &held);
    back = post(w, l.to, l.to, 20000);
    back->kind = LETTER_KEPT;
    back->ref = l.ref;
    back->boot = l.boot;
    back->word.code = code;
    back->word.held = held;
}

static void step(struct world *w)
{
    w->now_us += STEP_US;
    for (size_t i = 0; i < w->n_letters;) {
        struct letter l = w->letters[i];

        if (l.at_us > w->now_us || w->nodes[l.to].frozen) {
            i++;
            continue;
        }
        w->letters[i] = w->letters[--w->n_letters];
        deliver(w, l);
    }
    for (size_t i = 0; i < w->n; i++)
        if (w->nodes[i].up && !w->nodes[i].frozen && w->now_us % (500 * US_PER_MS) == 0)
            acts_tick(&w->nodes[i].acts, clock_of(&w->nodes[i]));
}

/* --- faults --- */

static void fault(struct world *w)
{
    size_t a = roll(w, (unsigned)w->n), b = roll(w, (unsigned)w->n);
    struct sim_node *n = &w->nodes[a];

    switch (roll(w, 7)) {
    case 0:
        if (n->up)
            halt(n);
        else
            start(n);
        break;
    case 1: w->cut[a][b] = !w->cut[a][b]; break;
    case 2: w->cut[a][b] = w->cut[b][a] = !w->cut[a][b]; break;
    case 3: memset(w->cut, 0, sizeof(w->cut)); break;
    case 4: n->frozen = n->up && !n->frozen; break;
    case 5: w->wall_us += ((usec_t)roll(w, 7200) - 3600) * US_PER_S; break;
    case 6: n->thinks = b; break; /* it has taken over, or given back */
    default: break;
    }
    w->cut[a][a] = w->cut[b][b] = false;
}

static void ask(struct world *w)
{
    struct sim_node *n = &w->nodes[roll(w, (unsigned)w->n)];
    struct act a = {.id = ++w->ids, .kind = ACT_DELETE, .uid = "cam0", .at_us = w->wall_us, .by = "me"};

    if (!n->up || n->frozen) return;
    a.uid[3] = (char)('0' + roll(w, UIDS));
    w->asked++;
    acts_ask(&n->acts, &a, w->ids, clock_of(n));
}

static void heal(struct world *w)
{
    memset(w->cut, 0, sizeof(w->cut));
    for (size_t i = 0; i < w->n; i++) {
        struct sim_node *n = &w->nodes[i];

        n->frozen = false;
        if (!n->up) start(n);
        n->thinks = 0;
    }
}

static void world_open(struct world *w, uint64_t seed, size_t n, unsigned plant)
{
    *w =
        (struct world){.random = seed, .n = n, .now_us = 100 * US_PER_S, .wall_us = US_PER_S, .plant = plant};
    w->letters = mem_renew(NULL, QUEUE * sizeof(*w->letters));
    w->events = mem_renew(NULL, HISTORY * sizeof(*w->events));
    for (size_t i = 0; i < n; i++) {
        w->nodes[i] = (struct sim_node){.w = w, .i = i, .drift = 0.999 + 0.002 * roll(w, 100) / 100};
        start(&w->nodes[i]);
    }
}

static void world_close(struct world *w)
{
    for (size_t i = 0; i < w->n; i++) acts_done(&w->nodes[i].acts);
    mem_free(w->letters);
    mem_free(w->events);
}

static void run(struct world *w)
{
    for (usec_t until = w->now_us + 12 * US_PER_S; w->now_us < until;) step(w);
    while (w->asked < ASKED) {
        usec_t until = w->now_us + US_PER_S / 10 + roll(w, 3000000);

        if (roll(w, 3) == 0) fault(w);
        if (roll(w, 6) == 0) heal(w);
        ask(w);
        while (w->now_us < until) step(w);
    }
    heal(w);
    w->calm = true;
    for (usec_t until = w->now_us + HEALED_US; w->now_us < until;) step(w);
}

/* --- the checker: of events alone, in the order of time --- */

/* NULL: nothing is wrong. */
static const char *check(const struct world *w)
{
    for (size_t i = 0; i < w->n_events; i++) {
        const struct event *e = &w->events[i];

        for (size_t k = 0; k < i; k++) {
            const struct event *was = &w->events[k];
            bool first = e->stamp.node == e->node + 1, was_first = was->stamp.node == was->node + 1;

            if (was->uid != e->uid) continue;
            if (was->node == e->node && was->id == e->id) return "done twice";
            if (was->node == e->node && stamp_cmp(&was->stamp, &e->stamp) >= 0)
                return "older than one done there";
            if (first && was_first && stamp_cmp(&was->stamp, &e->stamp) >= 0)
                return "decided behind a newer one";
        }
    }
    return NULL;
}

/* Whatever was decided is everywhere in the end. */
static void everywhere(const struct world *w, uint64_t seed)
{
    for (size_t i = 0; i < w->n; i++)
        if (w->nodes[i].acts.n_waits > 0)
            fail_msg("seed %llu: %zu acts still wait at node %zu", (unsigned long long)seed,
                w->nodes[i].acts.n_waits, i + 1);
    for (size_t i = 0; i < w->n_events; i++) {
        size_t at = 0;

        for (size_t k = 0; k < w->n_events; k++) at += w->events[k].id == w->events[i].id;
        if (at != w->n)
            fail_msg("seed %llu: act %llu was done by %zu of %zu", (unsigned long long)seed,
                (unsigned long long)w->events[i].id, at, w->n);
    }
}

static void acts_of(size_t n, uint64_t rounds, size_t *ret_asked, size_t *ret_done)
{
    struct world *w = NEW(struct world);

    for (uint64_t seed = 1; seed <= rounds; seed++) {
        const char *wrong;

        world_open(w, seed * 1000003 + n, n, PLANT_NONE);
        run(w);
        wrong = check(w);
        if (wrong) fail_msg("%zu nodes, seed %llu: %s", n, (unsigned long long)seed, wrong);
        everywhere(w, seed);
        *ret_asked += w->asked;
        *ret_done += w->done;
        world_close(w);
    }
    mem_free(w);
}

static void ten_thousand_acts(void **state)
{
    size_t asked = 0, done = 0;

    (void)state;
    acts_of(3, ROUNDS / 2, &asked, &done);
    acts_of(2, ROUNDS / 4, &asked, &done);
    acts_of(5, ROUNDS / 4 + 1, &asked, &done);
    print_message("%zu acts asked, %zu of them done\n", asked, done);
    assert_true(asked >= 10000);
    assert_true(done > asked / 4); /* the checker has something to look at */
}

/* With what protects taken away, the same faults make histories that it refuses. */
static void the_checker_finds(void **state)
{
    static const struct {
        const char *what;
        unsigned plant;
    } rows[] = {{"keepers that compare no stamps", PLANT_NO_FENCE | PLANT_NO_QUORUM},
        {"keepers that read no clock", PLANT_NO_CLOCK}, {"keepers that forget what is done", PLANT_TWICE},
        {"nodes that decide alone", PLANT_NO_QUORUM}};
    struct world *w = NEW(struct world);

    (void)state;
    for (size_t i = 0; i < ARRAY_N(rows); i++) {
        const char *wrong = NULL;

        for (uint64_t seed = 1; seed <= 200 && !wrong; seed++) {
            world_open(w, seed * 1000003 + 3, 3, rows[i].plant);
            run(w);
            wrong = check(w);
            world_close(w);
        }
        if (!wrong) fail_msg("it does not find %s", rows[i].what);
        print_message("%s: %s\n", rows[i].what, wrong);
    }
    mem_free(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ten_thousand_acts),
        cmocka_unit_test(the_checker_finds),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
