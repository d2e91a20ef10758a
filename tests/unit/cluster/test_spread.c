/* Streams' files on three nodes that hear each other or not: the newest push is everywhere in the end,
 * whoever was away; what a node refuses leaves its file; a file that was changed beside a push is overruled
 * by a newer one. */
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include "common/base/mem.h"
#include "master/cluster/spread.h"

#include <stdio.h>
#include <string.h>

#define N     3
#define UIDS  4
#define WORDS 4000

struct node {
    struct site *site;
    uint16_t id;
    struct spread spread;
    char files[UIDS][32]; /* "": there is none */
    uint64_t term;
    bool up;
    const char *why; /* a push that is agreed upon is not to be; NULL: it is */
    size_t decided, lost;
};
struct site {
    struct node nodes[N];
    bool cut[N][N];
    usec_t now_us;
    struct {
        size_t from, to;
        struct buf word;
    } words[WORDS];
    size_t first, n;
    uint64_t random;
};

static unsigned roll(struct site *s, unsigned n)
{
    s->random = s->random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (unsigned)(s->random >> 33) % n;
}

static char *file_of(struct node *n, const char *uid)
{
    return n->files[uid[3] - '0'];
}

static void etag_of(const char *text, char ret[static SPREAD_ETAG_MAX])
{
    ret[0] = 0;
    if (text[0]) snprintf(ret, SPREAD_ETAG_MAX, "%016llx", (unsigned long long)hash_fnv1a(span_of(text)));
}

static bool there(void *arg, uint16_t node)
{
    const struct node *n = arg;
    const struct site *s = n->site;

    return s->nodes[node - 1].up && !s->cut[n->id - 1][node - 1];
}

static void tell(void *arg, uint16_t node, struct span word)
{
    struct node *n = arg;
    struct site *s = n->site;

    assert_true(s->n < WORDS);
    s->words[s->n].from = n->id - 1;
    s->words[s->n].to = (size_t)node - 1;
    buf_init(&s->words[s->n].word, 65536);
    assert_true(buf_put(&s->words[s->n++].word, word));
}

static void tell_kept(void *arg, uint16_t node, struct span word)
{
    tell(arg, node, word);
}

static uint64_t next_term(void *arg, uint64_t above)
{
    struct node *n = arg;

    n->term = MAX(n->term, above) + 1;
    return n->term;
}

static bool look(void *arg, const char *uid, char ret_etag[static SPREAD_ETAG_MAX])
{
    etag_of(file_of(arg, uid), ret_etag);
    return true;
}

static bool read_text(void *arg, const char *uid, struct buf *ret)
{
    return buf_put(ret, span_of(file_of(arg, uid)));
}

/* "bad": refused, by node 3 alone. */
static void store(void *arg, const struct spread_file *f, struct span text)
{
    struct node *n = arg;
    char etag[SPREAD_ETAG_MAX];

    if (n->id == 3 && span_is(text, "bad")) {
        spread_stored(&n->spread, f->uid, &f->stamp, "", "line 3: no such key");
        return;
    }
    assert_true(span_copy(text.p ? text : SPAN_LIT(""), file_of(n, f->uid), sizeof(n->files[0])));
    etag_of(file_of(n, f->uid), etag);
    spread_stored(&n->spread, f->uid, &f->stamp, etag, NULL);
}

static void changed(void *arg)
{
    (void)arg;
}

static const char *agreed(void *arg, const struct spread_file *f)
{
    (void)f;
    return ((struct node *)arg)->why;
}

static void pushed(void *arg, const struct spread_file *f, const char *lost)
{
    struct node *n = arg;

    (void)f;
    if (lost)
        n->lost++;
    else
        n->decided++;
}

static const struct spread_ops ops = {
    tell, tell_kept, there, next_term, look, read_text, store, changed, agreed, pushed};

static void nodes_of(struct node *n)
{
    uint16_t others[N - 1];
    size_t k = 0;

    for (uint16_t i = 1; i <= N; i++)
        if (i != n->id) others[k++] = i;
    spread_nodes(&n->spread, others, k);
}

static struct site *site_open(void)
{
    struct site *s = NEW(struct site);

    s->now_us = 1000 * US_PER_S;
    for (size_t i = 0; i < N; i++) {
        struct node *n = &s->nodes[i];

        *n = (struct node){.site = s, .id = (uint16_t)(i + 1), .up = true};
        spread_init(&n->spread, &ops, n, n->id, i + 100);
        nodes_of(n);
    }
    return s;
}

