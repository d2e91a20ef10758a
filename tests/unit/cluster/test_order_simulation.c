/* master/cluster/spread: changes of ownership (who is to have a stream) that people ask for, on nodes that
 * are cut off, stopped, killed, and whose clocks leap, in simulated time; more than 10,000. A change is a
 * push of the stream's file; a transfer is two: the second one, long after, replaces nothing but the first. A
 * history is written of what was decided and what each node took, and a checker looks for an old one that was
 * carried out. The checker is shown to find planted faults. The seed of a failure is printed. */
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include "common/base/mem.h"
#include "master/cluster/spread_impl.h"

#include <stdio.h>
#include <string.h>

#define N_MAX     5
#define UIDS      3
#define STEP_US   (100 * US_PER_MS)
#define QUEUE     20000
#define HISTORY   20000
#define LATER     200
#define ROUNDS    130 /* seeds */
#define ASKED     80  /* changes of each: more than 10,000 in all, and the second ones of transfers */
#define HEALED_US (120 * US_PER_S)

/* Faults that are planted. */
enum plant {
    PLANT_NONE = 0,
    PLANT_EARLY = 1,  /* nodes say what they have promised before it is durable */
    PLANT_FORGET = 2, /* a restart has nothing of what was before */
    PLANT_NO_BASE = 4,
    PLANT_ALONE = 8 /* whoever asks is told that all have promised */
};

struct event {
    usec_t at_us, asked_us; /* asked_us 0: taken by a node that was told */
    size_t node, uid;
    struct stamp stamp, base; /* base: of the second push of a transfer */
    unsigned act;
};
struct letter {
    usec_t at_us;
    size_t from, to;
    struct buf word;
};
/* A transfer of which the first push is decided. */
struct moving {
    struct stamp order; /* term 0: there is none */
    usec_t settle_us;
};
struct world;
struct sim_node {
    struct world *w;
    size_t i;
    struct spread spread;
    bool up, frozen, unsaved;
    usec_t leap_us; /* of its clock */
    uint64_t boot, top;
    struct letter later[LATER]; /* at_us: when it is durable; 0: not written yet */
    size_t n_later;
    struct buf writing; /* reaches the disk at written_us; 0: nothing is being written */
    usec_t written_us;
    struct coming { /* a file that is to be stored: at_us as above */
        usec_t at_us;
        struct stamp stamp;
        size_t uid;
        unsigned act;
    } coming[LATER];
    size_t n_coming;
    unsigned asks[UIDS]; /* what the push that is under way is to put into the file */
    usec_t asked_us[UIDS];
    bool moves[UIDS]; /* it is the first of a transfer */
    /* what outlives it */
    struct buf disk;
    unsigned files[UIDS]; /* the act that the file is of; 0: it is as it came */
    struct moving moving[UIDS];
};
struct world {
    size_t n;
    struct sim_node nodes[N_MAX];
    bool cut[N_MAX][N_MAX];
    usec_t now_us;
    uint64_t random, boots;
    unsigned plant, acts;
    bool calm;
    struct letter *letters;
    size_t n_letters;
    struct event *events;
    size_t n_events, asked, decided, lost;
};

static unsigned roll(struct world *w, unsigned n)
{
    w->random = w->random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (unsigned)(w->random >> 33) % n;
}

static usec_t clock_of(const struct sim_node *n)
{
    return n->w->now_us + n->leap_us;
}

static size_t index_of(const char *uid)
{
    return (size_t)(uid[3] - '0');
}

static const char *uid_of(size_t u)
{
    static const char *const uids[UIDS] = {"cam0", "cam1", "cam2"};

    return uids[u];
}

static void note(struct sim_node *n, const char *uid, struct stamp stamp, bool decided)
{
    struct world *w = n->w;
    size_t u = index_of(uid);

    assert_true(w->n_events < HISTORY);
    w->events[w->n_events++] = (struct event){.at_us = w->now_us,
        .asked_us = decided ? n->asked_us[u] : 0,
        .node = n->i,
        .uid = u,
        .stamp = stamp,
        .act = n->files[u]};
}

/* --- what it calls --- */

static void post(struct world *w, size_t from, size_t to, struct span word)
{
    struct letter *l = &w->letters[w->n_letters++];

    assert_true(w->n_letters < QUEUE);
    /* most arrive at once, some after seconds in a queue */
    *l = (struct letter){
        .from = from, .to = to, .at_us = w->now_us + 1000 + roll(w, roll(w, 50) == 0 ? 9000000 : 30000)};
    buf_init(&l->word, 65536);
    assert_true(buf_put(&l->word, word));
}

