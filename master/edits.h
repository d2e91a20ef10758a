/* Streams that are made, changed and taken away while the server runs, and keys of media-server.ini: in their
 * files, durably, and in what runs; all of it or nothing. The files keep their order and comments
 * (common/conf/edit.h), their owner and mode. What would be stored is read as a configuration first: one
 * mistake refuses everything and nothing is written. Like a reload it also takes over what somebody else has
 * changed in the files meanwhile. What was done is a revision that can be undone (revisions.h). Streams that
 * the site's etcd keeps (cluster/records.h) are put there instead, and come back from there. Tests:
 * tests/e2e/test_edits.py, tests/cluster/test_store.py. */
#ifndef MASTER_EDITS_H
#define MASTER_EDITS_H

#include "common/conf/edit.h"
#include "common/ipc/ctl.h"

struct master;

#define EDITS_MAX      20000
#define EDITS_TEXT_MAX 512
#define EDITS_ETAG_MAX 17 /* with its NUL */

enum edit_kind {
    EDIT_CREATE,  /* there must be none of this uid */
    EDIT_SET,     /* there must be one */
    EDIT_MERGE,   /* one is made where there is none */
    EDIT_REPLACE, /* the same; keys that are not named go */
    EDIT_REMOVE,  /* its file is set aside as <name>.removed-<UTC>, the archive stays */
    EDIT_SITE,    /* keys of media-server.ini; uid is EDIT_SITE_UID, each of the set names its section */
    EDIT_TEXT     /* the whole file: text in `file`; p NULL: it goes as with EDIT_REMOVE */
};
const char *edit_kind_word(enum edit_kind k);
bool edit_kind_of(struct span word, enum edit_kind *ret); /* not EDIT_TEXT */

#define EDIT_SITE_UID "[server]" /* no stream can be called so */

struct stream_edit {
    enum edit_kind kind;
    bool quiet; /* no revision keeps it: what was a password is gone */
    const char *uid;
    const struct conf_set *set;
    size_t n;
    const char *etag; /* what its file must be: edits_etag; "*": there must be one, "-": there must be none;
                         NULL: whatever */
    /* EDIT_TEXT: the file, what it must hold now and is to hold; p NULL: nothing is there */
    const char *file;
    struct span was, text;
    bool keys; /* where it holds something else by now: the keys that `text` has otherwise than `was`, and
                  nothing else, if nobody has changed them */
};
struct edits_result {
    char text[EDITS_TEXT_MAX];     /* what was done, or why not */
    size_t at;                     /* on failure: which edit it is about */
    uint64_t revision;             /* 0: nothing was stored */
    char (*etags)[EDITS_ETAG_MAX]; /* of each file as it is now, "" for those that went; the caller's
                                      (mem_free) */
    /* Where media-server.ini was to be changed: what that touches. */
    bool site, httpd;         /* httpd: it is started anew, in EDITS_HTTPD_US */
    size_t streams;           /* that are others */
    struct conf_list restart; /* keys that only a restart of the server applies */
};
void edits_result_done(struct edits_result *r);
#define EDITS_HTTPD_US (300 * US_PER_MS) /* whoever has asked through it gets his answer */
/* by: who asks, for the revision; why: a text of his, may be "". */
struct edits_order {
    const struct stream_edit *v;
    size_t n;
    bool dry;     /* judged, and not done */
    bool remote;  /* keys of KEY_LOCAL stay as they are */
    bool unsure;  /* secrets and keys of KEY_TRUST too: CTL_CONFIRM */
    bool pushed;  /* by another node: it has been told already */
    uint64_t who; /* act_id of a session that can wait for the site's etcd; 0: nobody can */
    const char *by, *why;
};
#define EDITS_LATER (-1) /* the etcd is asked: the session's answer comes from there (records.h) */
/* Each uid at most once. r: what reading found, added to. A code of ctl.h, or EDITS_LATER; CTL_CHANGED: an
 * etag is another. */
int edits_apply(
    struct master *m, const struct edits_order *order, struct conf_report *r, struct edits_result *ret);

/* Sixteen hexadecimal digits that stand for a file's bytes. */
const char *edits_etag(struct span text, char dst[static EDITS_ETAG_MAX]);

#endif
