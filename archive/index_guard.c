#include "archive/index_guard.h"
#include "archive/index_impl.h"
#include "common/base/err.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <unistd.h>

static _Thread_local struct index_guard *innermost;

static const int signals[] = {SIGSEGV, SIGBUS, SIGABRT};
static struct sigaction before[ARRAY_N(signals)];

/* Only what a signal handler may call. */
static void leave_mark(const struct index *ix)
{
    int fd = open(ix->crash_mark, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0640);

    if (fd >= 0) close(fd);
}

/* Does not return where the call can be given up: not out of abort(), which malloc calls with its lock held.
 */
static void give_up(bool may_jump)
{
    struct index_guard *g = innermost;

    if (!g) return;
    while (g->outer && !g->writes) g = g->outer; /* nobody between goes on with what is given up */
    if (g->writes || !may_jump) {
        if (g->writes) leave_mark(g->ix);
        return;
    }
    atomic_store(&g->ix->broken, true);
    innermost = NULL;
    g->on = false;
    siglongjmp(g->at, 1);
}

/* Sent by somebody (si_code <= 0) it is no fault of ours. */
static void on_fault(int sig, siginfo_t *info, void *context)
{
    (void)context;
    if (sig == SIGABRT || info->si_code > 0) give_up(sig != SIGABRT);
    for (size_t i = 0; i < ARRAY_N(signals); i++)
        if (signals[i] == sig) sigaction(sig, &before[i], NULL);
    if (sig != SIGABRT && info->si_code <= 0) raise(sig); /* a fault, and abort(), come again by themselves */
}

void index_guard_install(void)
{
    struct sigaction act = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO | SA_NODEFER | SA_ONSTACK};

    sigemptyset(&act.sa_mask);
    for (size_t i = 0; i < ARRAY_N(signals); i++) sigaction(signals[i], &act, &before[i]);
}

static void on_assertion(MDB_env *env, const char *text)
{
    (void)env;
    (void)text;
    give_up(true);
    abort();
}

void index_guard_assertions(struct index *ix)
{
    mdb_env_set_assert(ix->env, on_assertion);
}

sigjmp_buf *index_guard_enter(struct index_guard *g)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;

    pthread_once(&once, index_guard_install);
    g->outer = innermost;
    g->on = true;
    innermost = g;
    return &g->at;
}

/* Also after the jump, when the handler has left it already. */
void index_guard_leave(struct index_guard *g)
{
    if (!g->on) return;
    g->on = false;
    innermost = g->outer;
}

bool index_broken(const struct index *ix)
{
    return atomic_load(&ix->broken);
}
