#include "httpd/guess.h"
#include "common/base/mem.h"
#include "common/base/rng.h"

#include <pthread.h>
#include <string.h>

#define WAYS 8 /* places that one source may have */
#define SETS (GUESS_SOURCES_MAX / WAYS)

struct source {
    uint64_t key;
    usec_t until_us; /* 0: free */
    bool blocked;
};
struct guess {
    pthread_mutex_t lock;
    uint64_t salt;
    struct source *tables[2]; /* IPv4, IPv6; made by the first that fails */
};

struct guess *guess_new(void)
{
    struct guess *g = NEW(struct guess);

    pthread_mutex_init(&g->lock, NULL);
    rng_bytes(&g->salt, sizeof(g->salt));
    return g;
}

void guess_free(struct guess *g)
{
    if (!g) return;
    mem_free(g->tables[0]);
    mem_free(g->tables[1]);
    pthread_mutex_destroy(&g->lock);
    mem_free(g);
}

/* The part of an address that stands for its owner. */
static uint64_t key_of(const struct addr *a)
{
    uint64_t key = 0;

    for (size_t i = 0; i < 8; i++) key = key << 8 | a->b[addr_is_v4(a) ? 8 + i : i];
    return key;
}

/* Whoever chooses addresses does not know which of them meet (finalizer of MurmurHash3). */
static size_t set_of(const struct guess *g, uint64_t key)
{
    key ^= g->salt;
    key = (key ^ key >> 33) * 0xff51afd7ed558ccdu;
    key = (key ^ key >> 33) * 0xc4ceb9fe1a85ec53u;
    return (size_t)((key ^ key >> 33) % SETS);
}

/* Its place, else a free one; NULL: there is none. */
static struct source *place_of(struct source *set, uint64_t key, usec_t now_us)
{
    struct source *room = NULL;

    for (size_t i = 0; i < WAYS; i++) {
        if (set[i].until_us > now_us && set[i].key == key) return &set[i];
        if (set[i].until_us <= now_us) room = &set[i];
    }
    if (room) *room = (struct source){.key = key};
    return room;
}

bool guess_failed(struct guess *g, const struct addr *a, usec_t now_us)
{
    bool begins = false;
    uint64_t key = key_of(a);
    struct source **table = &g->tables[addr_is_v4(a) ? 0 : 1], *s;

    pthread_mutex_lock(&g->lock);
    if (!*table) *table = mem_new_n(GUESS_SOURCES_MAX, sizeof(**table));
    s = place_of(&(*table)[set_of(g, key) * WAYS], key, now_us);
    if (s) {
        s->until_us = MIN(MAX(s->until_us, now_us) + GUESS_FAIL_US, now_us + GUESS_MOST_US);
        begins = !s->blocked && s->until_us - now_us >= GUESS_LEAST_US;
        s->blocked |= begins;
    }
    pthread_mutex_unlock(&g->lock);
    return begins;
}

usec_t guess_wait_us(struct guess *g, const struct addr *a, usec_t now_us)
{
    uint64_t key = key_of(a);
    const struct source *table;
    usec_t wait_us = 0;

    pthread_mutex_lock(&g->lock);
    table = g->tables[addr_is_v4(a) ? 0 : 1];
    for (size_t i = 0; table && i < WAYS; i++) {
        const struct source *s = &table[set_of(g, key) * WAYS + i];

        if (s->key == key && s->blocked) wait_us = MAX(wait_us, s->until_us - now_us);
    }
    pthread_mutex_unlock(&g->lock);
    return wait_us;
}

bool guess_blocked(struct guess *g, const struct addr *a, usec_t now_us)
{
    return guess_wait_us(g, a, now_us) > 0;
}

size_t guess_bytes(struct guess *g)
{
    size_t n;

    pthread_mutex_lock(&g->lock);
    n = ((g->tables[0] != NULL) + (g->tables[1] != NULL)) * (GUESS_SOURCES_MAX * sizeof(struct source));
    pthread_mutex_unlock(&g->lock);
    return n;
}
