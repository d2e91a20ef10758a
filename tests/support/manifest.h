/* What ffprobe said of a file of the corpora: its MANIFEST.tsv. */
#ifndef SUPPORT_MANIFEST_H
#define SUPPORT_MANIFEST_H

#include "common/base/buf.h"

struct manifest_probe {
    unsigned width, height, packets, reorder; /* 0: not said */
};

/* The folder's MANIFEST.tsv; false: not there. */
bool manifest_load(const char *dir, struct buf *into);
/* false: the file is not listed, or ffprobe did not know it. */
bool manifest_find(const struct buf *manifest, const char *name, struct manifest_probe *ret);

#endif
