/* A coded picture as JPEG: libavcodec decodes, libswscale scales, libavcodec encodes. One thread. Runs in
 * the cage only. Limits: PICTURE_SIDE_MAX a side, the memory and the time of the process. */
#ifndef PICTURE_JPEG_H
#define PICTURE_JPEG_H

#include "httpd/picture/wire.h"

/* bytes: a->n_bytes of access units. On PICTURE_OK the JPEG is in `to`, and ret has its size and pts. */
enum picture_err picture_jpeg(
    const struct picture_ask *a, struct span bytes, struct buf *to, struct picture_answer *ret);

#endif
