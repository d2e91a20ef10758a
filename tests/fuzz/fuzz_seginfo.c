/* seg_info as a worker sends it and as the index holds it: what is accepted comes back the same when written
 * again. */
#include "archive/segbox.h"
#include "common/base/crc.h"
#include "common/base/err.h"
#include "common/base/mem.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static struct seg_info info, again;

static void check(struct span in)
{
    uint8_t mem[SEG_INFO_WIRE_MAX];
    struct wr w = wr_of(mem, sizeof(mem));

    if (!seg_info_read(in, &info)) return;
    must(info.n_keys <= SEG_KEYS_MAX && seg_uid_ok(info.uid));
    must(info.start_us <= info.end_us && info.table_at <= info.bytes);
    seg_info_write(&w, &info);
    must(wr_ok(&w) && seg_info_read(wr_span(&w), &again));
    must(again.id == info.id && strcmp(again.uid, info.uid) == 0 && again.n_keys == info.n_keys);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct span in = span(data, n);

    check(in);
    segbox_info_read(in, &info);
    segbox_head_read(in, &info);
    (void)segbox_table_read(in, 100);
    (void)segbox_info_size(in);
    /* past the checksum, which a fuzzer would not guess */
    if (n >= 4) {
        uint8_t *copy = mem_dup(data, n);
        struct wr crc = wr_of(copy + n - 4, 4);

        wr_u32(&crc, crc32c(0, span(copy, n - 4)));
        check(span(copy, n));
        mem_free(copy);
    }
    return 0;
}
