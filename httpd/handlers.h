/* The handlers of the route table, by file. Each gets a request whose access was decided; ask->stream is set
 * where the route belongs to a stream. */
#ifndef HTTPD_HANDLERS_H
#define HTTPD_HANDLERS_H

struct http;

/* assets.c */
void serve_asset(struct http *h);
void serve_embed(struct http *h);
void serve_openapi(struct http *h);

/* cpanel.c */
void serve_cpanel(struct http *h);

/* metrics.c */
void serve_metrics(struct http *h);
void serve_healthz(struct http *h);
void serve_readyz(struct http *h);

/* stream_info.c */
void serve_stream_info(struct http *h);

/* api.c */
void serve_api(struct http *h);

/* feed_client.c */
void serve_events(struct http *h);

/* signin.c */
void serve_session(struct http *h);

/* setup.c */
void serve_setup(struct http *h);

/* live_hls.c, live_low.c, live_mp4.c, live_ts.c, preview.c */
void serve_master(struct http *h);
void serve_media_playlist(struct http *h);
void serve_low_master(struct http *h);
void serve_low_playlist(struct http *h);
void serve_live_part(struct http *h);
void serve_live_init(struct http *h);
void serve_live_segment(struct http *h);
void serve_ts_playlist(struct http *h);
void serve_ts_segment(struct http *h);
void serve_live_mp4(struct http *h);
void serve_live_ts(struct http *h);
void serve_preview(struct http *h);

/* mse_live.c */
void serve_mse(struct http *h);

/* picture_live.c, picture_archive.c */
void serve_preview_jpeg(struct http *h);
void serve_archive_jpeg(struct http *h);
void serve_screenshot_jpeg(struct http *h);

/* archive_forms.c, archive_status.c, archive_play.c */
void serve_archive_playlist(struct http *h);
void serve_archive_master(struct http *h);
void serve_dvr_playlist(struct http *h);
void serve_rewind(struct http *h);
void serve_timeshift_rel(struct http *h);
void serve_timeshift_abs(struct http *h);
void serve_archive_init(struct http *h);
void serve_archive_segment(struct http *h);
void serve_recording_status(struct http *h);

/* archive_mp4.c */
void serve_archive_mp4(struct http *h);
void serve_dvr_mp4(struct http *h);
void serve_archive_picture(struct http *h);
void serve_dvr_picture(struct http *h);
void serve_strip(struct http *h);
void serve_strip_list(struct http *h);

#endif