static void site_close(struct site *s)
{
    for (size_t i = 0; i < N; i++) spread_done(&s->nodes[i].spread);
    for (size_t i = s->first; i < s->n; i++) buf_done(&s->words[i].word);
    mem_free(s);
}

static void run(struct site *s, usec_t us)
{
    for (usec_t until = s->now_us + us; s->now_us < until; s->now_us += US_PER_S) {
        for (size_t i = 0; i < N; i++)
            if (s->nodes[i].up) spread_tick(&s->nodes[i].spread, s->now_us);
        for (; s->first < s->n; s->first++) {
            struct node *to = &s->nodes[s->words[s->first].to];

            if (to->up && there(to, (uint16_t)(s->words[s->first].from + 1)))
                spread_heard(&to->spread, (uint16_t)(s->words[s->first].from + 1),
                    buf_span(&s->words[s->first].word), s->now_us);
            buf_done(&s->words[s->first].word);
        }
        s->first = s->n = 0;
    }
}

static void write_file(struct site *s, size_t node, const char *uid, const char *text)
{
    snprintf(file_of(&s->nodes[node - 1], uid), sizeof(s->nodes[0].files[0]), "%s", text);
}

static void push(struct site *s, size_t node, const char *uid, const char *text)
{
    write_file(s, node, uid, text);
    assert_true(
        spread_push(&s->nodes[node - 1].spread, uid, &(struct spread_how){.gone = !text[0]}, s->now_us));
}

static const struct spread_file *version(struct site *s, size_t node, const char *uid)
{
    return spread_file(&s->nodes[node - 1].spread, uid);
}

static void all_have(struct site *s, const char *uid, const char *text)
{
    for (size_t i = 0; i < N; i++) assert_string_equal(file_of(&s->nodes[i], uid), text);
}

static void a_push_is_everywhere(void **state)
{
    struct site *s = site_open();

    (void)state;
    push(s, 2, "cam0", "one");
    run(s, 5 * US_PER_S);
    all_have(s, "cam0", "one");
    assert_true(spread_settled(&s->nodes[1].spread, "cam0"));
    push(s, 1, "cam0", "two");
    run(s, 5 * US_PER_S);
    all_have(s, "cam0", "two");
    push(s, 3, "cam0", ""); /* and it goes */
    run(s, 5 * US_PER_S);
    all_have(s, "cam0", "");
    assert_true(spread_file(&s->nodes[0].spread, "cam0")->gone);
    /* there is nothing to push */
    assert_false(spread_push(&s->nodes[0].spread, "cam0", &(struct spread_how){.gone = false}, s->now_us));
    site_close(s);
}

static void who_was_away_catches_up(void **state)
{
    struct site *s = site_open();

    (void)state;
    push(s, 1, "cam0", "old");
    run(s, 5 * US_PER_S);
    s->nodes[2].up = false;
    push(s, 1, "cam0", "new");
    push(s, 2, "cam1", "more");
    run(s, 5 * US_PER_S);
    assert_string_equal(file_of(&s->nodes[2], "cam0"), "old");
    assert_true(spread_settled(&s->nodes[0].spread, "cam0")); /* nobody waits for who is not there */
    s->nodes[2].up = true;
    run(s, 15 * US_PER_S);
    all_have(s, "cam0", "new");
    all_have(s, "cam1", "more");
    site_close(s);
}

static void of_two_pushes_the_newer_counts(void **state)
{
    struct site *s = site_open();

    (void)state;
    push(s, 1, "cam0", "zero");
    run(s, 5 * US_PER_S);
    s->cut[0][1] = s->cut[1][0] = s->cut[1][2] = s->cut[2][1] = true;
    push(s, 2, "cam0", "of two"); /* alone: it never counts */
    push(s, 1, "cam0", "of one");
    push(s, 1, "cam0", "of one, again");
    run(s, 15 * US_PER_S);
    assert_int_equal(s->nodes[1].lost, 1);
    assert_non_null(strstr(spread_lost(&s->nodes[1].spread, "cam0"), "too few nodes"));
    assert_int_equal(s->nodes[0].decided, 2); /* the first of three, and the last */
    memset(s->cut, 0, sizeof(s->cut));
    run(s, 15 * US_PER_S);
    all_have(s, "cam0", "of one, again");
    write_file(s, 3, "cam0", "by hand"); /* a file that was never pushed counts for nothing */
    push(s, 1, "cam0", "last");
    run(s, 5 * US_PER_S);
    all_have(s, "cam0", "last");
    site_close(s);
}

