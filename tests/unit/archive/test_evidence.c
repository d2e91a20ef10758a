/* An export as evidence, out of real segments: its bytes are the export's, its sums those of the files, and
 * the manifest that is written is read back. The storage: five segments of two seconds, a gap before the
 * third, another form from the fourth on. */
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include "archive/manifest.h"
#include "archive/segment.h"
#include "common/base/fd.h"
#include "common/base/mem.h"
#include "tests/support/footage.h"
#include "tests/support/movie.h"
#include "tests/support/tool.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#define EACH 5

struct place {
    char dir[64], index_dir[80], out[80];
    struct index *ix;
    struct evidence_place given[1];
    struct evidence e;
    struct seg_info segs[EACH];
    uint64_t stop_at; /* bytes; 0: never */
};

static bool alive(void *arg, uint64_t done, uint64_t all)
{
    const struct place *p = arg;

    assert_true(done <= all);
    return p->stop_at == 0 || done < p->stop_at;
}

static void record_at(int records, usec_t at_us, uint16_t width, struct seg_info *ret)
{
    struct segw_setup setup = {.uid = "cam-1"};
    struct footage f;
    struct segw *w;

    footage_make(&f, 2, 25, at_us);
    if (width) f.tracks.t[0].width = width;
    setup.tracks = &f.tracks;
    setup.first = f.f;
    setup.n_first = f.n;
    assert_int_equal(segw_open(records, &setup, &w), 0);
    assert_int_equal(segw_append(w, f.f, f.n), SEGW_OK);
    assert_int_equal(segw_close(w, ret), 0);
    footage_done(&f);
}

static void record(struct place *p, int records, unsigned n)
{
    record_at(records, FOOTAGE_START_US + (usec_t)(n * 2 + (n > 1 ? 10 : 0)) * US_PER_S, n > 2 ? 320 : 0,
        &p->segs[n]);
}

static int make_place(void **state)
{
    struct place *p = NEW(struct place);
    const struct seg_info *list[EACH];
    char path[128];
    int records;

    tool_tmpdir(p->dir, sizeof(p->dir));
    snprintf(p->out, sizeof(p->out), "%s/out.mp4", p->dir);
    snprintf(p->index_dir, sizeof(p->index_dir), "%s/.index", p->dir);
    assert_int_equal(mkdir(p->index_dir, 0700), 0);
    snprintf(path, sizeof(path), "%s/cam-1", p->dir);
    assert_int_equal(mkdir(path, 0700), 0);
    snprintf(path, sizeof(path), "%s/cam-1/records", p->dir);
    assert_int_equal(mkdir(path, 0700), 0);
    records = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    for (unsigned n = 0; n < EACH; n++) {
        record(p, records, n);
        list[n] = &p->segs[n];
    }
    close(records);
    assert_int_equal(index_open(p->index_dir, &p->ix), INDEX_OK);
    assert_int_equal(index_put(p->ix, list, EACH), INDEX_OK);
    p->given[0] = (struct evidence_place){"default", p->dir, p->ix};
    p->e = (struct evidence){.uid = "cam-1",
        .from_us = FOOTAGE_START_US,
        .to_us = FOOTAGE_START_US + 60 * US_PER_S,
        .places = p->given,
        .n_places = 1,
        .alive = alive,
        .arg = p};
    *state = p;
    return 0;
}

static int drop_place(void **state)
{
    struct place *p = *state;

    evidence_done(&p->e);
    index_close(p->ix);
    tool_rmdir(p->dir);
    mem_free(p);
    return 0;
}

static void file_of(const struct place *p, unsigned n, char dst[256])
{
    snprintf(dst, 256, "%s/cam-1/records/%s", p->dir, p->segs[n].path);
}

