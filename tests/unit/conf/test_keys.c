/* common/conf/keys: what is accepted without an effect says so. */
#include "tests/support/conf_files.h"
#include "common/base/wr.h"
#include "common/conf/keys.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

static struct conf_files *const f = &conf_files;

/* A value that each kind takes. */
static const char *some_value(const struct conf_row *row)
{
    static const char *const values[KINDS] = {[KIND_TEXT] = "h2",
        [KIND_SECRET] = "s",
        [KIND_URL] = "http://h/",
        [KIND_LIST] = "h2, h3",
        [KIND_CIDRS] = "10.0.0.0/8",
        [KIND_PATH] = "/p",
        [KIND_USER] = "u:p"};

    return row->def[0] ? row->def : values[row->kind];
}

/* Is the key named by a note: as its key, or among "(also a, b)"? */
static bool noted(const struct conf_row *row)
{
    for (size_t i = 0; i < f->report.n; i++) {
        const struct conf_remark *v = &f->report.v[i];
        const char *last = strrchr(v->key, '/'), *also = strstr(v->text, "(also ");
        struct span names = span_of(also ? also + 6 : ""), name;

        if (v->level != CONF_NOTE || !span_starts(span_of(v->text), span_of(row->accepted))) continue;
        if (last && strcmp(last + 1, row->name) == 0) return true;
        for (names.n = also ? strcspn(also + 6, ")") : 0; span_split(&names, ',', &name);)
            if (span_is(span_trim(name), row->name)) return true;
    }
    return false;
}

/* "[server]", "[[stream]]" of "server/stream": those that `before` did not open. */
static void write_section(struct wr *w, const char *before, const char *section)
{
    struct span path = span_of(section), part;

    for (int depth = 1; span_split(&path, '/', &part); depth++) {
        size_t n = (size_t)((const char *)part.p - section) + part.n;

        if (strncmp(before, section, n) == 0 && (before[n] == '/' || before[n] == 0)) continue;
        wr_fmt(w, "%.*s%.*s%.*s\n", depth, "[[[[", (int)part.n, (const char *)part.p, depth, "]]]]");
    }
}

/* Loads with the keys of rows that are accepted: of all of them, or of one. */
static void load_accepted_of(const struct conf_row *one)
{
    char ini[8192], stream[4096];
    struct wr w = wr_of(ini, sizeof(ini)), s = wr_of(stream, sizeof(stream));
    const char *section = "";

    wr_text(&s, "[a]\nstream-url = rtsp://h/1\n");
    for (size_t i = 0; i < conf_rows_n; i++) {
        const struct conf_row *row = &conf_rows[i];

        if (!row->accepted || (one && row != one)) continue;
        assert_non_null(some_value(row));
        if (row->scope == SCOPE_CONF) {
            write_section(&w, section, row->section);
            section = row->section;
        }
        wr_fmt(row->scope == SCOPE_CONF ? &w : &s, "%s = %s\n", row->name, some_value(row));
    }
    wr_text(&w, "[storages]\na = /a\n");
    assert_true(wr_ok(&w) && wr_ok(&s));
    conf_files_put(f, "streams/a.ini", wr_cstr(&s));
    conf_files_ok(wr_cstr(&w));
}

/* Every key that is known and not used says so, alone and among all the others. That the rest is used is
 * proven by scripts/lint-keys. */
static void test_accepted_keys_say_so(void **state)
{
    (void)state;
    for (size_t i = 0; i < conf_rows_n; i++) {
        if (!conf_rows[i].accepted) continue;
        load_accepted_of(&conf_rows[i]);
        if (!noted(&conf_rows[i])) fail_msg("%s says nothing", conf_rows[i].name);
    }
    load_accepted_of(NULL);
    for (size_t i = 0; i < conf_rows_n; i++)
        if (conf_rows[i].accepted && !noted(&conf_rows[i]))
            fail_msg("%s says nothing among the others", conf_rows[i].name);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_accepted_keys_say_so, conf_files_up, conf_files_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
