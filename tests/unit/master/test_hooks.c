/* master/hooks: what is queued, what goes when there is too much, what is sent and when again. httpd is a
 * socket of this test. */
#include "master/hooks.h"
#include "common/base/mem.h"
#include "common/wire/crypto.h"
#include "master/master.h"

#include <setjmp.h>
#include <stdarg.h>
#include <sys/socket.h>
#include <cmocka.h>

#define WAIT_US (60 * US_PER_S)
#define SECRET  "the key # of it"

struct batch {
    uint64_t id;
    unsigned events;
    char url[64], signature[80], body[65536];
};
struct world {
    struct master m;
    struct conf conf;
    struct channel *httpd; /* its end */
    struct batch got;
    char name[8];
    unsigned n, want, told;
    struct loop_timer late;
};

static unsigned count(const char *text, const char *word)
{
    unsigned n = 0;

    for (const char *at = text; (at = strstr(at, word)) != NULL; at++) n++;
    return n;
}

static int on_message(struct channel *ch, struct incoming *in)
{
    struct world *w = channel_arg(ch);

    if (in->type == MSG_HAPPENED) { /* told as it happens, whoever hears of it by webhook */
        w->told++;
        return 0;
    }
    assert_int_equal(in->type, MSG_HOOKS);
    w->got.id = packed_u64(in->body, "id", 0);
    assert_true(packed_text(in->body, "url", w->got.url, sizeof(w->got.url)) &&
        packed_text(in->body, "signature", w->got.signature, sizeof(w->got.signature)) &&
        packed_text(in->body, "body", w->got.body, sizeof(w->got.body)));
    w->got.events = count(w->got.body, "\"event\":");
    if (++w->n == w->want) loop_break(w->m.loop);
    return 0;
}

static void on_close(struct channel *ch, int err)
{
    (void)ch;
    fail_msg("closed: %d", err);
}

static const struct channel_ops ops = {.on_message = on_message, .on_close = on_close};

static int setup(void **state)
{
    struct world *w = NEW(struct world);
    struct proc *proc = &w->m.services.v[SERVICE_HTTPD].proc;
    int sv[2];

    w->m.loop = loop_new();
    w->m.conf = &w->conf;
    w->conf.server.cluster_controller = secret_of(SPAN_LIT("http://a/hook"));
    w->conf.server.cluster_controller_secret = secret_of(SPAN_LIT(SECRET));
    snprintf(w->name, sizeof(w->name), "n7");
    w->conf.server.node_host = w->name;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, sv), 0);
    w->httpd = channel_new(w->m.loop, sv[0], ROLE_HTTPD, ROLE_MASTER, &ops, w);
    proc->ch = channel_new(w->m.loop, sv[1], ROLE_MASTER, ROLE_HTTPD, &ops, w);
    proc->state = PROC_RUNNING;
    *state = w;
    return 0;
}

static int teardown(void **state)
{
    struct world *w = *state;

    hooks_done(&w->m);
    loop_timer_stop(&w->late);
    channel_free(w->httpd);
    channel_free(w->m.services.v[SERVICE_HTTPD].proc.ch);
    loop_free(w->m.loop);
    secret_done(&w->conf.server.cluster_controller);
    secret_done(&w->conf.server.cluster_controller_secret);
    mem_free(w);
    return 0;
}

static void too_late(struct loop_timer *t)
{
    (void)t;
    fail_msg("nothing comes");
}

/* So many batches in all. */
static void wait_for(struct world *w, unsigned n)
{
    if (w->n >= n) return;
    w->want = n;
    loop_timer_set(w->m.loop, &w->late, WAIT_US, too_late, w);
    loop_run(w->m.loop);
    loop_timer_stop(&w->late);
}

static void say(struct world *w, unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        hooks_say(&w->m, "stream:state", (const struct hooks_pair[]){{"uid", "cam"}, {"state", "down"}}, 2);
}

