/* Which medias of a session description are set up, and under which URLs. Pure functions for the RTSP client.
 */
#ifndef WORKER_RTSP_CHOOSE_H
#define WORKER_RTSP_CHOOSE_H

#include "worker/rtsp_client.h"

/* The codec that we record, CODEC_NONE: none of ours. */
enum codec rtsp_codec_of(enum sdp_codec c);

/* Fills t with the medias to set up, wanted ones first: the first supported one of each kind in `kinds`
 * (1 << TRACK_VIDEO...; S12, S16). all: then every other media that could be received (P14). Returns how
 * many, and how many of them are wanted. */
size_t rtsp_choose(const struct sdp *s, unsigned kinds, bool all, struct rtsp_track t[RTSP_CLIENT_TRACKS_MAX],
    size_t *ret_wanted);
/* Are there receivable medias that rtsp_choose without `all` leaves out? */
bool rtsp_choose_left_some(const struct sdp *s, unsigned kinds);
/* Why nothing was chosen: "video JPEG, audio G726"; terminated. */
void rtsp_choose_explain(const struct sdp *s, char *dst, size_t cap);

/* Authority of the request URL with path and query of what the camera calls its base (P1). false: not usable.
 */
bool rtsp_base_url(struct span request_url, struct span content_base, struct wr *w);

/* Takes the hints of RTP-Info to the tracks that they name (P16). url: of each track, as it was set up. */
void rtsp_take_rtp_info(struct span value, char *const *urls, struct rtsp_track *t, size_t n);

#endif
