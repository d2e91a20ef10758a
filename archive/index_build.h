/* Makes an index from segments that come in order, many times faster than index_put does: full pages, each
 * written once. Nobody else may have it open; it is durable after index_build_end, and of no use before.
 * Tests: tests/unit/archive/test_index_build.c. */
#ifndef ARCHIVE_INDEX_BUILD_H
#define ARCHIVE_INDEX_BUILD_H

#include "archive/index.h"

struct index_build;
/* dir: exists, and holds no index. 0, -EEXIST, -errno. */
int index_build_new(const char *dir, struct index_build **ret);
/* In order of uid (by bytes), then of id; else -EINVAL. INDEX_OK, -errno: only index_build_drop is left. */
int index_build_add(struct index_build *b, const struct seg_info *s);
/* Frees b, also when it fails. */
int index_build_end(struct index_build *b);
void index_build_drop(struct index_build *b); /* NULL too; the files stay */

#endif
