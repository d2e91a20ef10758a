/* What the master sets up of its own process before it has children: limits, descriptors, folders, the log.
 */
#ifndef MASTER_HOST_H
#define MASTER_HOST_H

#include "common/conf/conf.h"
#include "master/roles.h"

/* Descriptors 0 to 2 open, umask, no core files, SIGPIPE ignored. */
void host_setup(void);
void host_time_zone(const char *name); /* of schedules; "": the machine's */
/* The limit of descriptors; logs what falls short. */
void host_limit_fds(int64_t fds);
/* Says so when the limit is below what so many streams may need. */
void host_check_fds(size_t streams);
/* Opened for appending, above the numbers of the child contract. "" is standard output. 0 or -errno. */
int host_log_open(const char *file, int *ret_fd);
/* Does this descriptor lead to the journal (JOURNAL_STREAM, systemd.exec(5))? */
bool host_is_journal(int fd);
/* Makes the folder and those above it; the last belongs to the group when it is new. 0 or -errno. */
int host_state_dir(const char *path, const struct roles *r, int *ret_fd);

#endif
