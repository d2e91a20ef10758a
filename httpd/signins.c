#include "httpd/signins.h"
#include "common/base/clock.h"
#include "common/base/mem.h"
#include "common/base/rng.h"
#include "common/wire/crypto.h"
#include "common/wire/hex.h"

#include <pthread.h>

#define MARK_N 16

struct signin {
    struct list link; /* the one used last at the end */
    char id[CALLER_ID_DIGITS + 1], csrf[CALLER_ID_DIGITS + 1];
    char name[ACCESS_USER_MAX + 1];
    const char *role;
    bool basic;
    struct camera_list cameras;
    uint8_t mark[MARK_N]; /* of the password as it is kept */
    usec_t made_us, used_us;
    usec_t shown_us; /* its password */
    int64_t until_s;
};
struct signins {
    pthread_mutex_t lock;
    uint8_t key[CRYPTO_SHA256_N];
    struct list all;
    size_t n;
};

struct signins *signins_new(void)
{
    struct signins *s = NEW(struct signins);

    pthread_mutex_init(&s->lock, NULL);
    rng_bytes(s->key, sizeof(s->key));
    list_init(&s->all);
    return s;
}

static void drop(struct signins *s, struct signin *i)
{
    list_remove(&i->link);
    s->n--;
    explicit_bzero(i, sizeof(*i));
    mem_free(i);
}

void signins_free(struct signins *s)
{
    if (!s) return;
    LIST_EACH(&s->all, at) drop(s, LIST_ITEM(at, struct signin, link));
    pthread_mutex_destroy(&s->lock);
    explicit_bzero(s->key, sizeof(s->key));
    mem_free(s);
}

static void digits_of(const uint8_t *bytes, char ret[CALLER_ID_DIGITS + 1])
{
    struct wr w = wr_of(ret, CALLER_ID_DIGITS + 1);

    hex_write(&w, span(bytes, CALLER_ID_DIGITS / 2));
    wr_cstr(&w);
}

static void random_id(char ret[CALLER_ID_DIGITS + 1])
{
    uint8_t bytes[CALLER_ID_DIGITS / 2];

    rng_bytes(bytes, sizeof(bytes));
    digits_of(bytes, ret);
}

static void mark_of(const struct signins *s, const struct account *a, uint8_t ret[MARK_N])
{
    const struct span kept = secret_reveal(&a->password);
    uint8_t mac[CRYPTO_SHA256_N];

    crypto_hmac_sha256(span(s->key, sizeof(s->key)), &kept, 1, mac);
    memcpy(ret, mac, MARK_N);
}

void signins_basic(const struct signins *s, struct span authorization, char ret_id[CALLER_ID_DIGITS + 1])
{
    const struct span pieces[] = {SPAN_LIT("basic"), span("", 1), authorization};
    uint8_t mac[CRYPTO_SHA256_N];

    crypto_hmac_sha256(span(s->key, sizeof(s->key)), pieces, ARRAY_N(pieces), mac);
    digits_of(mac, ret_id);
}

static bool is_over(const struct signin *i, usec_t now_us)
{
    return now_us - i->used_us > SIGNINS_IDLE_US || now_us - i->made_us > SIGNINS_MOST_US;
}

/* With the lock. The time it takes does not tell how much of an id was right. */
static struct signin *find(struct signins *s, struct span id, usec_t now_us)
{
    struct signin *found = NULL;

    if (id.n != CALLER_ID_DIGITS) return NULL;
    LIST_EACH(&s->all, at)
    {
        struct signin *i = LIST_ITEM(at, struct signin, link);

        if (is_over(i, now_us))
            drop(s, i);
        else if (crypto_equal(id, span_of(i->id)))
            found = i;
    }
    return found;
}

static void use(struct signins *s, struct signin *i, usec_t now_us)
{
    i->used_us = now_us;
    list_remove(&i->link);
    list_push(&s->all, &i->link);
}

static size_t count_of(const struct signins *s, const char *name)
{
    size_t n = 0;

    LIST_EACH(&s->all, at) n += strcmp(LIST_ITEM(at, struct signin, link)->name, name) == 0;
    return n;
}

/* The one that was not used for longest, of the account that has the most: nobody who signs in again and
 * again pushes others out. */
