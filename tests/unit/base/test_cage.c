/* The cage around processes that give themselves up to it: what the role may do works, anything else ends
 * them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/base/cage.h"
#include "common/base/clock.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define FILTERED 0
#else
#define FILTERED 1
#endif

enum { EXIT_FINE = 40, EXIT_WRONG, EXIT_CAGELESS };
#define KEPT_FD 3

static enum cage_role role; /* that is tried */

/* Its status as waitpid says it. */
static int in_cage(int (*fn)(void))
{
    int status;
    pid_t pid = fork();

    if (pid == 0) {
        unsigned missing;

        if (dup2(STDIN_FILENO, KEPT_FD) < 0 || dup2(STDIN_FILENO, 9) < 0) _exit(EXIT_CAGELESS);
        missing = cage_enter(role, KEPT_FD);
        if (missing & ~(FILTERED ? 0u : (unsigned)CAGE_CALLS)) _exit(EXIT_CAGELESS);
        _exit(fn());
    }
    assert_true(pid > 0);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return status;
}

static void works(int (*fn)(void))
{
    int status = in_cage(fn);

    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), EXIT_FINE);
}

static void dies(int (*fn)(void))
{
    int status = in_cage(fn);

    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), SIGSYS);
}

static int fine(bool ok)
{
    return ok ? EXIT_FINE : EXIT_WRONG;
}

static int allocate(void)
{
    uint8_t *p = malloc(32u << 20);

    if (!p) return EXIT_WRONG;
    memset(p, 1, 32u << 20);
    free(p);
    return fine(clock_mono_us() > 0);
}

static int closed_above(void)
{
    return fine(close(KEPT_FD) == 0 && close(9) < 0);
}

static int too_much_memory(void)
{
    return fine(malloc((size_t)1 << 30) == NULL);
}

static int call_socket(void)
{
    return fine(socket(AF_INET, SOCK_STREAM, 0) >= 0);
}

static int call_open(void)
{
    return fine(open("/etc/hostname", O_RDONLY) >= 0);
}

static int call_fork(void)
{
    return fine(fork() >= 0);
}

static int call_exec(void)
{
    char *const argv[] = {NULL};

    return fine(execve("/bin/true", argv, argv) == 0);
}

static int kill_another(void)
{
    return fine(kill(getppid(), 0) == 0);
}

static int map_code(void)
{
    return fine(mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) != MAP_FAILED);
}

static int make_code(void)
{
    void *p = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    return fine(p != MAP_FAILED && mprotect(p, 4096, PROT_READ | PROT_EXEC) == 0);
}

static int raise_limit(void)
{
    const struct rlimit more = {1u << 20, 1u << 20};

    return fine(setrlimit(RLIMIT_NOFILE, &more) == 0);
}

static int call_abort(void)
{
    abort();
}

static void test_what_is_allowed(void **state)
{
    (void)state;
    for (role = 0; role < CAGE_ROLES; role++) {
        works(allocate);
        if (FILTERED) works(too_much_memory);
    }
    role = CAGE_PICTURE;
    works(closed_above);
}

static void test_what_is_not(void **state)
{
    static int (*const calls[])(void) = {
        call_socket, call_open, call_fork, call_exec, kill_another, map_code, make_code, raise_limit};

    (void)state;
    if (!FILTERED) {
        print_message("skipped: a sanitizer makes calls of its own\n");
        skip();
    }
    for (role = 0; role < CAGE_ROLES; role++)
        for (size_t i = 0; i < ARRAY_N(calls); i++) dies(calls[i]);
}

static void test_abort_shows_as_abort(void **state)
{
    (void)state;
    for (role = 0; role < CAGE_ROLES; role++) {
        int status = in_cage(call_abort);

        assert_true(WIFSIGNALED(status));
        assert_int_equal(WTERMSIG(status), SIGABRT);
    }
}

static void test_layers_have_names(void **state)
{
    char text[CAGE_TEXT_MAX];

    (void)state;
    assert_string_equal(cage_text(0, text), "");
    assert_string_equal(cage_text(CAGE_LIMITS | CAGE_CALLS, text), "limits,calls");
    assert_string_equal(cage_text(CAGE_ALL, text), "descriptors,limits,privileges,calls");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_is_allowed),
        cmocka_unit_test(test_what_is_not),
        cmocka_unit_test(test_abort_shows_as_abort),
        cmocka_unit_test(test_layers_have_names),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
