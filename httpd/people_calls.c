#include "httpd/people_calls.h"
#include "common/base/mem.h"
#include "common/wire/crypto.h"
#include "common/wire/scrypt.h"
#include "httpd/access.h"
#include "httpd/api_calls.h"
#include "httpd/auth.h"
#include "httpd/guess.h"
#include "httpd/hub.h"
#include "httpd/master_ask.h"
#include "common/net/pool.h"

#define QUESTION_MAX 8192
#define ROLE_TEXT    8

static struct {
    struct loop *loop;
    struct server *server;
    struct master_asks *master;
    struct auth *auth; /* NULL: not told yet */
} people;

const char *people_refused(const struct caller *c, bool changes)
{
    if (!c || strcmp(c->role, "root") != 0 || c->cameras.n > 0) return "forbidden";
    return changes && !caller_confirmed(c) ? "confirm" : NULL;
}

/* What somebody wants changed, while a thread looks at passwords. */
struct wish {
    struct job job;
    struct lua_call call; /* its caller: the copy */
    struct caller caller;
    struct auth *auth; /* `account` is of it */
    char name[ACCESS_USER_MAX + 1], role[ROLE_TEXT], cameras[CAMERA_LIST_TEXT_MAX];
    bool has_cameras;
    const struct account *account; /* whose password `old` has to be; NULL: none is asked */
    struct secret old, password;
    char kept[SCRYPT_TEXT_MAX];
    const char *failed;
};

static void wish_free(struct wish *w)
{
    secret_done(&w->old);
    secret_done(&w->password);
    auth_unref(w->auth);
    explicit_bzero(w->kept, sizeof(w->kept));
    mem_free(w);
}

/* --- what the master is told --- */

/* Words for the audit log, and beside them what may not stand there. */
static void pack_wish(struct packer *p, const struct wish *w)
{
    bool role = w->role[0] != '\0', password = w->kept[0] != '\0';
    uint32_t n = (uint32_t)role + w->has_cameras + password;
    char word[CAMERA_LIST_TEXT_MAX + 16];

    pack_map(p, 2);
    pack_key(p, "args");
    pack_array(p, 1 + n);
    pack_str(p, span_of(w->name));
    snprintf(word, sizeof(word), "role=%s", w->role);
    if (role) pack_str(p, span_of(word));
    snprintf(word, sizeof(word), "cameras=%s", w->cameras);
    if (w->has_cameras) pack_str(p, span_of(word));
    if (password) pack_str(p, SPAN_LIT("password"));
    pack_key(p, "body");
    pack_map(p, n);
    if (role) pack_kv_text(p, "role", w->role);
    if (w->has_cameras) pack_kv_text(p, "cameras", w->cameras);
    if (password) pack_kv_text(p, "password", w->kept);
}

/* question: a map of args and body. */
static void ask_master(
    const struct lua_call *c, const struct caller *caller, const char *cmd, struct span question)
{
    struct lua_call *own = mem_dup(c, sizeof(*c));
    struct unpack *u = NULL;
    bool ok = unpack_new(question, &u) == 0;

    if (ok) {
        const struct packed *root = unpack_root(u), *body = packed_get(root, "body");
        const struct master_question q = {.cmd = span_of(cmd),
            .args = packed_get(root, "args"),
            .body = packed_kind(body) == PACKED_NIL ? NULL : body,
            .caller = caller,
            .apart = true};

        ok = master_ask(people.master, &q, api_calls_said, own);
    }
    unpack_done(u);
    if (ok) return;
    lua_call_failed(c, "busy");
    mem_free(own);
}

static void send_wish(const struct wish *w)
{
    struct packer p;
    struct buf b;

    buf_init(&b, QUESTION_MAX);
    p = packer_of(&b);
    pack_wish(&p, w);
    if (p.bad)
        lua_call_failed(&w->call, "busy");
    else
        ask_master(&w->call, &w->caller, "api account set", buf_span(&b));
    if (b.mem) explicit_bzero(b.mem, b.cap);
    buf_done(&b);
}

/* --- passwords, in a thread --- */

static bool is_right(const struct wish *w)
{
    struct span kept = secret_reveal(&w->account->password), old = secret_reveal(&w->old);

    return scrypt_is(kept) ? scrypt_check(kept, old) : crypto_equal(kept, old);
}

static void work(struct job *j)
{
    struct wish *w = CONTAINER(j, struct wish, job);
    struct wr kept = wr_of(w->kept, sizeof(w->kept));

    if (w->account && !is_right(w))
        w->failed = "wrong";
    else if (!scrypt_write(secret_reveal(&w->password), &kept))
        w->failed = "busy";
    else
        wr_cstr(&kept);
}

