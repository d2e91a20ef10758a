/* A small file of state-dir, written whole and made durable by a thread of its own: the loop hands over what
 * the file is to hold and goes on, however long the disk takes. What is handed over while one is being
 * written waits; the newest counts. Tests: tests/unit/master/test_storages.c. */
#ifndef MASTER_STATE_FILE_H
#define MASTER_STATE_FILE_H

#include "common/base/span.h"

struct state_file;

/* dir: of a descriptor that stays the caller's. name must outlive it. Starts no thread before the first
 * write. NULL: no descriptor is left. */
struct state_file *state_file_new(int dir, const char *name);
/* The same, for the master's user alone. */
struct state_file *state_file_private(int dir, const char *name);
/* A file that is added to. Above `most` bytes it is set aside as <name>.1, that one as <name>.2, and so on.
 */
#define STATE_FILE_OLDER 8
#define STATE_FILE_WAITS (1u << 20) /* bytes that wait for the disk */
struct state_file *state_file_log(int dir, const char *name, size_t most);
/* Of such a file. false: too much waits, it is not written. */
bool state_file_add(struct state_file *f, struct span content);
/* A number above those before; state_file_kept says which writes are durable: it and all older ones. */
uint64_t state_file_write(struct state_file *f, struct span content);
uint64_t state_file_kept(const struct state_file *f);
/* What is to be kept has outgrown the file: the file before stays, and state_file_failed says -EFBIG. */
void state_file_too_large(struct state_file *f);
/* -errno of a write that failed since the last call, or 0. */
int state_file_failed(struct state_file *f);
/* The same for who logs it, as state-dir-write: once a minute, while it fails. false: none has failed. */
bool state_file_say(struct state_file *f);
/* Waits for what was handed over, half a second at most: a disk that hangs is left behind, with the old file.
 */
void state_file_free(struct state_file *f); /* NULL is harmless */

/* At the start. No state that cannot be read keeps a server from recording: such a file is set aside as
 * <name>.bad and logged as an error, and what needs it is refused, or goes on with less. */
typedef bool state_take_fn(void *arg, struct span bytes);
/* fn gets what is in it. 0, also where there is none; -errno, -EBADMSG: fn has said false. It is set aside
 * then; what fn could read of it stays read. */
int state_file_read(int dir, const char *name, size_t most, state_take_fn *fn, void *arg);
void state_file_set_aside(int dir, const char *name, int err);
bool state_file_is_aside(int dir, const char *name); /* until somebody takes it away */

#endif
