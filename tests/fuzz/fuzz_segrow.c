/* A segment's record in the index: what is accepted makes sense, and comes back the same when written again.
 * Input: u64 id, then the record. */
#include "archive/segrow.h"
#include "common/base/crc.h"
#include "common/base/err.h"
#include "common/base/mem.h"

#define UID "cam"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static struct seg_info info, again;

static void check(struct span in, uint64_t id)
{
    uint8_t mem[SEGROW_MAX];
    struct wr w = wr_of(mem, sizeof(mem));

    if (!segrow_read(in, UID, id, &info)) return;
    must(info.id == id && info.n_keys <= SEG_KEYS_MAX && strcmp(info.uid, UID) == 0);
    must(info.start_us <= info.end_us && info.table_at <= info.bytes);
    segrow_write(&w, &info);
    must(wr_ok(&w) && segrow_read(wr_span(&w), UID, id, &again));
    must(memcmp(&again, &info, offsetof(struct seg_info, keys)) == 0);
    must(memcmp(again.keys, info.keys, info.n_keys * sizeof(info.keys[0])) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct rd r = rd_of(span(data, n));
    uint64_t id = rd_u64(&r);
    struct span in = rd_rest(&r);

    check(in, id);
    /* past the checksum, which a fuzzer would not guess: of uid, 0, id and the fields */
    if (in.n >= 4 && in.n <= SEGROW_MAX) {
        uint8_t *copy = mem_new(in.n + sizeof(UID) + 8);
        struct wr w = wr_of(copy, in.n + sizeof(UID) + 8);
        uint32_t crc;

        wr_bytes(&w, span(UID, sizeof(UID)));
        wr_u64(&w, id);
        wr_bytes(&w, span_sub(in, 0, in.n - 4));
        crc = crc32c(0, wr_span(&w));
        wr_u32(&w, crc);
        check(span_from(wr_span(&w), sizeof(UID) + 8), id);
        mem_free(copy);
    }
    return 0;
}
