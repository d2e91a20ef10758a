/* Storages as the master knows them: what is configured, the UUID that state-dir remembers for a path, what
 * the keeper says of each. A path that was seen before is only written on when the same storage is there
 * (house.md 3). */
#ifndef MASTER_STORAGES_H
#define MASTER_STORAGES_H

#include "common/base/map.h"
#include "common/conf/conf.h"
#include "common/ipc/channel.h"
#include "master/state_file.h"

#define STORAGES_UUID_MAX 64

struct storage_seen {
    char state[16]; /* of STORAGE_STATE; "" unknown */
    char uuid[STORAGES_UUID_MAX];
    int64_t err;
    uint64_t total, free, files, files_free;
    uint64_t floor, rate, footage, held; /* as in STORAGE_STATE */
    uint64_t spare;                      /* the same */
    bool silent;                         /* the same */
    int64_t oldest_s, full_s, keeps_s;   /* 0: not known */
    int64_t ahead_s;                     /* of the clock, which is not believed; 0: it is */
    char *index_path;                    /* of INDEX_READY; NULL: not yet */
};
struct storages {
    struct state_file *file; /* of what is remembered */
    struct map uuid_by_path; /* to char * */
    struct map by_name;      /* to struct storage_seen */
};

/* Reads what state_dir remembers. 0 or -errno; a damaged file is an error, not an empty one. */
int storages_open(struct storages *s, int state_dir);
void storages_done(struct storages *s);
void storages_check(struct storages *s); /* once a second: says what could not be written */
/* STORAGE of every one, and what is known of indexes. */
void storages_send(const struct storages *s, const struct conf *c, struct channel *to);
void storages_send_indexes(const struct storages *s, const struct conf *c, struct channel *to);
/* STORAGE of what is new or changed in `after`, STORAGE_GONE of what is not there any more. */
void storages_send_changes(
    struct storages *s, const struct conf *before, const struct conf *after, struct channel *to);
/* From the keeper. STORAGE_STATE: remembers a new UUID. */
void storages_on_state(struct storages *s, const struct conf *c, const struct packed *body);
/* INDEX_READY, passed on to those who read it; NULL: one that does not run. */
void storages_on_index(
    struct storages *s, const struct conf *c, const struct packed *body, struct channel *const *to, size_t n);
void storages_keeper_gone(struct storages *s);
const struct storage_seen *storages_seen(
    const struct storages *s, const char *name); /* NULL: nothing heard */
size_t storages_ok(const struct storages *s, const struct conf *c);

#endif
