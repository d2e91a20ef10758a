/* Which storage a stream records on: the text of dvr-archive ("nas", "/mnt/a", "a*3, b*1") against the
 * storages there are. */
#ifndef ARCHIVE_STORE_CHOICE_H
#define ARCHIVE_STORE_CHOICE_H

#include "common/base/span.h"

#define CHOICE_DEFAULT "default" /* storage of a stream that names none */
#define CHOICE_MAX     64        /* storages a stream may name */

struct choice_store {
    struct span name, path;
    bool ok; /* can be recorded on now */
};
/* Index of the storage, or -1: none that is named is there. A stream's storages keep their order by weight
 * and uid (weighted rendezvous hashing), so that few streams move when one is added; one that is ok goes
 * before one that is not. */
int choice_store(struct span archive, const char *uid, const struct choice_store *s, size_t n);

#endif
