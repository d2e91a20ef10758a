/* Another node beside the archive of archive_site.h: node 2, with a storage of its own, and a courier that
 * answers for it by the rows of common/ipc/messages.h; this node is number 1. */
#ifndef SUPPORT_AWAY_SITE_H
#define SUPPORT_AWAY_SITE_H

#include "httpd/away.h"
#include "tests/support/archive_site.h"

enum away_mode {
    AWAY_ANSWERS,
    AWAY_SILENT,  /* says nothing */
    AWAY_ABSENT,  /* the courier says that the node is not there */
    AWAY_NO_FILES /* lists, and gives no file */
};
struct away_site {
    char dir[64];
    struct index *ix;
    struct away *away;
    _Atomic enum away_mode mode;
    _Atomic unsigned finds, opens, gone; /* questions that came */
    _Atomic unsigned most;               /* segments of one answer */
    _Atomic uint64_t open;               /* the segment that it says it still writes */
    _Atomic unsigned locks, events;      /* that it says, over those it always has */
};
extern struct away_site away_site;

/* Behind site_start: footage of node 2, a segment of 8 s each, from from_us on. Its courier runs. */
void away_site_start(usec_t from_us, unsigned segments);
/* Before site_stop. */
void away_site_stop(void);
void away_site_free(void); /* behind it */
/* The other node, as if nothing had been asked of it yet; host: "" or where viewers may be sent to. */
void away_site_nodes(const char *host_of);
/* The courier ends; a new one starts. */
void away_site_hang_up(void);
void away_site_connect(void);

#endif
