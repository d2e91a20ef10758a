/* A file of any content as two segments of one MP4, their order in time as its bytes say: whatever their
 * tables hold, the pieces fit together, the tables agree with each other, and every range lies in the file.
 */
#include "archive/export.h"
#include "common/base/err.h"
#include "common/base/fd.h"
#include "tests/support/movie.h"

#include <sys/mman.h>
#include <unistd.h>

#define HEAD_MAX (256u << 20)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void check(const struct export *x, const struct reel *reels)
{
    const struct export_facts *facts = export_facts(x);
    struct export_piece p;
    struct movie m;
    struct buf head;
    uint64_t at = 0;

    buf_init(&head, HEAD_MAX);
    for (bool more = export_seek(x, 0, &p); more; more = export_next(x, &p)) {
        must(p.at == at && p.n > 0);
        at += p.n;
    }
    must(at == facts->bytes);
    must(movie_render(x, reels, 0, facts->bytes, &head) == 0 && buf_n(&head) == facts->bytes);
    must(movie_read(buf_span(&head), &m));
    must(m.n == facts->tracks && m.mdat_at + m.mdat_n == facts->bytes);
    movie_done(&m);
    buf_done(&head);
}

static void lay(const struct reel *reels, const struct export_setup *setup)
{
    struct export *x = export_new(setup);
    int err = EXPORT_OK;

    must(x);
    for (uint32_t i = 0; i < 2 && err == EXPORT_OK; i++) err = export_add(x, i, reels[i].t);
    if (err == EXPORT_OK) err = export_end(x);
    must(err >= 0);
    if (err == EXPORT_OK && export_facts(x)->bytes < HEAD_MAX) check(x, reels);
    export_free(x);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    CLEANUP(fd_close) int fd = memfd_create("segment", MFD_CLOEXEC);
    struct reel reels[2] = {{NULL, fd}, {NULL, fd}};
    struct export_setup setup = {.to_us = INT64_MAX, .keep_gaps = n % 2, .gap_us = 3600 * US_PER_S};

    must(fd >= 0 && fd_write_all(fd, span(data, n)) == 0);
    /* without its footer, which has checksums, and of half the file */
    if (seg_table_load(fd, NULL, &reels[0].t) != SEG_OK) seg_table_scan(fd, n / 2, &reels[0].t);
    if (seg_table_scan(fd, n, &reels[1].t) == SEG_OK && reels[0].t) {
        lay(reels, &setup);
        if (n % 3 == 0)
            setup.made = (struct export_made){.track = {.codec = CODEC_AAC,
                                                  .kind = TRACK_AUDIO,
                                                  .clock_hz = 16000,
                                                  .sample_rate = 16000,
                                                  .channels = 1,
                                                  .config_n = 2},
                .bytes = 768,
                .ticks = 1024};
        setup.from_us = reels[0].t->info.start_us + US_PER_S;
        setup.to_us = setup.from_us + 2 * US_PER_S;
        lay(reels, &setup);
    }
    seg_table_free(reels[0].t);
    seg_table_free(reels[1].t);
    return 0;
}
