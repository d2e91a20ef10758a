/* Boxes of ISO base media files: writing one around its content, and walking those of somebody else.
 * Source: ISO 14496-12 4.2. Sizes are checked against what is there; a box never reaches out of its parent.
 * Tests: tests/unit/media/test_mp4_read.c. */
#ifndef MEDIA_MP4_BOX_H
#define MEDIA_MP4_BOX_H

#include "common/base/rd.h"
#include "common/base/wr.h"

/* Begins a box of a four-letter type; returns what mp4_box_end takes. */
size_t mp4_box(struct wr *w, const char *type);
size_t mp4_full_box(struct wr *w, const char *type, uint8_t version, uint32_t flags);
void mp4_box_end(struct wr *w, size_t at);
void mp4_zeros(struct wr *w, size_t n);

#define MP4_TYPE(a, b, c, d) ((uint32_t)(a) << 24 | (uint32_t)(b) << 16 | (uint32_t)(c) << 8 | (uint32_t)(d))
#define MP4_HEAD_MAX         16 /* bytes of size, type, large size */

/* Conditions (positive). */
enum {
    MP4_OK = 0,
    MP4_E_SHORT = 1 /* goes on behind what is there */,
    MP4_E_BAD = 2,
    MP4_E_MANY = 3 /* a limit */
};

struct mp4_box {
    uint32_t type;
    uint32_t head; /* bytes of its header: 8 or 16 */
    uint64_t size; /* with its header */
};
/* The header of a box that begins a file's rest of `left` bytes, of which the first MP4_HEAD_MAX (or all) are
 * in s. Size 0, "to the end", gives left. MP4_OK, MP4_E_SHORT (the box, or its header, ends behind the rest),
 * MP4_E_BAD. */
int mp4_box_head(struct span s, uint64_t left, struct mp4_box *ret);

/* The next box of *rest, which becomes what is behind it. false: no more, or what follows is no box that fits
 * (then rest->n > 0). Size 0 is refused: only a file's last box may have it. */
bool mp4_next(struct span *rest, uint32_t *ret_type, struct span *ret_body);
/* The first box of that type among those of `in`; empty with p == NULL when there is none. */
struct span mp4_find(struct span in, uint32_t type);

#endif
