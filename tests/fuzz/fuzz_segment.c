/* A whole file of any content as a segment: by its footer, by its fragments, by what its marks prove, and cut
 * at its key frames. */
#include "archive/segproof.h"
#include "common/base/err.h"
#include "common/base/fd.h"

#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void check(const struct seg_table *t, uint64_t bytes)
{
    struct seg_cut c;
    size_t key = seg_key_at(t, t->info.start_us + 10 * US_PER_S);

    for (size_t i = 0; i < t->n; i++) {
        must(t->s[i].offset <= bytes && t->s[i].size <= bytes - t->s[i].offset);
        must(t->s[i].track < t->tracks.n);
        (void)seg_wall_us(t, i);
    }
    if (seg_cut(t, key, seg_key_next(t, key), MP4_ALL, &c) == SEG_OK) {
        uint64_t sum = 0;

        for (size_t i = 0; i < c.n_r; i++) sum += c.r[i].n;
        must(sum == c.bytes);
        seg_cut_done(&c);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    CLEANUP(fd_close) int fd = memfd_create("segment", MFD_CLOEXEC);
    struct seg_table *t = NULL;
    struct segproof proof;

    must(fd >= 0 && fd_write_all(fd, span(data, n)) == 0);
    if (seg_table_load(fd, NULL, &t) == SEG_OK) check(t, n);
    seg_table_free(t);
    t = NULL;
    if (seg_table_scan(fd, n / 2, &t) == SEG_OK) {
        seg_table_scan(fd, n, &t);
        check(t, n);
    }
    seg_table_free(t);
    t = NULL;
    if (segproof_table(fd, NULL, &t, &proof) == SEG_OK) {
        must(proof.bytes > 0 && proof.bytes <= n && t->info.bytes == proof.bytes);
        check(t, proof.bytes);
    }
    seg_table_free(t);
    t = NULL;
    if (seg_table_any(fd, UINT64_MAX, &t) == SEG_OK) check(t, n);
    seg_table_free(t);
    return 0;
}
