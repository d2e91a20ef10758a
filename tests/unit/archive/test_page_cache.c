/* What the writer of a segment leaves in the page cache. */
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include "archive/reader.h"
#include "archive/segment.h"
#include "common/base/mem.h"
#include "tests/support/footage.h"
#include "tests/support/tool.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

static bool cached(int fd, uint64_t at)
{
    unsigned char in = 0;
    void *map = mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, (off_t)at);

    assert_true(map != MAP_FAILED);
    assert_int_equal(mincore(map, 4096, &in), 0);
    munmap(map, 4096);
    return in & 1;
}

/* Where the file lies on a disk: in a tmpfs the page cache is all there is. */
static void footage_leaves_the_page_cache(void **state)
{
    struct segw_setup setup = {.uid = "cam-1"};
    size_t big = 1 << 20;
    uint8_t *bytes = mem_new(big);
    struct seg_info info;
    struct statfs fs;
    struct footage f;
    struct segw *w = NULL;
    char storage[64], path[128];
    int records, fd = -1;

    (void)state;
    tool_tmpdir(storage, sizeof(storage));
    snprintf(path, sizeof(path), "%s/cam-1", storage);
    assert_int_equal(mkdir(path, 0750), 0);
    snprintf(path, sizeof(path), "%s/cam-1/records", storage);
    assert_int_equal(mkdir(path, 0750), 0);
    records = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_true(records >= 0);
    if (fstatfs(records, &fs) == 0 && fs.f_type == TMPFS_MAGIC) {
        close(records);
        tool_rmdir(storage);
        mem_free(bytes);
        print_message("SKIP: the temporary folder is a tmpfs\n");
        skip();
    }
    footage_make(&f, 2, 50, FOOTAGE_START_US);
    for (size_t i = 0; i < f.n; i++) f.f[i].data = (struct span){bytes, big};
    setup.tracks = &f.tracks;
    setup.first = f.f;
    setup.n_first = 1;
    assert_int_equal(segw_open(records, &setup, &w), 0);
    assert_int_equal(seg_open(storage, "cam-1", segw_path(w), &fd), 0);
    for (size_t i = 0; i < 16; i++) {
        assert_int_equal(segw_append(w, f.f + i, 1), SEGW_OK);
        assert_int_equal(fsync(fd), 0); /* as the keeper's syncfs */
    }
    assert_false(cached(fd, 0));
    assert_false(cached(fd, 8 * big));
    assert_true(cached(fd, (segw_bytes(w) - 4096) & ~4095ull));
    assert_int_equal(segw_close(w, &info), 0);
    close(fd);
    close(records);
    tool_rmdir(storage);
    footage_done(&f);
    mem_free(bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(footage_leaves_the_page_cache),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
