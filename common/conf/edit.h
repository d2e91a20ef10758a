/* The text of a stream's file, or of media-server.ini, with some keys changed, and everything else as it was:
 * order, comments, blank lines, indentation, line ends, quotes. What is written reads back as the value that
 * was given (source.h); it is not judged here: conf_load_as does that before anything is stored. Tests:
 * tests/unit/conf/test_edit.c, fuzz: tests/fuzz/fuzz_ini.c. */
#ifndef CONF_EDIT_H
#define CONF_EDIT_H

#include "common/base/buf.h"
#include "common/conf/conf.h"

struct conf_set {
    const char *key;     /* "", with value NULL and a section: that whole section goes */
    const char *value;   /* NULL: the key goes, the default holds */
    const char *section; /* "server/stream"; NULL: that of the uid */
};
enum { CONF_EDIT_OK = 0, CONF_EDIT_E_KEY, CONF_EDIT_E_VALUE, CONF_EDIT_E_SECTION, CONF_EDIT_E_LARGE };

/* text: of the file, empty for a new one. A section is made where it is not there, behind what stands in the
 * one around it. A key that stands there more than once is changed where it counts, in its last line; one
 * that goes, goes everywhere. A key twice in v: the later one counts. ret is cleared first. CONF_EDIT_E_KEY:
 * v[*at] is no name of a key; CONF_EDIT_E_VALUE: the file's form has no place for this value (control
 * characters, both kinds of quotes, too long; of a free section that is raw, not as it has to be written);
 * CONF_EDIT_E_SECTION: no name of a section, or it cannot go: others stand in it, or keys of it are set;
 * CONF_EDIT_E_LARGE: more than SOURCE_FILE_MAX, or memory is out. */
int conf_edit(
    struct span text, struct span uid, const struct conf_set *v, size_t n, struct buf *ret, size_t *at);

/* Each key of the uid's section that counts, in the order of the file; value: as it was given, without quotes
 * around it, until fn returns. */
void conf_show(
    struct span text, struct span uid, void (*fn)(void *arg, const char *key, struct span value), void *arg);
/* The same of every section of media-server.ini, as it was read. */
struct source_item;
void conf_show_site(
    struct span text, void (*fn)(void *arg, const char *section, const struct source_item *item), void *arg);

/* conf_load as if files were already what is meant to be stored: the file itself (the same path) or a
 * stream's file has this text, or is not there. Paths that the configuration does not include are left out.
 */
struct conf_draft {
    const char *file;
    struct span text; /* p NULL: the file is gone */
};
int conf_load_as(const char *file, const struct conf_draft *drafts, size_t n_drafts, struct conf **ret,
    struct conf_report *r);
/* Is this the file of one stream, this one, and no other? NULL, or why not; what else is wrong with it
 * conf_load_as says. */
const char *conf_text_refused(struct span text, struct span uid);
/* Where the file of a new stream goes: in the folder of the first pattern of [streams] that it fits. false:
 * there is none that takes <uid>.ini, or the path is too long. */
bool conf_stream_path(const struct conf *c, struct span uid, char *dst, size_t cap);

#endif
