/* A day of the archive as one playlist, from the index to the packed text. */
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include <time.h>

#include "archive/index.h"
#include "common/base/err.h"
#include "common/base/map.h"
#include "common/base/mem.h"
#include "httpd/archive.h"
#include "httpd/archive_plan.h"
#include "httpd/gzip.h"
#include "httpd/hls.h"
#include "tests/support/tool.h"

#define T0       (1700000000 * US_PER_S)
#define SEGMENTS 720 /* of two minutes */
#define KEYS     30  /* four seconds apart */
#define ROUNDS   5
#define MOST_US  (20 * US_PER_MS)

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SLOWED true
#else
#define SLOWED false
#endif

static void make_index(const char *dir, struct index **ret)
{
    CLEANUP(mem_freep) struct seg_info *all = mem_new_n(SEGMENTS, sizeof(*all));
    const struct seg_info *list[SEGMENTS];

    for (unsigned i = 0; i < SEGMENTS; i++) {
        struct seg_info *s = &all[i];

        s->start_us = T0 + (usec_t)i * 120 * US_PER_S;
        s->end_us = s->start_us + 120 * US_PER_S;
        s->id = (uint64_t)(s->start_us / US_PER_MS) << 8;
        snprintf(s->uid, sizeof(s->uid), "cam-1");
        seg_path_of(s->id, s->path);
        s->bytes = 30000000;
        s->table_at = 29900000;
        s->samples = 3000 + 5625;
        s->tracks_hash = 5;
        for (unsigned k = 0; k < KEYS; k++) s->keys[k] = (struct seg_key){k * 4000, k * 287};
        s->n_keys = KEYS;
        list[i] = s;
    }
    must(index_open(dir, ret) == INDEX_OK && index_put(*ret, list, SEGMENTS) == INDEX_OK);
}

static void read_day(struct index *ix, struct plan *p)
{
    static struct seg_info page[ARCHIVE_PAGE];
    struct plan_span span = {.from_us = T0, .to_us = T0 + 86400 * US_PER_S};
    struct index_query q = {.uid = "cam-1", .from_us = span.from_us, .to_us = span.to_us};
    size_t n = ARCHIVE_PAGE;

    while (n == ARCHIVE_PAGE) {
        must(index_segments(ix, &q, page, ARCHIVE_PAGE, &n) == INDEX_OK);
        for (size_t i = 0; i < n; i++) must(plan_add(p, &page[i], &span));
        if (n > 0) q.after_id = page[n - 1].id;
    }
    must(plan_sort(p));
}

/* Of this thread: what other processes take is not ours. */
static usec_t cpu_us(void)
{
    struct timespec t;

    must(clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t) == 0);
    return (usec_t)t.tv_sec * US_PER_S + t.tv_nsec / 1000;
}

static void test_a_day(void **state)
{
    static const struct plan_view vod = {.kind = PLAN_VOD};
    usec_t best_us = INT64_MAX, read_us = 0, write_us = 0;
    struct index *ix;
    char dir[64];

    (void)state;
    tool_tmpdir(dir, sizeof(dir));
    make_index(dir, &ix);
    for (unsigned i = 0; i < ROUNDS; i++) {
        usec_t begun_us = cpu_us(), read, written, end;
        struct plan p = {0};
        struct text b;
        uint8_t *packed;
        size_t n = 0;

        read_day(ix, &p);
        read = cpu_us();
        text_init(&b, HLS_VOD_MAX);
        plan_write(&p, &vod, &b);
        assert_true(text_ok(&b));
        assert_int_equal(p.n, SEGMENTS * KEYS);
        written = cpu_us();
        assert_int_not_equal(hash_fnv1a(text_span(&b)), 0); /* its ETag */
        assert_true(gzip_pack(text_span(&b), gzip_effort_for(text_span(&b).n), &packed, &n));
        end = cpu_us();
        if (i == 0) print_message("%zu bytes, packed %zu\n", text_span(&b).n, n);
        if (end - begun_us < best_us) {
            best_us = end - begun_us;
            read_us = read - begun_us;
            write_us = written - read;
        }
        mem_free(packed);
        text_done(&b);
        plan_done(&p);
    }
    print_message("24 h of 4 s pieces: %lld us (index %lld, text %lld, tag and gzip %lld)\n",
        (long long)best_us, (long long)read_us, (long long)write_us,
        (long long)(best_us - read_us - write_us));
    assert_true(SLOWED || best_us < MOST_US);
    index_close(ix);
    tool_rmdir(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_a_day)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
