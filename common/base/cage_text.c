/* Names of layers, for processes that have no cage of their own and do not link libseccomp. */
#include "common/base/cage.h"
#include "common/base/wr.h"

const char *cage_text(unsigned layers, char dst[CAGE_TEXT_MAX])
{
    static const char *const names[] = {"descriptors", "limits", "privileges", "calls"};
    struct wr w = wr_of(dst, CAGE_TEXT_MAX);

    for (unsigned i = 0; i < ARRAY_N(names); i++)
        if (layers & 1u << i) wr_fmt(&w, "%s%s", w.n > 0 ? "," : "", names[i]);
    return wr_cstr(&w);
}
