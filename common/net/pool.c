#include "common/net/pool.h"
#include "common/base/err.h"
#include "common/base/mem.h"

#include <pthread.h>

struct pool {
    pthread_mutex_t lock;
    pthread_cond_t more;
    struct job *first, **end;
    size_t n, max;
    bool stop;
    unsigned n_threads;
    pthread_t threads[];
};

static void finished(void *arg)
{
    struct job *j = arg;

    j->done(j);
}

static struct job *take(struct pool *p)
{
    struct job *j;

    pthread_mutex_lock(&p->lock);
    while (!p->first && !p->stop) pthread_cond_wait(&p->more, &p->lock);
    j = p->stop ? NULL : p->first;
    if (j) {
        p->first = j->next;
        if (!p->first) p->end = &p->first;
        p->n--;
    }
    pthread_mutex_unlock(&p->lock);
    return j;
}

/* sendfile to a client that has gone would raise SIGPIPE, and no flag turns that off. What a thread does to
 * itself stays: a fault that is blocked ends the process, whatever index_guard.h has to say of it. */
static void block_signals(void)
{
    static const int faults[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT};
    sigset_t all;

    sigfillset(&all);
    for (size_t i = 0; i < ARRAY_N(faults); i++) sigdelset(&all, faults[i]);
    pthread_sigmask(SIG_BLOCK, &all, NULL);
}

static void *pool_main(void *arg)
{
    struct pool *p = arg;
    struct job *j;

    block_signals();
    while ((j = take(p))) {
        j->work(j);
        loop_post(j->loop, finished, j);
    }
    return NULL;
}

struct pool *pool_new(unsigned threads, size_t queue_max)
{
    struct pool *p = mem_new(sizeof(*p) + threads * sizeof(p->threads[0]));

    pthread_mutex_init(&p->lock, NULL);
    pthread_cond_init(&p->more, NULL);
    p->end = &p->first;
    p->max = queue_max;
    p->n_threads = threads;
    for (unsigned i = 0; i < threads; i++) must(pthread_create(&p->threads[i], NULL, pool_main, p) == 0);
    return p;
}

void pool_stop(struct pool *p)
{
    pthread_mutex_lock(&p->lock);
    p->stop = true;
    pthread_cond_broadcast(&p->more);
    pthread_mutex_unlock(&p->lock);
    for (unsigned i = 0; i < p->n_threads; i++) pthread_join(p->threads[i], NULL);
    p->n_threads = 0;
}

void pool_free(struct pool *p)
{
    if (!p) return;
    pool_stop(p);
    pthread_mutex_destroy(&p->lock);
    pthread_cond_destroy(&p->more);
    mem_free(p);
}

bool pool_put(struct pool *p, struct job *j)
{
    bool taken;

    j->next = NULL;
    pthread_mutex_lock(&p->lock);
    taken = p->n < p->max && !p->stop;
    if (taken) {
        *p->end = j;
        p->end = &j->next;
        p->n++;
        pthread_cond_signal(&p->more);
    }
    pthread_mutex_unlock(&p->lock);
    return taken;
}

size_t pool_waiting(struct pool *p)
{
    size_t n;

    pthread_mutex_lock(&p->lock);
    n = p->n;
    pthread_mutex_unlock(&p->lock);
    return n;
}