static void sim_tell(void *arg, uint16_t node, struct span word)
{
    struct sim_node *n = arg;

    post(n->w, n->i, (size_t)node - 1, word);
}

/* As if it had promised all that it is asked. */
static void forge(struct world *w, size_t to, size_t by, struct span word)
{
    struct unpack *u = NULL;
    const struct packed *rows;
    struct stamp stamp;
    struct packer p;
    struct buf b;

    assert_int_equal(unpack_new(word, &u), 0);
    rows = packed_get(unpack_root(u), "rows");
    buf_init(&b, 65536);
    p = packer_of(&b);
    pack_map(&p, 3);
    pack_kv_u64(&p, "v", 1);
    pack_kv_u64(&p, "kind", SPREAD_PROMISED);
    pack_key(&p, "rows");
    pack_array(&p, (uint32_t)packed_n(rows));
    for (size_t i = 0; i < packed_n(rows); i++) {
        assert_true(stamp_read(packed_at(packed_at(rows, i), 1), &stamp));
        pack_array(&p, 3);
        pack_str(&p, packed_as_str(packed_at(packed_at(rows, i), 0)));
        stamp_pack(&p, &stamp);
        stamp_pack(&p, &stamp);
    }
    post(w, by, to, buf_span(&b));
    buf_done(&b);
    unpack_done(u);
}

static bool is_promise(struct span word)
{
    struct unpack *u = NULL;
    bool is = unpack_new(word, &u) == 0 && packed_u64(unpack_root(u), "kind", 0) == SPREAD_PROMISE;

    unpack_done(u);
    return is;
}

static void sim_tell_kept(void *arg, uint16_t node, struct span word)
{
    struct sim_node *n = arg;
    struct letter *l = &n->later[n->n_later];

    if ((n->w->plant & PLANT_ALONE) && is_promise(word)) {
        forge(n->w, n->i, (size_t)node - 1, word);
        return;
    }
    if (n->w->plant & PLANT_EARLY) {
        post(n->w, n->i, (size_t)node - 1, word);
        return;
    }
    if (n->n_later == LATER) return; /* it is asked for again */
    n->n_later++;
    *l = (struct letter){.from = n->i, .to = (size_t)node - 1};
    buf_init(&l->word, 65536);
    assert_true(buf_put(&l->word, word));
    n->unsaved = true;
}

static bool sim_there(void *arg, uint16_t node)
{
    const struct sim_node *n = arg;
    size_t k = (size_t)node - 1;

    return n->w->nodes[k].up && !n->w->cut[n->i][k];
}

static uint64_t sim_term(void *arg, uint64_t above)
{
    struct sim_node *n = arg;

    n->top = MAX(n->top, above) + 1;
    return n->top;
}

static bool sim_look(void *arg, const char *uid, char ret_etag[static SPREAD_ETAG_MAX])
{
    const struct sim_node *n = arg;

    snprintf(ret_etag, SPREAD_ETAG_MAX, "%016x", n->files[index_of(uid)]);
    return true;
}

static bool sim_read(void *arg, const char *uid, struct buf *ret)
{
    const struct sim_node *n = arg;
    char text[16];

    snprintf(text, sizeof(text), "%u", n->files[index_of(uid)]);
    return buf_put(ret, span_of(text));
}

static void sim_store(void *arg, const struct spread_file *f, struct span text)
{
    struct sim_node *n = arg;
    uint64_t act;

    assert_true(span_u64(text, UINT32_MAX, &act));
    if (n->n_coming == LATER) return; /* it comes again */
    n->coming[n->n_coming++] =
        (struct coming){.stamp = f->stamp, .uid = index_of(f->uid), .act = (unsigned)act};
    n->unsaved = true;
}

/* As files.c does it. */
static void take(struct sim_node *n, const struct coming *c)
{
    const char *uid = uid_of(c->uid);
    const struct spread_file *f = spread_file(&n->spread, uid);
    char etag[SPREAD_ETAG_MAX];

    if (stamp_cmp(&f->wanted, &c->stamp) != 0 || spread_pushing(&n->spread, uid)) return;
    n->files[c->uid] = c->act;
    sim_look(n, uid, etag);
    spread_stored(&n->spread, uid, &c->stamp, etag, NULL);
    note(n, uid, c->stamp, false);
}

