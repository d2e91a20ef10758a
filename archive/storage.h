/* The folder of a storage as the keeper sees it: is it the disk that was expected, may it be written to, how
 * much is free. All of it may block on the disk; the keeper calls it from that storage's thread.
 *
 * Marker: <storage>/.media-server, two lines of text: "media-server storage" and the UUID. A path that was
 * never seen gets one; a path that was seen (the caller knows its UUID) and carries none, or another one, is
 * refused: an unmounted or swapped disk is never written to. Tests: tests/unit/archive/test_storage.c. */
#ifndef ARCHIVE_STORAGE_H
#define ARCHIVE_STORAGE_H

#include "archive/retention.h"
#include "common/base/span.h"

#define STORAGE_MARKER   ".media-server"
#define STORAGE_UUID_MAX 37

enum storage_state {
    STORAGE_OK = 0,
    STORAGE_MISSING, /* no folder there */
    STORAGE_REFUSED, /* seen before, and now without its marker or with another one */
    STORAGE_FULL,    /* below its floor */
    STORAGE_READONLY,
    STORAGE_FAILED /* errors when it is written to, or it does not answer */
};
const char *storage_state_name(enum storage_state s);

/* "5%" or bytes; "" is automatic. false: neither. */
bool storage_floor_parse(struct span text, struct retention_floor *ret);

struct storage {
    const char *path; /* the caller's */
    struct retention_floor floor;
    int fd; /* of the folder, -1: not open */
    char uuid[STORAGE_UUID_MAX];
    bool fresh; /* its marker was written just now */
    enum storage_state state;
    int err;                    /* positive errno behind the state, or 0 */
    uint64_t total, free;       /* bytes */
    uint64_t files, files_free; /* inodes; both 0: the file system has no number of them */
    uint64_t rate;              /* bytes a second that are recorded here, as far as is known */
};

void storage_init(struct storage *s, const char *path, struct retention_floor floor);
/* Bytes below which it is full. */
uint64_t storage_floor(const struct storage *s);
void storage_close(struct storage *s);
/* Opens the folder and checks its marker against want ("": never seen). accept: takes it as it is. Sets
 * state, err and what else is known; true: its state is STORAGE_OK, FULL or READONLY, fd is open and uuid is
 * known. */
bool storage_open(struct storage *s, const char *want, bool accept);
/* Looks again: is the same folder still at the path, is there room (a full one is ok again a little above its
 * floor), and, when `write` is true or the last probe failed, can it be written to. Returns the state. */
enum storage_state storage_look(struct storage *s, bool write);

/* <storage>/<uid>/records for its worker: made when it is missing, owner and group set where they differ (of
 * its folders and its lock). *ret_fd is opened anew, for handing out. 0 or -errno. */
int storage_records(const struct storage *s, const char *uid, uid_t owner, gid_t group, int *ret_fd);
/* The same folder when it exists, for reading. */
int storage_records_ro(const struct storage *s, const char *uid, int *ret_fd);
/* The folder of a segment's path below records, made where it is missing, as storage_records does. */
int storage_day_make(int records_fd, const char *path, uid_t owner, gid_t group, int *ret_fd);
/* A day's folder in it, "2026/11/22", reached without following a link. */
int storage_day(int records_fd, const char *day, int *ret_fd);

#endif
