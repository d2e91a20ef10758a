/* What plug-ins keep (the key-value store of docs/lua.md): in state-dir/plugins, a line of JSON each, written
 * by a thread. httpd has it all in memory and is told it at its start. Tests: tests/unit/master/test_keeps.c,
 * tests/e2e/test_plugins.py. */
#ifndef MASTER_KEEPS_H
#define MASTER_KEEPS_H

#include "common/ipc/channel.h"

#define KEEPS_MAX       1024
#define KEEPS_NAME_MAX  64
#define KEEPS_KEY_MAX   128
#define KEEPS_VALUE_MAX 4096 /* bytes of each; httpd refuses more (httpd/plugins.h) */

struct keep;
struct state_file;
struct keeps {
    struct state_file *file;
    struct keep *v;
    size_t n;
    bool changed;
};
/* -errno: it cannot be read. */
int keeps_open(struct keeps *k, int state_dir);
void keeps_close(struct keeps *k);
void keeps_put(struct keeps *k, const struct packed *body); /* STORE */
void keeps_send(const struct keeps *k, struct channel *httpd);
/* Once a second: what has changed is written. */
void keeps_tick(struct keeps *k);

#endif
