/* Bytes into memory that was measured for them. */
#ifndef HTTPD_BYTES_H
#define HTTPD_BYTES_H

#include "common/net/conn.h"

/* Copies s to `at`; returns what is behind it. */
static inline uint8_t *bytes_put(uint8_t *at, struct span s)
{
    if (s.p) memcpy(at, s.p, s.n);
    return at + s.n;
}

/* A chunk of these bytes; NULL: memory is out. */
static inline struct chunk *bytes_chunk(struct span s)
{
    struct chunk *c = chunk_new(s.n);

    if (c) bytes_put(c->data, s);
    return c;
}

#endif
