/* The master as a whole, for the files of this room. Each file knows one matter:
 *
 *   mechanism  births.c proc.c spawn.c stream_ring.c listeners.c certs.c storages.c state_file.c
 *              notify.c lines.c
 *   policy     throttle.c roles.c fleet.c tell.c pushes.c services.c helpers.c reload.c events.c record.c
 * tokens.c audit.c commands.c, and the cluster in a folder of its own
 *
 * One loop; it waits for nobody: not for a child, not for a disk. What state-dir remembers is made durable by
 * a thread (state_file.c).
 */
#ifndef MASTER_MASTER_H
#define MASTER_MASTER_H

#include "common/conf/keys.h"
#include "common/conf/node_key.h"
#include "common/conf/paths.h"
#include "master/audit.h"
#include "master/certs.h"
#include "master/cluster/cluster.h"
#include "master/cluster/files.h"
#include "master/cluster/singular.h"
#include "master/cluster/transfer.h"
#include "master/control.h"
#include "master/exports.h"
#include "master/fleet.h"
#include "master/helpers.h"
#include "master/hooks.h"
#include "master/keeps.h"
#include "master/lines.h"
#include "master/machine.h"
#include "master/layouts.h"
#include "master/listeners.h"
#include "master/notify.h"
#include "master/probe.h"
#include "master/record.h"
#include "master/revisions.h"
#include "master/roles.h"
#include "master/secondary.h"
#include "master/services.h"
#include "master/setup.h"
#include "master/storages.h"
#include "master/tokens.h"

/* The public half of the node's key: the secret one stays in its file. */
struct master_key {
    char pem[CRYPTO_PEM_MAX], print[CRYPTO_PRINT_MAX];
    char why[NODE_KEY_WHY_MAX]; /* what is wrong with the file; "": nothing */
};
struct master {
    struct loop *loop;
    struct paths paths;
    const char *file; /* of the configuration, as given */
    const char *version, *build, *revision;
    struct conf *conf;
    uint64_t conf_changes;                /* how often conf became another */
    uint64_t started_with[CONF_ROWS_MAX]; /* conf_hashes of what it was started with */
    struct roles roles;
    struct births births;
    struct notify notify;
    struct certs certs;
    struct listeners listeners;
    struct storages storages;
    struct record record;
    struct tokens tokens;
    struct layouts layouts;
    struct setup setup;
    struct revisions revisions;
    struct exports exports;
    struct secondary secondary;
    struct audit audit;
    struct keeps keeps;
    uint64_t last_event; /* number of the newest event */
    struct services services;
    struct helpers helpers;
    struct hooks hooks;
    struct fleet fleet;
    struct cluster *cluster; /* NULL: this node works alone */
    unsigned probes;         /* cameras that are tried (probe.h) */
    struct control control;
    struct lines lines; /* the master's own */
    struct machine machine;
    int state_dir;
    struct master_key key;
    int log_fd;
    bool log_journal;
    int log_level; /* msctl may have changed it */
    usec_t started_us, checked_us;
    usec_t stood_us;    /* when it was seen to have stood still; 0: never */
    unsigned metrics_s; /* seconds counted by metrics.c */
    bool stopping, ready;
    int log_level_fixed; /* by the command line; 0: not */
    struct loop_timer second, stop;
    struct loop_signal signals[5];
};

struct master_start {
    const char *file, *version, *build, *revision;
    struct conf *conf;                /* taken */
    struct certs certs;               /* taken */
    const struct conf_report *report; /* of its loading */
    const struct paths *paths;
    int log_level; /* of the command line; 0: the configuration's */
};
/* Runs until it is told to stop. The process's exit code; what went wrong has been said. */
int master_run(const struct master_start *start);

/* WELCOME to a child that has shaken hands. */
void master_welcome(struct master *m, struct channel *to);
void master_log_level(struct master *m, int level);
/* A service has shaken hands: the first time that all run, the server is ready. */
void master_service_runs(struct master *m);
/* A process or a stream is off: when the master stops, the next step may be due. */
void master_one_off(struct master *m);

#endif