static void sim_changed(void *arg)
{
    ((struct sim_node *)arg)->unsaved = true;
}

static const char *sim_agreed(void *arg, const struct spread_file *f)
{
    struct sim_node *n = arg;

    n->files[index_of(f->uid)] = n->asks[index_of(f->uid)];
    return NULL;
}

static void sim_pushed(void *arg, const struct spread_file *f, const char *lost)
{
    struct sim_node *n = arg;
    struct world *w = n->w;
    size_t u = index_of(f->uid);

    if (lost) {
        w->lost++;
        return;
    }
    w->decided++;
    note(n, f->uid, f->decided, true);
    w->events[w->n_events - 1].act = n->asks[u];
    w->events[w->n_events - 1].base = n->moving[u].settle_us == -1 ? n->moving[u].order : (struct stamp){0};
    n->moving[u] = (struct moving){.settle_us = 0};
    if (n->moves[u]) n->moving[u] = (struct moving){f->decided, clock_of(n) + US_PER_S + roll(w, 60000000)};
    n->moves[u] = false;
}

static const struct spread_ops ops = {sim_tell, sim_tell_kept, sim_there, sim_term, sim_look, sim_read,
    sim_store, sim_changed, sim_agreed, sim_pushed};

/* --- a node --- */

static void start(struct sim_node *n)
{
    struct unpack *u = NULL;
    uint16_t others[N_MAX];
    size_t k = 0;

    n->up = true;
    n->frozen = n->unsaved = false;
    n->boot = ++n->w->boots;
    spread_init(&n->spread, &ops, n, (uint16_t)(n->i + 1), n->boot);
    for (size_t i = 0; i < n->w->n; i++)
        if (i != n->i) others[k++] = (uint16_t)(i + 1);
    spread_nodes(&n->spread, others, k);
    if (buf_n(&n->disk) > 0 && !(n->w->plant & PLANT_FORGET)) {
        assert_int_equal(unpack_new(buf_span(&n->disk), &u), 0);
        assert_true(spread_read(&n->spread, unpack_root(u)));
        unpack_done(u);
    }
    for (size_t i = 0; i < UIDS; i++) /* a second push that had not begun is given up */
        if (n->moving[i].settle_us == -1 && !spread_pushing(&n->spread, uid_of(i)))
            n->moving[i] = (struct moving){.settle_us = 0};
}

static void halt(struct sim_node *n)
{
    spread_done(&n->spread);
    while (n->n_later > 0) buf_done(&n->later[--n->n_later].word);
    n->n_coming = 0;
    buf_done(&n->writing);
    n->written_us = 0;
    n->up = false;
}

static void write_begin(struct sim_node *n)
{
    struct packer p;

    if (!n->unsaved || n->written_us > 0) return;
    n->unsaved = false;
    buf_init(&n->writing, 1 << 20);
    p = packer_of(&n->writing);
    spread_pack(&n->spread, &p);
    assert_false(p.bad);
    n->written_us = n->w->now_us + 1000 + roll(n->w, roll(n->w, 30) == 0 ? 4000000 : 200000);
    for (size_t i = 0; i < n->n_later; i++)
        if (n->later[i].at_us == 0) n->later[i].at_us = n->written_us;
    for (size_t i = 0; i < n->n_coming; i++)
        if (n->coming[i].at_us == 0) n->coming[i].at_us = n->written_us;
}

static void write_end(struct sim_node *n)
{
    size_t left = 0;

    if (n->written_us == 0 || n->w->now_us < n->written_us) return;
    buf_done(&n->disk);
    n->disk = n->writing;
    buf_init(&n->writing, 1 << 20);
    n->written_us = 0;
    for (size_t i = 0; i < n->n_later; i++) {
        if (n->later[i].at_us == 0) {
            n->later[left++] = n->later[i];
            continue;
        }
        post(n->w, n->i, n->later[i].to, buf_span(&n->later[i].word));
        buf_done(&n->later[i].word);
    }
    n->n_later = left;
}

static void take_ready(struct sim_node *n)
{
    size_t left = 0;

    for (size_t i = 0; i < n->n_coming; i++) {
        const struct coming c = n->coming[i];

        if (c.at_us == 0 || c.at_us > n->w->now_us || c.at_us == n->written_us)
            n->coming[left++] = c;
        else
            take(n, &c);
    }
    n->n_coming = left;
}

