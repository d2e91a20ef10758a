#include "archive/checker.h"
#include "archive/index.h"
#include "archive/indexer.h"
#include "common/base/clock.h"
#include "common/base/fd.h"
#include "common/base/idle.h"

#include <errno.h>
#include <signal.h>
#include <spawn.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <unistd.h>

static const char *const words[] = {
    [CHECKER_NEWEST] = "--check-newest",
    [CHECKER_ALL] = "--check-index",
};

void checker_init(struct checker *c)
{
    *c = (struct checker){.fd = -1};
}

int checker_start(struct checker *c, enum checker_task task, const char *dir, usec_t limit_us)
{
    char *argv[] = {(char[]){"ms-keeper"}, (char *)(uintptr_t)words[task], (char *)(uintptr_t)dir, NULL};
    posix_spawnattr_t attr;
    sigset_t none;
    int err;

    /* Nothing of ours goes there but the log: all descriptors are close-on-exec. */
    posix_spawnattr_init(&attr);
    sigemptyset(&none);
    posix_spawnattr_setsigmask(&attr, &none);
    posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGMASK);
    err = posix_spawn(&c->pid, "/proc/self/exe", NULL, &attr, argv, environ);
    posix_spawnattr_destroy(&attr);
    if (err) {
        c->pid = 0;
        return -err;
    }
    c->task = task;
    c->fd = pidfd_open(c->pid, 0);
    c->deadline_us = clock_mono_us() + limit_us;
    return 0;
}

/* A crash is damage, but not a kill: that is the machine's lack of memory. */
static enum checker_verdict verdict_of(int status)
{
    if (WIFSIGNALED(status)) return WTERMSIG(status) == SIGKILL ? CHECKER_FAILED : CHECKER_DAMAGED;
    return WEXITSTATUS(status) <= CHECKER_DAMAGED ? (enum checker_verdict)WEXITSTATUS(status)
                                                  : CHECKER_FAILED;
}

bool checker_ended(struct checker *c, usec_t now_us, enum checker_verdict *ret)
{
    int status = 0;
    pid_t pid;

    if (c->pid == 0) return false;
    pid = waitpid(c->pid, &status, WNOHANG);
    if (pid == 0 && now_us < c->deadline_us) return false;
    *ret = pid == 0 ? CHECKER_LATE : verdict_of(status);
    if (pid != 0) c->pid = 0;
    checker_stop(c);
    return true;
}

void checker_stop(struct checker *c)
{
    if (c->pid > 0) {
        kill(c->pid, SIGKILL);
        waitpid(c->pid, NULL, 0);
        c->pid = 0;
    }
    fd_close(&c->fd);
}

static int newest(const char *dir)
{
    int err = index_check_newest(dir, INDEXER_NEWEST_US);

    return err == INDEX_OK ? CHECKER_GOOD : err > 0 || err == -ENOENT ? CHECKER_DAMAGED : CHECKER_FAILED;
}

static int all(const char *dir)
{
    uint64_t segments, flaws;
    int err;

    idle_become();
    err = index_check(dir, &segments, &flaws);
    if (err == INDEX_OK) return CHECKER_GOOD;
    if (err < 0) return CHECKER_FAILED;
    return err == INDEX_E_FLAWED ? CHECKER_FLAWED : CHECKER_DAMAGED;
}

int checker_main(int argc, char **argv)
{
    if (argc != 3) return -1;
    if (strcmp(argv[1], words[CHECKER_NEWEST]) == 0) return newest(argv[2]);
    return strcmp(argv[1], words[CHECKER_ALL]) == 0 ? all(argv[2]) : -1;
}
