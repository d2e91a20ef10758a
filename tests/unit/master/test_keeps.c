/* What plug-ins keep, over a restart; what a damaged file costs. */
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include "common/base/fd.h"
#include "common/base/mem.h"
#include "common/ipc/pack.h"
#include "master/keeps.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static char dir[64];
static int fd;
static struct keeps k;

static int setup(void **state)
{
    (void)state;
    snprintf(dir, sizeof(dir), "/tmp/ms-test-XXXXXX");
    assert_non_null(mkdtemp(dir));
    fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_int_equal(keeps_open(&k, fd), 0);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    keeps_close(&k);
    unlinkat(fd, "plugins", 0);
    fd_close(&fd);
    rmdir(dir);
    return 0;
}

static void put(const char *plugin, const char *key, struct span value)
{
    struct packer p;
    struct unpack *u;
    struct buf b;

    buf_init(&b, 10000);
    p = packer_of(&b);
    pack_map(&p, value.p ? 3 : 2);
    pack_kv_text(&p, "plugin", plugin);
    pack_kv_text(&p, "key", key);
    if (value.p) pack_kv_str(&p, "value", value);
    assert_int_equal(unpack_new(buf_span(&b), &u), 0);
    keeps_put(&k, unpack_root(u));
    unpack_done(u);
    buf_done(&b);
}

static char *written(void)
{
    uint8_t *p;
    size_t n;

    assert_int_equal(fd_read_file(fd, "plugins", 1u << 20, &p, &n), 0);
    return (char *)p;
}

static void over_a_restart(void **state)
{
    char *text;

    (void)state;
    put("alarm", "yard", SPAN_LIT("1 \"quoted\"\n"));
    put("alarm", "hall", SPAN_LIT("2"));
    put("export", "yard", SPAN_LIT("3"));
    put("alarm", "hall", SPAN_NONE);
    put("alarm", "yard", SPAN_LIT("4\n"));
    put("alarm", "nothing", SPAN_NONE);
    assert_int_equal(k.n, 2);
    keeps_tick(&k);
    keeps_close(&k);
    text = written();
    assert_non_null(strstr(text, "{\"plugin\":\"alarm\",\"key\":\"yard\",\"value\":\"4\\u000a\"}\n"));
    assert_null(strstr(text, "hall"));
    mem_free(text);
    assert_int_equal(keeps_open(&k, fd), 0);
    assert_int_equal(k.n, 2);
    put("alarm", "yard", SPAN_NONE);
    put("export", "yard", SPAN_NONE);
    assert_int_equal(k.n, 0); /* they were the same keys */
}

static void limits(void **state)
{
    char big[KEEPS_VALUE_MAX + 1], key[16];

    (void)state;
    memset(big, 'x', sizeof(big));
    put("a", "b", span(big, sizeof(big)));
    assert_int_equal(k.n, 0);
    put("a", "b", span(big, KEEPS_VALUE_MAX));
    assert_int_equal(k.n, 1);
    for (int i = 0; i < KEEPS_MAX; i++) {
        snprintf(key, sizeof(key), "%d", i);
        put("a", key, SPAN_LIT("x"));
    }
    assert_int_equal(k.n, KEEPS_MAX);
}

/* What is no line of ours is passed over. */
static void damaged(void **state)
{
    static const char text[] =
        "{\"plugin\":\"a\",\"key\":\"b\",\"value\":\"1\"}\nrubbish\n{\"plugin\":\"a\",\"key\":\"c\"}\n"
        "{\"plugin\":\"a\",\"key\":\"d\",\"value\":\"\\ud800\"}\n{\"plugin\":\"a\",\"key\":\"e\",\"value\":"
        "\"2\"}";
    int out;

    (void)state;
    keeps_close(&k);
    out = openat(fd, "plugins", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0640);
    assert_int_equal(fd_write_all(out, SPAN_LIT(text)), 0);
    fd_close(&out);
    assert_int_equal(keeps_open(&k, fd), 0);
    assert_int_equal(k.n, 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(over_a_restart, setup, teardown),
        cmocka_unit_test_setup_teardown(limits, setup, teardown),
        cmocka_unit_test_setup_teardown(damaged, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