/* What httpd says of a batch. */
static void done(struct world *w, uint64_t id, unsigned status)
{
    struct unpack *u;
    struct packer p;
    struct buf b;

    buf_init(&b, 1024);
    p = packer_of(&b);
    pack_map(&p, 3);
    pack_kv_u64(&p, "id", id);
    pack_kv_u64(&p, "status", status);
    pack_kv_text(&p, "why", "because");
    assert_int_equal(unpack_new(buf_span(&b), &u), 0);
    hooks_on_done(&w->m, unpack_root(u));
    unpack_done(u);
    buf_done(&b);
}

static void batches(void **state)
{
    struct world *w = *state;
    struct span body;
    uint8_t mac[CRYPTO_SHA256_N];
    char hex[3];

    say(w, 2 * HOOKS_BATCH_MAX + 7);
    hooks_tick(&w->m, US_PER_S);
    wait_for(w, 1);
    assert_int_equal(w->got.id, HOOKS_BATCH_MAX);
    assert_int_equal(w->got.events, HOOKS_BATCH_MAX);
    assert_string_equal(w->got.url, "http://a/hook");
    assert_non_null(strstr(w->got.body, "\"server\":\"n7\""));
    body = span_of(w->got.body);
    crypto_hmac_sha256(SPAN_LIT(SECRET), &body, 1, mac);
    snprintf(hex, sizeof(hex), "%02x", mac[0]);
    assert_memory_equal(w->got.signature, hex, 2);
    assert_int_equal(strlen(w->got.signature), 2 * CRYPTO_SHA256_N);
    hooks_tick(&w->m, 2 * US_PER_S);   /* one at a time */
    done(w, HOOKS_BATCH_MAX - 1, 200); /* of another one */
    assert_int_equal(w->m.hooks.n, 2 * HOOKS_BATCH_MAX + 7);
    done(w, HOOKS_BATCH_MAX, 200);
    wait_for(w, 2);
    assert_int_equal(w->got.id, 2 * HOOKS_BATCH_MAX);
    done(w, 2 * HOOKS_BATCH_MAX, 204);
    wait_for(w, 3);
    assert_int_equal(w->got.events, 7);
    done(w, 2 * HOOKS_BATCH_MAX + 7, 200);
    assert_int_equal(w->m.hooks.n, 0);
    assert_int_equal(w->m.hooks.delivered, 2 * HOOKS_BATCH_MAX + 7);
}

/* Events of the longest data: fewer of them in a request than of short ones. */
static void batches_by_bytes(void **state)
{
    struct world *w = *state;
    char *data = mem_new(HOOKS_DATA_MAX);

    memset(data, 'x', HOOKS_DATA_MAX);
    memcpy(data, "{\"a\":\"", 6);
    memcpy(data + HOOKS_DATA_MAX - 2, "\"}", 2);
    for (int i = 0; i < 20; i++) hooks_say_json(&w->m, "camera:event", span(data, HOOKS_DATA_MAX));
    mem_free(data);
    assert_int_equal(w->m.hooks.n, 20);
    hooks_flush(&w->m);
    wait_for(w, 1);
    assert_in_range(w->got.events, 5, HOOKS_BATCH_BYTES / HOOKS_DATA_MAX);
    assert_in_range(strlen(w->got.body), HOOKS_BATCH_BYTES / 2, HOOKS_BATCH_BYTES + 2);
}

/* An event that is longer than it may be is none, and costs no number. */
static void too_long(void **state)
{
    struct world *w = *state;
    char *data = mem_new(HOOKS_DATA_MAX + 2048);

    memset(data, 'x', HOOKS_DATA_MAX + 2048);
    hooks_say_json(&w->m, "camera:event", span(data, HOOKS_DATA_MAX + 2048));
    data[HOOKS_DATA_MAX] = '\0';
    hooks_say(&w->m, "camera:event", (const struct hooks_pair[]){{"uid", data}}, 1);
    mem_free(data);
    assert_int_equal(w->m.hooks.n, 0);
    say(w, 1);
    assert_int_equal(w->m.hooks.seq, 1);
}

