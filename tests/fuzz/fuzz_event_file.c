/* Copies of events as they lie on a disk: whatever stands there, what is taken makes sense and comes back the
 * same when it is written again; with and without more to come the same records are found. */
#include "archive/event_file.h"
#include "archive/seginfo.h"
#include "common/base/crc.h"
#include "common/base/err.h"
#include "common/base/mem.h"
#include "common/base/wr.h"

#define HEAD 12

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static struct event e, again;

static size_t read_all(struct span s)
{
    uint8_t mem[EVENT_RECORD_MAX], twice[EVENT_RECORD_MAX];
    size_t at = 0, found = 0, same = 0;

    while (event_record_next(s, &at, true, &e)) {
        struct wr w = wr_of(mem, sizeof(mem)), v = wr_of(twice, sizeof(twice));

        must(at <= s.n && seg_uid_ok(e.uid) && e.start_us >= 0 && (e.end_us == 0 || e.end_us >= e.start_us));
        must(event_record_write(&w, &e));
        must(event_record_next(wr_span(&w), &same, true, &again) && same == w.n);
        must(event_record_write(&v, &again) && span_eq(wr_span(&v), wr_span(&w)));
        same = 0;
        found++;
    }
    must(at == s.n);
    at = 0;
    while (event_record_next(s, &at, false, &e)) must(found-- > 0);
    must(at <= s.n);
    return found;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    (void)read_all(span(data, n));
    /* past head and checksum, which a fuzzer would not guess */
    if (n > 0 && n <= EVENT_RECORD_MAX - HEAD) {
        uint8_t *copy = mem_new(HEAD + n);
        struct wr w = wr_of(copy, HEAD + n);
        uint32_t crc;

        wr_u32(&w, 0x004d5345u);
        wr_u32(&w, (uint32_t)n);
        crc = crc32c(crc32c(0, span(copy + 4, 4)), span(data, n));
        wr_u32(&w, crc);
        wr_bytes(&w, span(data, n));
        (void)read_all(wr_span(&w));
        mem_free(copy);
    }
    return 0;
}
