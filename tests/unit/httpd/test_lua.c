/* httpd/lua: requests, hosts that hang, stop and die, scripts that change; with hosts that are processes of
 * this test. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/base/err.h"
#include "common/base/fd.h"
#include "common/base/mem.h"
#include "httpd/lua_calls.h"
#include "httpd/luahost/host.h"
#include "tests/support/tool.h"

#include <fcntl.h>

#define ASKS_MAX 2048
#define WAIT_US  (60 * US_PER_S)
#define LONG_US  (50 * US_PER_S)

#define HEAD "-- " LUAHOST_INTERFACE "\n"
/* Polynomial of a high degree: no end in sight, and no Lua instruction on the way. */
#define BOMB "('a'):rep(30000):find(('.-'):rep(8) .. 'b')"

enum host_manner { WORKS, NEVER_COMES, LIES, SILENT };

static struct site {
    struct loop *loop;
    struct lua *x;
    char dir[256];
    enum host_manner manner;
    unsigned born, gone;
    int pids[256];
    struct loop_timer birth;
    /* what has come back */
    struct {
        bool done;
        int err;
        uint32_t incident;
        char text[64];
    } asks[ASKS_MAX];
    unsigned n_asks;
    struct lua_call held; /* of "hold" and "change", not answered yet */
    unsigned n_held;
    bool (*until)(void);
    unsigned want;
} site;

/* --- hosts --- */

static void send_all(int fd, struct buf *b)
{
    while (buf_n(b) > 0) {
        ssize_t n = send(fd, buf_span(b).p, buf_n(b), MSG_NOSIGNAL);

        if (n <= 0) _exit(0);
        buf_take(b, (size_t)n);
    }
}

static void hello(int fd, struct buf *out, enum luahost_op op)
{
    size_t at;
    struct packer p = luahost_begin(out, op, 1, &at);

    pack_kv_u64(&p, "missing", 0);
    luahost_end(&p, at);
    send_all(fd, out);
}

_Noreturn static void host_main(int fd, enum host_manner manner)
{
    struct host *h = host_new();
    struct buf in, out;
    struct span map;
    size_t n;

    buf_init(&in, 2 * LUAHOST_MESSAGE_MAX);
    buf_init(&out, 4 * LUAHOST_MESSAGE_MAX);
    if (manner != SILENT) hello(fd, &out, LUAHOST_HELLO);
    for (;;) {
        uint8_t *room = buf_room(&in, 65536);
        ssize_t got = recv(fd, room, 65536, 0);

        if (got <= 0) _exit(0);
        buf_added(&in, (size_t)got);
        while (luahost_next(buf_span(&in), &map, &n) == 0) {
            if (manner == LIES) hello(fd, &out, LUAHOST_PONG);
            if (!host_hear(h, map, &out)) _exit(1);
            send_all(fd, &out);
            buf_take(&in, n);
        }
    }
}

static void bear(struct loop_timer *t)
{
    int sv[2], pid;

    (void)t;
    if (site.manner == NEVER_COMES || site.born == ARRAY_N(site.pids)) return;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sv), 0);
    pid = fork();
    if (pid == 0) {
        close(sv[0]);
        host_main(sv[1], site.manner);
    }
    close(sv[1]);
    site.pids[site.born++] = pid;
    lua_host(site.x, site.born, pid, 0, sv[0]);
}

/* The master gives births by turns. */
static void want(void *arg)
{
    (void)arg;
    loop_timer_set(site.loop, &site.birth, 20 * US_PER_MS, bear, NULL);
}

static void end_host(unsigned i)
{
    if (site.pids[i] == 0) return;
    kill(site.pids[i], SIGKILL);
    waitpid(site.pids[i], NULL, 0);
    site.pids[i] = 0;
}

static void gone(void *arg, uint64_t id)
{
    (void)arg;
    site.gone++;
    end_host((unsigned)id - 1);
}

static const struct lua_ops ops = {want, gone, NULL};

/* --- what scripts may ask for --- */

static void answer_text(const struct lua_call *c, const char *text)
{
    struct packer p;
    struct buf b;

    buf_init(&b, 256);
    p = packer_of(&b);
    pack_str(&p, span_of(text));
    lua_call_done(c, buf_span(&b));
    buf_done(&b);
}

static void call_echo(const struct lua_call *c, const struct packed *args)
{
    char text[64];

    span_copy(packed_as_str(args), text, sizeof(text));
    answer_text(c, text);
}

static void call_refuse(const struct lua_call *c, const struct packed *args)
{
    (void)args;
    lua_call_failed(c, "no");
}