/* The oldest go, and are counted; what was on its way meanwhile is counted once, as what became of it. */
static void overflow(void **state)
{
    struct world *w = *state;

    say(w, HOOKS_BATCH_MAX);
    hooks_tick(&w->m, US_PER_S);
    wait_for(w, 1);
    say(w, HOOKS_QUEUE_MAX);
    assert_int_equal(w->m.hooks.n, HOOKS_QUEUE_MAX);
    assert_int_equal(w->m.hooks.dropped, HOOKS_BATCH_MAX);
    say(w, 3);
    assert_int_equal(w->m.hooks.n, HOOKS_QUEUE_MAX);
    assert_int_equal(w->m.hooks.dropped, HOOKS_BATCH_MAX + 3);
    done(w, HOOKS_BATCH_MAX, 200);
    assert_int_equal(w->m.hooks.delivered, 0);
    wait_for(w, 2);
    assert_int_equal(w->got.id, 2 * HOOKS_BATCH_MAX + 3);
    assert_int_equal(w->got.events, HOOKS_BATCH_MAX);
}

/* 1 s, doubled up to a minute; a success ends it. */
static void waits(void **state)
{
    struct world *w = *state;
    usec_t want = HOOKS_FIRST_US;

    say(w, 1);
    hooks_flush(&w->m);
    wait_for(w, 1);
    for (unsigned i = 0; i < 9; i++) {
        done(w, 1, i % 2 ? 503 : 0);
        assert_int_equal(w->m.hooks.wait_us, want);
        assert_int_equal(w->m.hooks.n, 1);
        hooks_tick(&w->m, w->m.hooks.next_us - 1);
        assert_int_equal(w->m.hooks.sent, 0);
        hooks_tick(&w->m, w->m.hooks.next_us);
        wait_for(w, i + 2);
        want = MIN(want * 2, HOOKS_MOST_US);
    }
    assert_int_equal(w->m.hooks.failed, 9);
    done(w, 1, 200);
    assert_int_equal(w->m.hooks.wait_us, 0);
    assert_int_equal(w->m.hooks.n, 0);
}

/* An answer that says "never" costs that batch; one that may change does not. */
static void refused_for_ever(void **state)
{
    static const struct {
        unsigned status;
        bool kept;
    } rows[] = {{400, false}, {401, true}, {403, true}, {404, true}, {408, true}, {410, false}, {413, false},
        {429, true}, {500, true}, {302, true}};
    struct world *w = *state;

    for (unsigned i = 0; i < ARRAY_N(rows); i++) {
        say(w, 1);
        hooks_flush(&w->m);
        wait_for(w, i + 1);
        done(w, w->got.id, rows[i].status);
        assert_int_equal(w->m.hooks.n, rows[i].kept);
        hooks_done(&w->m);
    }
}

/* What was on its way when httpd died is sent again. */
static void httpd_dies(void **state)
{
    struct world *w = *state;

    say(w, 2);
    hooks_flush(&w->m);
    wait_for(w, 1);
    hooks_httpd_gone(&w->m);
    say(w, 1);
    hooks_flush(&w->m);
    wait_for(w, 2);
    assert_int_equal(w->got.id, 3);
    assert_int_equal(w->got.events, 3);
}

/* Nobody to tell: nothing is kept. */
static void nobody(void **state)
{
    struct world *w = *state;

    secret_done(&w->conf.server.cluster_controller);
    say(w, 3);
    assert_int_equal(w->m.hooks.n, 0);
    for (int i = 0; i < 2 * HOOKS_PULSE_S; i++) hooks_tick(&w->m, i * US_PER_S);
    assert_int_equal(w->m.hooks.seq, 0);
}

static void pulse(void **state)
{
    struct world *w = *state;

    for (int i = 0; i < HOOKS_PULSE_S - 1; i++) hooks_tick(&w->m, i * US_PER_S);
    assert_int_equal(w->m.hooks.seq, 0);
    hooks_tick(&w->m, HOOKS_PULSE_S * US_PER_S);
    wait_for(w, 1);
    assert_non_null(strstr(w->got.body, "\"event\":\"service:pulse\""));
    assert_non_null(strstr(w->got.body, "\"dropped\":0"));
}

