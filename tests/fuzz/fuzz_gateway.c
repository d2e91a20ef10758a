/* Answers of etcd's gateway: any bytes; what is taken is within its limits. */
#include "courier/gateway.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void on_record(void *arg, const struct gateway_record *r)
{
    size_t *seen = arg;

    (*seen)++;
    if (r->key.n > GATEWAY_KEY_MAX || r->value.n > GATEWAY_VALUE_MAX || (r->large && r->value.n > 0))
        __builtin_trap();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct gateway_answer a;
    size_t seen = 0;

    if (!gateway_read(span(data, n), on_record, &seen, &a)) {
        if (seen > 0) __builtin_trap();
        return 0;
    }
    if (seen != a.records || strlen(a.why) >= sizeof(a.why) || strlen(a.token) >= sizeof(a.token))
        __builtin_trap();
    return 0;
}
