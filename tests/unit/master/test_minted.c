/* master/minted: tokens that were made, in a file that outlives the master. */
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/base/fd.h"
#include "master/minted.h"

static char folder[64];
static int dir;
static struct minted m;

static int up(void **state)
{
    (void)state;
    snprintf(folder, sizeof(folder), "/tmp/ms-minted-XXXXXX");
    assert_non_null(mkdtemp(folder));
    dir = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return minted_open(&m, dir);
}

static int down(void **state)
{
    (void)state;
    minted_close(&m);
    (void)unlinkat(dir, "tokens", 0);
    close(dir);
    return rmdir(folder);
}

static void make(uint8_t number, int64_t until_s, const char *by, const char *note)
{
    struct token t = {
        .user = "who \n says", .n_streams = 2, .streams = {"cam-*", "yard"}, .ops = TOKEN_LIVE | TOKEN_DVR};

    memset(t.id, number, sizeof(t.id));
    t.made_us = 1000 * US_PER_S;
    t.not_after_s = until_s;
    t.from_s = 5;
    minted_add(&m, &t, by, note);
}

static void again(void)
{
    minted_close(&m);
    assert_int_equal(minted_open(&m, dir), 0);
}

static bool is_of(const struct minted_row *r, const char *by)
{
    return strcmp(r->by, by) == 0;
}

static void test_kept(void **state)
{
    char note[300];

    (void)state;
    memset(note, 'x', sizeof(note) - 1);
    note[sizeof(note) - 1] = '\0';
    make(1, 0, "anna", "for a friend\n");
    make(2, 2000, "bert", note);
    minted_revoke(&m, is_of, "bert");
    again();
    assert_int_equal(m.n, 2);
    assert_string_equal(m.v[0].id, "01010101010101010101010101010101");
    assert_string_equal(m.v[0].streams, "cam-*,yard");
    assert_string_equal(m.v[0].user, "who \n says");
    assert_string_equal(m.v[0].note, "for a friend\n");
    assert_int_equal(m.v[0].ops, TOKEN_LIVE | TOKEN_DVR);
    assert_int_equal(m.v[0].made_s, 1000);
    assert_int_equal(m.v[0].from_s, 5);
    assert_false(m.v[0].revoked);
    assert_true(m.v[1].revoked);
    assert_int_equal(strlen(m.v[1].note), MINTED_NOTE_MAX);
    assert_ptr_equal(minted_find(&m, span_of(m.v[1].id)), &m.v[1]);
    assert_null(minted_find(&m, SPAN_LIT("01")));
}

static void test_what_has_ended_goes(void **state)
{
    (void)state;
    make(1, 0, "anna", "");
    make(2, 2000, "anna", "");
    make(3, 3000, "anna", "");
    minted_check(&m, 1999);
    assert_int_equal(m.n, 3);
    minted_check(&m, 2000);
    assert_int_equal(m.n, 2);
    assert_int_equal(m.v[1].until_s, 3000);
    again();
    assert_int_equal(m.n, 2);
}

/* Of too many the oldest go. */
static void test_bounded(void **state)
{
    (void)state;
    for (int i = 0; i < MINTED_MAX + 3; i++) make((uint8_t)i, 10000 + i, "anna", "");
    assert_int_equal(m.n, MINTED_MAX);
    assert_int_equal(m.v[0].until_s, 10003);
    assert_int_equal(m.v[MINTED_MAX - 1].until_s, 10000 + MINTED_MAX + 2);
}

static void make_many(int number, const char *note)
{
    struct minted_row r = {
        .by = "app", .user = "viewer", .streams = (char[]){"yard"}, .ops = TOKEN_LIVE, .made_s = number};

    r.note = (char[2]){note[0]};
    snprintf(r.id, sizeof(r.id), "%032x", (unsigned)number);
    minted_put_many(&m, &r);
}

/* What programs make pushes out what programs made, some at once, and nothing of people's. The file follows.
 */
static void test_by_the_thousand(void **state)
{
    (void)state;
    make(1, 0, "anna", "");
    for (int i = 0; i < MINTED_MANY_MAX; i++) make_many(i, "a");
    assert_int_equal(m.n, MINTED_MANY_MAX + 1);
    make_many(3, "b");
    assert_int_equal(m.n, MINTED_MANY_MAX + 1);
    assert_string_equal(minted_find(&m, SPAN_LIT("00000000000000000000000000000003"))->note, "b");
    make_many(MINTED_MANY_MAX, "c");
    assert_int_equal(m.n, MINTED_MANY_MAX + 1 - MINTED_MANY_MAX / 8 + 1);
    assert_string_equal(m.v[0].by, "anna");
    assert_true(m.stale);
    minted_check(&m, 1);
    assert_false(m.stale);
    again();
    assert_int_equal(m.n, MINTED_MANY_MAX + 1 - MINTED_MANY_MAX / 8 + 1);
    assert_false(m.v[0].many);
    assert_true(m.v[1].many);
}

/* A damaged file costs its damaged lines. */
static void test_damaged(void **state)
{
    static const char text[] = "x\n01 1 2 3\n\n"
                               "02020202020202020202020202020202 1 0 0 0 3 0 yard YQ Yg Yw\n"
                               "03 1 0 0 0 99 0 yard YQ Yg Yw\n04 1 0 0 0 3 0 yard !! Yg Yw\n";
    int fd = openat(dir, "tokens", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

    (void)state;
    assert_int_equal(fd_write_all(fd, SPAN_LIT(text)), 0);
    close(fd);
    again();
    assert_int_equal(m.n, 1);
    assert_string_equal(m.v[0].by, "a");
    assert_string_equal(m.v[0].user, "b");
    assert_string_equal(m.v[0].note, "c");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_kept, up, down),
        cmocka_unit_test_setup_teardown(test_what_has_ended_goes, up, down),
        cmocka_unit_test_setup_teardown(test_bounded, up, down),
        cmocka_unit_test_setup_teardown(test_by_the_thousand, up, down),
        cmocka_unit_test_setup_teardown(test_damaged, up, down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
