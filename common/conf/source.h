/* From the text of one ini file to its sections, keys and values. inih does the reading (this is its door);
 * it is fed clean lines: sections as whole paths ("server/module"), keys without blanks, and in place of each
 * value the number of its line, so that no rule of inih's (line length, ';', ':', continuation by
 * indentation) can meet a value.
 *
 * The form (compatibility.md 1): nesting by bracket depth; indentation means nothing; '#' begins a comment
 * unless it is inside quotes; so does ';' at the start of a line; a value may be quoted with " or ' as a
 * whole or, in a list and behind a ':', in parts. Mistakes go to the report; the lines concerned are left out
 * of the result. */
#ifndef CONF_SOURCE_H
#define CONF_SOURCE_H

#include "common/conf/conf.h"

#define SOURCE_FILE_MAX  (1u << 20)
#define SOURCE_LINES_MAX 50000
#define SOURCE_KEY_MAX   49 /* inih cuts names of 50 */
#define SOURCE_PATH_MAX  49 /* and sections */
#define SOURCE_DEPTH_MAX 4

struct source_item {
    unsigned line;
    char *key;
    struct span value; /* into the text; without quotes when the whole value was quoted */
    bool quoted;       /* the whole value was */
    bool torn;         /* it begins with a quoted part and goes on behind it: right only in lists */
};
struct source_section {
    unsigned line;
    char *path; /* "server/stream"; "" for keys before the first section */
    struct source_item *items;
    size_t n, cap;
};
struct source {
    char *file;
    uint8_t *text; /* what the values point into */
    struct source_section *sections;
    size_t n, cap;
};
enum {
    SOURCE_BARE_KEYS = 1, /* a line without '=' is a key with an empty value */
    SOURCE_NO_SECTION = 2 /* keys before the first section are right */
};

/* Takes text (mem_free), which has n bytes. The source is usable, maybe empty, whatever was reported. */
void source_parse(
    struct source *s, const char *file, uint8_t *text, size_t n, unsigned flags, struct conf_report *r);
/* The same from a file. 0 or -errno, which has been reported as a mistake then. */
int source_read(struct source *s, const char *file, unsigned flags, struct conf_report *r);
void source_done(struct source *s);

#endif
