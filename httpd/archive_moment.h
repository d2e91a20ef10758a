/* The archive at one moment: which segment has it, over all storages of a stream. In the storages' pools.
 * Tests: tests/e2e/test_picture.py. */
#ifndef HTTPD_ARCHIVE_MOMENT_H
#define HTTPD_ARCHIVE_MOMENT_H

#include "httpd/archive.h"

/* What one storage has there. */
struct moment {
    uint64_t id; /* of the segment; 0: none */
    usec_t start_us;
    uint64_t bytes; /* so much of it is written */
};
/* A job about a moment; its first part. A second that is named by a number means all of it: where there is no
 * footage at its start, what begins within it stands for it. */
struct moment_job {
    struct archive_job j;
    usec_t at_us;
    struct moment m[ARCHIVE_STORAGES_MAX]; /* by visit */
};
/* Sets the time and what is read; finish, answer and free stay the owner's. */
void moment_init(struct moment_job *mj, usec_t at_us);
/* For finish: the visit whose segment stands for the moment; NULL: none. */
struct archive_visit *moment_best(struct moment_job *mj);

#endif
