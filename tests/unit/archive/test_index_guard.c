/* Index files with damaged bits: whoever reads them lives on and is told, whoever writes leaves a mark when
 * it dies of them. Each mutant is opened in a process of its own. */
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include "archive/index_guard.h"
#include "common/base/fd.h"
#include "common/base/mem.h"
#include "tests/support/tool.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define T0       (1700000000 * US_PER_S)
#define STREAMS  5
#define SEGMENTS 600 /* of each: a tree of three levels */
#define BATCH    20  /* of each in a transaction */
#ifdef __SANITIZE_THREAD__
#define MUTANTS 30 /* each takes seconds there */
#else
#define MUTANTS 1000
#endif
#define PAGE 4096

struct place {
    char dir[64], path[80];
    uint8_t *good; /* the file */
    size_t n;
};

static struct seg_info info, got;

static void segment(unsigned stream, unsigned n)
{
    usec_t at = T0 + (usec_t)n * 10 * US_PER_S;

    info = (struct seg_info){.id = (uint64_t)(at / US_PER_MS) << 8,
        .start_us = at,
        .end_us = at + (n % 20 ? 10 : 5) * US_PER_S,
        .bytes = 1000 + n,
        .table_at = 900,
        .samples = 3000,
        .n_keys = 30};
    for (uint16_t i = 0; i < info.n_keys; i++) info.keys[i] = (struct seg_key){i * 333u, i * 25u};
    snprintf(info.uid, sizeof(info.uid), "cam-%u", stream);
    seg_path_of(info.id, info.path);
}

static int make_place(void **state)
{
    const struct seg_info *list[STREAMS * BATCH];
    size_t at = 0;
    struct place *p = NEW(struct place);
    struct index *ix;

    tool_tmpdir(p->dir, sizeof(p->dir));
    snprintf(p->path, sizeof(p->path), "%s/data.mdb", p->dir);
    assert_int_equal(index_open(p->dir, &ix), INDEX_OK);
    for (unsigned n = 0; n < SEGMENTS; n++) {
        for (unsigned s = 0; s < STREAMS; s++) {
            segment(s, n);
            list[at++] = mem_dup(&info, sizeof(info));
        }
        if (at < ARRAY_N(list)) continue;
        assert_int_equal(index_put(ix, list, at), INDEX_OK);
        while (at > 0) mem_free((void *)(uintptr_t)list[--at]);
    }
    index_close(ix);
    assert_int_equal(fd_read_file(AT_FDCWD, p->path, 1u << 26, &p->good, &p->n), 0);
    *state = p;
    return 0;
}

static int drop_place(void **state)
{
    struct place *p = *state;

    tool_rmdir(p->dir);
    mem_free(p->good);
    mem_free(p);
    return 0;
}

static uint64_t mix(uint64_t x)
{
    x += 0x9e3779b97f4a7c15ull;
    x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9ull;
    x = (x ^ x >> 27) * 0x94d049bb133111ebull;
    return x ^ x >> 31;
}

/* Bits anywhere, in the headers of pages and their offsets, whole pages of nothing or of another page, or
 * the end cut off; n says which. */
static void mutate(const struct place *p, uint8_t *mem, size_t *size, uint64_t n)
{
    uint64_t r = mix(n);
    size_t pages = p->n / PAGE, page = 1 + mix(r) % (pages - 1);

    memcpy(mem, p->good, p->n);
    *size = p->n;
    for (unsigned i = 0; i < 1 + r % 64; i++) {
        uint64_t b = mix(r + i);
        size_t at = n % 5 == 0 ? b % p->n : (b >> 20) % pages * PAGE + b % 64;

        mem[at] ^= (uint8_t)(1u << (b >> 60 & 7));
    }
    if (n % 10 == 7) memset(mem + page * PAGE, 0, PAGE);
    if (n % 10 == 8) memcpy(mem + page * PAGE, p->good + mix(page) % pages * PAGE, PAGE);
    if (n % 10 == 9) *size = r % p->n;
}

static void file_is(const struct place *p, const uint8_t *mem, size_t size)
{
    CLEANUP(fd_close) int fd = open(p->path, O_WRONLY | O_TRUNC | O_CLOEXEC);

    assert_true(fd >= 0);
    assert_int_equal(fd_write_all(fd, span(mem, size)), 0);
}

enum { GOOD = 0, TOLD = 1, GUARDED = 2, LIED = 3 };

static bool is_true(const struct seg_info *s)
{
    segment((unsigned)(s->uid[4] - '0'), (unsigned)((s->start_us - T0) / (10 * US_PER_S)));
    return memcmp(s, &info, sizeof(info)) == 0;
}

static int read_stream(struct index *ix, const char *uid, bool *lied)
{
    struct index_query q = {.uid = uid, .to_us = INT64_MAX};
    struct index_range r[64];
    int err = index_ranges(ix, &q, r, ARRAY_N(r), &(size_t){0}), one;
    size_t n = 1;

    for (unsigned most = 2 * SEGMENTS; n == 1 && most > 0; most--) {
        one = index_segments(ix, &q, &got, 1, &n);
        err = MAX(err, one);
        if (n == 0) break;
        *lied |= !is_true(&got);
        q.after_id = got.id;
    }
    one = index_first(ix, uid, &got);
    *lied |= one == INDEX_OK && !is_true(&got);
    err = MAX(err, one);
    one = index_last(ix, uid, &got);
    *lied |= one == INDEX_OK && !is_true(&got);
    return MAX(err, one);
}

