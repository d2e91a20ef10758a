/* The body of "api edit" (common/ipc/ctl.h): msgpack of httpd, in which scripts put what people have sent.
 * Tests: tests/unit/master/test_edits_read.c, fuzz: tests/fuzz/fuzz_edits.c. */
#ifndef MASTER_EDITS_READ_H
#define MASTER_EDITS_READ_H

#include "master/edits.h"

/* "key=value", or "key" for one that goes, cut where it stands; site: "section/key". A key without a section
 * is refused later, by name. */
struct conf_set edits_set(char *word, bool site);

struct edits_read {
    struct stream_edit *v; /* of edits_read, or of whoever makes them himself (mem_renew) */
    size_t n;
    struct conf_set *sets;
    char *texts; /* of uids, etags, sections, keys and values */
};
/* An array of [kind, uid, etag, lines], each line as edits_set takes it, of kind site also "section/" for a
 * section that goes. false: it is none, or has more than EDITS_MAX of
 * them; *ret is to be done in either case. */
bool edits_read(struct span body, struct edits_read *ret);
void edits_read_done(struct edits_read *r);

#endif
