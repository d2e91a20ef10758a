#include "tests/support/index_place.h"
#include "common/base/mem.h"
#include "tests/support/tool.h"

int index_place_make(void **state)
{
    struct index_place *p = NEW(struct index_place);

    tool_tmpdir(p->dir, sizeof(p->dir));
    *state = p;
    return index_open(p->dir, &p->ix);
}

int index_place_drop(void **state)
{
    struct index_place *p = *state;

    index_close(p->ix);
    tool_rmdir(p->dir);
    mem_free(p);
    return 0;
}
