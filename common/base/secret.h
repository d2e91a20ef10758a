/* Text that no log can print: a struct, so that "%s" does not compile, with one loud way out. */
#ifndef BASE_SECRET_H
#define BASE_SECRET_H

#include "common/base/span.h"

struct secret {
    char *hidden;
    size_t n;
};

struct secret secret_of(struct span s); /* copies */
void secret_done(struct secret *s);     /* wipes and frees; zeroed and done ones too */
static inline bool secret_set(const struct secret *s)
{
    return s->n > 0;
}
/* For signing and sending only. Never log what this returns. */
struct span secret_reveal(const struct secret *s);

#endif
