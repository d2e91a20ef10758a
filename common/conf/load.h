/* Parts of conf_load: what is known while files are read. */
#ifndef CONF_LOAD_H
#define CONF_LOAD_H

#include "common/conf/keys.h"
#include "common/conf/source.h"

#define LOAD_STORAGES_MAX     64
#define LOAD_NODES_MAX        256
#define LOAD_KEYS_MAX         16
#define LOAD_ACCOUNTS_MAX     32  /* beside those of [[[users]]] */
#define LOAD_ARCHIVES_MAX     8   /* storages of one stream */
#define LOAD_STORAGE_PATH_MAX 200 /* such a path may be a storage's name in a message */
#define LOAD_SOCKET_MAX       107 /* sun_path */

/* Where a row was given: the line in its file, 0 where it was not. */
struct given {
    unsigned lines[CONF_ROWS_MAX];
};
/* What is asked for in the files, and not part of this version, or without effect as it stands. */
enum lack {
    LACK_RTSPS,
    LACK_PUSH,
    LACK_LOGIN,
    LACK_DEMAND,
    LACK_WHITELIST,
    LACK_PROTECTED,
    LACK_KEY,
    LACK_NODE,
    LACKS
};
/* The first use of what is only accepted, and how many there are. */
struct accepted {
    unsigned count, line;
    char *file, *key;
};
struct load {
    const struct conf_draft *drafts; /* edit.h */
    size_t n_drafts;
    struct conf *c;
    struct conf_report *r;
    struct given given; /* rows of SCOPE_CONF */
    struct accepted accepted[CONF_ROWS_MAX], lacks[LACKS];
    struct {
        unsigned n, line;
        char *file, *key;
        double days, of_days;
    } short_capacity; /* streams whose dvr-capacity would cut their dvr-duration */
};

/* A file as it is stored, or as it is meant to be; 0 or -errno, which has been reported then. */
int load_source(struct load *l, const char *file, unsigned flags, struct source *s);
/* NULL: nothing else is meant with this file. */
const struct conf_draft *load_draft(const struct load *l, const char *file);
/* Sets the defaults of a scope; base is the struct of the scope. */
void load_defaults(enum conf_scope scope, void *base);
void load_free_fields(enum conf_scope scope, void *base);
/* The field of a row in base. */
void *load_field(const struct conf_row *row, void *base);
/* Where the items of a section go. */
struct load_into {
    enum conf_scope scope;
    const char *section; /* of the scope's rows */
    void *base;          /* the struct of the scope */
    struct given *given;
    bool free_keys; /* keys of any name are left to the caller, without a warning */
};
/* Reads the items of a section that the table knows. */
void load_items(
    struct load *l, const struct source *s, const struct source_section *sec, const struct load_into *into);
void load_mistake(struct load *l, const struct source *s, unsigned line, const char *path, const char *key,
    const char *fmt, ...) PRINTF_LIKE(6, 7);

/* Was given here: where the table says so, one remark tells that it is accepted only: remarks.c. */
void load_accepted(
    struct load *l, const struct conf_row *row, const struct source *s, unsigned line, const char *name);
void load_lack(struct load *l, enum lack what, const char *file, unsigned line, const char *name);
void load_remarks(struct load *l); /* once all is read */
void load_remarks_done(struct load *l);

/* Sections with free names: sections.c. */
void load_storages(struct load *l, const struct source *s, const struct source_section *sec);
void load_storage(struct load *l, const struct source *s, const struct source_section *sec, const char *name);
void load_auth_keys(struct load *l, const struct source *s, const struct source_section *sec);
/* accounts.c */
void load_accounts(struct load *l, const struct source *s, const struct source_section *sec);
void load_cameras(struct load *l, const struct source *s, const struct source_section *sec);
void derive_accounts(struct load *l);
void conf_accounts_done(struct conf_module *m);
void hash_accounts(const struct conf *c, uint64_t *h);
struct conf_storage *load_storage_add(
    struct load *l, const char *name, const char *path, const char *file, unsigned line);

/* The cluster: nodes.c. */
void load_nodes(struct load *l, const struct source *s, const struct source_section *sec);
void load_store_nodes(struct load *l, const struct source_section *sec);
void load_nodes_done(struct conf *c);
void load_cluster_check(struct load *l); /* once all is read */

/* The files that [streams] includes: stream.c. */
void load_streams(struct load *l);

/* What follows from what: derive.c. given: of the stream's rows. */
void derive_server(struct load *l);
void derive_stream(struct load *l, const struct source *s, struct conf_stream *st, const struct given *given);

/* Settings hashes: diff.c. */
void hash_stream(const struct conf *c, struct conf_stream *st);

#endif
