/* master/proc, births and spawn with real processes: this program is its own child, by the contract of
 * common/ipc/child.h. The child's argument says how it behaves. */
#include "common/base/clock.h"
#include "common/base/err.h"
#include "common/base/wr.h"
#include "common/ipc/child.h"
#include "master/proc.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

/* --- the child --- */

static int child_message(struct child *c, struct incoming *in)
{
    (void)c;
    (void)in;
    return 0;
}

static void child_stop(struct child *c, bool orphaned)
{
    if (!span_is(span_of(child_arg(c)), "deaf")) child_exit(c, orphaned ? CHILD_EXIT_ORPHAN : CHILD_EXIT_OK);
}

/* What the contract promises, as the child finds it: a letter for each that is broken. */
static void look_around(char *dst, size_t cap)
{
    struct wr w = wr_of(dst, cap);
    struct rlimit core;
    struct sigaction pipe, term;
    sigset_t mask;
    struct stat st;

    if (fstat(0, &st) < 0 || !S_ISCHR(st.st_mode)) wr_u8(&w, 'n');
    for (int fd = 4; fd < 64; fd++)
        if (fcntl(fd, F_GETFD) >= 0) wr_fmt(&w, "f%d", fd);
    if (getrlimit(RLIMIT_CORE, &core) < 0 || core.rlim_cur != 0) wr_u8(&w, 'c');
    sigaction(SIGPIPE, NULL, &pipe);
    sigaction(SIGUSR1, NULL, &term);
    sigprocmask(SIG_SETMASK, NULL, &mask);
    if (getsid(0) != getpid()) wr_u8(&w, 's');
    if (pipe.sa_handler != SIG_IGN) wr_u8(&w, 'p');
    if (term.sa_handler != SIG_DFL) wr_u8(&w, 'u');
    if (sigismember(&mask, SIGUSR1)) wr_u8(&w, 'm');
    if (getenv("HOME") || !getenv("PATH") || !getenv("LANG") || !getenv("MS_GENERATION") ||
        !getenv("MS_SETTINGS"))
        wr_u8(&w, 'e');
    wr_text(&w, "-");
    wr_cstr(&w);
}

static void child_welcome(struct child *c, const struct packed *body)
{
    struct packer *p = channel_begin(child_control(c), MSG_STATE, 1);

    (void)body;
    pack_kv_text(p, "reason", getenv("MS_LOOK"));
    channel_end(child_control(c), NULL, 0);
    if (span_is(span_of(child_arg(c)), "crash")) raise(SIGKILL);
    if (span_is(span_of(child_arg(c)), "config")) child_exit(c, CHILD_EXIT_CONFIG);
    if (span_is(span_of(child_arg(c)), "liar")) channel_send0(child_control(c), MSG_HELLO);
}

static const struct child_ops child_ops = {
    .on_welcome = child_welcome, .on_message = child_message, .on_stop = child_stop};

static int be_child(char *how)
{
    struct child_setup setup = {.role = ROLE_WORKER, .process = "worker", .ops = &child_ops, .arg = how};
    struct loop *l;
    char look[256];

    look_around(look, sizeof(look));
    setenv("MS_LOOK", look, 1);
    if (strcmp(how, "mute") == 0) pause();
    if (strcmp(how, "stale") == 0) setenv("MS_SETTINGS", "1", 1);
    l = loop_new();
    setup.uid = strcmp(how, "other") == 0 ? "cam-2" : how;
    if (!child_start(l, &setup)) return 1;
    loop_run(l);
    return 0;
}

/* --- the master's side --- */

#define SETTINGS UINT64_C(0xfedcba9876543210)

struct world {
    struct loop *loop;
    struct births births;
    struct proc proc;
    int hellos, deaths, offs, states, break_at_hello, break_at_death;
    bool worked, hangs;
    struct proc_death last;
    char look[256], last_line[256];
    usec_t died_us, hello_us;
    const char *program;
};

static void prepare(struct proc *p, struct spawn *s)
{
    struct world *w = p->arg;

    s->program = w->program;
    s->name = "ms-child";
    s->arg = p->id;
    s->settings_hash = SETTINGS;
    s->log_fd = STDERR_FILENO;
}

static void on_hello(struct proc *p)
{
    struct world *w = p->arg;

    w->hellos++;
    w->hello_us = clock_mono_us();
    channel_send0(p->ch, MSG_WELCOME);
    if (w->hellos == w->break_at_hello) loop_break(w->loop);
}

