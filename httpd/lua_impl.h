/* Shared by lua.c (who asks), lua_host.c (the process), lua_load.c (which script runs) and lua_scripts.c
 * (where they are). */
#ifndef HTTPD_LUA_IMPL_H
#define HTTPD_LUA_IMPL_H

#include <stdatomic.h>
#include <time.h>

#include "common/base/bucket.h"
#include "common/base/list.h"
#include "httpd/lua_calls.h"
#include "httpd/lua_scripts.h"

struct conn;

enum lua_state {
    LUA_QUEUED, /* not with the host */
    LUA_RUNS,   /* the host owes an answer */
    LUA_CALLS   /* it waits for one of ours */
};
struct lua_ask {
    struct list link; /* in queue or open */
    struct lua *x;
    uint64_t id; /* of this try */
    enum luahost_slot slot;
    struct buf args;
    enum lua_state state;
    unsigned tries;
    bool changed; /* it has had something changed */
    usec_t until_us;
    struct lua_asker who; /* its caller is ours */
    int err;
    uint32_t incident;
    struct buf value; /* of the answer */
};

/* What the host owes an answer to, oldest first: the first is what it is busy with. */
struct lua_flight {
    struct list link;
    enum luahost_op op;
    uint64_t id;   /* CALL, REPLY, CANCEL */
    unsigned slot; /* LOAD */
    bool good;     /* LOAD: of a script that has run before */
    unsigned turn; /* LOAD: of the candidate */
};

struct lua_script {
    struct buf good;        /* LOAD of what runs; empty: none does */
    struct buf candidate;   /* LOAD of what shall; empty: nothing new */
    bool looked;            /* the files were looked at once: without a script there is none */
    bool sent_good;         /* to this host */
    bool trying;            /* the candidate was sent to it */
    unsigned turn;          /* of candidates */
    char from[1024];        /* of the candidate, for the log */
    _Atomic bool site;      /* what runs is the site's own */
    _Atomic unsigned taken; /* so many have been taken into use */
};

#define LUA_INCIDENTS 16

struct lua {
    struct loop *loop;
    const struct lua_ops *ops;
    const struct lua_row *calls;
    void *arg;
    struct lua_conf conf;
    /* requests */
    struct list queue, open;
    size_t n_queue, n_open;
    uint64_t last_id;
    struct loop_timer tick;
    /* the host */
    struct conn *conn; /* NULL: none */
    struct lua_link *link;
    unsigned strikes; /* ticks in a row that saw it hang */
    bool greeted, wanted, ending;
    uint64_t host_id;
    usec_t since_us; /* wanted or born then, or busy with the first flight since then */
    clockid_t clock; /* of its processor time */
    bool has_clock;
    usec_t cpu_us; /* of that clock, at since_us */
    struct list flights;
    struct loop_timer watch;
    _Atomic unsigned cage_missing;
    /* scripts */
    struct lua_script scripts[LUAHOST_SLOTS];
    struct lua_finder *finder;
    struct loop_timer look;
    /* the log */
    struct bucket lines;
    struct {
        uint64_t hash;
        uint32_t id;
        usec_t until_us;
    } incidents[LUA_INCIDENTS];
    unsigned next_incident;
};

/* lua.c */
void lua_pump(struct lua *x); /* sends what waits */
struct lua_ask *lua_open_ask(struct lua *x, uint64_t id);
void lua_end(struct lua_ask *a, int err, uint32_t incident, const struct packed *value);
/* The host has died; guilty: the request that hung it, 0: nobody's. */
void lua_host_died(struct lua *x, uint64_t guilty, uint64_t busy_with);
/* The log's id of an error; the same text has one id for a while and is one line. */
uint32_t lua_incident(struct lua *x, enum luahost_slot slot, struct span error);
bool lua_may_log(struct lua *x);

/* lua_host.c */
bool lua_ready(const struct lua *x);
void lua_need_host(struct lua *x);
/* A message is begun, packed and sent; the flight is noted. */
struct packer lua_begin(struct lua *x, struct buf *b, enum luahost_op op, uint32_t pairs, size_t *ret_at);
bool lua_send(struct lua *x, struct packer *p, size_t at, struct lua_flight f);
void lua_send_ready(struct lua *x, struct span message, struct lua_flight f);
void lua_stop_host(struct lua *x);

/* lua_calls.c */
void lua_asked(struct lua *x, struct lua_ask *a, const struct packed *m);

/* lua_load.c */
void lua_load_new_host(struct lua *x); /* it knows no script yet */
void lua_load_all(struct lua *x);
/* What the finder has found; takes its buffer. */
void lua_load_found(struct lua *x, enum luahost_slot slot, struct lua_found *f);
void lua_loaded(struct lua *x, const struct lua_flight *f, bool ok, struct span error);
/* The host died over it. */
void lua_load_died(struct lua *x, const struct lua_flight *f);
bool lua_has_script(const struct lua *x, enum luahost_slot slot, bool *ret_may_come);

#endif