/* A new order of the stream, asked of this node. */
static void push(struct sim_node *n, size_t u, struct stamp base)
{
    struct world *w = n->w;
    struct spread_how how = {.base = w->plant & PLANT_NO_BASE ? (struct stamp){.term = 0} : base};

    n->asks[u] = ++w->acts;
    n->asked_us[u] = w->now_us;
    w->asked++;
    assert_true(spread_push(&n->spread, uid_of(u), &how, clock_of(n)));
}

/* The second pushes of transfers, however late. */
static void settle(struct sim_node *n)
{
    for (size_t u = 0; u < UIDS; u++) {
        struct moving *m = &n->moving[u];

        if (m->order.term == 0 || m->settle_us == -1 || clock_of(n) < m->settle_us ||
            spread_pushing(&n->spread, uid_of(u)))
            continue;
        m->settle_us = -1; /* asked: once */
        n->moves[u] = false;
        push(n, u, m->order);
    }
}

static void deliver(struct world *w, struct letter l)
{
    struct sim_node *n = &w->nodes[l.to];

    if (n->up && !w->cut[l.to][l.from])
        spread_heard(&n->spread, (uint16_t)(l.from + 1), buf_span(&l.word), clock_of(n));
    buf_done(&l.word);
}

static void step(struct world *w)
{
    w->now_us += STEP_US;
    for (size_t i = 0; i < w->n_letters;) {
        struct letter l = w->letters[i];

        if (l.at_us > w->now_us || (w->nodes[l.to].up && w->nodes[l.to].frozen)) {
            i++;
            continue;
        }
        w->letters[i] = w->letters[--w->n_letters];
        deliver(w, l);
    }
    for (size_t i = 0; i < w->n; i++) {
        struct sim_node *n = &w->nodes[i];

        if (!n->up) continue;
        write_end(n); /* the disk goes on while a process is stopped; what it waits for is said later */
        if (n->frozen) continue;
        take_ready(n);
        if (w->now_us % (200 * US_PER_MS) == 0) {
            spread_tick(&n->spread, clock_of(n));
            settle(n);
        }
        write_begin(n);
    }
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
    case 5: n->leap_us += roll(w, 3600) * US_PER_S; break;
    default: break;
    }
    w->cut[a][a] = w->cut[b][b] = false;
}

static void ask(struct world *w)
{
    struct sim_node *n = &w->nodes[roll(w, (unsigned)w->n)];
    size_t u = roll(w, UIDS);

    if (!n->up || n->frozen || spread_pushing(&n->spread, uid_of(u))) return;
    n->moves[u] = roll(w, 2) == 0;
    n->moving[u] = (struct moving){.settle_us = 0};
    push(n, u, (struct stamp){.term = 0});
}

static void heal(struct world *w)
{
    memset(w->cut, 0, sizeof(w->cut));
    for (size_t i = 0; i < w->n; i++) {
        w->nodes[i].frozen = false;
        if (!w->nodes[i].up) start(&w->nodes[i]);
    }
}

static void world_open(struct world *w, uint64_t seed, size_t n, unsigned plant)
{
    *w = (struct world){.random = seed, .n = n, .now_us = 100 * US_PER_S, .plant = plant};
    w->letters = mem_renew(NULL, QUEUE * sizeof(*w->letters));
    w->events = mem_renew(NULL, HISTORY * sizeof(*w->events));
    for (size_t i = 0; i < n; i++) {
        w->nodes[i] = (struct sim_node){.w = w, .i = i};
        start(&w->nodes[i]);
    }
}

static void world_close(struct world *w)
{
    for (size_t i = 0; i < w->n; i++) {
        if (w->nodes[i].up) halt(&w->nodes[i]);
        buf_done(&w->nodes[i].disk);
    }
    for (size_t i = 0; i < w->n_letters; i++) buf_done(&w->letters[i].word);
    mem_free(w->letters);
    mem_free(w->events);
}

