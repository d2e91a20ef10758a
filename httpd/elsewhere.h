/* The same URL at the node of the cluster that has the stream (cluster-redirect): its host, the port that was
 * asked. Tests: tests/unit/httpd/test_elsewhere.c, tests/cluster/test_pair.py. */
#ifndef HTTPD_ELSEWHERE_H
#define HTTPD_ELSEWHERE_H

#include "common/base/wr.h"
#include "httpd/http.h"

#define ELSEWHERE_MAX 2400 /* bytes of such a header line, NUL included */

/* "Location: rtsp://host:8554/cam\r\n" out of the URL that was asked. false: it is none. */
bool elsewhere_line(const char *host, struct span url, struct wr *w);
/* The same of a request, its Host and its target. false: the stream has no other node that is known, or the
 * URL would mean nothing there. */
bool elsewhere_http(const struct http *h, struct wr *w);
/* The same, at that host ("": none). */
bool elsewhere_at(const struct http *h, const char *host, struct wr *w);

#endif
