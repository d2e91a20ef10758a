#include "tests/support/seg_place.h"
#include "archive/reader.h"
#include "common/base/fd.h"
#include "common/base/mem.h"
#include "tests/support/tool.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include <fcntl.h>
#include <sys/stat.h>

int seg_place_records(const char *storage)
{
    char path[256];
    int fd;

    snprintf(path, sizeof(path), "%s/cam-1", storage);
    assert_int_equal(mkdir(path, 0750), 0);
    snprintf(path, sizeof(path), "%s/cam-1/records", storage);
    assert_int_equal(mkdir(path, 0750), 0);
    fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_true(fd >= 0);
    return fd;
}

int seg_place_make(void **state)
{
    struct seg_place *p = NEW(struct seg_place);

    tool_tmpdir(p->storage, sizeof(p->storage));
    p->records = seg_place_records(p->storage);
    *state = p;
    return 0;
}

int seg_place_drop(void **state)
{
    struct seg_place *p = *state;

    fd_close(&p->records);
    tool_rmdir(p->storage);
    mem_free(p);
    return 0;
}

struct segw *seg_place_open(const struct seg_place *p, const struct footage *f)
{
    struct segw_setup setup = {.uid = "cam-1",
        .tracks = &f->tracks,
        .first = f->f,
        .n_first = footage_second(f, 0),
        .clock = SEG_CLOCK_CAMERA,
        .clock_offset_us = -1500,
        .discont = true};
    struct segw *w = NULL;

    assert_int_equal(segw_open(p->records, &setup, &w), 0);
    return w;
}

void seg_place_append(struct segw *w, const struct footage *f)
{
    for (size_t at = 0, n; at < f->n; at += n) {
        n = footage_second(f, at);
        assert_int_equal(segw_append(w, f->f + at, n), SEGW_OK);
    }
}

int seg_place_file(const struct seg_place *p, const char *path)
{
    int fd = -1;

    assert_int_equal(seg_open(p->storage, "cam-1", path, &fd), 0);
    return fd;
}
