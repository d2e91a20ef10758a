#include "tests/support/segments.h"
#include "archive/segment.h"
#include "common/base/err.h"
#include "common/base/mem.h"
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

struct seg_info segments_scatter(struct index *ix, const struct seg_info *like, usec_t start_us, size_t n)
{
    struct seg_info *all = mem_new_n(n, sizeof(*all)), last;
    const struct seg_info **list = mem_new_n(n, sizeof(*list));

    for (size_t i = 0; i < n; i++) {
        struct seg_info *s = &all[i];

        *s = *like;
        s->start_us = start_us + (usec_t)i * 10 * US_PER_S;
        s->end_us = s->start_us + like->end_us - like->start_us;
        s->id = (uint64_t)(s->start_us / US_PER_MS) << 8;
        seg_path_of(s->id, s->path);
        list[i] = s;
    }
    must(index_put(ix, list, n) == 0);
    last = all[n - 1];
    mem_free(list);
    mem_free(all);
    return last;
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
