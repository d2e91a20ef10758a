/* The control socket: who may ask, the sessions, and answers in pages. What is asked is in commands.c. */
#ifndef MASTER_CONTROL_H
#define MASTER_CONTROL_H

#include "common/ipc/channel.h"
#include "common/ipc/ctl.h"
#include "common/net/listener.h"
#include "master/audit_commands.h"

#define CONTROL_SESSIONS_MAX 24
#define CONTROL_API_MAX      16              /* of them, the API's at most */
#define CONTROL_ASK_US       (10 * US_PER_S) /* from accept to the question */
#define CONTROL_ANSWER_US    (60 * US_PER_S) /* from the question to the last byte read */
#define CONTROL_ARGS_MAX     40
#define CONTROL_ARG_MAX      2048
#define CONTROL_TEXT_MAX     512
#define CONTROL_BY_MAX       64
#define CONTROL_CAMERAS_MAX  700
#define CONTROL_BODY_MAX     (1u << 20)      /* of CTL_BODY */
#define CONTROL_KEEPER_US    (25 * US_PER_S) /* between two messages of the keeper's answer */
#define CONTROL_WAITS        (-1)            /* of a command: its answer comes later, by control_answer */

struct master;
struct session;

/* One command of common/ipc/ctl.h. Rows come from `row` until it says that there are no more. */
struct command {
    const char *cmd;
    size_t args_min, args_max;
    int (*run)(struct session *s); /* a code of ctl.h, may set text; CONTROL_WAITS: control_ask_keeper */
    bool (*row)(struct session *s, struct packer *p); /* packs the next row; false: no more. NULL: no rows */
};

struct session {
    struct master *m;
    struct channel *ch;
    const struct command *command;
    char args[CONTROL_ARGS_MAX][CONTROL_ARG_MAX];
    size_t n_args;
    bool api; /* httpd asks */
    struct {
        bool root;                         /* or msctl asks */
        bool confirmed;                    /* has just shown a password; or needs none */
        char cameras[CONTROL_CAMERAS_MAX]; /* uids and beginnings with '*', with commas; "": all */
    } caller;
    struct buf body;
    struct audit_command audit;
    int code;
    char text[CONTROL_TEXT_MAX];
    size_t at;                  /* of the row function: where it is */
    char last[CONTROL_ARG_MAX]; /* the same, by name */
    void *data;                 /* of the command; freed by data_free */
    void (*data_free)(void *);
    struct loop_timer timer;
    uint64_t keep_id;     /* of what the keeper was asked; 0: it is not */
    const char *keep_cmd; /* what the keeper is asked; NULL: the command's own name */
    uint64_t act_id;      /* of a singular act, a push or an edit that it waits for; 0: for none */
    /* Of an edit that the site's etcd has answered, before its rows; revision: of this node. */
    void (*late)(struct session *s, int code, uint64_t revision);
    void (*keep_rows)(struct session *s, const struct packed *rows); /* sees its rows; NULL: nobody does */
};

struct control {
    char path[4096];
    int fd;
    struct listener *listener;
    struct session *sessions[CONTROL_SESSIONS_MAX];
    uint64_t asks; /* of the keeper, so far */
};

/* Binds and listens. 0 or -errno; -EADDRINUSE: another master answers there. */
int control_open(struct master *m, const char *path);
void control_close(struct master *m);

/* httpd asks there (CTL_OPEN); takes fd. */
void control_serve_api(struct master *m, int fd);

/* KEEP_ASK: a command of archive/ask.h, in whose name; the number that its KEEP_ROW and KEEP_END will have.
 * 0: the keeper does not run. */
uint64_t control_keeper(
    struct master *m, const char *cmd, const char *by, const struct span *args, size_t n_args);
/* A command that the keeper answers: KEEP_ASK. For `run`: CONTROL_WAITS, or CTL_FAILED when it does not run.
 * Where the command has a `row`, its rows come behind the keeper's. */
int control_ask_keeper(struct session *s);
/* Of a command that waits for something else, and then its answer: rows, a msgpack array of maps, or
 * SPAN_NONE. */
void control_wait(struct session *s);
uint64_t control_act(struct session *s); /* its act_id, a new one where it has none */
int control_wait_act(struct session *s); /* waits; CONTROL_WAITS */
struct session *control_acting(const struct master *m, uint64_t act_id); /* NULL: it has gone */
void control_answer_late(struct session *s, int code, const char *text, struct span rows);
/* KEEP_ROW, KEEP_END; and the keeper has died: those who wait are told. */
void control_keep_row(struct master *m, const struct packed *body);
void control_keep_end(struct master *m, const struct packed *body);
void control_keeper_gone(struct master *m);

/* The first stream behind the one shown last (s->last): a reload between two pages neither repeats nor skips.
 * NULL: there is none. */
struct conf_stream;
const struct conf_stream *control_next_stream(const struct session *s);
/* The rows of a command that has waited, and its end. */
void control_answer(struct session *s);
/* Is this stream there for whoever asks? The server's own configuration (EDIT_SITE_UID): for root. */
bool control_sees(const struct session *s, const char *uid);
/* Who asks, for what is kept of it; returns dst. */
const char *control_by(const struct session *s, char dst[static CONTROL_BY_MAX]);
struct conf_report;
/* Row `at` of a report. */
bool control_row_remark(struct session *s, const struct conf_report *r, size_t at, struct packer *p);
/* Rows of `reload` and of what else reads a configuration: session.data is a conf_report. */
bool row_remarks(struct session *s, struct packer *p);

extern const struct command commands[];
extern const size_t n_commands;
extern const struct command commands_events[]; /* commands_events.c */
extern const size_t n_commands_events;
extern const struct command commands_streams[]; /* commands_streams.c */
extern const size_t n_commands_streams;
extern const struct command commands_api[]; /* commands_api.c */
extern const size_t n_commands_api;
extern const struct command commands_cluster[]; /* cluster/show.c */
extern const size_t n_commands_cluster;
extern const struct command commands_edits[]; /* commands_edits.c */
extern const size_t n_commands_edits;
extern const struct command commands_server[]; /* commands_server.c */
extern const size_t n_commands_server;
extern const struct command commands_exports[]; /* commands_exports.c */
extern const size_t n_commands_exports;
extern const struct command commands_audit[]; /* commands_audit.c */
extern const size_t n_commands_audit;
extern const struct command commands_people[]; /* commands_people.c */
extern const size_t n_commands_people;
extern const struct command commands_keys[]; /* commands_keys.c */
extern const size_t n_commands_keys;
extern const struct command commands_layouts[]; /* commands_layouts.c */
extern const size_t n_commands_layouts;
extern const struct command commands_setup[]; /* setup.c */
extern const size_t n_commands_setup;
extern const struct command commands_tokens[]; /* commands_tokens.c */
extern const size_t n_commands_tokens;

#endif
