/* A pipeline of HTTP requests with chunked bodies, and the fields that answers depend on. */
#include "common/wire/http.h"
#include "common/wire/http_fields.h"
#include "common/wire/url.h"

#define BODY_MAX 4096

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void fields(const struct http_request *r)
{
    const struct http_validators v = {SPAN_LIT("\"a\""), 784111777 * US_PER_S};
    char path[256], value[64];
    struct http_range range;

    http_conditions(&r->head, r->method == HTTP_GET, &v);
    if (http_range_of(&r->head, &v, 1000, &range) == HTTP_RANGE_ONE)
        if (range.n == 0 || range.from >= 1000 || range.n > 1000 - range.from) __builtin_trap();
    if (http_accepts_coding(&r->head, "gzip") > 1000) __builtin_trap();
    if (http_path_decode(r->path, path, sizeof(path)) && (path[0] != '/' || strstr(path, "/../")))
        __builtin_trap();
    url_query_get(r->query, "token", value, sizeof(value));
}

static bool body(struct span *in)
{
    struct http_chunked c = {0};
    struct span piece;
    size_t total = 0;
    int e;

    while ((e = http_chunked_next(&c, in, BODY_MAX, &piece)) == 0) total += piece.n;
    if (total > BODY_MAX) __builtin_trap();
    return e == HTTP_CHUNK_END;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct span in = span(data, n);

    while (in.n > 0) {
        struct head_find f = {0};
        struct http_request r;
        size_t head_n;

        if (http_request_parse(&f, in, BODY_MAX, &r, &head_n) != 0) return 0;
        if (head_n > in.n || r.body_n > BODY_MAX || (r.chunked && r.body_n)) __builtin_trap();
        fields(&r);
        in = span_from(in, head_n + (size_t)r.body_n);
        if (r.chunked && !body(&in)) return 0;
    }
    return 0;
}