static void what_is_refused_is_named(void **state)
{
    struct site *s = site_open();
    const struct spread_file *f;

    (void)state;
    push(s, 1, "cam0", "good");
    run(s, 5 * US_PER_S);
    push(s, 1, "cam0", "bad");
    run(s, 5 * US_PER_S);
    assert_string_equal(file_of(&s->nodes[1], "cam0"), "bad");
    assert_string_equal(file_of(&s->nodes[2], "cam0"), "good"); /* the last that it could use */
    f = spread_file(&s->nodes[0].spread, "cam0");
    assert_int_equal(f->why_node, 3);
    assert_string_equal(f->why, "line 3: no such key");
    assert_true(spread_settled(&s->nodes[0].spread, "cam0"));
    push(s, 2, "cam0", "better");
    run(s, 5 * US_PER_S);
    all_have(s, "cam0", "better");
    assert_int_equal(s->nodes[2].spread.fetching, 0);
    site_close(s);
}

static void versions_are_kept(void **state)
{
    struct site *s = site_open();
    struct node *n = &s->nodes[1];
    struct unpack *u = NULL;
    struct packer p;
    struct buf b;

    (void)state;
    push(s, 2, "cam0", "one");
    run(s, 2 * US_PER_S);
    buf_init(&b, 65536);
    p = packer_of(&b);
    spread_pack(&n->spread, &p);
    spread_done(&n->spread);
    spread_init(&n->spread, &ops, n, 2, 999);
    nodes_of(n);
    assert_int_equal(unpack_new(buf_span(&b), &u), 0);
    assert_true(spread_read(&n->spread, unpack_root(u)));
    run(s, 5 * US_PER_S);
    all_have(s, "cam0", "one");
    unpack_done(u);
    buf_done(&b);
    site_close(s);
}

/* Pushes, cuts and deaths at random: all the same in the end, and of the newest stamp. */
static void whatever_happens(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 100; seed++) {
        struct site *s = site_open();

        s->random = seed;
        for (int i = 0; i < 60; i++) {
            size_t a = roll(s, N), b = roll(s, N);
            char uid[8], text[16];

            snprintf(uid, sizeof(uid), "cam%u", roll(s, UIDS));
            snprintf(text, sizeof(text), "%llu/%d", (unsigned long long)seed, i);
            if (roll(s, 3) > 0 && s->nodes[a].up)
                push(s, a + 1, uid, text);
            else if (roll(s, 2))
                s->cut[a][b] = a != b && !s->cut[a][b];
            else
                s->nodes[a].up = !s->nodes[a].up;
            run(s, (1 + roll(s, 20)) * US_PER_S);
        }
        memset(s->cut, 0, sizeof(s->cut));
        for (size_t i = 0; i < N; i++) s->nodes[i].up = true;
        run(s, 60 * US_PER_S);
        for (int u = 0; u < UIDS; u++) {
            char uid[16];

            snprintf(uid, sizeof(uid), "cam%d", u);
            for (size_t k = 1; version(s, 1, uid) && version(s, 1, uid)->stamp.term > 0 && k < N; k++)
                assert_int_equal(stamp_cmp(&version(s, 1, uid)->stamp, &version(s, k + 1, uid)->stamp), 0);
            push(s, 1, uid, "last");
            run(s, 20 * US_PER_S);
            all_have(s, uid, "last");
        }
        site_close(s);
    }
}

/* What was begun before another one was decided does not undo it. */
static void a_base_is_held_against_what_came(void **state)
{
    struct site *s = site_open();
    struct spread_how how = {.keep = true};

    (void)state;
    push(s, 1, "cam0", "first");
    run(s, 5 * US_PER_S);
    how.base = version(s, 1, "cam0")->stamp;
    s->cut[0][1] = s->cut[1][0] = s->cut[0][2] = s->cut[2][0] = true; /* the first node is away */
    push(s, 2, "cam0", "second");
    run(s, 5 * US_PER_S);
    write_file(s, 1, "cam0", "late");
    s->nodes[0].term = 1000; /* a high term helps nobody */
    assert_true(spread_push(&s->nodes[0].spread, "cam0", &how, s->now_us));
    run(s, 60 * US_PER_S);
    assert_true(spread_pushing(&s->nodes[0].spread, "cam0")); /* it is kept */
    memset(s->cut, 0, sizeof(s->cut));
    run(s, 30 * US_PER_S);
    assert_false(spread_pushing(&s->nodes[0].spread, "cam0"));
    assert_non_null(strstr(spread_lost(&s->nodes[0].spread, "cam0"), "node 2 has pushed"));
    all_have(s, "cam0", "second");
    push(s, 1, "cam0", "third"); /* asked for now, it may */
    run(s, 15 * US_PER_S);
    all_have(s, "cam0", "third");
    site_close(s);
}

