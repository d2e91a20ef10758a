#include "common/base/err.h"

#include <unistd.h>

_Noreturn void must_failed(const char *expr, const char *file, int line)
{
    dprintf(STDERR_FILENO, "<0>must(%s) failed at %s:%d\n", expr, file, line);
    abort();
}

const char *err_text(int err)
{
    static _Thread_local char text[96];

    return strerror_r(err < 0 ? -err : err, text, sizeof(text));
}
