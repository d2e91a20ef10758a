/* The key table: a key of the configuration is one row. From it come reading, defaults, limits, what a reload
 * has to touch, and the documents (doc.c). */
#ifndef CONF_KEYS_H
#define CONF_KEYS_H

#include "common/conf/conf.h"

/* Type of a value, and of the field it is read into. */
enum conf_kind {
    KIND_TEXT,     /* char * */
    KIND_SECRET,   /* struct secret */
    KIND_BOOL,     /* bool */
    KIND_INT,      /* int64_t, min and max */
    KIND_DURATION, /* usec_t, min and max in microseconds */
    KIND_SIZE,     /* struct conf_size, min and max in bytes */
    KIND_SHARE,    /* struct conf_size, a percentage too */
    KIND_ENUM,     /* an enum, words */
    KIND_SET,      /* uint32_t of bits, words */
    KIND_LIST,     /* struct conf_list */
    KIND_LISTEN,   /* struct conf_listens */
    KIND_CIDRS,    /* struct conf_cidrs */
    KIND_URL,      /* struct secret, of the schemes in unit */
    KIND_PATH,     /* char *, made absolute from the ini's folder */
    KIND_BASE,     /* char *, begins with '/', no '/' at the end */
    KIND_USER,     /* struct conf_user */
    KIND_ARCHIVE,  /* struct conf_archive */
    KIND_SCHEDULE, /* struct conf_schedule */
    KINDS
};

/* What a reload does when the key has changed. */
enum conf_reload {
    RELOAD_LIVE,   /* at once */
    RELOAD_WORKER, /* at once: the stream's worker is told */
    RELOAD_STREAM, /* another worker */
    RELOAD_HTTPD,
    RELOAD_RESTART
};

enum conf_scope { SCOPE_CONF, SCOPE_STREAM, SCOPE_STORAGE, SCOPES };

struct conf_word {
    const char *word;
    uint32_t value;
};

#define KEY_INHERITS 1 /* absent: the server's key of the same name */
#define KEY_LOCAL    2 /* set on the server itself only (msctl, an editor): the machine is at stake */
#define KEY_TRUST    4 /* who may watch is up to it: like a secret, changed by who has just shown a password */

struct conf_row {
    enum conf_scope scope;
    const char *section; /* "server/stream", "<uid>", "storages/<name>" */
    const char *name;
    enum conf_kind kind;
    size_t at; /* of the field in struct conf, conf_stream or conf_storage */
    const char *def;
    int64_t min, max;
    const char *unit; /* allowed schemes of a URL; of a size the word for as the program sees fit; else a word
                         for the documents */
    const struct conf_word *words;
    enum conf_reload reload;
    unsigned flags;
    const char *accepted; /* NULL: used; else what the log says of it: known, and without effect today */
    const char *help;
};

extern const struct conf_row conf_rows[];
extern const size_t conf_rows_n;
#define CONF_ROWS_MAX 192 /* checked by a test */

/* NULL: no such key. */
const struct conf_row *conf_row_find(enum conf_scope scope, const char *section, const char *name);
static inline size_t conf_row_index(const struct conf_row *row)
{
    return (size_t)(row - conf_rows);
}
/* Of the server's keys, by the row's index: which of them are not what they were. */
void conf_hashes(const struct conf *c, uint64_t v[static CONF_ROWS_MAX]);
const char *conf_kind_name(enum conf_kind k);
const char *conf_reload_name(enum conf_reload r);
/* Sections whose names or keys are free, for the documents and for telling an unknown section. */
enum conf_secret { /* where in a value what nobody is shown stands */
    CONF_SECRET_NONE,
    CONF_SECRET_ALL,
    CONF_SECRET_URL,   /* its password */
    CONF_SECRET_COLON, /* behind the first ':' */
    CONF_SECRET_FIRST  /* the first of a list */
};
struct conf_free_section {
    const char *section, *syntax, *help;
    enum conf_secret secret;
    bool raw; /* quotes are a part of its values */
    unsigned flags;
};
extern const struct conf_free_section conf_free_sections[];
extern const size_t conf_free_sections_n;
/* NULL: its keys are those of the table. */
const struct conf_free_section *conf_free_section(struct span section);
bool conf_section_raw(struct span section);
/* Of media-server.ini: "storages/fast" has rows of SCOPE_STORAGE. NULL: no such key. */
const struct conf_row *conf_site_row(const char *section, const char *key);

/* Words of the enumerations, ended by NULL. */
extern const struct conf_word conf_words_enable[], conf_words_access[], conf_words_dvr_mode[],
    conf_words_transport[], conf_words_tracks[], conf_words_proto[];

#endif
