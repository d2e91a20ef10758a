#include "master/notify.h"
#include "common/base/clock.h"
#include "common/base/fd.h"
#include "common/base/log.h"

#include <errno.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static void tell(const struct notify *n, const char *text)
{
    if (n->fd >= 0 && send(n->fd, text, strlen(text), MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
        log_debug("notify-failed", "errno=%d", errno);
}

/* A path, or a name of the abstract space behind '@'. */
static int connect_to(const char *where)
{
    struct sockaddr_un sa = {.sun_family = AF_UNIX};
    struct span name = span_of(where);
    int fd;

    if (name.n < 2 || name.n >= sizeof(sa.sun_path) || (name.p[0] != '/' && name.p[0] != '@')) return -1;
    memcpy(sa.sun_path, name.p, name.n);
    if (sa.sun_path[0] == '@') sa.sun_path[0] = 0;
    fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0) return -1;
    if (connect(fd, (const struct sockaddr *)&sa,
            (socklen_t)(offsetof(struct sockaddr_un, sun_path) + name.n)) == 0)
        return fd;
    fd_close(&fd);
    return -1;
}

static void beat(struct loop_timer *t)
{
    tell(t->arg, "WATCHDOG=1");
}

static usec_t watchdog_period_us(void)
{
    uint64_t us, pid;

    if (!span_u64(span_of(getenv("WATCHDOG_USEC")), UINT32_MAX, &us) || us < 2000) return 0;
    if (span_u64(span_of(getenv("WATCHDOG_PID")), UINT32_MAX, &pid) && pid != (uint64_t)getpid()) return 0;
    return (usec_t)us / 2;
}

void notify_init(struct notify *n, struct loop *l)
{
    const char *where = getenv("NOTIFY_SOCKET");
    usec_t period_us = watchdog_period_us();

    *n = (struct notify){.fd = where ? connect_to(where) : -1};
    if (where && n->fd < 0) log_warn("notify-socket", "path=%s", log_q(span_of(where)));
    if (n->fd >= 0 && period_us > 0) loop_timer_every(l, &n->watchdog, period_us, beat, n);
}

void notify_done(struct notify *n)
{
    loop_timer_stop(&n->watchdog);
    fd_close(&n->fd);
}

void notify_ready(struct notify *n, size_t streams)
{
    char text[128];

    snprintf(
        text, sizeof(text), "READY=1\nSTATUS=%zu streams configured\nMAINPID=%d", streams, (int)getpid());
    tell(n, text);
}

void notify_reloading(struct notify *n)
{
    char text[96];

    snprintf(text, sizeof(text), "RELOADING=1\nMONOTONIC_USEC=%lld", (long long)clock_mono_us());
    tell(n, text);
}

void notify_stopping(struct notify *n)
{
    tell(n, "STOPPING=1");
}
