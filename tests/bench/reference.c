/* What the kernel alone needs: plays N streams of ms-camera over TCP without login, reads and throws away.
 *
 *   reference PORT NAME N SECONDS WINDOWS batch|wake
 *
 * wake: one read for each wake-up, as a program does that looks at every frame; batch: every socket is
 * drained each 200 ms. Prints a line of JSON a window: {"gbit":..,"cpu_s":..,"reads":..}. CPU is this
 * process's, user and system. */
#include "tests/bench/reference.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define STREAMS_MAX 4000
#define READ_PIECE  65536
#define ROUND_MS    200
#define ROUND_PARTS 10 /* a tenth of the sockets each 20 ms: spread as it is over many workers */
#define EVENTS      256

static int fds[STREAMS_MAX];
static unsigned port, streams;
static uint64_t bytes, reads;
static uint8_t piece[READ_PIECE];

static _Noreturn void fail(const char *what)
{
    perror(what);
    exit(1);
}

/* Sends a request and waits for the whole head of its answer. */
static void ask(int fd, const char *request, char *answer, size_t cap)
{
    size_t n = 0;

    if (send(fd, request, strlen(request), 0) < 0) fail("send");
    while (n < cap - 1) {
        ssize_t r = recv(fd, answer + n, cap - 1 - n, 0);
        if (r <= 0) fail("recv");
        n += (size_t)r;
        answer[n] = '\0';
        if (strstr(answer, "\r\n\r\n") != NULL) return;
    }
}

static int play(const char *name, unsigned i)
{
    struct sockaddr_in a = {
        .sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    char url[128], request[512], answer[8192], session[64] = "";
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    if (fd < 0 || connect(fd, (struct sockaddr *)&a, sizeof a) < 0) fail("connect");
    snprintf(url, sizeof url, "rtsp://127.0.0.1:%u/%s%u", port, name, i);
    snprintf(request, sizeof request,
        "SETUP %s/trackID=0 RTSP/1.0\r\nCSeq: 1\r\nTransport: RTP/AVP/TCP;unicast;interleaved=0-1\r\n\r\n",
        url);
    ask(fd, request, answer, sizeof answer);
    const char *s = strstr(answer, "Session: ");
    if (s == NULL || sscanf(s, "Session: %63[^;\r\n]", session) != 1) fail(answer);
    snprintf(request, sizeof request, "PLAY %s RTSP/1.0\r\nCSeq: 2\r\nSession: %s\r\n\r\n", url, session);
    ask(fd, request, answer, sizeof answer);
    return fd;
}

static void drain(int fd, bool until_empty)
{
    ssize_t n;

    do {
        n = recv(fd, piece, sizeof piece, MSG_DONTWAIT);
        if (n == 0 || (n < 0 && errno != EAGAIN)) fail("stream ended");
        if (n < 0) return;
        reads++;
        bytes += (uint64_t)n;
    } while (until_empty && n == READ_PIECE);
}

static void run_batch(double until)
{
    struct timespec nap = {0, ROUND_MS * 1000000L / ROUND_PARTS};

    for (unsigned turn = 0; now_s(CLOCK_MONOTONIC) < until; turn++) {
        for (unsigned i = turn % ROUND_PARTS; i < streams; i += ROUND_PARTS) drain(fds[i], true);
        nanosleep(&nap, NULL);
    }
}

static void run_wake(int epoll_fd, double until)
{
    struct epoll_event e[EVENTS];

    while (now_s(CLOCK_MONOTONIC) < until) {
        int n = epoll_wait(epoll_fd, e, EVENTS, 100);
        for (int i = 0; i < n; i++) drain(e[i].data.fd, false);
    }
}

static void run_window(int epoll_fd, double seconds, bool batch, bool print)
{
    double cpu = now_s(CLOCK_PROCESS_CPUTIME_ID), from = now_s(CLOCK_MONOTONIC);

    bytes = reads = 0;
    if (batch)
        run_batch(from + seconds);
    else
        run_wake(epoll_fd, from + seconds);
    if (!print) return;
    printf("{\"seconds\":%.3f,\"gbit\":%.4f,\"cpu_s\":%.4f,\"reads\":%llu}\n", now_s(CLOCK_MONOTONIC) - from,
        (double)bytes * 8 / 1e9, now_s(CLOCK_PROCESS_CPUTIME_ID) - cpu, (unsigned long long)reads);
    fflush(stdout);
}

int main(int argc, char **argv)
{
    struct rlimit files;

    if (argc != 7) {
        fprintf(stderr, "reference PORT NAME N SECONDS WINDOWS batch|wake\n");
        return 2;
    }
    port = number(argv[1]);
    streams = number(argv[3]);
    if (streams > STREAMS_MAX) return 2;
    if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
        files.rlim_cur = files.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &files);
    }
    int epoll_fd = epoll_create1(0);
    for (unsigned i = 0; i < streams; i++) {
        struct epoll_event e = {.events = EPOLLIN};
        e.data.fd = fds[i] = play(argv[2], i);
        (void)epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fds[i], &e);
    }
    /* The first window is for getting into step. */
    for (unsigned w = 0; w <= number(argv[5]); w++)
        run_window(epoll_fd, number(argv[4]), strcmp(argv[6], "batch") == 0, w > 0);
    return 0;
}
