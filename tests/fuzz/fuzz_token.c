/* Tokens: nothing that is not signed is one; a payload that is read is written back as it was. */
#include "common/wire/token.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void round_trip(struct span payload)
{
    uint8_t mem[TOKEN_PAYLOAD_MAX + 64];
    struct wr w = wr_of(mem, sizeof(mem));
    struct token t;

    if (!token_read(payload, &t)) return;
    token_write(&w, &t);
    if (!wr_ok(&w) || !span_eq(wr_span(&w), payload)) __builtin_trap();
    for (size_t i = 0; i < t.n_streams; i++)
        if (!token_pattern_ok(span_of(t.streams[i]))) __builtin_trap();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static struct token_keys keys;
    struct token_check c = {&keys, "1", 1700000000};
    struct token t;
    int64_t until;

    if (keys.n == 0) token_keys_add(&keys, SPAN_LIT("0"), SPAN_LIT("nobody can know this"), 0, 0);
    if (token_verify(&c, span(data, n), &t, &until) == 0) __builtin_trap();
    if (n <= TOKEN_PAYLOAD_MAX) round_trip(span(data, n));
    return 0;
}
