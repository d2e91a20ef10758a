/* ms-camera: simulated cameras, many streams in one process. ms-camera --help says how. */
#include <errno.h>
#include <netdb.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/base/err.h"
#include "tests/camera/control.h"
#include "tests/camera/play.h"

#define BACKLOG       4096
#define ACCEPTS       64 /* in one turn */
#define GROUPS_MAX    256
#define HOUSEKEEP_US  (US_PER_S / 4)
#define GRACE_PERCENT 20 /* a session ends so much after its announced timeout */

static struct stream_group groups[GROUPS_MAX];
static size_t n_groups;
static const char *bind_to = "127.0.0.1", *port = "8554", *control;
static struct watch listener = {.fd = -1};
static struct due housekeeping;

static void help(void)
{
    printf("ms-camera: plays files as many RTSP cameras, with faults on demand.\n\n"
           "  --bind ADDRESS (127.0.0.1)  --port N (8554, 0: any)  --control SOCKET\n"
           "  --group NAME  begins a group of streams NAME0, NAME1, ... at rtsp://ADDRESS:PORT/NAME0; "
           "without: cam\n"
           "  --streams N (1)  --source FILE (again for each track)  --fps N (25; 12.5 is possible)\n\n"
           "Knobs of a group:\n");
    knobs_help();
    printf("\nActions (do NAME ACTION ARGUMENT on the control socket):\n");
    play_actions_help();
}

static _Noreturn void usage(const char *what, const char *why)
{
    fprintf(stderr, "ms-camera: %s: %s (--help says more)\n", what, why);
    exit(2);
}

static struct stream_group *new_group(const char *name)
{
    if (n_groups == GROUPS_MAX) usage(name, "too many groups");
    struct stream_group *g = &groups[n_groups++];
    *g = (struct stream_group){.name = name, .count = 1, .fps_milli = 25000};
    knobs_init(&g->k);
    return g;
}

static unsigned number(const char *option, const char *text, unsigned most)
{
    uint64_t v;

    if (!span_u64(span_of(text), most, &v)) usage(option, "not a number within the limits");
    return (unsigned)v;
}

static unsigned milli(const char *option, const char *text)
{
    struct span rest = span_of(text), whole;
    uint64_t v, part = 0;

    if (!span_split(&rest, '.', &whole) || !span_u64(whole, 1000, &v)) usage(option, "not a number");
    if (rest.p != NULL && (rest.n > 3 || !span_u64(rest, 999, &part)))
        usage(option, "at most three decimals");
    for (size_t i = rest.n; i < 3; i++) part *= 10;
    if (v * 1000 + part == 0) usage(option, "must not be 0");
    return (unsigned)(v * 1000 + part);
}

static void option(const char *name, const char *value)
{
    struct stream_group *g = n_groups > 0 ? &groups[n_groups - 1] : new_group("cam");
    struct span n = span_from(span_of(name), 2);

    if (span_is(n, "streams")) {
        g->count = number(name, value, 100000);
    } else if (span_is(n, "fps")) {
        g->fps_milli = milli(name, value);
    } else if (span_is(n, "source")) {
        if (g->n_files == STREAM_TRACKS) usage(name, "too many tracks");
        g->files[g->n_files++] = value;
    } else {
        const char *why = knobs_set(&g->k, n, span_of(value));
        if (why != NULL) usage(name, why);
    }
}

static void read_options(int argc, char **argv)
{
    for (int i = 1; i < argc; i += 2) {
        struct span n = span_of(argv[i]);
        if (span_is(n, "--help")) {
            help();
            exit(0);
        }
        if (!span_istarts(n, "--") || i + 1 == argc) usage(argv[i], "needs a value");
        if (span_is(n, "--bind"))
            bind_to = argv[i + 1];
        else if (span_is(n, "--port"))
            port = argv[i + 1];
        else if (span_is(n, "--control"))
            control = argv[i + 1];
        else if (span_is(n, "--group"))
            (void)new_group(argv[i + 1]);
        else
            option(argv[i], argv[i + 1]);
    }
    for (size_t i = 0; i < n_groups; i++)
        if (groups[i].n_files == 0) usage(groups[i].name, "a group without --source");
    if (n_groups == 0) usage("--source", "nothing to play");
}

static void on_connection(struct watch *w, unsigned events)
{
    (void)events;
    for (int i = 0; i < ACCEPTS; i++) {
        int fd = accept4(w->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (fd < 0) return;
        conn_accept(fd);
    }
}

static unsigned listen_rtsp(void)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE | AI_NUMERICHOST}, *a;
    struct sockaddr_storage bound;
    socklen_t n = sizeof bound;
    int on = 1;

    if (getaddrinfo(bind_to, port, &hints, &a) != 0) usage(bind_to, "not an address and port");
    int fd = socket(a->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (fd < 0 || bind(fd, a->ai_addr, a->ai_addrlen) < 0 || listen(fd, BACKLOG) < 0)
        usage(port, err_text(-errno));
    freeaddrinfo(a);
    must(getsockname(fd, (struct sockaddr *)&bound, &n) == 0);
    watch_start(&listener, fd, EPOLLIN, on_connection);
    char text[16];
    must(getnameinfo((struct sockaddr *)&bound, n, NULL, 0, text, sizeof text, NI_NUMERICSERV) == 0);
    return number("port", text, UINT16_MAX);
}

/* Sessions whose client no longer says that it is there (RFC 2326 12.37). */
static void on_housekeeping(struct due *d, usec_t now_us)
{
    LIST_EACH(conns(), link)
    {
        struct conn *c = LIST_ITEM(link, struct conn, link);
        if (c->stream == NULL || c->session[0] == '\0' || c->stream->k.enforce == 0 ||
            c->stream->k.timeout == 0)
            continue;
        if (now_us - c->alive_us < c->stream->k.timeout * US_PER_S * (100 + GRACE_PERCENT) / 100) continue;
        c->stream->c.sessions_expired++;
        conn_close(c);
    }
    due_set(d, now_us + HOUSEKEEP_US, on_housekeeping);
}

static void on_signal(int signo)
{
    (void)signo;
    server_stop();
}

int main(int argc, char **argv)
{
    struct rlimit files;
    struct sigaction stop = {.sa_handler = on_signal}, ignore = {.sa_handler = SIG_IGN};

    read_options(argc, argv);
    if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
        files.rlim_cur = files.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &files);
    }
    sigaction(SIGINT, &stop, NULL);
    sigaction(SIGTERM, &stop, NULL);
    sigaction(SIGPIPE, &ignore, NULL);
    server_init();
    for (size_t i = 0; i < n_groups; i++) streams_add(&groups[i]);
    unsigned bound = listen_rtsp();
    if (control != NULL) control_listen(control);
    due_set(&housekeeping, server_now_us(), on_housekeeping);
    printf("{\"ready\":true,\"port\":%u,\"streams\":%zu}\n", bound, streams_n());
    fflush(stdout);
    server_run();
    control_done();
    while (!list_empty(conns())) conn_close(LIST_ITEM(conns()->next, struct conn, link));
    server_flush();
    streams_free();
    pack_free_all();
    source_free_all();
    return 0;
}
