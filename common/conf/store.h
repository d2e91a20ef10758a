/* cluster-store: where a site's etcd is. Tests: tests/unit/conf/test_store.c. */
#ifndef CONF_STORE_H
#define CONF_STORE_H

#include "common/conf/conf.h"

#define CONF_STORE_HOSTS_MAX  8
#define CONF_STORE_URL_MAX    320
#define CONF_STORE_PREFIX_MAX 128
#define CONF_STORE_USER_MAX   65
#define CONF_STORE_WORD_MAX   257
#define CONF_STORE_NODES                                                                                     \
    "store.nodes" /* in state-dir: nodes as the store last named them; conf_load reads it */

struct conf_store {
    char urls[CONF_STORE_HOSTS_MAX][CONF_STORE_URL_MAX]; /* "https://host:2379" */
    size_t n;
    char prefix[CONF_STORE_PREFIX_MAX];                            /* "/media" */
    char user[CONF_STORE_USER_MAX], password[CONF_STORE_WORD_MAX]; /* "": none. To be wiped */
};
/* NULL, or what is wrong with it. */
const char *conf_store_read(struct span text, struct conf_store *ret);

#endif