static void run(struct world *w)
{
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

static const char *compare(const struct event *was, const struct event *e)
{
    /* before a restart, and behind it: what was decided may be so again, as it was */
    bool same = was->act == e->act && was->node == e->node && stamp_cmp(&was->stamp, &e->stamp) == 0;

    if (was->uid != e->uid || same) return NULL;
    /* what is decided is said a moment later: a newer one may have been taken meanwhile */
    if (was->node == e->node && e->asked_us == 0 && stamp_cmp(&was->stamp, &e->stamp) >= 0)
        return "older than what was there";
    if (was->asked_us == 0 || e->asked_us == 0) return NULL;
    if (was->act == e->act) return "decided twice";
    if (was->at_us < e->asked_us && stamp_cmp(&was->stamp, &e->stamp) >= 0)
        return "decided behind a newer one";
    if (e->base.term > 0 && stamp_cmp(&was->stamp, &e->base) > 0 && stamp_cmp(&was->stamp, &e->stamp) < 0)
        return "undoes what was decided since it began";
    return NULL;
}

/* NULL: nothing is wrong. */
static const char *check(const struct world *w)
{
    for (size_t i = 0; i < w->n_events; i++)
        for (size_t k = 0; k < w->n_events; k++) {
            const char *wrong = NULL;

            if (k < i)
                wrong = compare(&w->events[k], &w->events[i]);
            else if (k > i && w->events[i].base.term > 0 && w->events[k].node != w->events[i].node)
                wrong = compare(&w->events[k], &w->events[i]);
            if (wrong) return wrong;
        }
    return NULL;
}

/* In the end all have the same, and it is the newest that was decided. */
static void everywhere(struct world *w, uint64_t seed)
{
    for (size_t u = 0; u < UIDS; u++) {
        struct stamp top = {.term = 0};

        for (size_t i = 0; i < w->n_events; i++)
            if (w->events[i].uid == u && w->events[i].asked_us > 0 &&
                stamp_cmp(&w->events[i].stamp, &top) > 0)
                top = w->events[i].stamp;
        for (size_t i = 0; i < w->n && top.term > 0; i++) {
            const struct spread_file *f = spread_file(&w->nodes[i].spread, uid_of(u));

            /* newer, where who has decided it was killed before he could say so */
            if (!f || stamp_cmp(&f->stamp, &top) < 0 || w->nodes[i].files[u] != w->nodes[0].files[u] ||
                stamp_cmp(&f->stamp, &spread_file(&w->nodes[0].spread, uid_of(u))->stamp) != 0)
                fail_msg(
                    "seed %llu: node %zu has not the last that was decided", (unsigned long long)seed, i + 1);
        }
    }
}

static void changes_of(size_t n, uint64_t rounds, struct world *total)
{
    struct world *w = NEW(struct world);

    for (uint64_t seed = 1; seed <= rounds; seed++) {
        const char *wrong;

        world_open(w, seed * 1000003 + n, n, PLANT_NONE);
        run(w);
        wrong = check(w);
        if (wrong) fail_msg("%zu nodes, seed %llu: %s", n, (unsigned long long)seed, wrong);
        everywhere(w, seed);
        total->asked += w->asked;
        total->decided += w->decided;
        total->lost += w->lost;
        world_close(w);
    }
    mem_free(w);
}

static void ten_thousand_changes(void **state)
{
    struct world *total = NEW(struct world);

    (void)state;
    changes_of(3, ROUNDS / 2, total);
    changes_of(2, ROUNDS / 4, total);
    changes_of(5, ROUNDS / 4 + 1, total);
    print_message("%zu changes of ownership asked, %zu decided, %zu refused: none with an old epoch\n",
        total->asked, total->decided, total->lost);
    assert_true(total->asked >= 10000);
    assert_true(total->decided > total->asked / 4); /* the checker has something to look at */
    assert_true(total->lost > 100);
    mem_free(total);
}

/* With what protects taken away, the same faults make histories that it refuses. */
static void the_checker_finds(void **state)
{
    static const struct {
        const char *what;
        unsigned plant;
    } rows[] = {{"promises that are not durable", PLANT_EARLY},
        {"nodes that forget what they had", PLANT_FORGET},
        {"transfers that go on, whatever was decided since", PLANT_NO_BASE},
        {"nodes that decide alone", PLANT_ALONE}};
    struct world *w = NEW(struct world);

    (void)state;
    for (size_t i = 0; i < ARRAY_N(rows); i++) {
        const char *wrong = NULL;

        for (uint64_t seed = 1; seed <= 300 && !wrong; seed++) {
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
        cmocka_unit_test(ten_thousand_changes),
        cmocka_unit_test(the_checker_finds),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
