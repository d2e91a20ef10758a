#include "httpd/password.h"
#include "common/base/mem.h"
#include "common/wire/scrypt.h"
#include "httpd/auth.h"
#include "httpd/proven.h"
#include "common/net/pool.h"

struct attempt {
    struct job job;
    struct http *h;    /* NULL: gone */
    struct auth *auth; /* as it was: `account` is of it */
    const struct account *account;
    struct secret given;
    bool nobody, right;
    void (*done)(struct http *h, enum password result, const struct account *a);
};

static void forget(struct http *h)
{
    struct attempt *t = h->ask->work;

    t->h = NULL;
    h->ask->work = NULL;
    h->ask->abort = NULL;
}

static void work(struct job *j)
{
    struct attempt *t = CONTAINER(j, struct attempt, job);

    t->right = scrypt_check(secret_reveal(&t->account->password), secret_reveal(&t->given)) && !t->nobody;
}

static void attempt_free(struct attempt *t)
{
    secret_done(&t->given);
    auth_unref(t->auth);
    mem_free(t);
}

static void done(struct job *j)
{
    struct attempt *t = CONTAINER(j, struct attempt, job);
    struct http *h = t->h;

    if (h) {
        if (t->right)
            proven_add(
                h->hub->server->proven, t->account, secret_reveal(&t->given), loop_now_us(h->hub->loop));
        forget(h);
        t->done(h, t->right ? PASSWORD_RIGHT : PASSWORD_WRONG, t->account);
    }
    attempt_free(t);
}

static enum password later(struct http *h, const struct attempt *with)
{
    struct attempt *t = mem_dup(with, sizeof(*with));

    t->h = h;
    t->auth = auth_ref(h->hub->auth);
    t->job = (struct job){.work = work, .done = done, .loop = h->hub->loop};
    h->ask->work = t;
    h->ask->abort = forget;
    if (pool_put(h->hub->server->passwords, &t->job)) return PASSWORD_LATER;
    forget(h);
    attempt_free(t);
    return PASSWORD_BUSY;
}

enum password password_check(struct http *h, struct span user, struct span password,
    void (*fn)(struct http *h, enum password result, const struct account *a), const struct account **ret)
{
    struct attempt t = {.done = fn};

    switch (account_named(&h->hub->auth->accounts, user, password, &t.account, &t.nobody)) {
    case ACCOUNT_RIGHT: *ret = t.account; return PASSWORD_RIGHT;
    case ACCOUNT_SLOW:
        *ret = t.account;
        if (!t.nobody && proven_has(h->hub->server->proven, t.account, password, loop_now_us(h->hub->loop)))
            return PASSWORD_RIGHT;
        t.given = secret_of(password);
        return later(h, &t);
    case ACCOUNT_WRONG:
    case ACCOUNT_STALE: break;
    }
    return PASSWORD_WRONG;
}
