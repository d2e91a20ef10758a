/* What was sent, for tests that compare bits.
 *
 * A source's truth: one JSON line an access unit: {"au":0,"key":true,"pts":0,"bytes":1234,"sha1":"..."}. The
 * hash of video is over its NAL units, each with its length as u32 before it, without delimiters, filler and
 * parameter sets: what a recorder keeps. Of audio: the packet's payload. The log of a stream: one line a
 * frame sent: {"track":0,"au":0,"n":50,"ts":4711,"mono_us":..,"wall_us":..}. */
#ifndef CAMERA_TRUTH_H
#define CAMERA_TRUTH_H

#include "tests/camera/stream.h"

/* 0 or -errno. */
int truth_write(const struct source *s, const char *path);
/* Logs what every stream whose name begins so sends from now on; path empty: ends it. 0 or -errno. */
int truth_log(struct span name, const char *path);
void truth_sent(const struct stream *s, unsigned track, uint32_t au, uint64_t n, uint32_t ts);

#endif
