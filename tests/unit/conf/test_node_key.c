/* The node's key: made once, and refused, never replaced, when it is not as it should be. */
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include "common/base/fd.h"
#include "common/base/mem.h"
#include "common/conf/node_key.h"
#include "tests/support/tool.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

struct place {
    char dir[64];
    int fd;
    struct crypto_key first;
};

static int make_place(void **state)
{
    struct place *p = NEW(struct place);
    char why[NODE_KEY_WHY_MAX];

    p->fd = tool_tmpdir_open(p->dir, sizeof(p->dir));
    assert_int_equal(node_key_load(p->fd, &p->first, why), -ENOENT);
    assert_int_equal(node_key_open(p->fd, &p->first, why), 0);
    assert_string_equal(why, "");
    *state = p;
    return 0;
}

static int drop_place(void **state)
{
    struct place *p = *state;

    fd_close(&p->fd);
    tool_rmdir(p->dir);
    mem_free(p);
    return 0;
}

static void put(const struct place *p, const char *text, mode_t mode)
{
    CLEANUP(fd_close) int fd = openat(p->fd, NODE_KEY_FILE, O_WRONLY | O_TRUNC | O_CREAT | O_CLOEXEC, mode);

    assert_int_equal(fd_write_all(fd, span_of(text)), 0);
    assert_int_equal(fchmod(fd, mode), 0);
}

static void made_once(void **state)
{
    struct place *p = *state;
    struct crypto_key again;
    char why[NODE_KEY_WHY_MAX];
    struct stat st;

    assert_int_equal(fstatat(p->fd, NODE_KEY_FILE, &st, AT_SYMLINK_NOFOLLOW), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
    assert_int_equal(fstatat(p->fd, NODE_KEY_FILE ".new", &st, AT_SYMLINK_NOFOLLOW), -1);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(node_key_open(p->fd, &again, why), 0);
        assert_memory_equal(&again, &p->first, sizeof(again));
    }
}

/* What a start left that was killed before the key had its name. */
static void an_unfinished_one_is_no_key(void **state)
{
    struct place *p = *state;
    struct crypto_key again;
    char why[NODE_KEY_WHY_MAX];

    assert_int_equal(renameat(p->fd, NODE_KEY_FILE, p->fd, NODE_KEY_FILE ".new"), 0);
    assert_int_equal(node_key_load(p->fd, &again, why), -ENOENT);
    assert_int_equal(node_key_open(p->fd, &again, why), 0);
    assert_memory_not_equal(again.public, p->first.public, sizeof(again.public));
    assert_int_equal(node_key_load(p->fd, &again, why), 0);
}

static void refused(struct place *p, int err, const char *words)
{
    char before[512] = "", after[512] = "", why[NODE_KEY_WHY_MAX];
    struct crypto_key k;
    ssize_t n = readlinkat(p->fd, NODE_KEY_FILE, before, sizeof(before) - 1);
    int fd = openat(p->fd, NODE_KEY_FILE, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);

    if (n < 0) assert_true(read(fd, before, sizeof(before) - 1) >= 0);
    fd_close(&fd);
    assert_int_equal(node_key_open(p->fd, &k, why), err);
    assert_non_null(strstr(why, words));
    fd = openat(p->fd, NODE_KEY_FILE, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (n < 0)
        assert_true(read(fd, after, sizeof(after) - 1) >= 0);
    else
        assert_true(readlinkat(p->fd, NODE_KEY_FILE, after, sizeof(after) - 1) >= 0);
    fd_close(&fd);
    assert_string_equal(before, after);
}

static void a_bad_one_is_refused_and_left(void **state)
{
    struct place *p = *state;
    char pem[CRYPTO_PEM_MAX];

    crypto_key_secret_pem(&p->first, pem);
    put(p, pem, 0640);
    refused(p, -EPERM, "mode 0600");
    put(p, "", 0600);
    refused(p, -EBADMSG, "damaged");
    pem[40] ^= 0x60;
    put(p, pem, 0600);
    refused(p, -EBADMSG, "damaged");
    crypto_key_public_pem(&p->first, pem);
    put(p, pem, 0600);
    refused(p, -EBADMSG, "damaged");
    assert_int_equal(unlinkat(p->fd, NODE_KEY_FILE, 0), 0);
    assert_int_equal(symlinkat("elsewhere", p->fd, NODE_KEY_FILE), 0);
    refused(p, -ELOOP, "link");
    assert_int_equal(unlinkat(p->fd, NODE_KEY_FILE, 0), 0);
    assert_int_equal(mkfifoat(p->fd, NODE_KEY_FILE, 0600), 0);
    {
        struct crypto_key k;
        char why[NODE_KEY_WHY_MAX];

        assert_int_equal(node_key_open(p->fd, &k, why), -EINVAL);
        assert_non_null(strstr(why, "regular"));
    }
}

static void of_another_user(void **state)
{
    struct place *p = *state;

    if (geteuid() != 0) skip();
    assert_int_equal(fchownat(p->fd, NODE_KEY_FILE, 12345, (gid_t)-1, 0), 0);
    refused(p, -EPERM, "another user");
}

int main(void)
{
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, make_place, drop_place)
    const struct CMUnitTest tests[] = {
        TEST(made_once),
        TEST(an_unfinished_one_is_no_key),
        TEST(a_bad_one_is_refused_and_left),
        TEST(of_another_user),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