static void call_hold(const struct lua_call *c, const struct packed *args)
{
    (void)args;
    site.held = *c;
    site.n_held++;
}

static const struct lua_row calls[] = {
    {"echo", 1u << LUAHOST_API, false, call_echo},
    {"refuse", 1u << LUAHOST_API, false, call_refuse},
    {"hold", 1u << LUAHOST_API, false, call_hold},
    {"change", 1u << LUAHOST_API, true, call_hold},
    {"auth.only", 1u << LUAHOST_AUTH, false, call_echo},
    {0},
};

/* --- the site --- */

static void write_script(const char *path, const char *text)
{
    char whole[512], next[520];
    int fd;

    snprintf(whole, sizeof(whole), "%s/%s", site.dir, path);
    snprintf(next, sizeof(next), "%s.new", whole);
    fd = open(next, O_WRONLY | O_CREAT | O_TRUNC, 0644);
    assert_true(fd >= 0);
    assert_int_equal(fd_write_all(fd, span_of(text)), 0);
    close(fd);
    assert_int_equal(rename(next, whole), 0);
}

static void make_folders(void)
{
    static const char *const folders[] = {
        "site", "site/modules", "site/modules/api", "ours", "ours/modules", "ours/modules/auth"};
    char path[512];

    for (size_t i = 0; i < ARRAY_N(folders); i++) {
        snprintf(path, sizeof(path), "%s/%s", site.dir, folders[i]);
        assert_int_equal(mkdir(path, 0755), 0);
    }
}

static void begin_with(enum host_manner manner, const char *api)
{
    static struct lua_conf conf;

    site = (struct site){.manner = manner};
    tool_tmpdir(site.dir, sizeof(site.dir));
    make_folders();
    write_script("ours/modules/auth/validate.lua", HEAD "return function() return 'auth' end");
    if (api) write_script("site/modules/api/api.v2.lua", api);
    conf = (struct lua_conf){
        .entry = {[LUAHOST_AUTH] = "modules/auth/validate.lua", [LUAHOST_API] = "modules/api/api.v2.lua"}};
    snprintf(conf.site, sizeof(conf.site), "%s/site", site.dir);
    snprintf(conf.shipped, sizeof(conf.shipped), "%s/ours", site.dir);
    site.loop = loop_new();
    site.x = lua_new(site.loop, &ops, calls, NULL);
    lua_set_conf(site.x, &conf);
}

static void late(struct loop_timer *t)
{
    (void)t;
    fail_msg("waited too long");
}

static void look(struct loop_timer *t)
{
    if (site.until()) loop_break(t->loop);
}

static void run_until(bool (*until)(void))
{
    struct loop_timer limit = {0}, every = {0};

    site.until = until;
    loop_timer_set(site.loop, &limit, WAIT_US, late, NULL);
    loop_timer_every(site.loop, &every, 2 * US_PER_MS, look, NULL);
    loop_run(site.loop);
    loop_timer_stop(&every);
    loop_timer_stop(&limit);
}

static bool in_a_moment(void)
{
    static unsigned n;

    return ++n % 20 == 0;
}

static void finish(void)
{
    loop_timer_stop(&site.birth);
    lua_free(site.x);
    run_until(in_a_moment); /* what is on its way */
    loop_free(site.loop);
    for (unsigned i = 0; i < site.born; i++) end_host(i);
    tool_rmdir(site.dir);
}

static void answered(void *arg, const struct lua_answer *answer)
{
    unsigned i = (unsigned)(uintptr_t)arg;

    assert_false(site.asks[i].done);
    site.asks[i].done = true;
    site.asks[i].err = answer->err;
    site.asks[i].incident = answer->incident;
    span_copy(packed_as_str(answer->value), site.asks[i].text, sizeof(site.asks[i].text));
}

static unsigned ask_for(enum luahost_slot slot, const char *what, usec_t most_us)
{
    const struct lua_asker who = {site.loop, answered, (void *)(uintptr_t)site.n_asks, NULL};
    struct packer p;
    struct buf b;

    assert_true(site.n_asks < ASKS_MAX);
    buf_init(&b, 256);
    p = packer_of(&b);
    pack_str(&p, span_of(what));
    lua_ask(site.x, slot, buf_span(&b), most_us, &who);
    buf_done(&b);
    return site.n_asks++;
}

static unsigned ask(const char *what)
{
    return ask_for(LUAHOST_API, what, LONG_US);
}

static bool all_done(void)
{
    for (unsigned i = 0; i < site.n_asks; i++)
        if (!site.asks[i].done) return false;
    return true;
}

static bool one_is_held(void)
{
    return site.n_held >= site.want;
}

