#include "httpd/held.h"
#include "common/base/rng.h"

#include <pthread.h>

struct held {
    uint64_t name; /* 0: empty */
    usec_t until_us;
    struct buf text;
};

static struct {
    pthread_mutex_t lock;
    struct held v[HELD_MOST];
    unsigned next;
} all = {.lock = PTHREAD_MUTEX_INITIALIZER};

static void forget(struct held *h)
{
    buf_done(&h->text);
    *h = (struct held){0};
}

uint64_t held_put(struct buf *text)
{
    usec_t now_us = clock_mono_us();
    struct held *h;
    uint64_t name;

    pthread_mutex_lock(&all.lock);
    for (unsigned i = 0; i < HELD_MOST; i++)
        if (all.v[i].name != 0 && now_us >= all.v[i].until_us) forget(&all.v[i]);
    h = &all.v[all.next++ % HELD_MOST];
    forget(h);
    do {
        rng_bytes(&name, sizeof(name));
        name &= INT64_MAX; /* scripts have signed ones */
    } while (name == 0);
    *h = (struct held){name, now_us + HELD_KEEP_US, *text};
    *text = (struct buf){0};
    pthread_mutex_unlock(&all.lock);
    return name;
}

bool held_take(uint64_t name, struct buf *ret)
{
    bool found = false;

    pthread_mutex_lock(&all.lock);
    for (unsigned i = 0; i < HELD_MOST && name != 0 && !found; i++) {
        struct held *h = &all.v[i];

        if (h->name != name) continue;
        found = true;
        *ret = h->text;
        *h = (struct held){0};
    }
    pthread_mutex_unlock(&all.lock);
    return found;
}
