/* PROXY headers: what is read is as long as it says, and needs no more than it asks for. */
#include "common/wire/proxy.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct proxy_said s;
    size_t need = 0;
    int err = proxy_read(span(data, n), &s, &need);

    if (err == 0 && (s.n > n || s.n > PROXY_MAX)) __builtin_trap();
    if (err == PROXY_E_MORE && (need <= n || need > PROXY_MAX)) __builtin_trap();
    return 0;
}
