#include "common/media/g711.h"

#define HISILICON_HEAD 4

struct span g711_without_header(struct span s)
{
    if (s.n <= HISILICON_HEAD || s.p[0] != 0 || s.p[1] != 1 || s.p[3] != 0) return s;
    return (size_t)s.p[2] * 2 == s.n - HISILICON_HEAD ? span_from(s, HISILICON_HEAD) : s;
}