/* The same; what is held is let go each time that a host asks for it. */
static bool all_done_letting_go(void)
{
    if (site.n_held >= site.want) {
        site.want = site.n_held + 1;
        answer_text(&site.held, "held");
    }
    return all_done();
}

static void is_text(unsigned i, const char *text)
{
    assert_int_equal(site.asks[i].err, 0);
    assert_string_equal(site.asks[i].text, text);
}

static const char api[] =
    HEAD "return function(v)\n"
         "if v == 'bomb' then return " BOMB " end\n"
         "if v == 'error' then error('here') end\n"
         "if v == 'hold' then return ms.call('hold') end\n"
         "if v == 'change' then ms.call('change') return 'changed' end\n"
         "if v == 'change, bomb' then ms.call('change') return " BOMB " end\n"
         "if v == 'no' then local a, why = ms.call('refuse') return tostring(a) .. why end\n"
         "if v == 'unknown' then local a, why = ms.call('auth.only') return why end\n"
         "return ms.call('echo', v) end";

/* --- tests --- */

static void answers(void **state)
{
    unsigned a, b, c, d;

    (void)state;
    begin_with(WORKS, api);
    a = ask("x");
    b = ask_for(LUAHOST_AUTH, "", LONG_US);
    c = ask("no");
    d = ask("unknown");
    run_until(all_done);
    is_text(a, "x");
    is_text(b, "auth");
    is_text(c, "nilno");
    is_text(d, "there is no such call");
    assert_int_equal(site.born, 1);
    finish();
}

static void an_error_has_an_id(void **state)
{
    unsigned a, b;

    (void)state;
    begin_with(WORKS, api);
    a = ask("error");
    b = ask("error");
    run_until(all_done);
    assert_int_equal(site.asks[a].err, LUA_E_SCRIPT);
    assert_int_not_equal(site.asks[a].incident, 0);
    assert_int_equal(site.asks[a].incident, site.asks[b].incident);
    assert_int_equal(lua_status(LUA_E_SCRIPT), 500);
    finish();
}

static void a_bomb_costs_its_own_request(void **state)
{
    unsigned held, bomb, behind[20], i;

    (void)state;
    begin_with(WORKS, api);
    held = ask("hold");
    site.want = 1;
    run_until(one_is_held);
    bomb = ask("bomb");
    for (i = 0; i < ARRAY_N(behind); i++) behind[i] = ask("after");
    site.want = 2; /* asked again of the next host */
    run_until(all_done_letting_go);
    assert_int_equal(site.asks[bomb].err, LUA_E_KILLED);
    assert_int_not_equal(site.asks[bomb].incident, 0);
    for (i = 0; i < ARRAY_N(behind); i++) is_text(behind[i], "after");
    is_text(held, "held");
    /* a host that the machine gave no time to is replaced too, at nobody's cost */
    assert_in_range(site.born, 2, 4);
    assert_int_equal(site.gone, site.born - 1);
    finish();
}

static void what_has_changed_something_is_not_asked_again(void **state)
{
    unsigned changed, bomb, again;

    (void)state;
    begin_with(WORKS, api);
    changed = ask("change");
    site.want = 1;
    run_until(one_is_held);
    bomb = ask("bomb");
    run_until(all_done);
    assert_int_equal(site.asks[changed].err, LUA_E_KILLED);
    assert_int_equal(site.asks[bomb].err, LUA_E_KILLED);
    answer_text(&site.held, "late"); /* nobody waits for it */
    again = ask("x");
    run_until(all_done);
    is_text(again, "x");
    assert_int_equal(site.n_held, 1);
    finish();
}

static void a_stopped_host_costs_nobody(void **state)
{
    unsigned a, b;

    (void)state;
    begin_with(WORKS, api);
    a = ask("x");
    run_until(all_done);
    kill(site.pids[0], SIGSTOP);
    b = ask("y");
    run_until(all_done);
    is_text(a, "x");
    is_text(b, "y");
    assert_int_equal(site.born, 2);
    finish();
}

static bool second_host(void)
{
    return site.born == 2;
}

static void an_idle_host_is_looked_after(void **state)
{
    (void)state;
    begin_with(WORKS, api);
    ask("x");
    run_until(all_done);
    kill(site.pids[0], SIGSTOP);
    run_until(second_host);
    finish();
}

static void a_killed_host_is_replaced(void **state)
{
    unsigned a;

    (void)state;
    begin_with(WORKS, api);
    ask("x");
    run_until(all_done);
    end_host(0);
    run_until(second_host);
    a = ask("y");
    run_until(all_done);
    is_text(a, "y");
    finish();
}

