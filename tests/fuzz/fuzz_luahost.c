/* httpd/luahost/host: any messages of httpd's, scripts of any text among them. What it answers can be read,
 * one answer for each message at most beside lines of the log, and nothing is left behind. */
#include "common/base/err.h"
#include "httpd/luahost/host.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

static unsigned answers(struct buf *out)
{
    unsigned found = 0;
    struct unpack *u;
    struct span map;
    size_t n;

    while (luahost_next(buf_span(out), &map, &n) == 0) {
        must(unpack_new(map, &u) == 0);
        found += packed_u64(unpack_root(u), "op", 0) != LUAHOST_LOG;
        unpack_done(u);
        buf_take(out, n);
    }
    must(buf_n(out) == 0);
    return found;
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    struct span in = span(p, n), map;
    struct host *h = host_new();
    struct buf out;
    size_t took;

    buf_init(&out, 4 * LUAHOST_MESSAGE_MAX);
    while (luahost_next(in, &map, &took) == 0 && host_hear(h, map, &out)) {
        must(answers(&out) == 1);
        in = span_from(in, took);
    }
    host_free(h);
    buf_done(&out);
    return 0;
}
