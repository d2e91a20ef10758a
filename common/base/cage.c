#include "common/base/cage.h"

#include <errno.h>
#include <seccomp.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Of one process and its life; 0 is a limit too. */
struct limits {
    rlim_t memory; /* of addresses, bytes */
    rlim_t cpu_s, files, file_bytes, processes;
};

#define CALLS_END                                                                                            \
    (-1000000) /* libseccomp gives calls that a machine does not have small negative numbers                 \
                */

/* A request comes over one socket and its answer goes back; a timer ends a decoder that does not end. What a
 * C library needs to allocate, to tell the time and to abort is there, and nothing that takes a path, an
 * address or another process. */
static const int picture_calls[] = {SCMP_SYS(read), SCMP_SYS(write), SCMP_SYS(recvfrom), SCMP_SYS(sendto),
    SCMP_SYS(poll), SCMP_SYS(close), SCMP_SYS(brk), SCMP_SYS(munmap), SCMP_SYS(mremap), SCMP_SYS(madvise),
    SCMP_SYS(futex), SCMP_SYS(alarm), SCMP_SYS(setitimer), SCMP_SYS(clock_gettime), SCMP_SYS(getrandom),
    SCMP_SYS(rt_sigreturn), SCMP_SYS(rt_sigprocmask), SCMP_SYS(restart_syscall), SCMP_SYS(getpid),
    SCMP_SYS(gettid), SCMP_SYS(exit), SCMP_SYS(exit_group), CALLS_END};

/* Messages over one socket, and Lua, which needs memory and the time alone. */
static const int lua_calls[] = {SCMP_SYS(recvfrom), SCMP_SYS(sendto), SCMP_SYS(brk), SCMP_SYS(munmap),
    SCMP_SYS(mremap), SCMP_SYS(madvise), SCMP_SYS(futex), SCMP_SYS(clock_gettime), SCMP_SYS(getrandom),
    SCMP_SYS(rt_sigreturn), SCMP_SYS(rt_sigprocmask), SCMP_SYS(restart_syscall), SCMP_SYS(getpid),
    SCMP_SYS(gettid), SCMP_SYS(exit_group), CALLS_END};

static const struct {
    const int *calls;
    struct limits limits;
} roles[CAGE_ROLES] = {
    /* 200 jobs of at most 2 s each are its life. */
    [CAGE_PICTURE] = {picture_calls, {512u << 20, 400, 8, 0, 0}},
    /* Lives as long as httpd; who hangs is seen by httpd. Room for each script twice, while one replaces the
       other. */
    [CAGE_LUA] = {lua_calls, {320u << 20, RLIM_INFINITY, 4, 0, 0}},
};

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1 /* shadow memory is terabytes of addresses */
#else
#define SANITIZED 0
#endif
#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#undef SANITIZED
#define SANITIZED 1
#endif
#endif

static bool limit(__rlimit_resource_t what, rlim_t most)
{
    struct rlimit now;

    if (getrlimit(what, &now) < 0) return false;
    now.rlim_cur = now.rlim_max = MIN(most, now.rlim_max);
    return setrlimit(what, &now) == 0;
}

static bool set_limits(const struct limits *l)
{
    if (!SANITIZED && !limit(RLIMIT_AS, l->memory)) return false;
    return limit(RLIMIT_CPU, l->cpu_s) && limit(RLIMIT_NOFILE, l->files) &&
        limit(RLIMIT_FSIZE, l->file_bytes) && limit(RLIMIT_NPROC, l->processes) && limit(RLIMIT_CORE, 0);
}

/* Memory that is not executable, and signals to itself: abort() must show as SIGABRT. */
static bool allow_guarded(scmp_filter_ctx ctx)
{
    static const int memory[] = {SCMP_SYS(mmap), SCMP_SYS(mprotect)};

    for (size_t i = 0; i < ARRAY_N(memory); i++)
        if (seccomp_rule_add(ctx, SCMP_ACT_ALLOW, memory[i], 1, SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0)) <
            0)
            return false;
    return seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(tgkill), 1,
               SCMP_A0(SCMP_CMP_EQ, (scmp_datum_t)getpid(), 0)) == 0;
}

static bool allow_calls(const int *calls)
{
    scmp_filter_ctx ctx = seccomp_init(SCMP_ACT_KILL_PROCESS);
    bool ok = ctx != NULL;

    for (size_t i = 0; ok && calls[i] != CALLS_END; i++)
        ok = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, calls[i], 0) == 0;
    ok = ok && allow_guarded(ctx) && seccomp_load(ctx) == 0;
    seccomp_release(ctx);
    return ok;
}

static bool close_above(int last_fd)
{
    return syscall(SYS_close_range, (unsigned)last_fd + 1, ~0u, 0) == 0;
}

unsigned cage_enter(enum cage_role role, int last_fd)
{
    unsigned missing = 0;

    if (!close_above(last_fd)) missing |= CAGE_FDS;
    if (!set_limits(&roles[role].limits)) missing |= CAGE_LIMITS;
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0) missing |= CAGE_PRIVS;
    if (SANITIZED || !allow_calls(roles[role].calls)) missing |= CAGE_CALLS;
    return missing;
}
