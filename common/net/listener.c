#include "common/net/listener.h"
#include "common/base/err.h"
#include "common/base/fd.h"
#include "common/base/log.h"
#include "common/base/mem.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define HOST_MAX      256
#define ABORTED_MAX   64 /* connections gone before they were accepted, in one turn */
#define OUT_OF_FDS_US (100 * US_PER_MS)

struct listener {
    struct loop *loop;
    struct loop_io io;
    struct loop_timer pause;
    struct log_rate rate;
    void (*on_accept)(void *arg, int fd);
    void *arg;
};

static int listen_addr(const struct sockaddr *sa, socklen_t len, bool both, int backlog, int *ret_fd)
{
    CLEANUP(fd_close) int fd = socket(sa->sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    int on = 1, v6only = both ? 0 : 1;

    if (fd < 0) return -errno;
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) < 0) return -errno;
    if (sa->sa_family == AF_INET6 && setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &v6only, sizeof(v6only)) < 0)
        return -errno;
    if (bind(fd, sa, len) < 0 || listen(fd, backlog) < 0) return -errno;
    *ret_fd = fd;
    fd = -1;
    return 0;
}

static int listen_any(uint16_t port, int backlog, int *ret_fd)
{
    struct sockaddr_in6 six = {.sin6_family = AF_INET6, .sin6_port = htons(port)};
    struct sockaddr_in four = {.sin_family = AF_INET, .sin_port = htons(port)};
    int err = listen_addr((const struct sockaddr *)&six, sizeof(six), true, backlog, ret_fd);

    /* A kernel without IPv6. */
    if (err == -EAFNOSUPPORT || err == -EADDRNOTAVAIL)
        err = listen_addr((const struct sockaddr *)&four, sizeof(four), false, backlog, ret_fd);
    return err;
}

int listen_tcp(const char *host, uint16_t port, int backlog, int *ret_fd)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE | AI_NUMERICSERV}, *found;
    struct span name = span_of(host);
    char text[HOST_MAX], service[8];
    int err = -EADDRNOTAVAIL;

    if (name.n == 0 || span_is(name, "*")) return listen_any(port, backlog, ret_fd);
    if (name.n > 2 && name.p[0] == '[' && name.p[name.n - 1] == ']') name = span_sub(name, 1, name.n - 2);
    if (!span_copy(name, text, sizeof(text))) return -EADDRNOTAVAIL;
    snprintf(service, sizeof(service), "%u", (unsigned)port);
    if (getaddrinfo(text, service, &hints, &found) != 0) return -EADDRNOTAVAIL;
    for (struct addrinfo *a = found; a; a = a->ai_next) {
        err = listen_addr(a->ai_addr, a->ai_addrlen, false, backlog, ret_fd);
        if (err == 0) break;
    }
    freeaddrinfo(found);
    return err;
}

static int unix_addr(const char *path, struct sockaddr_un *sa)
{
    *sa = (struct sockaddr_un){.sun_family = AF_UNIX};
    return span_copy(span_of(path), sa->sun_path, sizeof(sa->sun_path)) ? 0 : -ENAMETOOLONG;
}

int connect_unix(const char *path, int *ret_fd)
{
    CLEANUP(fd_close) int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_un sa;
    int err = unix_addr(path, &sa);

    if (fd < 0) return -errno;
    if (err < 0) return err;
    if (connect(fd, (const struct sockaddr *)&sa, sizeof(sa)) < 0) return -errno;
    *ret_fd = fd;
    fd = -1;
    return 0;
}

int listen_unix(const char *path, unsigned mode, int *ret_fd)
{
    CLEANUP(fd_close) int fd = -1;
    int other, err;
    struct sockaddr_un sa;
    mode_t before;

    if (connect_unix(path, &other) == 0) {
        fd_close(&other);
        return -EADDRINUSE;
    }
    err = unix_addr(path, &sa);
    if (err < 0) return err;
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) return -errno;
    if (unlink(path) < 0 && errno != ENOENT) return -errno;
    before = umask(0777 & ~mode);
    err = bind(fd, (const struct sockaddr *)&sa, sizeof(sa)) < 0 || listen(fd, 64) < 0 ? -errno : 0;
    umask(before);
    if (err < 0) return err;
    *ret_fd = fd;
    fd = -1;
    return 0;
}

/* --- accepting --- */

static void go_on(struct loop_timer *t)
{
    struct listener *l = t->arg;

    loop_io_events(&l->io, LOOP_READ);
}

static void out_of_fds(struct listener *l, int err)
{
    uint32_t held;

    loop_io_events(&l->io, 0);
    loop_timer_set(l->loop, &l->pause, OUT_OF_FDS_US, go_on, l);
    if (log_limited(&l->rate, loop_now_us(l->loop), &held))
        log_warn("accept-paused", "err=%s held=%u", log_q(span_of(err_text(err))), held);
}

static void accept_some(struct loop_io *io, unsigned events)
{
    struct listener *l = io->arg;

    (void)events;
    for (int i = 0; i < ABORTED_MAX; i++) {
        int fd = accept4(io->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

        if (fd >= 0) {
            l->on_accept(l->arg, fd); /* which may free the listener: the next one waits for the next turn */
            return;
        }
        if (errno == EAGAIN) return;
        if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
            out_of_fds(l, -errno);
            return;
        }
    }
}

struct listener *listener_new(struct loop *l, int fd, void (*on_accept)(void *arg, int fd), void *arg)
{
    struct listener *li = NEW(struct listener);

    li->loop = l;
    li->on_accept = on_accept;
    li->arg = arg;
    loop_io_start(l, &li->io, fd, LOOP_READ, accept_some, li);
    return li;
}

void listener_free(struct listener *l)
{
    if (!l) return;
    loop_io_stop(&l->io);
    loop_timer_stop(&l->pause);
    mem_free(l);
}
