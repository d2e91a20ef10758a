/* httpd/lua_host: a host that says anything. It costs the host its connection, and no request more than its
 * answer: each ends once, and what a script asked for is looked up in the table. */
#include "common/base/err.h"
#include "httpd/lua_impl.h"

#include <sys/socket.h>
#include <unistd.h>

#define ASKS 3

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

static struct loop *loop;
static struct lua *x;
static unsigned done_n;

static void want(void *arg)
{
    (void)arg;
}

static void gone(void *arg, uint64_t id)
{
    (void)arg;
    (void)id;
}

static void call_known(const struct lua_call *c, const struct packed *args)
{
    (void)args;
    lua_call_done(c, SPAN_LIT("\xc0"));
}

static const struct lua_ops ops = {want, gone, NULL};
static const struct lua_row calls[] = {{"known", 1u << LUAHOST_API, false, call_known}, {0}};

static void done(void *arg, const struct lua_answer *answer)
{
    (void)arg;
    (void)answer;
    done_n++;
}

static void stop(struct loop_timer *t)
{
    loop_break(t->loop);
}

static void turn(void)
{
    struct loop_timer t = {0};

    loop_timer_set(loop, &t, 0, stop, NULL);
    loop_run(loop);
    loop_timer_stop(&t);
}

/* A script that works: what it is does not matter to this side. */
static void start(void)
{
    struct lua_script *s;
    struct packer p;
    size_t at;

    loop = loop_new();
    x = lua_new(loop, &ops, calls, NULL);
    for (unsigned i = 0; i < LUAHOST_SLOTS; i++) x->scripts[i].looked = true;
    s = &x->scripts[LUAHOST_API];
    buf_init(&s->good, 1024);
    p = luahost_begin(&s->good, LUAHOST_LOAD, 1, &at);
    pack_kv_u64(&p, "slot", LUAHOST_API);
    must(luahost_end(&p, at));
}

static void say(int fd, struct span s)
{
    static const char hello[] = "\0\0\0\x0e\x82\xa2op\x0b\xa7missing\0";

    (void)send(fd, hello, sizeof(hello) - 1, MSG_NOSIGNAL);
    (void)send(fd, s.p, s.n, MSG_NOSIGNAL | MSG_DONTWAIT);
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    const struct lua_asker who = {NULL, done, NULL, NULL};
    struct lua_asker asker;
    int sv[2];

    if (!loop) start();
    asker = who;
    asker.loop = loop;
    done_n = 0;
    x->last_id = 0;
    must(socketpair(AF_UNIX, SOCK_STREAM, 0, sv) == 0);
    x->wanted = true;
    lua_host(x, 1, 0, 0, sv[0]);
    for (unsigned i = 0; i < ASKS; i++) lua_ask(x, LUAHOST_API, SPAN_LIT("\xc0"), 0, &asker);
    turn();
    LIST_EACH(&x->queue, at) LIST_ITEM(at, struct lua_ask, link)->until_us = INT64_MAX;
    say(sv[1], span(p, MIN(n, (size_t)100000)));
    for (unsigned i = 0; i < 4; i++) turn();
    close(sv[1]);
    for (unsigned i = 0; x->conn && i < 100; i++) turn();
    LIST_EACH(&x->queue, at) lua_end(LIST_ITEM(at, struct lua_ask, link), LUA_E_LATE, 0, NULL);
    LIST_EACH(&x->open, at) lua_end(LIST_ITEM(at, struct lua_ask, link), LUA_E_LATE, 0, NULL);
    for (unsigned i = 0; i < 2; i++) turn();
    must(!x->conn && done_n == ASKS && x->n_queue + x->n_open == 0);
    return 0;
}
