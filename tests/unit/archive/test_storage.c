/* Markers, floors and folders of a storage, and which storage a stream gets. */
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include "archive/segment.h"
#include "archive/storage.h"
#include "archive/store_choice.h"
#include "common/base/fd.h"
#include "common/base/mem.h"
#include "tests/support/tool.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#define OWNER 0x60001234u
#define GROUP 0x5fff0000u

struct place {
    char dir[64], path[128];
};

static int make_place(void **state)
{
    struct place *p = NEW(struct place);

    tool_tmpdir(p->dir, sizeof(p->dir));
    snprintf(p->path, sizeof(p->path), "%s/store", p->dir);
    *state = p;
    return 0;
}

static int drop_place(void **state)
{
    struct place *p = *state;

    tool_rmdir(p->dir);
    mem_free(p);
    return 0;
}

static void floors_are_bytes_or_percent(void **state)
{
    struct retention_floor f;

    (void)state;
    assert_true(storage_floor_parse(SPAN_LIT("5%"), &f));
    assert_int_equal(f.percent, 5);
    assert_true(storage_floor_parse(SPAN_LIT("100%"), &f));
    assert_true(storage_floor_parse(SPAN_LIT("10737418240"), &f));
    assert_int_equal(f.bytes, 10737418240);
    assert_false(f.automatic);
    assert_true(storage_floor_parse(SPAN_LIT(""), &f));
    assert_true(f.automatic);
    assert_false(storage_floor_parse(SPAN_LIT("101%"), &f));
    assert_false(storage_floor_parse(SPAN_LIT("-1"), &f));
    assert_false(storage_floor_parse(SPAN_LIT("%"), &f));
    assert_false(storage_floor_parse(SPAN_LIT("10G"), &f));
}

static void floor_is_kept(void **state)
{
    struct place *p = *state;
    struct storage s;

    storage_init(&s, p->path, (struct retention_floor){.percent = 100});
    assert_true(storage_open(&s, "", false));
    assert_int_equal(s.state, STORAGE_FULL);
    assert_int_equal(s.err, ENOSPC);
    s.floor = (struct retention_floor){.bytes = 1};
    assert_int_equal(storage_look(&s, true), STORAGE_OK);
    /* full at the floor, ok again a little above it */
    s.floor.bytes = s.free + (64ull << 20);
    assert_int_equal(storage_look(&s, false), STORAGE_FULL);
    s.floor.bytes = 1;
    assert_int_equal(storage_look(&s, false), STORAGE_OK);
    storage_close(&s);
}

static void write_text(const char *path, const char *text)
{
    CLEANUP(fd_close) int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

    assert_true(fd >= 0);
    assert_int_equal(fd_write_all(fd, span_of(text)), 0);
}

static void markers_are_checked(void **state)
{
    static const char uuid[] = "0b7c4c3e-6a57-4a62-9d0f-7f0f8e3f5d11";
    struct place *p = *state;
    struct storage s;
    char marker[256];

    assert_int_equal(mkdir(p->path, 0755), 0);
    snprintf(marker, sizeof(marker), "%s/" STORAGE_MARKER, p->path);
    storage_init(&s, p->path, (struct retention_floor){0});
    write_text(marker, "media-server storage\n0b7c4c3e-6a57-4a62-9d0f-7f0f8e3f5d11\n");
    assert_true(storage_open(&s, uuid, false));
    assert_true(storage_open(&s, "", false));
    assert_string_equal(s.uuid, uuid);
    assert_false(s.fresh);
    assert_false(storage_open(&s, "0b7c4c3e-6a57-4a62-9d0f-7f0f8e3f5d12", false));
    assert_int_equal(s.state, STORAGE_REFUSED);
    assert_true(storage_open(&s, "0b7c4c3e-6a57-4a62-9d0f-7f0f8e3f5d12", true)); /* accepted: keeps its own */
    assert_string_equal(s.uuid, uuid);
    for (size_t i = 0; i < 4; i++) {
        static const char *const bad[] = {
            "", "media-server storage\n", "media-server storage\nabc\n", "something else\n"};

        write_text(marker, bad[i]);
        assert_false(storage_open(&s, "", false));
        assert_int_equal(s.state, STORAGE_REFUSED);
        assert_int_equal(s.fd, -1);
    }
    assert_int_equal(unlink(marker), 0);
    assert_false(storage_open(&s, uuid, false));
    assert_int_equal(s.state, STORAGE_REFUSED);
    assert_int_equal(access(marker, F_OK), -1);
    assert_true(storage_open(&s, "", false));
    assert_true(s.fresh);
    storage_close(&s);
}

static void only_the_last_folder_is_made(void **state)
{
    struct place *p = *state;
    char path[200];
    struct storage s;

    snprintf(path, sizeof(path), "%s/mount/store", p->dir);
    storage_init(&s, path, (struct retention_floor){0});
    assert_false(storage_open(&s, "", false));
    assert_int_equal(s.state, STORAGE_MISSING);
    storage_init(&s, p->path, (struct retention_floor){0});
    assert_false(storage_open(&s, "0b7c4c3e-6a57-4a62-9d0f-7f0f8e3f5d11", false));
    assert_int_equal(s.state, STORAGE_MISSING);
    assert_int_equal(access(p->path, F_OK), -1);
    write_text(p->path, "a file");
    assert_false(storage_open(&s, "", false));
    assert_int_equal(s.state, STORAGE_MISSING);
}

