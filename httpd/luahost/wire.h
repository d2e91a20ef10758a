/* What httpd and its Lua host (ms-luahost) say to each other: u32 length (big-endian) | msgpack map, whose
 * `op` is one of the list. Every message of httpd's is answered by one of the host's, in the order they were
 * sent, so that httpd knows at any moment what the host is busy with; LOG alone comes by itself.
 *
 *   LOAD      slot, entry, files: array of [path, text]     -> LOADED  slot, ok, error
 *   CALL      id, slot, args                                -> DONE or ASK
 *   REPLY     id, ok, value: what was asked for, or why not -> DONE or ASK
 *   CANCEL    id: nobody waits for it any more              -> CANCELLED
 *   PING                                                    -> PONG
 *   DONE      id, ok, value, or error: text with file and line
 *   ASK       id, name, args: the call waits for REPLY
 *   HELLO     missing: layers of the cage that do not stand; first of all
 *   LOG       slot, text
 *
 * Both sides check what they read; a side that breaks this is closed. Tests: tests/unit/luahost/test_host.c,
 * tests/fuzz/fuzz_luahost.c. */
#ifndef LUAHOST_WIRE_H
#define LUAHOST_WIRE_H

#include "common/base/buf.h"
#include "common/ipc/pack.h"

#define LUAHOST_MESSAGE_MAX (1u << 20)
#define LUAHOST_ARGS_MAX    (LUAHOST_MESSAGE_MAX - 4096) /* of a CALL */
#define LUAHOST_SOURCES_MAX (512u << 10)                 /* bytes of all files of a script */
#define LUAHOST_FILES_MAX   64
#define LUAHOST_PATH_MAX    256
#define LUAHOST_PLUGINS_MAX 8
#define LUAHOST_NAME_MAX    64   /* of what is asked for */
#define LUAHOST_ERROR_MAX   2048 /* of a traceback */
#define LUAHOST_LOG_MAX     512

/* A script says in its first lines which interface it is made for; one without this line was made for
 * another server. */
#define LUAHOST_INTERFACE      "interface: media-server 1"
#define LUAHOST_INTERFACE_HEAD 1024 /* bytes from the begin */

enum luahost_op {
    LUAHOST_LOAD = 1,
    LUAHOST_CALL,
    LUAHOST_REPLY,
    LUAHOST_CANCEL,
    LUAHOST_PING,
    LUAHOST_LOADED,
    LUAHOST_DONE,
    LUAHOST_ASK,
    LUAHOST_CANCELLED,
    LUAHOST_PONG,
    LUAHOST_HELLO,
    LUAHOST_LOG
};

/* Scripts that run, each in a Lua state of its own. */
enum luahost_slot {
    LUAHOST_AUTH = 0,
    LUAHOST_API,
    LUAHOST_API3,
    LUAHOST_CPANEL,
    LUAHOST_PLUGIN, /* the first of them */
    LUAHOST_SLOTS = LUAHOST_PLUGIN + LUAHOST_PLUGINS_MAX
};
const char *luahost_slot_name(enum luahost_slot slot);
#define LUAHOST_PLUGINS (((1u << LUAHOST_PLUGINS_MAX) - 1) << LUAHOST_PLUGIN) /* bits of all of them */

/* Appends the length and the map's head with `op`; then the other pairs are packed. */
struct packer luahost_begin(struct buf *to, enum luahost_op op, uint32_t pairs, size_t *ret_at);
/* false: it is too long, or memory is out, and `to` is as it was. */
bool luahost_end(struct packer *p, size_t at);

/* The first whole message in `in`. 0: *ret_map, and *ret_n bytes are done with; LUAHOST_E_MORE; or
 * LUAHOST_E_BAD. */
enum { LUAHOST_E_MORE = 1, LUAHOST_E_BAD = 2 };
int luahost_next(struct span in, struct span *ret_map, size_t *ret_n);

#endif
