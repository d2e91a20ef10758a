/* The ring reader over memory that a hostile writer fills: the input is a list of patches (u24 where, u8
 * length, bytes) over a ring that holds some frames; then every function of the reader is called. */
#include <stdlib.h>

#include "common/base/err.h"
#include "common/base/mem.h"
#include "common/ring/ring_layout.h"
#include "tests/support/ring_help.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static const struct ring_geom SMALL = {RING_DATA_MIN, 512};
#define TABLES (RING_DESC_AT + 512 * sizeof(struct ring_desc))

static struct {
    struct ring_map map;
    struct ring_reader *reader;
    uint8_t *clean;
    struct buf buf;
    struct track_set *tracks;
} f;

static void prepare(void)
{
    int fd = ring_help_create(1, SMALL);
    struct ring_writer *w;

    f.tracks = NEW(struct track_set);
    must(ring_writer_open(fd, &w) == 0);
    ring_help_tracks(f.tracks);
    ring_set_tracks(w, f.tracks);
    for (int i = 0; i < 40; i++) ring_help_put(w, i % 3 == 0, i % 10 == 0 ? FRAME_KEY : 0, 300);
    ring_writer_close(w);
    must(ring_map(fd, true, &f.map) == 0 && ring_reader_open(fd, &f.reader) == 0);
    f.clean = mem_dup(f.map.head, TABLES);
    buf_init(&f.buf, RING_DATA_MIN);
}

static void patch(struct span in)
{
    struct rd rd = rd_of(in);

    while (rd_left(&rd) > 4) {
        size_t at = rd_u24(&rd) % TABLES, len = rd_u8(&rd);
        struct span bytes = rd_bytes(&rd, MIN(len, rd_left(&rd)));

        memcpy((uint8_t *)f.map.head + at, bytes.p, MIN(bytes.n, TABLES - at));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct frame frame;
    uint64_t seq = 0, next;
    char text[RING_REASON_MAX];

    if (!f.reader) prepare();
    memcpy(f.map.head, f.clean, TABLES);
    patch(span(data, n));
    next = ring_next(f.reader);
    (void)ring_last_key(f.reader, &seq);
    (void)ring_oldest_key(f.reader, &seq);
    for (uint64_t at = ring_oldest(f.reader); at < next; at++)
        if (ring_read(f.reader, at, &f.buf, &frame) == RING_OK) must(frame.data.n <= SMALL.data_bytes / 4);
    for (uint32_t gen = 0; gen < 3; gen++) (void)ring_tracks(f.reader, gen, f.tracks);
    ring_status_get_text(&f.map.head->status, f.map.head->status.reason, RING_REASON_MAX, text, sizeof(text));
    return 0;
}
