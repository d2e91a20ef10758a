/* media-server: the master. */
#include "common/base/clock.h"
#include "common/base/log.h"
#include "master/master.h"
#include "master/reload.h"
#include "master/version.h"

#include <getopt.h>
#include <sysexits.h>

#define DEFAULT_FILE "/etc/media-server/media-server.ini"

enum { EXIT_USAGE = 2 };

static const char help[] =
    "usage: media-server [-c FILE] [-t] [-V LEVEL]\n"
    "\n"
    "  -c, --config FILE   configuration (" DEFAULT_FILE ")\n"
    "  -t, --test          checks the configuration, names file, line and key of every mistake, and ends:\n"
    "                      0 it is good, 78 it is not\n"
    "  -V LEVEL            log level: 3 error, 4 warn, 5 note, 6 info, 7 debug; wins over log-level\n"
    "  -vs, -vb, -vr       prints version, build, revision\n"
    "      --foreground    stays in the foreground, as it always does\n"
    "  -h, --help          this\n"
    "\n"
    "Signals: TERM and INT stop, HUP reads the configuration again, USR1 opens the log file again.\n";

struct options {
    const char *file;
    bool test, done;
    int log_level;
};

/* -vs, -vb, -vr as the original had them. */
static bool print_version(const char *what)
{
    static const struct {
        const char *what, *text;
    } rows[] = {{"s", version_number}, {"b", version_build}, {"r", version_revision}};

    for (size_t i = 0; i < ARRAY_N(rows); i++) {
        if (strcmp(what, rows[i].what) != 0) continue;
        puts(rows[i].text);
        return true;
    }
    return false;
}

static bool take_option(struct options *o, int c)
{
    uint64_t level;

    switch (c) {
    case 'c': o->file = optarg; return true;
    case 't': o->test = true; return true;
    case 'f': return true;
    case 'V':
        if (!span_u64(span_of(optarg), 9, &level)) return false;
        o->log_level = CLAMP((int)level, LOG_ERROR, LOG_DEBUG);
        return true;
    case 'v': o->done = true; return print_version(optarg);
    case 'h':
        o->done = true;
        fputs(help, stdout);
        return true;
    default: return false;
    }
}

static bool take_options(int argc, char **argv, struct options *o)
{
    static const struct option longs[] = {{"config", required_argument, NULL, 'c'},
        {"test", no_argument, NULL, 't'}, {"foreground", no_argument, NULL, 'f'},
        {"help", no_argument, NULL, 'h'}, {0}};
    int c;

    while ((c = getopt_long(argc, argv, "c:tV:v:h", longs, NULL)) != -1)
        if (!take_option(o, c)) return false;
    return optind == argc;
}

static int run(const struct options *o)
{
    struct master_start start = {.file = o->file,
        .version = version_number,
        .build = version_build,
        .revision = version_revision,
        .log_level = o->log_level};
    struct conf_report r = {0};
    struct paths paths;
    int err = paths_find(&paths);
    bool read;

    if (err == 0) err = conf_load(o->file, &start.conf, &r);
    if (start.conf && !certs_read(start.conf, clock_wall_us(), &r, &start.certs)) {
        conf_free(start.conf);
        start.conf = NULL;
        err = CONF_E_MISTAKES;
    }
    read = start.conf != NULL;
    start.paths = &paths;
    start.report = &r;
    if (err != 0 || o->test) conf_report_print(&r, stderr);
    if (start.conf && o->test) {
        printf("%s: good, %zu streams\n", o->file, start.conf->n_streams);
        certs_done(&start.certs);
        conf_free(start.conf);
    } else if (start.conf) {
        err = master_run(&start);
    }
    conf_report_done(&r);
    /* systemd does not try again what only a hand can mend (RestartPreventExitStatus). */
    return err == 0 ? EXIT_SUCCESS : !read ? EX_CONFIG : EXIT_FAILURE;
}

int main(int argc, char **argv)
{
    struct options o = {.file = DEFAULT_FILE};

    if (!take_options(argc, argv, &o)) {
        fputs(help, stderr);
        return EXIT_USAGE;
    }
    return o.done ? EXIT_SUCCESS : run(&o);
}
