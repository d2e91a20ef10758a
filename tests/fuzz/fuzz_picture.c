/* httpd/picture/wire: any bytes as a request and as an answer; what is taken is within the limits, and comes
 * back the same when it is written and read again. */
#include "common/base/err.h"
#include "httpd/picture/wire.h"

#define LENGTH_N 4

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

static void check_ask(const struct picture_ask *a)
{
    static struct picture_ask again;
    uint64_t sum = 0;
    struct buf b;

    must(a->n_bytes <= PICTURE_BYTES_MAX);
    if (a->kind == PICTURE_JPEG) {
        for (unsigned i = 0; i < a->n_units; i++) sum += a->units[i].size;
        must(a->n_units > 0 && sum == a->n_bytes && a->width <= PICTURE_OUT_MAX);
    } else {
        must(a->channels >= 1 && a->channels <= 2 && picture_aac_in(a) == a->n_bytes);
        must(picture_aac_out(a) <= PICTURE_BYTES_MAX);
    }
    buf_init(&b, 1 << 20);
    must(picture_ask_write(&b, a));
    must(picture_ask_read(span_from(buf_span(&b), LENGTH_N), &again));
    must(again.id == a->id && again.n_bytes == a->n_bytes && again.n_units == a->n_units);
    buf_done(&b);
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    static struct picture_ask ask;
    struct picture_answer answer;

    if (picture_ask_read(span(p, n), &ask)) check_ask(&ask);
    if (picture_answer_read(span(p, n), &answer)) must(answer.n_bytes <= PICTURE_BYTES_MAX);
    return 0;
}