static int on_message(struct proc *p, struct incoming *in)
{
    struct world *w = p->arg;

    if (in->type == MSG_LOG_LINE) packed_text(in->body, "line", w->last_line, sizeof(w->last_line));
    if (in->type != MSG_STATE) return 0;
    w->states++;
    packed_text(in->body, "reason", w->look, sizeof(w->look));
    loop_break(w->loop);
    return 0;
}

static bool worked(struct proc *p)
{
    return ((struct world *)p->arg)->worked;
}

static usec_t beat_us(struct proc *p)
{
    return ((struct world *)p->arg)->hangs ? 0 : clock_mono_us();
}

static void on_death(struct proc *p, const struct proc_death *d)
{
    struct world *w = p->arg;

    w->deaths++;
    w->last = *d;
    w->died_us = clock_mono_us();
    if (w->deaths == w->break_at_death) loop_break(w->loop);
}

static void on_off(struct proc *p)
{
    struct world *w = p->arg;

    w->offs++;
    loop_break(w->loop);
}

static const struct proc_ops ops = {.prepare = prepare,
    .on_hello = on_hello,
    .on_message = on_message,
    .worked = worked,
    .beat_us = beat_us,
    .on_death = on_death,
    .on_off = on_off};

static void too_late(struct loop_timer *t)
{
    (void)t;
    fail_msg("not reached within 10 s");
}

static void run(struct world *w)
{
    struct loop_timer t = {0};

    loop_timer_set(w->loop, &t, 10 * US_PER_S, too_late, NULL);
    loop_run(w->loop);
    loop_timer_stop(&t);
}

/* Several things may happen in one turn of the loop: what is waited for is counted. */
static void until(struct world *w, const int *count, int n)
{
    while (*count < n) run(w);
}

static void begin(struct world *w, const char *how)
{
    *w = (struct world){.loop = loop_new(), .program = "/proc/self/exe"};
    births_init(&w->births, w->loop);
    proc_init(&w->proc, &w->births, ROLE_WORKER, how, &ops, w);
    proc_start(&w->proc);
}

static void end(struct world *w)
{
    if (w->proc.state != PROC_OFF) {
        int before = w->offs;

        proc_stop(&w->proc);
        until(w, &w->offs, before + 1);
    }
    proc_done(&w->proc);
    births_done(&w->births);
    loop_free(w->loop);
}

static void contract_is_kept(void **state)
{
    struct world w;

    (void)state;
    begin(&w, "good");
    until(&w, &w.states, 1);
    assert_int_equal(w.hellos, 1);
    assert_string_equal(w.look, "-");
    assert_int_equal(w.proc.state, PROC_RUNNING);
    proc_stop(&w.proc);
    until(&w, &w.offs, 1);
    assert_int_equal(w.deaths, 1);
    assert_false(w.last.wanted);
    assert_int_equal(w.last.status, 0);
    end(&w);
}

/* F1: kill -9, and a new one has shaken hands. */
static void killed_one_is_replaced_at_once(void **state)
{
    struct world w;
    usec_t start_us;

    (void)state;
    begin(&w, "good");
    w.worked = true;
    until(&w, &w.states, 1);
    start_us = clock_mono_us();
    kill(w.proc.pid, SIGKILL);
    w.break_at_hello = 2;
    until(&w, &w.hellos, 2);
    assert_int_equal(w.hellos, 2);
    assert_int_equal(w.last.how, DEATH_SIGNAL);
    assert_int_equal(w.last.wait_us, 0);
    assert_false(w.last.asked);
    assert_true(w.hello_us > start_us); /* how soon is the bench's figure */
    until(&w, &w.states, 2);
    end(&w);
}

static void crash_waits(void **state)
{
    struct world w;

    (void)state;
    begin(&w, "crash");
    w.break_at_death = 1;
    until(&w, &w.deaths, 1);
    assert_int_equal(w.last.how, DEATH_SIGNAL);
    assert_true(w.last.wait_us >= 400 * US_PER_MS && w.last.wait_us <= 600 * US_PER_MS);
    w.break_at_hello = 2;
    until(&w, &w.hellos, 2); /* the loop goes on: waiting, then born again */
    end(&w);
}

static void refused_configuration_is_held(void **state)
{
    struct world w;

    (void)state;
    begin(&w, "config");
    w.break_at_death = 1;
    until(&w, &w.deaths, 1);
    assert_int_equal(w.last.how, DEATH_CONFIG);
    assert_int_equal(w.last.wait_us, THROTTLE_CONFIG);
    end(&w);
}