static void make_room(struct signins *s)
{
    struct signin *victim = NULL;
    size_t most = 0, n;

    LIST_EACH(&s->all, at)
    {
        struct signin *i = LIST_ITEM(at, struct signin, link);

        n = count_of(s, i->name);
        if (n <= most) continue;
        most = n;
        victim = i;
    }
    if (victim) drop(s, victim);
}

void signins_add(struct signins *s, const struct account *a, const char *id, usec_t now_us,
    char ret_id[CALLER_ID_DIGITS + 1])
{
    struct signin *i = NEW(struct signin), *before;

    snprintf(i->name, sizeof(i->name), "%s", a->login);
    i->role = a->role;
    i->cameras = a->cameras;
    i->basic = id[0] != '\0';
    mark_of(s, a, i->mark);
    i->made_us = i->shown_us = now_us;
    i->until_s = (clock_wall_us() + SIGNINS_MOST_US) / US_PER_S;
    random_id(i->csrf);
    random_id(i->id);
    if (i->basic) memcpy(i->id, id, sizeof(i->id));
    memcpy(ret_id, i->id, sizeof(i->id));
    pthread_mutex_lock(&s->lock);
    before = find(s, span_of(i->id), now_us);
    if (before) drop(s, before);
    while (s->n >= SIGNINS_MAX) make_room(s);
    s->n++;
    use(s, i, now_us);
    pthread_mutex_unlock(&s->lock);
}

bool signins_find(
    struct signins *s, struct span id, usec_t now_us, struct caller *ret, char ret_csrf[CALLER_ID_DIGITS + 1])
{
    struct signin *i;

    pthread_mutex_lock(&s->lock);
    i = find(s, id, now_us);
    if (i) {
        use(s, i, now_us);
        *ret = (struct caller){.role = i->role,
            .by = i->basic ? "basic" : "session",
            .until_s = i->until_s,
            .shown_until_s =
                i->basic ? 0 : (clock_wall_us() + SIGNINS_SHOWN_US - (now_us - i->shown_us)) / US_PER_S,
            .cameras = i->cameras};
        memcpy(ret->name, i->name, sizeof(ret->name));
        memcpy(ret->id, i->id, sizeof(ret->id));
        memcpy(ret_csrf, i->csrf, sizeof(i->csrf));
    }
    pthread_mutex_unlock(&s->lock);
    return i != NULL;
}

void signins_shown(struct signins *s, struct span id, usec_t now_us)
{
    struct signin *i;

    pthread_mutex_lock(&s->lock);
    i = find(s, id, now_us);
    if (i) i->shown_us = now_us;
    pthread_mutex_unlock(&s->lock);
}

bool signins_end(struct signins *s, struct span id)
{
    struct signin *i;

    pthread_mutex_lock(&s->lock);
    i = find(s, id, 0);
    if (i) drop(s, i);
    pthread_mutex_unlock(&s->lock);
    return i != NULL;
}

bool signins_has(struct signins *s, struct span id, usec_t now_us)
{
    bool has;

    pthread_mutex_lock(&s->lock);
    has = find(s, id, now_us) != NULL;
    pthread_mutex_unlock(&s->lock);
    return has;
}

bool signins_hold(struct signins *s, struct span id, usec_t now_us)
{
    struct signin *i;

    pthread_mutex_lock(&s->lock);
    i = find(s, id, now_us);
    if (i) use(s, i, now_us);
    pthread_mutex_unlock(&s->lock);
    return i != NULL;
}

static const struct account *account_of(const struct accounts *l, const char *name)
{
    for (size_t i = 0; i < l->n; i++)
        if (strcmp(l->v[i].login, name) == 0) return &l->v[i];
    return NULL;
}

void signins_accounts(struct signins *s, const struct accounts *accounts)
{
    pthread_mutex_lock(&s->lock);
    LIST_EACH(&s->all, at)
    {
        struct signin *i = LIST_ITEM(at, struct signin, link);
        const struct account *a = account_of(accounts, i->name);
        uint8_t mark[MARK_N] = {0};

        if (a) mark_of(s, a, mark);
        if (!a || strcmp(a->role, i->role) != 0 || memcmp(mark, i->mark, MARK_N) != 0)
            drop(s, i);
        else
            i->cameras = a->cameras;
    }
    pthread_mutex_unlock(&s->lock);
}
