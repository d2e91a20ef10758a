/* A node's wall clock, as tests/cluster moves it: loaded into all of a node's processes by an ld.so.preload
 * of its own mount namespace (clock.py). CLOCK_REALTIME is ahead by the microseconds that stand in
 * /etc/ms-test-clock; other clocks are as they are. */
#include <dlfcn.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#define FILE_NAME "/etc/ms-test-clock"

static const _Atomic int64_t *ahead_us;
static int (*real)(clockid_t, struct timespec *);

__attribute__((constructor)) static void begin(void)
{
    int fd = open(FILE_NAME, O_RDONLY | O_CLOEXEC);
    void *p = fd < 0 ? MAP_FAILED : mmap(NULL, sizeof(*ahead_us), PROT_READ, MAP_SHARED, fd, 0);

    *(void **)&real = dlsym(RTLD_NEXT, "clock_gettime");
    if (p != MAP_FAILED) ahead_us = p;
    if (fd >= 0) close(fd);
}

int clock_gettime(clockid_t id, struct timespec *t)
{
    int err = real ? real(id, t) : -1;

    if (err == 0 && ahead_us && (id == CLOCK_REALTIME || id == CLOCK_REALTIME_COARSE)) {
        int64_t ns = t->tv_nsec + atomic_load(ahead_us) % 1000000 * 1000;

        t->tv_sec += atomic_load(ahead_us) / 1000000 + (ns < 0 ? -1 : ns >= 1000000000);
        t->tv_nsec = ns < 0 ? ns + 1000000000 : ns % 1000000000;
    }
    return err;
}

time_t time(time_t *ret)
{
    struct timespec t = {0};

    clock_gettime(CLOCK_REALTIME, &t);
    if (ret) *ret = t.tv_sec;
    return t.tv_sec;
}

int gettimeofday(struct timeval *restrict tv, void *restrict zone)
{
    struct timespec t = {0};

    (void)zone;
    clock_gettime(CLOCK_REALTIME, &t);
    *tv = (struct timeval){t.tv_sec, t.tv_nsec / 1000};
    return 0;
}
