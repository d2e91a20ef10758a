/* The corpora of real data that lie beside the checkout, where they are there. */
#ifndef SUPPORT_CORPORA_H
#define SUPPORT_CORPORA_H

#include "common/base/buf.h"
#include "common/base/wr.h"

/* "../shared/corpora/<name>" from the repository's root or the working directory; MS_CORPORA names another
 * place. false: not there, and the test says that it is skipped. */
bool corpora_dir(const char *name, char *dst, size_t cap);
/* A whole file; false: cannot be read. */
bool corpora_read(const char *path, struct buf *into);
/* Hexadecimal digits to bytes. false: odd length, another character, or does not fit. */
bool corpora_hex(struct span s, struct wr *w);
/* Calls fn for every regular file below dir whose name contains `part` (NULL: all), in order of names.
 * Returns how many. Files of Go's fuzzer ("go test fuzz v1") are given as the bytes of their last argument.
 */
size_t corpora_each(
    const char *dir, const char *part, void (*fn)(const char *name, struct span data, void *arg), void *arg);

#endif
