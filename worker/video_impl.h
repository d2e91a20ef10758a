/* What video.c (units) and video_fu.c (fragments) share. */
#ifndef WORKER_VIDEO_IMPL_H
#define WORKER_VIDEO_IMPL_H

#include "worker/video.h"

#define VIDEO_BEGIN_MAX 64 /* bytes of a slice that its header may take */

/* A slice begins with these bytes: finds its unit. false: it belongs to none. */
bool video_slice_begin(struct video *v, struct span begin);
void video_nal_one(struct video *v, struct span nal); /* one NAL unit without start codes */
void video_note_boundary(struct video *v);            /* what comes now belongs to the next picture */
void video_marker_lied(struct video *v);
bool video_is_searched(const struct video *v, enum video_class class); /* for start codes */
void video_fu_drop(struct video *v);                                   /* the fragmented NAL unit at hand */

#endif