static void silent_one_is_killed(void **state)
{
    struct world w;

    (void)state;
    begin(&w, "good");
    until(&w, &w.states, 1);
    proc_check(&w.proc, clock_mono_us());
    w.hangs = true;
    proc_check(&w.proc, clock_mono_us());
    assert_int_equal(w.proc.state, PROC_RUNNING);
    proc_check(&w.proc, clock_mono_us() + PROC_SILENT_US + US_PER_MS);
    w.break_at_death = 1;
    until(&w, &w.deaths, 1);
    assert_int_equal(w.last.how, DEATH_HANG);
    end(&w);
}

/* A child that does not listen to STOP, one that lies, and those that shake hands for
 * another stream, and for settings that they were not started for. */
static void bad_children_are_killed(void **state)
{
    static const char *const how[] = {"deaf", "liar", "other", "stale"};

    (void)state;
    for (size_t i = 0; i < ARRAY_N(how); i++) {
        struct world w;

        begin(&w, how[i]);
        w.break_at_death = 1;
        if (i == 0) until(&w, &w.states, 1);
        if (i == 0) proc_stop(&w.proc);
        until(&w, &w.deaths, 1);
        assert_true(w.last.how == DEATH_SIGNAL || i == 0);
        end(&w);
    }
}

static void program_that_is_not_there(void **state)
{
    struct world w;

    (void)state;
#ifdef __SANITIZE_THREAD__
    print_message("skipped: vfork is fork here, and its error stays in the child\n");
    skip();
#endif
    begin(&w, "good");
    w.program = "/nonexistent/ms-child";
    w.break_at_death = 1;
    until(&w, &w.deaths, 1);
    assert_int_equal(w.last.err, -ENOENT);
    assert_true(w.last.wait_us > 0);
    end(&w);
}

static void restart_does_not_wait(void **state)
{
    struct world w;

    (void)state;
    begin(&w, "good");
    until(&w, &w.states, 1);
    proc_restart(&w.proc);
    w.break_at_hello = 2;
    until(&w, &w.hellos, 2);
    assert_int_equal(w.deaths, 1);
    assert_int_equal(w.last.wait_us, 0);
    assert_true(w.last.asked);
    until(&w, &w.states, 2);
    end(&w);
}

/* Who asks for its end may not hide how it ended. */
static void crash_during_an_asked_end_is_not_asked_for(void **state)
{
    struct world w;

    (void)state;
    begin(&w, "good");
    until(&w, &w.states, 1);
    kill(w.proc.pid, SIGABRT);
    proc_restart(&w.proc);
    w.break_at_hello = 2;
    until(&w, &w.hellos, 2);
    assert_int_equal(w.last.how, DEATH_SIGNAL);
    assert_false(w.last.asked);
    assert_int_equal(w.last.wait_us, 0);
    until(&w, &w.states, 2);
    kill(w.proc.pid, SIGABRT);
    end(&w);
    assert_false(w.last.wanted);
    assert_false(w.last.asked);
}

static void stopped_one_ended_as_asked(void **state)
{
    struct world w;

    (void)state;
    begin(&w, "good");
    until(&w, &w.states, 1);
    end(&w);
    assert_int_equal(w.deaths, 1);
    assert_true(w.last.asked);
}

/* A burst, then fifty a second. */
static void herd_is_spread(void **state)
{
    struct loop *l = loop_new();
    struct births b;
    usec_t last_us = 0;

    (void)state;
    births_init(&b, l);
    for (int i = 0; i < 500; i++) {
        usec_t wait_us = births_after_death(&b);

        if (i < BIRTHS_DEATHS_BURST) assert_int_equal(wait_us, 0);
        last_us = wait_us;
    }
    assert_true(last_us >= 9 * US_PER_S && last_us <= 10 * US_PER_S);
    births_done(&b);
    loop_free(l);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(contract_is_kept),
        cmocka_unit_test(killed_one_is_replaced_at_once),
        cmocka_unit_test(crash_waits),
        cmocka_unit_test(refused_configuration_is_held),
        cmocka_unit_test(silent_one_is_killed),
        cmocka_unit_test(bad_children_are_killed),
        cmocka_unit_test(program_that_is_not_there),
        cmocka_unit_test(restart_does_not_wait),
        cmocka_unit_test(crash_during_an_asked_end_is_not_asked_for),
        cmocka_unit_test(stopped_one_ended_as_asked),
        cmocka_unit_test(herd_is_spread),
    };

    if (argc == 2 && strcmp(argv[0], "ms-child") == 0) return be_child(argv[1]);
    spawn_setup("");
    return cmocka_run_group_tests(tests, NULL, NULL);
}