/* Asked, with one node there: it goes on behind a restart, and when a second one is there it is decided. */
static void a_push_goes_on_after_a_restart(void **state)
{
    struct site *s = site_open();
    struct node *n = &s->nodes[0];
    struct unpack *u = NULL;
    struct packer p;
    struct buf b;

    (void)state;
    s->nodes[1].up = s->nodes[2].up = false;
    write_file(s, 1, "cam0", "mine");
    assert_true(spread_push(&n->spread, "cam0", &(struct spread_how){.keep = true}, s->now_us));
    run(s, 15 * US_PER_S);
    buf_init(&b, 65536);
    p = packer_of(&b);
    spread_pack(&n->spread, &p);
    spread_done(&n->spread);
    spread_init(&n->spread, &ops, n, 1, 999);
    nodes_of(n);
    assert_int_equal(unpack_new(buf_span(&b), &u), 0);
    assert_true(spread_read(&n->spread, unpack_root(u)));
    assert_true(spread_pushing(&n->spread, "cam0"));
    s->nodes[2].up = true;
    run(s, 30 * US_PER_S);
    assert_string_equal(file_of(&s->nodes[2], "cam0"), "mine");
    unpack_done(u);
    buf_done(&b);
    site_close(s);
}

/* Who has lost what it had promised lets no push be decided that needs it, and takes what the others push. */
static void who_is_mute_takes_and_promises_nothing(void **state)
{
    struct site *s = site_open();
    struct spread *mute = &s->nodes[0].spread;

    (void)state;
    spread_mute(mute, true);
    write_file(s, 1, "cam0", "mine");
    assert_false(spread_push(mute, "cam0", &(struct spread_how){.keep = true}, s->now_us));
    push(s, 2, "cam0", "one");
    run(s, 5 * US_PER_S);
    all_have(s, "cam0", "one");
    s->nodes[2].up = false;
    push(s, 2, "cam0", "two");
    run(s, 15 * US_PER_S);
    assert_string_equal(file_of(&s->nodes[0], "cam0"), "one"); /* it is not decided */
    spread_mute(mute, false);
    push(s, 2, "cam0", "three");
    run(s, 5 * US_PER_S);
    assert_string_equal(file_of(&s->nodes[0], "cam0"), "three");
    site_close(s);
}

static void what_cannot_be_made_is_not_pushed(void **state)
{
    struct site *s = site_open();

    (void)state;
    s->nodes[0].why = "it cannot be changed";
    push(s, 1, "cam0", "one");
    run(s, 5 * US_PER_S);
    assert_string_equal(spread_lost(&s->nodes[0].spread, "cam0"), "it cannot be changed");
    assert_int_equal(version(s, 1, "cam0")->stamp.term, 0);
    site_close(s);
}

static void nonsense_changes_nothing(void **state)
{
    static const char *const words[] = {"", "\xc0", "\x82\xa1v\x01\xa4kind\x09",
        "\x83\xa1v\x01\xa4kind\x01\xa4rows\x91\xc0", "\x82\xa1v\x01\xa4kind\x04",
        ("\x83\xa1v\x01\xa4kind\x06\xa4rows\x91\x93\xa4"
         "cam0\x93\x05\x03\x01\xc0"), /* of node 3, by 2 */
        "\x83\xa1v\x01\xa4kind\x07\xa4rows\x91\xc0"};
    struct site *s = site_open();

    (void)state;
    for (size_t i = 0; i < ARRAY_N(words); i++)
        spread_heard(&s->nodes[0].spread, 2, span_of(words[i]), s->now_us);
    spread_heard(&s->nodes[0].spread, 77, span_of(words[1]), s->now_us);
    assert_null(spread_file(&s->nodes[0].spread, "cam0"));
    site_close(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_push_is_everywhere),
        cmocka_unit_test(who_was_away_catches_up),
        cmocka_unit_test(of_two_pushes_the_newer_counts),
        cmocka_unit_test(what_is_refused_is_named),
        cmocka_unit_test(versions_are_kept),
        cmocka_unit_test(whatever_happens),
        cmocka_unit_test(a_base_is_held_against_what_came),
        cmocka_unit_test(a_push_goes_on_after_a_restart),
        cmocka_unit_test(what_cannot_be_made_is_not_pushed),
        cmocka_unit_test(who_is_mute_takes_and_promises_nothing),
        cmocka_unit_test(nonsense_changes_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