static void without_a_host(void **state)
{
    unsigned a;

    (void)state;
    begin_with(NEVER_COMES, api);
    a = ask_for(LUAHOST_API, "x", 100 * US_PER_MS);
    run_until(all_done);
    assert_int_equal(site.asks[a].err, LUA_E_LATE);
    ask("left over");
    run_until(in_a_moment);
    finish();
    assert_true(all_done());
}

static void without_a_script(void **state)
{
    unsigned a;

    (void)state;
    begin_with(WORKS, NULL);
    a = ask("x");
    run_until(all_done);
    assert_int_equal(site.asks[a].err, LUA_E_NONE);
    finish();
}

static void without_lua(void **state)
{
    unsigned a;

    (void)state;
    site = (struct site){.loop = loop_new()};
    a = ask("x");
    run_until(all_done);
    assert_int_equal(site.asks[a].err, LUA_E_NONE);
    loop_free(site.loop);
}

static void too_many(void **state)
{
    unsigned refused = 0, i;

    (void)state;
    begin_with(WORKS, api);
    for (i = 0; i < LUA_QUEUE_MAX + LUA_OPEN_MAX + 10; i++) ask_for(LUAHOST_API, "hold", US_PER_S);
    run_until(all_done);
    for (i = 0; i < site.n_asks; i++) refused += site.asks[i].err == LUA_E_BUSY;
    assert_in_range(refused, 10, LUA_OPEN_MAX + 10);
    i = ask("x");
    run_until(all_done);
    is_text(i, "x");
    finish();
}

static void hosts_that_lie(void **state)
{
    unsigned a;

    (void)state;
    begin_with(LIES, api);
    a = ask_for(LUAHOST_API, "x", US_PER_S / 2);
    run_until(all_done);
    assert_int_equal(site.asks[a].err, LUA_E_LATE);
    assert_true(site.born > 1);
    site.manner = WORKS;
    a = ask("y");
    run_until(all_done);
    is_text(a, "y");
    finish();
}

/* --- scripts that change --- */

static bool says_two(void)
{
    static unsigned last = ASKS_MAX;

    if (!all_done()) return false;
    if (last < site.n_asks && strcmp(site.asks[last].text, "two") == 0) return true;
    if (site.n_asks == ASKS_MAX - 1) fail_msg("the script does not change");
    last = ask("which");
    return false;
}

static void a_change_is_taken_and_a_mistake_is_not(void **state)
{
    unsigned a;

    (void)state;
    begin_with(WORKS, HEAD "return function() return 'one' end");
    a = ask("which");
    run_until(all_done);
    is_text(a, "one");
    write_script("site/modules/api/api.v2.lua", HEAD "return function() return 'two' end");
    run_until(says_two);
    write_script("site/modules/api/api.v2.lua", HEAD "return = 'three'");
    write_script("ours/modules/auth/validate.lua", HEAD "return function() return 'new auth' end");
    do {
        a = ask_for(LUAHOST_AUTH, "", LONG_US);
        run_until(all_done);
    } while (strcmp(site.asks[a].text, "new auth") != 0); /* both were looked at together */
    a = ask("which");
    run_until(all_done);
    is_text(a, "two");
    end_host(0);
    a = ask("which");
    run_until(all_done);
    is_text(a, "two"); /* the next host has the last good one */
    finish();
}

static void a_script_that_hangs_while_it_is_loaded(void **state)
{
    unsigned a;

    (void)state;
    begin_with(WORKS, HEAD BOMB);
    a = ask("x");
    run_until(all_done);
    assert_int_equal(site.asks[a].err, LUA_E_NONE);
    a = ask_for(LUAHOST_AUTH, "", LONG_US);
    run_until(all_done);
    is_text(a, "auth");
    finish();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(answers),
        cmocka_unit_test(an_error_has_an_id),
        cmocka_unit_test(a_bomb_costs_its_own_request),
        cmocka_unit_test(what_has_changed_something_is_not_asked_again),
        cmocka_unit_test(a_stopped_host_costs_nobody),
        cmocka_unit_test(an_idle_host_is_looked_after),
        cmocka_unit_test(a_killed_host_is_replaced),
        cmocka_unit_test(without_a_host),
        cmocka_unit_test(without_a_script),
        cmocka_unit_test(without_lua),
        cmocka_unit_test(too_many),
        cmocka_unit_test(hosts_that_lie),
        cmocka_unit_test(a_change_is_taken_and_a_mistake_is_not),
        cmocka_unit_test(a_script_that_hangs_while_it_is_loaded),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
