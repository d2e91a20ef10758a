/* The storages of this node, to be read: name, path, index. Each has a thread of its own, which alone waits
 * for that disk; a read is a job for it. Tests: tests/unit/courier/test_away.c. */
#ifndef COURIER_SHELVES_H
#define COURIER_SHELVES_H

#include "archive/index.h"
#include "common/ipc/pack.h"
#include "common/net/pool.h"

#define SHELVES_MAX     32
#define SHELF_NAME_MAX  64
#define SHELF_PATH_MAX  4096
#define SHELF_QUEUE_MAX 1024 /* reads that wait for one disk */

struct shelves;
struct shelf {
    struct shelves *all;
    char name[SHELF_NAME_MAX], path[SHELF_PATH_MAX];
    char index_dir[SHELF_PATH_MAX]; /* as INDEX_READY said last; "": there is none */
    uint64_t index_said;            /* counts these */
    unsigned refs;
    struct pool *pool;
    /* the thread's: */
    struct index *ix;
    uint64_t ix_said;
    bool broken;
};
/* A read: work in the shelf's thread (ix NULL: there is no index now), then done in the loop's. The owner of
 * the memory is whoever put it. */
struct shelf_read {
    struct job job;
    struct shelf *shelf;
    uint64_t said;
    char dir[SHELF_PATH_MAX];
    bool broken;
    void (*work)(struct shelf_read *r, struct index *ix);
    void (*done)(struct shelf_read *r);
};
struct shelves {
    struct loop *loop;
    struct shelf *v[SHELVES_MAX];
    size_t n;
    void (*on_suspect)(void *arg, const char *name); /* its index has crashed who read it */
    void *arg;
};

void shelves_init(
    struct shelves *s, struct loop *l, void (*on_suspect)(void *arg, const char *name), void *arg);
void shelves_done(struct shelves *s);                                  /* reads under way end first */
void shelves_storage(struct shelves *s, const struct packed *body);    /* STORAGE */
void shelves_gone(struct shelves *s, const struct packed *body);       /* STORAGE_GONE */
void shelves_index(struct shelves *s, const struct packed *body);      /* INDEX_READY */
struct shelf *shelves_find(const struct shelves *s, struct span name); /* NULL: none of that name */

struct shelf *shelf_ref(struct shelf *s);
void shelf_unref(struct shelf *s); /* NULL too */
/* false: too much waits for that disk. */
bool shelf_read(struct shelf *s, struct shelf_read *r);

#endif