static int write_out(struct place *p)
{
    CLEANUP(fd_close) int fd = open(p->out, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

    return evidence_write(&p->e, fd);
}

static void sum_is_of(const char *path, const char *sum)
{
    char want[2 * CRYPTO_HASH_MAX + 1];
    uint8_t *bytes;
    size_t n;
    struct span whole;

    assert_int_equal(fd_read_file(AT_FDCWD, path, 1u << 28, &bytes, &n), 0);
    whole = span(bytes, n);
    crypto_hash_hex(CRYPTO_SHA256, &whole, 1, want);
    assert_string_equal(sum, want);
    mem_free(bytes);
}

static void exported(struct place *p)
{
    char path[256];
    struct reel reels[EACH] = {0};
    struct buf whole;
    uint8_t *got;
    size_t n;

    assert_int_equal(evidence_lay(&p->e), EXPORT_OK);
    assert_int_equal(p->e.n, EACH);
    /* whoever deletes it now is late */
    for (unsigned i = 0; i < EACH; i++) {
        file_of(p, i, path);
        reels[i].fd = open(path, O_RDONLY | O_CLOEXEC);
        assert_int_equal(seg_table_load(reels[i].fd, NULL, &reels[i].t), SEG_OK);
        assert_int_equal(unlink(path), 0);
    }
    assert_int_equal(write_out(p), EXPORT_OK);
    assert_int_equal(p->e.done, p->e.all);
    sum_is_of(p->out, p->e.sum);
    buf_init(&whole, 1u << 28);
    assert_int_equal(movie_render(p->e.x, reels, 0, export_facts(p->e.x)->bytes, &whole), 0);
    assert_int_equal(fd_read_file(AT_FDCWD, p->out, 1u << 28, &got, &n), 0);
    assert_true(span_eq(buf_span(&whole), span(got, n)));
    mem_free(got);
    buf_done(&whole);
    for (unsigned i = 0; i < EACH; i++) {
        snprintf(path, sizeof(path), "/proc/self/fd/%d", reels[i].fd);
        sum_is_of(path, p->e.v[i].sum);
        seg_table_free(reels[i].t);
        fd_close(&reels[i].fd);
    }
}

static void bytes_and_sums(void **state)
{
    struct place *p = *state;

    exported(p);
    for (unsigned i = 0; i < EACH; i++) {
        const struct evidence_segment *s = &p->e.v[i];

        assert_true(s->used && s->err == 0 && s->id == p->segs[i].id);
        assert_int_equal(s->another, i == 0 || i == 3);
        assert_int_equal(s->gap_us > INDEX_JOIN_US, i == 2);
        assert_int_equal(s->t[0].width == 320, i > 2);
    }
}

static size_t pictures(struct place *p)
{
    struct movie m;
    uint8_t *got;
    size_t n;

    assert_int_equal(write_out(p), EXPORT_OK);
    assert_int_equal(fd_read_file(AT_FDCWD, p->out, 1u << 28, &got, &n), 0);
    assert_true(movie_read(span(got, n), &m));
    n = m.t[0].n;
    movie_done(&m);
    mem_free(got);
    return n;
}

/* What was copied here from another node, which recorded beside this one for a second: each second once. */
static void what_two_nodes_recorded(void **state)
{
    struct place *p = *state;
    struct seg_info *copy = NEW(struct seg_info);
    const struct seg_info *list[] = {copy};
    char path[128];
    int records;

    snprintf(path, sizeof(path), "%s/cam-1/records", p->dir);
    records = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    record_at(records, FOOTAGE_START_US + 3 * US_PER_S, 0, copy);
    close(records);
    copy->flags |= SEG_FILLED | 2u << SEG_ORIGIN_SHIFT;
    assert_int_equal(index_put(p->ix, list, 1), INDEX_OK);
    assert_int_equal(evidence_lay(&p->e), EXPORT_OK);
    assert_int_equal(p->e.n, EACH + 1);
    /* this node's up to the other one's key frame, a second before its end; then all of the copy */
    assert_true(p->e.v[1].part && p->e.v[1].used && p->e.v[2].used && p->e.v[2].id == copy->id);
    assert_int_equal(p->e.v[1].end_us, p->segs[1].end_us);
    assert_int_equal(pictures(p), (EACH * 2 + 1) * 25);
    mem_free(copy);
}

static void manifest(const struct place *p, struct buf *to)
{
    static const char *const missing[] = {"attic \"2\""};
    struct crypto_key key;
    const struct manifest m = {.evidence = &p->e,
        .file = "out.mp4",
        .name = "a \"name\"\n",
        .version = "1.2",
        .revision = "abc",
        .key = &key,
        .node = 7,
        .now_us = FOOTAGE_START_US,
        .missing = missing,
        .n_missing = 1};

    assert_true(crypto_key_make(&key));
    buf_init(to, 1u << 20);
    assert_true(manifest_write(&m, to));
}

static void a_manifest_is_read_back(void **state)
{
    struct place *p = *state;
    struct manifest_claim c;
    struct buf text;

    exported(p);
    manifest(p, &text);
    assert_null(manifest_read(buf_span(&text), &c));
    assert_int_equal(c.bytes, export_facts(p->e.x)->bytes);
    assert_string_equal(c.sum, p->e.sum);
    assert_int_equal(c.segments, EACH);
    assert_int_equal(c.gaps, 2); /* the one in it, and the time asked for behind its end */
    assert_int_equal(c.formats, 2);
    assert_int_equal(c.missing, 1);
    assert_true(span_is(c.uid, "cam-1"));
    assert_true(span_is(c.name, "a \\\"name\\\"\\u000a"));
    assert_true(span_is(c.node, "7"));
    for (size_t n = 0; n < buf_n(&text) - 2; n++) /* but for the last line's end */
        assert_non_null(manifest_read(span_sub(buf_span(&text), 0, n), &c));
    buf_done(&text);
}

/* A field that stands in it twice, is missing, or is of another type. */
static void what_is_no_manifest(void **state)
{
    static const struct {
        const char *from, *to;
    } rows[] = {{"\"format\": \"media-server evidence 1\"", "\"format\": \"media-server evidence 2\""},
        {"\"format\": ", "\"former\": "}, {"\"node\": {\"id\": 7}", "\"node\": {\"id\": 7, \"id\": 8}"},
        {"\"id\": 7", "\"id\": \"7\""}, {"Ed25519", "Ed448"}, {"\"sha256\": \"", "\"sha256\": \"x"},
        {"\"mp4\": {", "\"mp4\": {\"bytes\": 1, "}, {"\"public\": \"MCow", "\"public\": \"MCox"},
        {"\"held\": {", "\"help\": {"}};
    struct place *p = *state;
    struct manifest_claim c;
    struct buf text, other;

    exported(p);
    manifest(p, &text);
    for (size_t i = 0; i < ARRAY_N(rows); i++) {
        ssize_t at = span_find_span(buf_span(&text), span_of(rows[i].from));

        assert_true(at >= 0);
        buf_init(&other, 1u << 20);
        assert_true(buf_put(&other, span_sub(buf_span(&text), 0, (size_t)at)) &&
            buf_text(&other, rows[i].to) &&
            buf_put(&other, span_from(buf_span(&text), (size_t)at + strlen(rows[i].from))));
        if (!manifest_read(buf_span(&other), &c)) fail_msg("taken: %s", rows[i].to);
        buf_done(&other);
    }
    buf_done(&text);
}

/* What a viewer gets without: the rest, and a gap. */
static void a_segment_that_cannot_be_read_is_said(void **state)
{
    struct place *p = *state;
    struct manifest_claim c;
    struct buf text;
    char path[256];

    file_of(p, 1, path);
    assert_int_equal(unlink(path), 0);
    file_of(p, 3, path);
    assert_int_equal(truncate(path, 10), 0);
    assert_int_equal(evidence_lay(&p->e), EXPORT_OK);
    assert_int_equal(write_out(p), EXPORT_OK);
    assert_int_equal(p->e.v[1].err, -ENOENT);
    assert_int_equal(p->e.v[3].err, SEG_E_BAD);
    assert_false(p->e.v[1].used || p->e.v[3].used);
    assert_string_equal(p->e.v[1].sum, "");
    manifest(p, &text);
    assert_null(manifest_read(buf_span(&text), &c));
    assert_int_equal(c.segments, EACH);
    assert_true(span_find_span(buf_span(&text), SPAN_LIT("\"sha256\": null, \"in_mp4\": false}")) > 0);
    buf_done(&text);
}

static void given_up_and_changed(void **state)
{
    struct place *p = *state;
    char path[256];

    assert_int_equal(evidence_lay(&p->e), EXPORT_OK);
    for (p->stop_at = 1; p->stop_at < p->e.all; p->stop_at += p->e.all / 7) {
        p->e.done = 0;
        for (unsigned i = 0; i < EACH; i++) p->e.v[i].sum[0] = 0;
        assert_int_equal(write_out(p), -ECANCELED);
    }
    p->stop_at = p->e.done = 0;
    file_of(p, 4, path);
    assert_int_equal(truncate(path, 2000), 0);
    p->e.v[4].sum[0] = 0;
    assert_int_equal(write_out(p), EXPORT_E_CHANGED);
    p->e.done = 0;
    assert_int_equal(evidence_write(&p->e, -1), -(EVIDENCE_OUT + EBADF));
}

static void nothing_then(void **state)
{
    struct place *p = *state;
    struct evidence_near near;

    p->e.from_us = FOOTAGE_START_US + 5 * US_PER_S;
    p->e.to_us = p->e.from_us + 2 * US_PER_S;
    assert_int_equal(evidence_lay(&p->e), EXPORT_E_NONE);
    near = evidence_near(&p->e);
    assert_int_equal(near.before_us, p->segs[1].end_us);
    assert_int_equal(near.after_us, p->segs[2].start_us);
    p->e.uid = "cam-2";
    assert_int_equal(evidence_lay(&p->e), EXPORT_E_NONE);
    near = evidence_near(&p->e);
    assert_int_equal(near.before_us | near.after_us, 0);
}

int main(void)
{
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, make_place, drop_place)
    const struct CMUnitTest tests[] = {
        TEST(bytes_and_sums),
        TEST(what_two_nodes_recorded),
        TEST(a_manifest_is_read_back),
        TEST(what_is_no_manifest),
        TEST(a_segment_that_cannot_be_read_is_said),
        TEST(given_up_and_changed),
        TEST(nothing_then),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
