/* Two kinds of error. Negative: fatal for this operation, usually -errno, passed up untouched. Positive: a
 * condition that the function's header lists and its caller handles; bytes from a wire only cause these.
 * must() guards invariants of ours in every build: a broken one ends this process, and the master starts
 * another. Never use must() on anything that came from outside. */
#ifndef BASE_ERR_H
#define BASE_ERR_H

#include "common/base/types.h"

_Noreturn void must_failed(const char *expr, const char *file, int line);

#define must(expr) ((expr) ? (void)0 : must_failed(#expr, __FILE__, __LINE__))

/* Text of a negative error ("Connection refused"), never NULL; valid until the thread's next call. */
const char *err_text(int err);

#endif
