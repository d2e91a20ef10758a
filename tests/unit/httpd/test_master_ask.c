/* Questions to the master: rows in pages, how many at a time, and what becomes of one whose master goes, says
 * too much, or says nothing. The master is this test's end of the socket. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "common/base/fd.h"
#include "common/base/mem.h"
#include "common/base/wr.h"
#include "common/ipc/channel.h"
#include "httpd/caller.h"
#include "httpd/master_ask.h"

#define WAIT_US (60 * US_PER_S)

static struct loop *loop;
static struct master_asks *asks;
static struct loop_timer late;
static const struct caller *caller; /* NULL: nobody */

/* The master: keeps the sockets, and what was asked on each. */
static struct {
    struct channel *ch[MASTER_ASKS_MAX + 1];
    char cmd[64], args[256];
    bool confirmed;
    unsigned opened, asked;
} master;
static struct {
    unsigned n, want;
    int code;
    char text[512];
    size_t pages, bytes;
} got;

static void stop_at(unsigned n, unsigned want)
{
    if (n == want) loop_break(loop);
}

static int on_question(struct channel *ch, struct incoming *in)
{
    const struct packed *args = packed_get(in->body, "args");
    struct wr w = wr_of(master.args, sizeof(master.args));

    (void)ch;
    assert_int_equal(in->type, MSG_CTL);
    assert_true(packed_text(in->body, "cmd", master.cmd, sizeof(master.cmd)));
    for (size_t i = 0; i < packed_n(args); i++)
        wr_fmt(&w, "%s%.*s", i > 0 ? "," : "", SPAN_FMT(packed_as_str(packed_at(args, i))));
    wr_cstr(&w);
    master.confirmed = packed_bool(in->body, "confirmed", false);
    master.asked++;
    stop_at(master.asked, got.want);
    return 0;
}

static void on_close(struct channel *ch, int err)
{
    (void)ch;
    (void)err;
}

static const struct channel_ops ops = {.on_message = on_question, .on_close = on_close};

static void on_open(void *arg, int fd)
{
    (void)arg;
    assert_true(master.opened < ARRAY_N(master.ch));
    master.ch[master.opened++] = channel_new(loop, fd, ROLE_MASTER, ROLE_CTL, &ops, NULL);
}

static void on_answer(void *arg, struct master_answer *a)
{
    (void)arg;
    got.n++;
    got.code = a->code;
    snprintf(got.text, sizeof(got.text), "%s", a->text);
    got.pages = a->n_pages;
    got.bytes = buf_n(&a->rows);
    stop_at(got.n, got.want);
}

static int setup(void **state)
{
    (void)state;
    loop = loop_new();
    asks = master_asks_new(loop, on_open, NULL);
    memset(&master, 0, sizeof(master));
    memset(&got, 0, sizeof(got));
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    master_asks_free(asks);
    for (unsigned i = 0; i < master.opened; i++) channel_free(master.ch[i]);
    loop_timer_stop(&late);
    loop_free(loop);
    return 0;
}

static void too_late(struct loop_timer *t)
{
    (void)t;
    fail_msg("nothing comes");
}

/* Until so many questions, or answers, have come. */
static void run_to(unsigned want)
{
    got.want = want;
    loop_timer_set(loop, &late, WAIT_US, too_late, NULL);
    loop_run(loop);
    loop_timer_stop(&late);
}

static bool ask_with(const char *cmd, const char *const *args, uint32_t n)
{
    struct unpack *u;
    struct packer p;
    struct buf b;
    bool ok;

    buf_init(&b, 1 << 20);
    p = packer_of(&b);
    pack_array(&p, n);
    for (uint32_t i = 0; i < n; i++) pack_str(&p, span_of(args[i]));
    assert_int_equal(unpack_new(buf_span(&b), &u), 0);
    ok = master_ask(asks,
        &(struct master_question){.cmd = span_of(cmd), .args = unpack_root(u), .caller = caller}, on_answer,
        NULL);
    unpack_done(u);
    buf_done(&b);
    return ok;
}

/* A page of one row with a text of so many bytes. */
static void row(struct channel *ch, size_t n)
{
    struct packer *p = channel_begin(ch, MSG_CTL_ROW, 1);
    char *text = mem_new(n + 1);

    memset(text, 'x', n);
    pack_key(p, "rows");
    pack_array(p, 1);
    pack_map(p, 1);
    pack_kv_text(p, "text", text);
    channel_end(ch, NULL, 0);
    mem_free(text);
}

static void end(struct channel *ch, unsigned code, const char *text)
{
    struct packer *p = channel_begin(ch, MSG_CTL_END, 2);

    pack_kv_u64(p, "code", code);
    pack_kv_text(p, "text", text);
    channel_end(ch, NULL, 0);
}

static void rows_and_end(void **state)
{
    static const char *const args[] = {"cam-1", "on", ""};

    (void)state;
    assert_true(ask_with("api streams", args, 3));
    run_to(1);
    assert_string_equal(master.cmd, "api streams");
    assert_string_equal(master.args, "cam-1,on,");
    for (int i = 0; i < 3; i++) row(master.ch[0], 100);
    end(master.ch[0], 4, "no such stream");
    run_to(1);
    assert_int_equal(got.code, 4);
    assert_string_equal(got.text, "no such stream");
    assert_int_equal(got.pages, 3);
    assert_in_range(got.bytes, 300, 400);
}

