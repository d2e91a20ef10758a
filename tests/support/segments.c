#include "tests/support/segments.h"
#include "archive/segment.h"
#include "common/base/err.h"
#include "tests/support/footage.h"

#include <unistd.h>

#define FPS 25

void segments_make(int records, const char *uid, usec_t start_us, unsigned seconds, struct seg_info *ret)
{
    struct segw_setup setup = {.uid = uid};
    struct segw *w = NULL;
    struct footage f;

    footage_make(&f, seconds, FPS, start_us);
    setup.tracks = &f.tracks;
    setup.first = f.f;
    setup.n_first = footage_second(&f, 0);
    must(segw_open(records, &setup, &w) == 0);
    for (size_t at = 0, n; at < f.n; at += n) {
        n = footage_second(&f, at);
        must(segw_append(w, f.f + at, n) == SEGW_OK);
    }
    must(segw_close(w, ret) == 0);
    footage_done(&f);
}

void segments_record(struct rig_worker *w, usec_t start_us, unsigned seconds, struct seg_info *ret)
{
    segments_make(w->folder, w->uid, start_us, seconds, ret);
    rig_opened(w, ret->id, w->storage, ret->path, ret->start_us);
    rig_segment_closed(w, ret);
    must(rig_wait_stored(w, ret->id));
}

bool segments_there(const char *storage, const struct seg_info *s)
{
    char path[512];

    snprintf(path, sizeof(path), "%s/%s/records/%s", storage, s->uid, s->path);
    return access(path, F_OK) == 0;
}
