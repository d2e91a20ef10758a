/* Configuration files for tests: a folder, files in it, and loading them. */
#ifndef SUPPORT_CONF_FILES_H
#define SUPPORT_CONF_FILES_H

#include "common/conf/conf.h"

struct conf_files {
    char dir[128];
    struct conf *conf; /* of the last conf_files_load that was without mistakes */
    struct conf_report report;
};
/* The one of a test's process, and what cmocka makes and takes it away by. */
extern struct conf_files conf_files;
int conf_files_up(void **state);
int conf_files_down(void **state);
/* Writes ini (NULL: what is there) as the server's file and loads it: it has to be taken; it has to be
 * refused. */
void conf_files_ok(const char *ini);
void conf_files_bad(const char *ini);

void conf_files_init(struct conf_files *f);
void conf_files_done(struct conf_files *f);
/* Writes dir/name, whose folders are made. */
void conf_files_put(struct conf_files *f, const char *name, const char *text);
/* Loads dir/media-server.ini: what conf_load returns. */
int conf_files_load(struct conf_files *f);
/* Does a remark of this level and line (0: any), whose key is `key`, hold `text`? */
bool conf_files_said(
    const struct conf_files *f, enum conf_level level, unsigned line, const char *key, const char *text);
void conf_files_show(const struct conf_files *f); /* on stderr, when a test is about to fail */

#endif
