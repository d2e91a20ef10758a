#include "common/base/crc.h"

#define POLY    0x82f63b78u
#define STEP(v) ((v)&1 ? (v) >> 1 ^ POLY : (v) >> 1)
#define T(i)    STEP(STEP(STEP(STEP((uint32_t)(i)))))

static uint32_t by_table(uint32_t crc, struct span s)
{
    static const uint32_t table[16] = {
        T(0), T(1), T(2), T(3), T(4), T(5), T(6), T(7), T(8), T(9), T(10), T(11), T(12), T(13), T(14), T(15)};

    for (size_t i = 0; i < s.n; i++) {
        crc ^= s.p[i];
        crc = crc >> 4 ^ table[crc & 15];
        crc = crc >> 4 ^ table[crc & 15];
    }
    return crc;
}

#if defined(__x86_64__)
__attribute__((target("sse4.2"))) static uint32_t by_cpu(uint32_t crc, struct span s)
{
    uint64_t c = crc, v;
    size_t i = 0;

    for (; i + 8 <= s.n; i += 8) {
        memcpy(&v, s.p + i, 8);
        c = __builtin_ia32_crc32di(c, v);
    }
    for (; i < s.n; i++) c = __builtin_ia32_crc32qi((uint32_t)c, s.p[i]);
    return (uint32_t)c;
}
#endif

uint32_t crc32c(uint32_t crc, struct span s)
{
#if defined(__x86_64__)
    if (__builtin_cpu_supports("sse4.2")) return ~by_cpu(~crc, s);
#endif
    return ~by_table(~crc, s);
}
