/* What edits.c (judged, stored, taken over), edits_draft.c (what the files are to hold) and edits_batch.c
 * (many files, in a thread) share.
 * Tests: tests/unit/master/test_edits_undo.c. */
#ifndef MASTER_EDITS_IMPL_H
#define MASTER_EDITS_IMPL_H

#include "common/base/buf.h"
#include "master/edits.h"

/* One file on its way. */
struct draft {
    char *file;   /* as the configuration names it */
    char *real;   /* where links lead: what is replaced */
    char *next;   /* the new file, beside it; NULL: not written yet */
    uint8_t *was; /* what it holds now; NULL: there is none */
    size_t was_n;
    struct buf text;
    bool gone, is_new, site;
};
struct edits_work {
    struct master *m;
    const struct stream_edit *v;
    size_t n;
    struct draft *drafts; /* of each edit */
    bool remote, unsure;
    struct edits_result *ret;
};

/* Sets the text and which edit it is about; returns code. */
int edits_refuse(struct edits_work *w, int code, const char *fmt, ...) PRINTF_LIKE(3, 4);
/* Fills w->drafts. A code of ctl.h. */
int edits_drafts(struct edits_work *w);
void edits_draft_done(struct draft *d);
void edits_drafts_done(struct edits_work *w);
/* Would the drafts be a configuration? Then *ret is it. Of w->m only what never changes is read: it may be
 * called in a thread, and so may edits_store, which puts the drafts in their place. Codes of ctl.h. */
int edits_judge(struct edits_work *w, struct conf **ret, struct conf_report *r);
int edits_store(struct edits_work *w);
/* media-server.ini, edits_site.c: what it is to hold; what may not be changed in it from elsewhere. */
int edits_site(struct edits_work *w, const struct stream_edit *e, struct draft *d);
int edits_site_check(struct edits_work *w, const struct draft *d);
int edits_read_file(struct edits_work *w, struct draft *d);
/* edits_undo.c: of a file that holds something else by now, the keys that e changed are set back. */
int edits_undo(struct edits_work *w, const struct stream_edit *e, struct draft *d);

#endif
