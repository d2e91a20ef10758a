/* The processes that serve all streams: connector, keeper, httpd; in a cluster the courier. */
#ifndef MASTER_SERVICES_H
#define MASTER_SERVICES_H

#include "master/lines.h"
#include "master/proc.h"

struct master;

enum service_id { SERVICE_CONNECTOR, SERVICE_KEEPER, SERVICE_HTTPD, SERVICE_COURIER, SERVICES };
/* A service that dies is missed by everybody: born again at once, ten times, then once a second. */
#define SERVICE_EVERY_US US_PER_S
#define SERVICE_BURST    10

struct service {
    struct master *m;
    struct proc proc;
    struct bucket turns;
    usec_t beat_us;
    struct lines lines;
};
struct services {
    struct service v[SERVICES];
    uint64_t viewers, connections, bytes_out, requests; /* of the last HTTPD_STATS */
    unsigned cage_missing;                              /* the same: enum cage_layer */
    struct loop_timer httpd_anew;
};

void services_init(struct master *m);
void services_done(struct master *m);
void services_start(struct master *m);
void services_check(struct master *m, usec_t now_us);
bool services_off(const struct master *m);
/* Its channel, when it runs; else NULL. */
struct channel *services_channel(const struct master *m, enum service_id id);
const char *services_name(enum service_id id);
/* The courier is there in a cluster only. */
bool services_wanted(const struct master *m, enum service_id id);
/* HTTPD_CONF anew (keys that need no restart). */
void services_httpd_conf(struct master *m);
/* Another httpd, in so long; 0: now. */
void services_httpd_anew(struct master *m, usec_t in_us);
/* Listeners and whitelist of cameras that push, to the connector. */
void services_push_conf(struct master *m);

#endif
