/* What the kernel alone needs for recording: appends to N files at the rate of N cameras, in pieces of so
 * many bytes.
 *
 *   reference_write FOLDER N BYTES_PER_S PIECE SECONDS WINDOWS
 *
 * Every file gets BYTES_PER_S bytes a second, spread evenly over the second. Prints a line of JSON a window.
 */
#include "tests/bench/reference.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#define FILES_MAX 4000
#define PIECE_MAX (4u << 20)
#define TURN_NS   5000000L

static int fds[FILES_MAX];
static char piece[PIECE_MAX];

static void open_files(const char *folder, unsigned n)
{
    struct rlimit files;

    if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
        files.rlim_cur = files.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &files);
    }
    for (unsigned i = 0; i < n; i++) {
        char path[4096];
        snprintf(path, sizeof path, "%s/reference-%u", folder, i);
        fds[i] = open(path, O_CREAT | O_TRUNC | O_WRONLY, 0600);
        if (fds[i] < 0) {
            perror(path);
            exit(1);
        }
    }
}

/* Appends what is due: file after file gets its piece, so that each has one every `every` seconds. */
static double run(unsigned n, double every, size_t size, double until, double from)
{
    struct timespec nap = {0, TURN_NS};
    uint64_t written = 0;

    while (now_s(CLOCK_MONOTONIC) < until) {
        uint64_t due = (uint64_t)((now_s(CLOCK_MONOTONIC) - from) / every * n);
        for (; written < due; written++) {
            if (write(fds[written % n], piece, size) == (ssize_t)size) continue;
            perror("write");
            exit(1);
        }
        nanosleep(&nap, NULL);
    }
    return (double)written * (double)size;
}

int main(int argc, char **argv)
{
    if (argc != 7) {
        fprintf(stderr, "reference_write FOLDER N BYTES_PER_S PIECE SECONDS WINDOWS\n");
        return 2;
    }
    unsigned n = number(argv[2]), size = number(argv[4]), seconds = number(argv[5]);
    if (n > FILES_MAX || size > PIECE_MAX) return 2;
    memset(piece, 'x', sizeof piece);
    open_files(argv[1], n);
    for (unsigned w = 0; w < number(argv[6]); w++) {
        double cpu = now_s(CLOCK_PROCESS_CPUTIME_ID), from = now_s(CLOCK_MONOTONIC);
        double bytes = run(n, (double)size / number(argv[3]), size, from + seconds, from);
        printf("{\"gbit\":%.4f,\"cpu_s\":%.4f}\n", bytes * 8 / 1e9, now_s(CLOCK_PROCESS_CPUTIME_ID) - cpu);
        fflush(stdout);
    }
    return 0;
}
