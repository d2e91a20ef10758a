/* POST /api/v3/setup: while there is no account, whoever has read the secret in the server's log makes the
 * first one, a root (master/setup.h). The password becomes scrypt in a thread; the master is asked on the
 * main loop; the answer is given on the hub that has the connection. Tests: tests/e2e/test_setup.py. */
#include "common/base/mem.h"
#include "common/net/pool.h"
#include "common/wire/scrypt.h"
#include "httpd/answer.h"
#include "httpd/api_calls.h"
#include "httpd/auth.h"
#include "httpd/handlers.h"
#include "httpd/master_ask.h"
#include "httpd/people_calls.h"
#include "httpd/problem.h"
#include "httpd/sign_fields.h"
#include "httpd/who.h"

#define PASSWORD_LEAST 8 /* bytes, as lua/modules/api/v3/accounts.lua */
#define PASSWORD_MOST  128
#define QUESTION_MAX   2048
#define LOOK_US        (5 * US_PER_MS)
#define LOOKS_MAX      400

struct setup {
    struct job job;
    struct http *h; /* NULL: gone; of the hub's thread */
    struct loop *hub_loop;
    struct caller caller;
    struct secret password, secret;
    char kept[SCRYPT_TEXT_MAX];
    int code; /* of ctl.h; -1: it could not be asked */
    char text[64];
    struct loop_timer look;
    unsigned looks;
};

static void setup_free(struct setup *x)
{
    secret_done(&x->password);
    secret_done(&x->secret);
    explicit_bzero(x->kept, sizeof(x->kept));
    mem_free(x);
}

/* --- on the hub --- */

static void forget(struct http *h)
{
    struct setup *x = h->ask->work;

    x->h = NULL;
    h->ask->work = NULL;
    h->ask->abort = NULL;
}

static void refuse(struct http *h, const struct setup *x)
{
    struct addr peer;
    bool secure;

    if (x->code == CTL_NOT_FOUND) {
        problem_answer(
            h, 410, "over", NULL, "the secret is void: a start or a reload without an account makes another");
    } else if (x->code == CTL_USAGE && strcmp(x->text, "secret") == 0) {
        who_peer(h, &peer, &secure);
        who_guessed(h, &peer);
        problem_answer(h, 403, "wrong-secret", NULL, "this is not the secret that the server's log shows");
    } else if (x->code == CTL_USAGE) {
        problem_answer(h, 422, "fields", NULL, "user: 1 to 49 letters, digits, '.', '_' and '-'");
    } else {
        problem_answer(h, 503, "busy", "Retry-After: 2\r\n", "the account could not be made: try again");
    }
}

static void answer(void *arg)
{
    struct setup *x = arg;
    struct http *h = x->h;

    if (h) {
        const struct answer a = {.status = 201, .type = "application/json", .cache = CACHE_NEVER};
        char body[2 * ACCESS_USER_MAX];

        forget(h);
        snprintf(body, sizeof(body), "{\"user\":\"%s\"}\n",
            x->caller.name); /* of plain letters: the master has looked */
        if (x->code == CTL_OK)
            answer_bytes(h, &a, span_of(body));
        else
            refuse(h, x);
    }
    setup_free(x);
}

/* --- on the main loop --- */

/* Whoever has his answer signs in at once: the account is known here by then. */
static void look(struct loop_timer *t)
{
    struct setup *x = t->arg;

    if (people_knows(x->caller.name) || ++x->looks == LOOKS_MAX) {
        loop_timer_stop(&x->look); /* of this loop: behind it x is the hub's */
        loop_post(x->hub_loop, answer, x);
    } else {
        loop_timer_set(x->job.loop, &x->look, LOOK_US, look, x);
    }
}

static void said(void *arg, struct master_answer *a)
{
    struct setup *x = arg;

    x->code = a->code;
    span_copy(span_sub(span_of(a->text), 0, sizeof(x->text) - 1), x->text, sizeof(x->text));
    if (x->code == CTL_OK)
        loop_timer_set(x->job.loop, &x->look, 0, look, x);
    else
        loop_post(x->hub_loop, answer, x);
}

