/* What spread.c and spread_push.c share. */
#ifndef CLUSTER_SPREAD_IMPL_H
#define CLUSTER_SPREAD_IMPL_H

#include "master/cluster/spread.h"

/* A word that is being filled with rows. */
struct spread_rows {
    struct spread *s;
    uint16_t to;
    enum spread_word_kind kind;
    bool kept; /* said when what it says is durable */
    struct buf b;
    uint32_t n;
};
struct spread_rows spread_rows_to(struct spread *s, uint16_t to, enum spread_word_kind kind, bool kept);
void spread_rows_flush(struct spread_rows *r);
void spread_rows_end(struct spread_rows *r);

/* A word that came. */
struct spread_heard {
    struct spread *s;
    uint16_t from;
    uint64_t bit; /* 0: this node itself */
    usec_t now_us;
    struct spread_rows has, have, want, promised; /* what is said to it */
};
void spread_on_promise(struct spread_heard *h, const struct packed *word);
void spread_on_promised(struct spread_heard *h, const struct packed *word);

bool spread_uid_of(struct span text, char dst[static SPREAD_UID_MAX]);
struct spread_file *spread_file_of(struct spread *s, const char *uid); /* made where there is none */
struct spread_file *spread_named(struct spread *s, const char *uid); /* by another node; NULL: too many are */
void spread_set_version(struct spread *s, struct spread_file *f, const struct stamp *stamp, const char *etag);
/* Somebody has decided a newer version than ours that is being pushed. false: there is none such. */
void spread_overtaken(struct spread *s, struct spread_file *f, const struct stamp *by);

#endif