static void owned(int fd, const char *path, uid_t uid, gid_t gid, mode_t mode)
{
    struct stat st;

    assert_int_equal(fstatat(fd, path, &st, AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH), 0);
    assert_int_equal(st.st_uid, uid);
    assert_int_equal(st.st_gid, gid);
    assert_int_equal(st.st_mode & 07777, mode);
}

/* A worker has a user of its own: it owns its folder, and the readers' group reads there. When the user
 * changes, so do the folders that it writes in. */
static void folders_belong_to_their_worker(void **state)
{
    struct place *p = *state;
    struct storage s;
    int fd = -1, again = -1;

    if (geteuid() != 0) {
        print_message("skipped: not root\n");
        skip();
    }
    storage_init(&s, p->path, (struct retention_floor){0});
    assert_true(storage_open(&s, "", false));
    assert_int_equal(storage_records(&s, "cam-1", OWNER, GROUP, &fd), 0);
    owned(s.fd, "cam-1", OWNER, GROUP, 02750);
    owned(fd, "", OWNER, GROUP, 02750);
    assert_int_equal(mkdirat(fd, "2026", 0700), 0);
    assert_int_equal(mkdirat(fd, "2026/11", 0700), 0);
    assert_int_equal(mkdirat(fd, "2026/11/22", 0700), 0);
    close(openat(fd, "2026/11/22/a.mp4", O_CREAT | O_WRONLY, 0640));
    close(openat(fd, SEG_LOCK_NAME, O_CREAT | O_WRONLY, 0600));
    assert_int_equal(symlinkat("/etc", fd, "2027"), 0);
    assert_int_equal(storage_records(&s, "cam-1", OWNER + 1, GROUP, &again), 0);
    owned(again, "", OWNER + 1, GROUP, 02750);
    owned(fd, "2026/11/22", OWNER + 1, GROUP, 02750);
    owned(fd, SEG_LOCK_NAME, OWNER + 1, GROUP, 0640);
    owned(AT_FDCWD, "/etc", 0, 0, 0755); /* a link is no folder of its */
    fd_close(&fd);
    fd_close(&again);
    assert_int_equal(storage_records(&s, "../x", OWNER, GROUP, &fd), -EINVAL);
    assert_int_equal(storage_records(&s, ".index", OWNER, GROUP, &fd), -EINVAL);
    assert_int_equal(storage_records_ro(&s, "cam-2", &fd), -ENOENT);
    assert_int_equal(symlinkat("cam-1", s.fd, "cam-3"), 0);
    assert_int_equal(storage_records(&s, "cam-3", OWNER, GROUP, &fd), -ENOTDIR);
    storage_close(&s);
}

static int choose(const char *archive, const char *uid, const char *ok)
{
    struct choice_store s[] = {
        {SPAN_LIT("a"), SPAN_LIT("/mnt/a"), ok[0] == '1'},
        {SPAN_LIT("b"), SPAN_LIT("/mnt/b"), ok[1] == '1'},
        {SPAN_LIT("default"), SPAN_LIT("/storage"), ok[2] == '1'},
    };

    return choice_store(span_of(archive), uid, s, ARRAY_N(s));
}

static void storages_are_chosen_by_name_path_and_weight(void **state)
{
    unsigned on_a = 0, moved = 0;

    (void)state;
    assert_int_equal(choose("a", "cam", "111"), 0);
    assert_int_equal(choose(" b ", "cam", "111"), 1);
    assert_int_equal(choose("/mnt/b", "cam", "111"), 1);
    assert_int_equal(choose("", "cam", "111"), 2);
    assert_int_equal(choose("c", "cam", "111"), -1);
    assert_int_equal(choose("c, b", "cam", "111"), 1);
    assert_int_equal(choose("a*0, b", "cam", "111"), 1);
    assert_int_equal(choose("a*9, b*1", "cam", "010"), 1); /* one that is ok goes first */
    assert_int_equal(choose("a", "cam", "000"), 0);
    for (int i = 0; i < 4000; i++) {
        char uid[16];

        snprintf(uid, sizeof(uid), "cam-%d", i);
        on_a += choose("a*3, b*1", uid, "111") == 0;
        /* a third storage takes from the others, and moves nothing between them */
        moved += choose("a*3, b*1", uid, "111") == 1 && choose("a*3, b*1, default*4", uid, "111") == 0;
    }
    assert_in_range(on_a, 2900, 3100);
    assert_int_equal(moved, 0);
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, make_place, drop_place)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(floor_is_kept),
        TEST(markers_are_checked),
        TEST(only_the_last_folder_is_made),
        TEST(folders_belong_to_their_worker),
        cmocka_unit_test(floors_are_bytes_or_percent),
        cmocka_unit_test(storages_are_chosen_by_name_path_and_weight),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
