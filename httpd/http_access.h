/* HTTP and who may watch: a request's credentials are asked about before its handler runs; what runs is cut
 * when its grant ends. A session's path is /s/<id>/ before the stream's own, so that what a playlist names
 * inherits it. Tests: tests/unit/httpd/test_access_table.c. */
#ifndef HTTPD_HTTP_ACCESS_H
#define HTTPD_HTTP_ACCESS_H

#include "httpd/http.h"

/* Takes "/s/<id>" from the front of a decoded path: the id, or nothing. */
struct span http_session_id(struct span *path);
/* false: it is refused (and answered), or not decided yet: serve is run again. */
bool http_may_run(struct http *h);
/* What of the archive this request may be shown. */
struct sight http_sight(const struct http *h);
/* Leaves of a time what may be shown. false: nothing may, and that was answered (403). */
bool http_clip(struct http *h, usec_t *from_us, usec_t *to_us);
/* May the picture of this moment be shown? false: it was answered (403). */
bool http_may_show(struct http *h, usec_t at_us);
/* Where a playlist's names lie for this viewer, from its own URL: "../s/<id>/<uid>/". "": where they are. */
#define HTTP_PREFIX_MAX 160
const char *http_prefix(const struct http *h, char dst[HTTP_PREFIX_MAX]);
/* Lines of "Set-Cookie: ..." for a page that was opened with a token in its URL, so that what it asks for
 * brings the token too: HttpOnly, below each of the stream's paths (/<uid>/, /live/<uid>/, /dvr/<uid>/), gone
 * with the browser. "": there is none to set. */
#define HTTP_COOKIES    3
#define HTTP_COOKIE_MAX (HTTP_COOKIES * (ACCESS_TOKEN_MAX + 256))
const char *http_cookie(const struct http *h, char dst[HTTP_COOKIE_MAX]);
void http_access_done(struct ask *a);

#endif
