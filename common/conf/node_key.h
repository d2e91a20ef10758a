/* The key by which a node signs what it gives away: NODE_KEY_FILE in state-dir, Ed25519, as PEM, readable by
 * its owner alone. Made once, by the master's first start. One that is not as it should be is never replaced:
 * whoever needs it is told what is wrong. May block on the disk. Tests: tests/unit/conf/test_node_key.c. */
#ifndef CONF_NODE_KEY_H
#define CONF_NODE_KEY_H

#include "common/wire/crypto_sign.h"

#define NODE_KEY_FILE    "node.key"
#define NODE_KEY_WHY_MAX 160

/* dir: of state-dir. 0; -ENOENT: there is none; other -errno: why[] says what is wrong, as one sentence. */
int node_key_load(int dir, struct crypto_key *ret, char why[NODE_KEY_WHY_MAX]);
/* The same, and makes one where there is none. */
int node_key_open(int dir, struct crypto_key *ret, char why[NODE_KEY_WHY_MAX]);

#endif
