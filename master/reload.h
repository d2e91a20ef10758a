/* A new configuration for a running server: refused as a whole when anything in it is wrong, else only what
 * differs is touched. */
#ifndef MASTER_RELOAD_H
#define MASTER_RELOAD_H

#include "common/conf/conf.h"

struct master;

/* Reads the file again and applies it. r: what was found, also when it is refused (false). what: a line of
 * what was done or why not, at least RELOAD_TEXT_MAX. */
#define RELOAD_TEXT_MAX 512
bool reload(struct master *m, struct conf_report *r, char *what);
/* Applies a configuration that was read, and takes it; false: it could not be (a listener, a certificate),
 * what runs goes on. Where httpd has to be started anew, it is in httpd_us: it may have asked. */
bool reload_take(struct master *m, struct conf *after, struct conf_report *r, char *what, usec_t httpd_us);
/* Mistakes, warnings and notes into the log. */
void reload_log_report(const struct conf_report *r);

#endif
