/* Raw data blocks of AAC as bits: where one ends, and how it is filled. */
#include "httpd/picture/aac.h"

#include <string.h>

#define ID_SCE 0u
#define ID_CPE 1u
#define ID_FIL 6u
#define ID_END 7u
#define ID_N   3

#define FILL_N     7   /* bits of a fill element without payload */
#define FILL_ESC_N 15  /* with an escaped count */
#define FILL_ESC   15u /* this count, and the next eight bits are the rest */
#define FILL_MOST  269 /* bytes of payload: 15 + 255 - 1 */
#define FILL_BYTE  0xa5u

struct bit_wr {
    uint8_t *p; /* zeroed where it is written */
    size_t at, n;
};

static void put(struct bit_wr *w, uint32_t v, unsigned n)
{
    for (unsigned i = n; i-- > 0; w->at++)
        if (v >> i & 1u) w->p[w->at / 8] |= (uint8_t)(0x80u >> w->at % 8);
}

/* The first bit of ID_END: behind it only zeros follow, so its last bit is the block's last one that is
 * set. */
static bool find_end(struct span frame, size_t *ret)
{
    size_t last = frame.n * 8;

    while (last > 0 && !(frame.p[(last - 1) / 8] >> (7 - (last - 1) % 8) & 1u)) last--;
    if (last < ID_N) return false;
    for (size_t i = last - ID_N; i < last; i++)
        if (!(frame.p[i / 8] >> (7 - i % 8) & 1u)) return false;
    *ret = last - ID_N;
    return true;
}

static void put_fill(struct bit_wr *w, size_t bytes)
{
    put(w, ID_FIL, ID_N);
    if (bytes < FILL_ESC) {
        put(w, (uint32_t)bytes, 4);
    } else {
        put(w, FILL_ESC, 4);
        put(w, (uint32_t)(bytes - FILL_ESC + 1), 8);
    }
    /* extension_type EXT_FILL and its nibble are zero. */
    if (bytes > 0) put(w, 0, 8);
    for (size_t i = 1; i < bytes; i++) put(w, FILL_BYTE, 8);
}

/* Fill elements until fewer than eight bits are left behind ID_END. */
static void fill(struct bit_wr *w)
{
    size_t left;

    while ((left = w->n - w->at - ID_N) >= FILL_N) {
        if (left >= FILL_ESC_N + 8 * FILL_ESC)
            put_fill(w, MIN((left - FILL_ESC_N) / 8, (size_t)FILL_MOST));
        else
            put_fill(w, MIN((left - FILL_N) / 8, (size_t)FILL_ESC - 1));
    }
    put(w, ID_END, ID_N);
}

bool aac_pad(struct span frame, uint8_t *dst, size_t size)
{
    struct bit_wr w = {.p = dst, .n = size * 8};

    if (frame.n > size || !find_end(frame, &w.at)) return false;
    memset(dst, 0, size);
    memcpy(dst, frame.p, frame.n);
    /* ID_END goes to the block's end. */
    for (size_t i = w.at; i < w.at + ID_N; i++) dst[i / 8] &= (uint8_t) ~(0x80u >> i % 8);
    fill(&w);
    return true;
}

/* A channel stream without a single band: global_gain, no pulses, no TNS, no gain control. */
static void put_silent_channel(struct bit_wr *w, bool own_info)
{
    put(w, 0, 8);
    if (own_info) put(w, 0, 1 + 2 + 1 + 6 + 1); /* ics_info: one long window, max_sfb 0, no prediction */
    put(w, 0, 3);
}

void aac_silence(unsigned channels, uint8_t *dst, size_t size)
{
    struct bit_wr w = {.p = dst, .n = size * 8};

    memset(dst, 0, size);
    put(&w, channels == 2 ? ID_CPE : ID_SCE, ID_N);
    put(&w, 0, 4); /* element_instance_tag */
    if (channels == 2) {
        put(&w, 1, 1); /* common_window */
        put(&w, 0, 1 + 2 + 1 + 6 + 1);
        put(&w, 0, 2); /* no mid/side */
        put_silent_channel(&w, false);
        put_silent_channel(&w, false);
    } else {
        put_silent_channel(&w, true);
    }
    fill(&w);
}
