/* One value of a type, from text into its field, back to nothing, and into a hash. */
#ifndef CONF_VALUE_H
#define CONF_VALUE_H

#include "common/conf/keys.h"

#define VALUE_ITEMS_MAX 256 /* of one list */
#define VALUE_PATH_MAX  1024
#define VALUE_TEXT_MAX  256
#define VALUE_FIELD_MAX 256  /* bytes of the largest field */
#define VALUE_CIDRS_MAX 3000 /* bytes of such a list as text: two of them fit one message */

struct value_from {
    struct span text; /* without blanks around */
    bool quoted;      /* the whole value was quoted: it is one item */
    bool torn;        /* see source.h */
    const char *dir;  /* where relative paths start */
};
/* What is wrong, and what is allowed. */
struct value_why {
    char text[400];
};
/* Of the items of a list: as many as fit into one text, the others are counted. */
struct value_whys {
    struct value_why all;
    unsigned more;
};

/* Reads into the row's field, which holds a value already (zeroes are one) and loses it on success. false:
 * *why. */
bool value_parse(
    const struct conf_row *row, const struct value_from *from, void *field, struct value_why *why);
/* Empty, and of a type that has no empty value: as if the key were not there. */
bool value_nothing(const struct conf_row *row, struct span text);
/* Frees what the field owns and zeroes it. */
void value_done(const struct conf_row *row, void *field);
void value_hash(const struct conf_row *row, const void *field, uint64_t *h);
void value_hash_bytes(uint64_t *h, struct span s);

/* Parts that have tests and other users of their own. */
bool value_duration(struct span s, usec_t *ret_us); /* "1h30m", "500ms", bare: seconds */
bool value_size(struct span s, bool percent, struct conf_size *ret);
bool value_cidr(struct span s, struct conf_cidr *ret);
bool value_listen(struct span s, struct conf_listen *ret, struct value_why *why);
bool value_time(struct span s, int64_t *ret_s); /* date, date and time, or unix seconds */
bool value_time_us(
    struct span s, usec_t *ret_us); /* the same; unix seconds with up to six digits behind a dot */
/* Absolute, without "." and "..", "//" and a slash at the end. false: longer than VALUE_PATH_MAX. */
bool value_path(const char *dir, struct span s, char dst[VALUE_PATH_MAX]);
/* The next item of a list: between commas or blanks, quotes around it taken off. false: no more. */
bool value_item(struct span *rest, struct span *ret);

/* The kinds that are lists, value_list.c; as value_parse, into an empty field. */
bool value_list_parse(
    const struct conf_row *row, const struct value_from *from, void *field, struct value_why *why);
void value_list_done(enum conf_kind kind, void *field);
void value_whys_add(struct value_whys *w, const struct value_why *one);
bool value_whys_end(const struct value_whys *w, struct value_why *why);           /* true: none was added */
PRINTF_LIKE(2, 3) bool value_refuse(struct value_why *why, const char *fmt, ...); /* returns false */

#endif
