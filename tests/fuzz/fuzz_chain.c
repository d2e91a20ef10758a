/* Lines that hold the digest of the line before: what is taken as whole is what was written. */
#include "common/wire/chain.h"
#include "common/wire/json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

/* What a text's escapes stand for is written and read again as the same. */
static void texts(struct span in)
{
    uint8_t first[4096], second[4096];
    struct json j = json_of(in), again;
    struct json_item i;
    struct buf b;

    buf_init(&b, 1u << 20);
    while (json_next(&j, &i)) {
        struct wr w = wr_of(first, sizeof(first)), v = wr_of(second, sizeof(second));

        if (i.type != JSON_TEXT || !json_read_text(&w, i.text)) continue;
        buf_clear(&b);
        if (!json_put_text(&b, wr_span(&w))) continue;
        again = json_of(buf_span(&b));
        if (!json_next(&again, &i) || !json_read_text(&v, i.text)) __builtin_trap();
        if (!span_eq(wr_span(&w), wr_span(&v)) && span_find_span(i.text, SPAN_LIT("fffd")) < 0)
            __builtin_trap();
    }
    buf_done(&b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    char digest[CHAIN_DIGEST] = "", again[CHAIN_DIGEST] = "";
    struct span in = span(data, n);
    struct buf b, line;
    size_t lines, same;

    texts(in);
    if (chain_check(in, digest, &lines) == 0 && lines > 0 && strlen(digest) != CHAIN_DIGEST - 1)
        __builtin_trap();
    /* One more line: whole before, whole after. */
    if (lines == 0 || digest[0] == '\0' || chain_check(in, again, &same) != 0) return 0;
    buf_init(&b, n + 1000);
    buf_init(&line, 1000);
    if (!buf_text(&line, "{\"seq\":0") || !chain_end(&line, digest)) __builtin_trap();
    if (!buf_put(&b, in) || !buf_put(&b, buf_span(&line))) __builtin_trap();
    again[0] = '\0';
    if (data[n - 1] == '\n' && (chain_check(buf_span(&b), again, &same) != 0 || same != lines + 1))
        __builtin_trap();
    buf_done(&line);
    buf_done(&b);
    return 0;
}
