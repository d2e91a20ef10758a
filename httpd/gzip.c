#include "httpd/gzip.h"
#include "common/base/mem.h"

#include <zlib.h>

#define GZIP_WINDOW (15 + 16) /* 32 KiB, with a gzip header instead of zlib's */
#define GZIP_MEMORY 8
#define GZIP_IN_MAX (64u << 20)

bool gzip_pack(struct span in, enum gzip_effort effort, uint8_t **ret_p, size_t *ret_n)
{
    z_stream z = {0};
    uint8_t *out;
    int err;

    if (in.n == 0 || in.n > GZIP_IN_MAX) return false;
    if (deflateInit2(&z, effort, Z_DEFLATED, GZIP_WINDOW, GZIP_MEMORY, Z_DEFAULT_STRATEGY) != Z_OK)
        return false;
    out = mem_try(in.n);
    if (!out) {
        deflateEnd(&z);
        return false;
    }
    z.next_in = (z_const Bytef *)(uintptr_t)in.p;
    z.avail_in = (uInt)in.n;
    z.next_out = out;
    z.avail_out = (uInt)in.n;
    err = deflate(&z, Z_FINISH);
    *ret_n = z.total_out;
    deflateEnd(&z);
    if (err != Z_STREAM_END) {
        mem_free(out);
        return false;
    }
    *ret_p = out;
    return true;
}
