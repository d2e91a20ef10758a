/* Streams that are made, changed and taken away while the server runs: in their files, durably, and in what
 * runs; all of it or nothing. The files keep their order and comments (common/conf/edit.h), their owner and
 * mode. What would be stored is read as a configuration first: one mistake refuses everything and nothing is
 * written. Like a reload it also takes over what somebody else has changed in the files meanwhile. Tests:
 * tests/e2e/test_edits.py. */
#ifndef MASTER_EDITS_H
#define MASTER_EDITS_H

#include "common/conf/edit.h"
#include "common/ipc/ctl.h"

struct master;

#define EDITS_MAX      20000
#define EDITS_TEXT_MAX 512

enum edit_kind {
    EDIT_CREATE, /* there must be none of this uid */
    EDIT_SET,    /* there must be one */
    EDIT_REMOVE  /* its file is set aside as <name>.removed-<UTC>, the archive stays */
};
struct stream_edit {
    enum edit_kind kind;
    const char *uid;
    const struct conf_set *set;
    size_t n;
};
/* Each uid at most once in v. dry: judged, and not done. r: what reading found, added to. text: what was done
 * or why not. A code of ctl.h. */
int edits_apply(struct master *m, const struct stream_edit *v, size_t n, bool dry, struct conf_report *r,
    char text[static EDITS_TEXT_MAX]);

#endif
