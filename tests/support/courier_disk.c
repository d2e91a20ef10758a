#include "tests/support/courier_disk.h"
#include "common/base/fd.h"
#include "tests/support/courier_pair.h"
#include "tests/support/seg_place.h"
#include "tests/support/segments.h"
#include "tests/support/tool.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include <sys/stat.h>

void courier_disk_make(struct courier_disk *d)
{
    const struct seg_info *list[DISK_SEGMENTS];

    tool_tmpdir(d->dir, sizeof(d->dir));
    d->records = seg_place_records(d->dir);
    snprintf(d->index_dir, sizeof(d->index_dir), "%s/.index", d->dir);
    assert_int_equal(mkdir(d->index_dir, 0755), 0);
    assert_int_equal(index_open(d->index_dir, &d->ix), 0);
    for (size_t i = 0; i < DISK_SEGMENTS; i++) {
        usec_t at = (usec_t)(i + (i == DISK_SEGMENTS - 1 ? 10 : 0)) * DISK_SECONDS * US_PER_S;

        segments_make(d->records, "cam-1", DISK_T0 + at, DISK_SECONDS, &d->infos[i]);
        list[i] = &d->infos[i];
    }
    assert_int_equal(index_put(d->ix, list, DISK_SEGMENTS), 0);
}

void courier_disk_done(struct courier_disk *d)
{
    fd_close(&d->records);
    index_close(d->ix);
    tool_rmdir(d->dir);
}

void courier_disk_tell(struct shelves *s, const char *name, const char *path, const char *index_dir)
{
    void (*const tell[])(struct shelves *, const struct packed *) = {shelves_storage, shelves_index};
    const char *paths[] = {path, index_dir};

    for (size_t i = 0; i < ARRAY_N(tell) && paths[i]; i++) {
        struct buf b;
        struct packer p = pair_pack(&b, 2);
        struct unpack *u;

        pack_kv_text(&p, "name", name);
        pack_kv_text(&p, "path", paths[i]);
        u = pair_unpack(&b);
        tell[i](s, unpack_root(u));
        unpack_done(u);
        buf_done(&b);
    }
}