/* What httpd does, and all else that reads. */
static int reader(const char *dir)
{
    struct index_total totals[STREAMS + 1];
    struct index_walk at = {0};
    struct index *ix = NULL;
    struct index_flaw f;
    bool lied = false;
    size_t n;
    int err = index_open_ro(dir, &ix);

    if (err || !ix) return TOLD;
    for (unsigned s = 0; s < STREAMS; s++) {
        char uid[8];

        snprintf(uid, sizeof(uid), "cam-%u", s);
        err = MAX(err, read_stream(ix, uid, &lied));
    }
    err = MAX(err, index_totals(ix, "", totals, ARRAY_N(totals), &n));
    for (int i = 0; i < 100; i++) err = MAX(err, index_walk(ix, &at, 1000, &f));
    if (index_broken(ix)) {
        if (index_last(ix, "cam-1", &got) != INDEX_E_DAMAGED) lied = true;
        err = GUARDED;
    }
    index_close(ix);
    return lied ? LIED : err == INDEX_OK ? GOOD : err == GUARDED ? GUARDED : TOLD;
}

static int writer(const char *dir)
{
    static struct seg_info infos[STREAMS * BATCH];
    const struct seg_info *list[ARRAY_N(infos)];
    struct index *ix = NULL;
    int err = index_open(dir, &ix);

    for (unsigned n = 0; n < ARRAY_N(infos); n++) {
        segment(n % STREAMS, SEGMENTS + n / STREAMS);
        infos[n] = info;
        list[n] = &infos[n];
    }
    for (unsigned n = 0; !err && n < 3; n++)
        err = index_put(ix, list + n * STREAMS, ARRAY_N(list) - n * STREAMS);
    index_close(err ? NULL : ix);
    return err ? TOLD : GOOD;
}

static int newest(const char *dir)
{
    return index_check_newest(dir, 0) == INDEX_OK ? GOOD : TOLD;
}

/* Exit code, or 100 and the signal. */
static int apart(int (*fn)(const char *dir), const char *dir)
{
    static const int fatal[] = {SIGSEGV, SIGBUS, SIGABRT, SIGILL, SIGFPE};
    int status;
    pid_t pid = fork();

    if (pid == 0) {
        alarm(60);
        /* cmocka's handlers would go on with its tests */
        for (size_t i = 0; i < ARRAY_N(fatal); i++)
            sigaction(fatal[i], &(struct sigaction){.sa_handler = SIG_DFL}, NULL);
        index_guard_install();
        if (!freopen("/dev/null", "w", stderr)) _exit(99);
        _exit(fn(dir));
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 100 + WTERMSIG(status);
}

static void no_reader_dies(void **state)
{
    const struct place *p = *state;
    uint8_t *mem = mem_new(p->n);
    unsigned how[4] = {0};
    size_t size;

    assert_int_equal(apart(reader, p->dir), GOOD);
    for (uint64_t n = 0; n < MUTANTS; n++) {
        int end;

        mutate(p, mem, &size, n);
        file_is(p, mem, size);
        end = apart(reader, p->dir);
        if (end > GUARDED) print_error("mutant %llu: %d\n", (unsigned long long)n, end);
        assert_in_range(end, GOOD, GUARDED);
        how[end]++;
    }
    print_message(
        "%u mutants: %u without harm, %u told, %u caught\n", MUTANTS, how[GOOD], how[TOLD], how[GUARDED]);
    assert_true(how[TOLD] > 0 && how[GUARDED] > 0);
    file_is(p, p->good, p->n);
    assert_int_equal(apart(reader, p->dir), GOOD);
    mem_free(mem);
}

static bool marked(const struct place *p)
{
    char path[128];

    snprintf(path, sizeof(path), "%s/" INDEX_CRASHED, p->dir);
    return unlink(path) == 0;
}

/* Most are refused by the look at what is newest, before a writer opens them; of the rest some kill it. */
static void a_writer_that_dies_leaves_a_mark(void **state)
{
    const struct place *p = *state;
    uint8_t *mem = mem_new(p->n);
    unsigned refused = 0, died = 0;
    size_t size;

#ifdef __SANITIZE_THREAD__
    print_message("skipped: the sanitizer sees faults before we do\n");
    skip();
#endif
    assert_int_equal(apart(newest, p->dir), GOOD);
    for (uint64_t n = 0; n < MUTANTS / 8; n++) {
        int end;

        mutate(p, mem, &size, n);
        file_is(p, mem, size);
        refused += apart(newest, p->dir) != GOOD;
        file_is(p, mem, size);
        end = apart(writer, p->dir);
        assert_true(end <= TOLD || end == 100 + SIGSEGV || end == 100 + SIGBUS || end == 100 + SIGABRT);
        assert_int_equal(marked(p), end > TOLD);
        died += end > TOLD;
    }
    print_message(
        "%u mutants: %u refused before they are opened, %u writers died\n", MUTANTS / 8, refused, died);
    assert_true(refused > 0 && died > 0);
    mem_free(mem);
}

static int sent_by_others(const char *dir)
{
    struct index *ix = NULL;

    if (index_open_ro(dir, &ix) != INDEX_OK || index_last(ix, "cam-1", &got) != INDEX_OK) return TOLD;
    kill(getpid(), SIGSEGV);
    return GOOD;
}

static void other_faults_stay_fatal(void **state)
{
    const struct place *p = *state;

    assert_int_equal(apart(sent_by_others, p->dir), 100 + SIGSEGV);
    assert_false(marked(p));
}

int main(void)
{
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, make_place, drop_place)
    const struct CMUnitTest tests[] = {
        TEST(no_reader_dies),
        TEST(a_writer_that_dies_leaves_a_mark),
        TEST(other_faults_stay_fatal),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
