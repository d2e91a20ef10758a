#include "tests/support/conf_files.h"
#include "common/base/err.h"
#include "common/base/fd.h"
#include "tests/support/tool.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include <fcntl.h>
#include <sys/stat.h>

struct conf_files conf_files;

int conf_files_up(void **state)
{
    (void)state;
    conf_files_init(&conf_files);
    return 0;
}

int conf_files_down(void **state)
{
    (void)state;
    conf_files_done(&conf_files);
    return 0;
}

void conf_files_ok(const char *ini)
{
    if (ini) conf_files_put(&conf_files, "media-server.ini", ini);
    if (conf_files_load(&conf_files) != 0) {
        conf_files_show(&conf_files);
        fail_msg("the configuration was refused");
    }
    assert_non_null(conf_files.conf);
}

void conf_files_bad(const char *ini)
{
    if (ini) conf_files_put(&conf_files, "media-server.ini", ini);
    assert_int_equal(conf_files_load(&conf_files), CONF_E_MISTAKES);
    assert_null(conf_files.conf);
}

void conf_files_init(struct conf_files *f)
{
    *f = (struct conf_files){0};
    tool_tmpdir(f->dir, sizeof(f->dir));
}

void conf_files_done(struct conf_files *f)
{
    conf_free(f->conf);
    conf_report_done(&f->report);
    tool_rmdir(f->dir);
}

void conf_files_put(struct conf_files *f, const char *name, const char *text)
{
    CLEANUP(fd_close) int fd = -1;
    char path[512];

    snprintf(path, sizeof(path), "%s/%s", f->dir, name);
    for (char *p = path + strlen(f->dir) + 1; (p = strchr(p, '/')) != NULL; p++) {
        *p = 0;
        mkdir(path, 0755);
        *p = '/';
    }
    fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    must(fd >= 0 && fd_write_all(fd, span_of(text)) == 0);
}

int conf_files_load(struct conf_files *f)
{
    char path[512];

    conf_free(f->conf);
    conf_report_done(&f->report);
    f->conf = NULL;
    snprintf(path, sizeof(path), "%s/media-server.ini", f->dir);
    return conf_load(path, &f->conf, &f->report);
}

bool conf_files_said(
    const struct conf_files *f, enum conf_level level, unsigned line, const char *key, const char *text)
{
    for (size_t i = 0; i < f->report.n; i++) {
        const struct conf_remark *m = &f->report.v[i];

        if (m->level == level && (line == 0 || m->line == line) && strcmp(m->key, key) == 0 &&
            strstr(m->text, text))
            return true;
    }
    conf_files_show(f);
    return false;
}

void conf_files_show(const struct conf_files *f)
{
    conf_report_print(&f->report, stderr);
}
