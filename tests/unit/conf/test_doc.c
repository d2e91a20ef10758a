/* The documents of the configuration say what the key table says, and the sample is right. With --write, as
 * scripts/conf-doc calls it, the documents are written anew instead. */
#include "common/base/err.h"
#include "common/base/fd.h"
#include "common/base/mem.h"
#include "common/conf/conf.h"
#include "common/conf/keys.h"
#include "tests/support/conf_doc.h"
#include "tests/support/conf_files.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <unistd.h>
#include <cmocka.h>

#define DOC_MAX (1u << 20)
#define SAMPLE  "conf/media-server.ini"
#define CAMERA  "conf/streams/example.ini.sample"

static uint8_t *file_text;

static struct span read_file(const char *path)
{
    size_t n = 0;

    mem_free(file_text);
    file_text = NULL;
    if (fd_read_file(AT_FDCWD, path, DOC_MAX, &file_text, &n) != 0) return SPAN_NONE;
    return span(file_text, n);
}

static void write_file(const char *path, struct span s)
{
    CLEANUP(fd_close) int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

    must(fd >= 0 && fd_write_all(fd, s) == 0);
}

static void reference(struct buf *b)
{
    buf_init(b, DOC_MAX);
    conf_doc_reference(b);
}

/* The page with its generated part replaced. false: it has no such part. */
static bool man_page(struct buf *b)
{
    struct span page = read_file(CONF_DOC_MAN);
    ssize_t from = span_find_span(page, SPAN_LIT(CONF_DOC_BEGIN "\n")),
            to = span_find_span(page, SPAN_LIT(CONF_DOC_END "\n"));

    buf_init(b, DOC_MAX);
    if (from < 0 || to < from) return false;
    buf_put(b, span_sub(page, 0, (size_t)from));
    buf_text(b, CONF_DOC_BEGIN "\n");
    conf_doc_man(b);
    return buf_put(b, span_from(page, (size_t)to));
}

static void write_all(void)
{
    struct buf b;

    reference(&b);
    write_file(CONF_DOC_REFERENCE, buf_span(&b));
    buf_done(&b);
    must(man_page(&b));
    write_file(CONF_DOC_MAN, buf_span(&b));
    buf_done(&b);
}

static void test_reference_is_current(void **state)
{
    struct buf b;

    (void)state;
    reference(&b);
    if (!span_eq(buf_span(&b), read_file(CONF_DOC_REFERENCE))) fail_msg("run scripts/conf-doc");
    buf_done(&b);
}

static void test_man_page_is_current(void **state)
{
    struct buf b;

    (void)state;
    assert_true(man_page(&b));
    if (!span_eq(buf_span(&b), read_file(CONF_DOC_MAN))) fail_msg("run scripts/conf-doc");
    buf_done(&b);
}

/* Is there a line "name = …" or "# name = …", however far it is indented? */
static bool has_key(struct span text, const char *name)
{
    struct span line;

    while (span_split(&text, '\n', &line)) {
        line = span_trim(line);
        while (line.n > 0 && (line.p[0] == '#' || line.p[0] == ' ')) line = span_from(line, 1);
        if (!span_starts(line, span_of(name))) continue;
        line = span_trim(span_from(line, strlen(name)));
        if (line.n > 0 && line.p[0] == '=') return true;
    }
    return false;
}

static void test_samples_name_every_key(void **state)
{
    (void)state;
    for (size_t i = 0; i < conf_rows_n; i++)
        if (!has_key(read_file(conf_rows[i].scope == SCOPE_STREAM ? CAMERA : SAMPLE), conf_rows[i].name))
            fail_msg("%s/%s is not in the sample", conf_rows[i].section, conf_rows[i].name);
}

/* The sample says what is so without it, and nothing in it is worth a warning. */
static void test_sample_is_the_defaults(void **state)
{
    struct conf_files f;
    struct conf *empty, *sample;
    struct conf_diff d;

    (void)state;
    conf_files_init(&f);
    conf_files_put(&f, "media-server.ini", "");
    conf_files_put(&f, "media-server.nodes", "");
    assert_int_equal(conf_files_load(&f), 0);
    empty = f.conf;
    f.conf = NULL;
    conf_files_put(&f, "media-server.ini", (const char *)read_file(SAMPLE).p);
    conf_files_put(&f, "media-server.nodes", (const char *)read_file("conf/media-server.nodes").p);
    conf_files_put(&f, "streams/example.ini", (const char *)read_file(CAMERA).p);
    if (conf_files_load(&f) != 0 || f.report.warnings > 0) {
        conf_files_show(&f);
        fail_msg("the sample is refused, or warned of");
    }
    sample = f.conf;
    conf_diff(empty, sample, &d);
    for (size_t i = 0; i < d.restart.n; i++) fail_msg("%s is not the default", d.restart.v[i]);
    assert_false(d.httpd);
    assert_int_equal(sample->n_storages, 1);
    assert_int_equal(sample->n_streams, 1);
    assert_true(sample->dvr.capacity_enforce);
    conf_diff_done(&d);
    conf_free(empty);
    conf_files_done(&f);
}

static int done(void **state)
{
    (void)state;
    mem_free(file_text);
    return 0;
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reference_is_current),
        cmocka_unit_test(test_man_page_is_current),
        cmocka_unit_test(test_samples_name_every_key),
        cmocka_unit_test(test_sample_is_the_defaults),
    };

    if (argc > 1 && strcmp(argv[1], "--write") == 0) {
        write_all();
        return 0;
    }
    if (access(SAMPLE, R_OK) != 0) {
        fprintf(stderr, "%s is not here: run from the root of the checkout\n", SAMPLE);
        return 1;
    }
    return cmocka_run_group_tests(tests, NULL, done);
}
