/* What the small reference loops share; each is one file and this, built without the rest of the tree. */
#ifndef BENCH_REFERENCE_H
#define BENCH_REFERENCE_H

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static inline double now_s(clockid_t clock)
{
    struct timespec t;

    clock_gettime(clock, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* A number from 1 on, or the end of the program. */
static inline unsigned number(const char *text)
{
    unsigned v;

    if (sscanf(text, "%9u", &v) != 1 || v == 0) { /* NOLINT(cert-err34-c): nine digits always fit */
        fprintf(stderr, "%s is not a number from 1 on\n", text);
        exit(2);
    }
    return v;
}

#endif