static bool ask_master(struct setup *x)
{
    struct unpack *u = NULL;
    struct packer p;
    struct buf b;
    bool ok;

    buf_init(&b, QUESTION_MAX);
    p = packer_of(&b);
    pack_map(&p, 2);
    pack_key(&p, "args");
    pack_array(&p, 1);
    pack_str(&p, span_of(x->caller.name));
    pack_key(&p, "body");
    pack_map(&p, 2);
    pack_kv_str(&p, "secret", secret_reveal(&x->secret));
    pack_kv_text(&p, "password", x->kept);
    ok = !p.bad && unpack_new(buf_span(&b), &u) == 0;
    if (ok) {
        const struct master_question q = {.cmd = SPAN_LIT("api setup"),
            .args = packed_get(unpack_root(u), "args"),
            .body = packed_get(unpack_root(u), "body"),
            .caller = &x->caller,
            .apart = true};

        ok = master_ask(api_calls_master(), &q, said, x);
    }
    unpack_done(u);
    if (b.mem) explicit_bzero(b.mem, b.cap);
    buf_done(&b);
    return ok;
}

static void hashed(struct job *j)
{
    struct setup *x = CONTAINER(j, struct setup, job);

    if (x->kept[0] == '\0' || !ask_master(x)) loop_post(x->hub_loop, answer, x);
}

/* --- in the thread --- */

static void work(struct job *j)
{
    struct setup *x = CONTAINER(j, struct setup, job);
    struct wr w = wr_of(x->kept, sizeof(x->kept));

    if (!scrypt_write(secret_reveal(&x->password), &w)) w.bad = true;
    wr_cstr(&w);
}

/* --- the request --- */

static void begin(struct http *h, const struct addr *peer, const struct sign_fields *f)
{
    struct setup *x = NEW(struct setup);

    x->h = h;
    x->hub_loop = h->hub->loop;
    x->code = -1;
    x->caller = (struct caller){.role = "", .by = "setup"};
    span_copy(f->user, x->caller.name, sizeof(x->caller.name));
    addr_text(peer, x->caller.address);
    x->password = secret_of(f->password);
    x->secret = secret_of(f->secret);
    x->job = (struct job){.work = work, .done = hashed, .loop = people_loop()};
    h->ask->work = x;
    h->ask->abort = forget;
    if (pool_put(h->hub->server->passwords, &x->job)) return;
    forget(h);
    setup_free(x);
    problem_answer(h, 503, "busy", "Retry-After: 2\r\n", "too many passwords are being looked at");
}

static bool password_ok(struct span s)
{
    for (size_t i = 0; i < s.n; i++)
        if (s.p[i] < 0x20 || s.p[i] == 0x7f) return false;
    return s.n >= PASSWORD_LEAST && s.n <= PASSWORD_MOST;
}

static void take(struct http *h, const struct addr *peer)
{
    struct span body = buf_span(&h->ask->body);
    struct sign_fields f;

    if (body.n > SIGN_BODY_MAX) {
        problem_answer(h, 413, "too-large", NULL, "a name, a password and a secret are shorter");
        return;
    }
    sign_fields_read(body, &f);
    if (f.bad)
        problem_answer(h, 400, "malformed", NULL, "this is no JSON, behind byte %zu", f.at);
    else if (f.n != 3 || !f.user.p || !f.password.p || !f.secret.p || f.user.n == 0 ||
        f.user.n > ACCESS_USER_MAX)
        problem_answer(h, 422, "fields", NULL, "send an object of three texts: secret, user and password");
    else if (!password_ok(f.password))
        problem_answer(h, 422, "fields", NULL, "password: %d to %d bytes, no control characters",
            PASSWORD_LEAST, PASSWORD_MOST);
    else
        begin(h, peer, &f);
    explicit_bzero(&f, sizeof(f));
}

void serve_setup(struct http *h)
{
    struct addr peer;
    bool secure;

    who_peer(h, &peer, &secure);
    if (who_is_foreign(h))
        problem_answer(h, 403, "foreign", NULL, "a page of another site makes no account here");
    else if (!sign_is_json(h))
        return;
    else if (!who_may_sign_in(h, &peer, secure))
        problem_answer(h, 403, "not-from-here", NULL,
            "from this address nobody may sign in: use TLS, or see cpanel-whitelist");
    else if (h->hub->auth->accounts.n > 0)
        problem_answer(h, 410, "over", NULL, "there are accounts: sign in");
    else if (!who_is_throttled(h, &peer))
        take(h, &peer);
}