static void how_many(void **state)
{
    (void)state;
    for (int i = 0; i < MASTER_ASKS_MAX; i++) assert_true(ask_with("status", NULL, 0));
    assert_false(ask_with("status", NULL, 0));
    run_to(MASTER_ASKS_MAX);
    end(master.ch[3], 0, "");
    run_to(1);
    assert_int_equal(got.n, 1);
    assert_true(ask_with("status", NULL, 0));
}

/* Words that the master would not read are not sent. */
static void too_long(void **state)
{
    static char word[5000];
    const char *const long_arg[] = {word};
    const char *many[MASTER_ARGS_MAX + 1];

    (void)state;
    memset(word, 'x', sizeof(word) - 1);
    assert_false(ask_with("status", long_arg, 1));
    word[64] = '\0';
    assert_false(ask_with(word, NULL, 0));
    for (size_t i = 0; i < ARRAY_N(many); i++) many[i] = "a";
    assert_false(ask_with("status", many, MASTER_ARGS_MAX + 1));
    assert_true(ask_with("status", many, MASTER_ARGS_MAX));
}

static void master_goes(void **state)
{
    (void)state;
    assert_true(ask_with("status", NULL, 0));
    run_to(1);
    channel_free(master.ch[--master.opened]);
    run_to(1);
    assert_int_equal(got.code, CTL_FAILED);
    assert_string_equal(got.text, "the server is busy");
}

static void turn_over(void *arg)
{
    loop_break(arg);
}

/* More than fits: the question ends, and the master is not listened to any more. */
static void too_much(void **state)
{
    (void)state;
    assert_true(ask_with("status", NULL, 0));
    run_to(1);
    for (size_t n = 0; n <= MASTER_ROWS_MAX && got.n == 0; n += 60000) {
        row(master.ch[0], 60000);
        if (channel_queued(master.ch[0]) < CHANNEL_QUEUE_MAX / 2) continue;
        loop_post(loop, turn_over, loop);
        loop_run(loop);
    }
    if (got.n == 0) run_to(1);
    assert_int_equal(got.code, CTL_FAILED);
    assert_string_equal(got.text, "the answer is too long");
}

/* The server ends while one is under way: who asked is told. */
static void server_ends(void **state)
{
    (void)state;
    assert_true(ask_with("status", NULL, 0));
    master_asks_free(asks);
    asks = NULL;
    assert_int_equal(got.n, 1);
    assert_string_equal(got.text, "the server ends");
}

/* For somebody who sees some streams: rows of others are left out, and nothing is asked about them. */
static void of_a_caller(void **state)
{
    static const char *const mine[] = {"yard-2"}, *const other[] = {"hall"}, *const none[] = {"from=1"};
    static struct caller who = {.name = "anna", .role = "user", .by = "session"};
    static const char *const uids[] = {"hall", "yard-1", "yard-2"};
    struct packer *p;

    (void)state;
    assert_true(camera_list_read(SPAN_LIT("yard-*"), &who.cameras));
    caller = &who;
    assert_false(ask_with("restart", other, 1));
    assert_true(
        ask_with("restart", mine, 1) && ask_with("events", none, 1) && ask_with("api streams", NULL, 0));
    caller = NULL;
    run_to(3);
    p = channel_begin(master.ch[2], MSG_CTL_ROW, 1);
    pack_key(p, "rows");
    pack_array(p, 4);
    for (size_t i = 0; i < ARRAY_N(uids); i++) {
        pack_map(p, 1);
        pack_kv_text(p, "uid", uids[i]);
    }
    pack_map(p, 1);
    pack_kv_text(p, "name", "of no stream");
    channel_end(master.ch[2], NULL, 0);
    end(master.ch[2], 0, "");
    run_to(1);
    assert_int_equal(got.code, 0);
    assert_int_equal(got.pages, 1);
    assert_in_range(got.bytes, 40, 50); /* three rows of four */
}

static bool is_confirmed(const struct caller *who)
{
    caller = who;
    assert_true(ask_with("status", NULL, 0));
    caller = NULL;
    run_to(master.asked + 1);
    return master.confirmed;
}

/* Whose password was shown a moment ago; who asks by a token or on the server's own account needs none. */
static void confirmed(void **state)
{
    struct caller who = {.name = "boss", .role = "root", .by = "session"};

    (void)state;
    assert_false(is_confirmed(&who));
    who.shown_until_s = INT64_MAX;
    assert_true(is_confirmed(&who));
    who = (struct caller){.role = "root", .by = "token"};
    assert_true(is_confirmed(&who));
    assert_true(is_confirmed(NULL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(rows_and_end, setup, teardown),
        cmocka_unit_test_setup_teardown(how_many, setup, teardown),
        cmocka_unit_test_setup_teardown(too_long, setup, teardown),
        cmocka_unit_test_setup_teardown(master_goes, setup, teardown),
        cmocka_unit_test_setup_teardown(too_much, setup, teardown),
        cmocka_unit_test_setup_teardown(server_ends, setup, teardown),
        cmocka_unit_test_setup_teardown(of_a_caller, setup, teardown),
        cmocka_unit_test_setup_teardown(confirmed, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