static void footage_gone(struct world *w, const char *uid, usec_t from_us, uint64_t bytes)
{
    struct unpack *u;
    struct packer p;
    struct buf b;

    buf_init(&b, 1024);
    p = packer_of(&b);
    pack_map(&p, 5);
    pack_kv_text(&p, "uid", uid);
    pack_kv_u64(&p, "segments", 2);
    pack_kv_u64(&p, "bytes", bytes);
    pack_kv_i64(&p, "from_us", from_us);
    pack_kv_i64(&p, "to_us", from_us + 9 * US_PER_S / 2);
    assert_int_equal(unpack_new(buf_span(&b), &u), 0);
    hooks_deleted(&w->m, unpack_root(u));
    unpack_done(u);
    buf_done(&b);
}

/* Of a stream once a minute at most, with all that has gone since; nothing is remembered of it then. */
static void deleted(void **state)
{
    struct world *w = *state;
    usec_t now_us = 100 * US_PER_S;

    footage_gone(w, "cam", 50 * US_PER_S, 300);
    footage_gone(w, "cam", 20 * US_PER_S, 11);
    footage_gone(w, "\"", 70 * US_PER_S, 1);
    hooks_tick(&w->m, now_us);
    assert_int_equal(w->m.hooks.seq, 2);
    wait_for(w, 1);
    assert_non_null(strstr(w->got.body, "\"event\":\"stream:dvr:delete\""));
    assert_non_null(strstr(w->got.body,
        "\"data\":{\"uid\":\"cam\",\"from\":20.000,\"to\":54.500,\"segments\":4,\"bytes\":311}"));
    assert_non_null(strstr(
        w->got.body, "\"data\":{\"uid\":\"\\\"\",\"from\":70.000,\"to\":74.500,\"segments\":2,\"bytes\":1}"));
    footage_gone(w, "cam", 30 * US_PER_S, 1);
    footage_gone(w, "cam", 40 * US_PER_S, 2);
    hooks_tick(&w->m, now_us + HOOKS_DELETED_US - 1);
    assert_int_equal(w->m.hooks.seq, 2);
    hooks_tick(&w->m, now_us + HOOKS_DELETED_US);
    assert_int_equal(w->m.hooks.seq, 3);
    assert_int_equal(w->m.hooks.deleted.n, 2);
    hooks_tick(&w->m, now_us + 2 * HOOKS_DELETED_US);
    assert_int_equal(w->m.hooks.seq, 3);
    assert_int_equal(w->m.hooks.deleted.n, 0);
}

static void stop_here(struct loop_timer *timer)
{
    struct world *w = timer->arg;

    if (channel_queued(w->m.services.v[SERVICE_HTTPD].proc.ch) > 0)
        loop_timer_set(w->m.loop, timer, 10 * US_PER_MS, stop_here, w);
    else
        loop_break(w->m.loop);
}

/* httpd hears of it at once, whether there is a webhook or not; and no more than it listens to. */
static void told_here(void **state)
{
    struct world *w = *state;

    secret_done(&w->conf.server.cluster_controller);
    say(w, 3);
    say(w, 20000);
    assert_true(channel_queued(w->m.services.v[SERVICE_HTTPD].proc.ch) < HOOKS_HERE_MAX + HOOKS_DATA_MAX);
    loop_timer_set(w->m.loop, &w->late, 100 * US_PER_MS, stop_here, w);
    loop_run(w->m.loop);
    assert_in_range(w->told, 3, 20002);
    assert_int_equal(w->n, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(batches, setup, teardown),
        cmocka_unit_test_setup_teardown(batches_by_bytes, setup, teardown),
        cmocka_unit_test_setup_teardown(too_long, setup, teardown),
        cmocka_unit_test_setup_teardown(overflow, setup, teardown),
        cmocka_unit_test_setup_teardown(waits, setup, teardown),
        cmocka_unit_test_setup_teardown(refused_for_ever, setup, teardown),
        cmocka_unit_test_setup_teardown(httpd_dies, setup, teardown),
        cmocka_unit_test_setup_teardown(nobody, setup, teardown),
        cmocka_unit_test_setup_teardown(pulse, setup, teardown),
        cmocka_unit_test_setup_teardown(deleted, setup, teardown),
        cmocka_unit_test_setup_teardown(told_here, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
