/* Two nodes of a cluster in one process: what ms-courier holds of its fellows, over sockets of this machine.
 */
#ifndef SUPPORT_COURIER_PAIR_H
#define SUPPORT_COURIER_PAIR_H

#include "courier/nodes.h"

struct pair {
    struct loop *loop;
    struct nodes *a, *b; /* numbers 1 and 2 */
    uint16_t port_a, port_b;
};
extern struct pair pair;

void pair_start(const struct nodes_ops *ops, void *arg_a, void *arg_b);
/* What hangs on the nodes has gone. */
void pair_stop(void);
/* COURIER_CONF: a letter is a key; other: number of the only other node, at that port of this machine, or 0.
 */
void pair_conf(struct nodes *n, uint16_t number, const char *keys, uint16_t other, uint16_t port);
void pair_conf_at(struct nodes *n, uint16_t number, const char *keys, uint16_t other, const char *addrs);
int pair_connect(uint16_t port); /* as a stranger would */
/* Both know each other, with these keys, and have met. */
void pair_meet(const char *keys_a, const char *keys_b);
struct peer *pair_of_a(void); /* node 2, as node 1 has it */
struct peer *pair_of_b(void);
bool pair_both_there(void);
void pair_wait(bool (*until)(void));
/* A message as its reader gets it: pack into b, then take. */
struct packer pair_pack(struct buf *b, uint32_t pairs);
struct unpack *pair_unpack(const struct buf *b);

#endif