/* Whoever has taken a session guesses no faster than at the door. */
static void count_guess(const struct wish *w)
{
    struct addr a;

    if (addr_parse(span_of(w->caller.address), &a) && !cidrs_has(&w->auth->exempt, &a))
        (void)guess_failed(people.server->guesses, &a, loop_now_us(people.loop));
}

static void done(struct job *j)
{
    struct wish *w = CONTAINER(j, struct wish, job);

    if (w->failed && strcmp(w->failed, "wrong") == 0) count_guess(w);
    if (w->failed)
        lua_call_failed(&w->call, w->failed);
    else
        send_wish(w);
    wish_free(w);
}

/* --- calls --- */

static const struct account *account_of(const struct auth *a, const char *name)
{
    for (size_t i = 0; i < a->accounts.n; i++)
        if (strcmp(a->accounts.v[i].login, name) == 0) return &a->accounts.v[i];
    return NULL;
}

/* One's own password, by the old one. NULL, or why not. */
static const char *take_old(struct wish *w, struct span old)
{
    const struct caller *c = &w->caller;
    struct addr a;

    w->account = account_of(w->auth, w->name);
    if (strcmp(c->by, "token") == 0 || strcmp(c->name, w->name) != 0 || !w->account || w->role[0] ||
        w->has_cameras || !secret_set(&w->password))
        return "forbidden";
    if (addr_parse(span_of(c->address), &a) && !cidrs_has(&w->auth->exempt, &a) &&
        guess_blocked(people.server->guesses, &a, loop_now_us(people.loop)))
        return "throttled";
    w->old = secret_of(old);
    return NULL;
}

static const char *take_wish(struct wish *w, const struct packed *args)
{
    struct span role = packed_str(args, "role"), cameras = packed_str(args, "cameras"),
                old = packed_str(args, "old");

    if (!people.auth) return "busy";
    w->auth = auth_ref(people.auth);
    w->has_cameras = cameras.p != NULL;
    if (!packed_text(args, "name", w->name, sizeof(w->name)) || !span_copy(role, w->role, sizeof(w->role)) ||
        !span_copy(cameras, w->cameras, sizeof(w->cameras)))
        return "forbidden";
    w->password = secret_of(packed_str(args, "password"));
    return old.p ? take_old(w, old) : people_refused(&w->caller, true);
}

void people_set(const struct lua_call *c, const struct packed *args)
{
    struct wish *w = NEW(struct wish);

    w->call = *c;
    w->call.caller = &w->caller;
    if (c->caller) w->caller = *c->caller;
    w->job = (struct job){.work = work, .done = done, .loop = people.loop};
    w->failed = c->caller ? take_wish(w, args) : "forbidden";
    if (!w->failed && secret_set(&w->password)) {
        if (pool_put(people.server->passwords, &w->job)) return;
        w->failed = "busy";
    }
    if (w->failed)
        lua_call_failed(c, w->failed);
    else
        send_wish(w);
    wish_free(w);
}

/* A command whose words are the name, or none. */
static void ask_plain(const struct lua_call *c, const char *cmd, struct span name)
{
    struct packer p;
    struct buf b;

    buf_init(&b, QUESTION_MAX);
    p = packer_of(&b);
    pack_map(&p, 1);
    pack_key(&p, "args");
    pack_array(&p, name.p ? 1 : 0);
    if (name.p) pack_str(&p, name);
    if (p.bad)
        lua_call_failed(c, "busy");
    else
        ask_master(c, c->caller, cmd, buf_span(&b));
    buf_done(&b);
}

void people_remove(const struct lua_call *c, const struct packed *args)
{
    const char *refused = people_refused(c->caller, true);
    struct span name = packed_str(args, "name");

    if (!refused && !name.p) refused = "forbidden";
    if (refused)
        lua_call_failed(c, refused);
    else
        ask_plain(c, "api account remove", name);
}

void people_list(const struct lua_call *c, const struct packed *args)
{
    const char *refused = people_refused(c->caller, false);

    (void)args;
    if (refused)
        lua_call_failed(c, refused);
    else
        ask_plain(c, "api accounts", SPAN_NONE);
}

struct loop *people_loop(void)
{
    return people.loop;
}

bool people_knows(const char *name)
{
    return people.auth && account_of(people.auth, name);
}

void people_auth(struct auth *a)
{
    auth_unref(people.auth);
    people.auth = a;
}

void people_start(struct loop *l, struct server *server, struct master_asks *master)
{
    people.loop = l;
    people.server = server;
    people.master = master;
}
