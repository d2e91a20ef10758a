#include "common/base/crc.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

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
/* The instruction takes a new operand each cycle and answers after three: three lanes of a block run side by
 * side. */
#define LANE    1024
#define LANE_X1 0x170076fau /* x^(8 * LANE - 33) mod P, reflected: moves a remainder over one lane, */
#define LANE_X2 0xa51b6135u /* and over two */

#define WORD(s, at) (memcpy(&v, (s).p + (at), 8), v)

__attribute__((target("sse4.2"))) static uint32_t by_cpu(uint32_t crc, struct span s)
{
    uint64_t c = crc, v;
    size_t i = 0;

    for (; i + 8 <= s.n; i += 8) c = __builtin_ia32_crc32di(c, WORD(s, i));
    for (; i < s.n; i++) c = __builtin_ia32_crc32qi((uint32_t)c, s.p[i]);
    return (uint32_t)c;
}

__attribute__((target("sse4.2,pclmul"))) static uint64_t moved(uint64_t crc, uint64_t by)
{
    __m128i product =
        _mm_clmulepi64_si128(_mm_cvtsi64_si128((int64_t)crc), _mm_cvtsi64_si128((int64_t)by), 0);

    return (uint64_t)_mm_cvtsi128_si64(product);
}

__attribute__((target("sse4.2,pclmul"))) static uint32_t by_lanes(uint32_t crc, struct span s)
{
    uint64_t a = crc, b, c, v;

    for (; s.n >= 3 * LANE; s = span_from(s, 3 * LANE)) {
        b = c = 0;
        for (size_t i = 0; i < LANE; i += 8) {
            a = __builtin_ia32_crc32di(a, WORD(s, i));
            b = __builtin_ia32_crc32di(b, WORD(s, i + LANE));
            c = __builtin_ia32_crc32di(c, WORD(s, i + 2 * LANE));
        }
        a = c ^ __builtin_ia32_crc32di(0, moved(a, LANE_X2) ^ moved(b, LANE_X1));
    }
    return by_cpu((uint32_t)a, s);
}
#endif

uint32_t crc32c(uint32_t crc, struct span s)
{
#if defined(__x86_64__)
    if (s.n >= 3 * LANE && __builtin_cpu_supports("pclmul") && __builtin_cpu_supports("sse4.2"))
        return ~by_lanes(~crc, s);
    if (__builtin_cpu_supports("sse4.2")) return ~by_cpu(~crc, s);
#endif
    return ~by_table(~crc, s);
}
