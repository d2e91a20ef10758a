/* The site's own server decides (auth-backend), with Flussonic's contract: a GET with name, proto, ip, token,
 * session_id, request_type (new_session, update_session), request_number, stream_clients, total_clients,
 * user_agent; 200 allows, any other answer denies; X-AuthDuration (seconds it holds: 180, a refusal 30),
 * X-UserId and X-Max-Sessions in its head. session_id is sha1hex(name + ip + proto + token). Source:
 * Flussonic's documentation of authorization backends. Tests: tests/e2e/test_access.py. */
#ifndef HTTPD_BACKEND_H
#define HTTPD_BACKEND_H

#include "httpd/outgoing.h"
#include "httpd/question.h"

#define BACKEND_DURATION_S 180
#define BACKEND_REFUSED_S  30 /* a refusal; whom the site lets in now need not wait for long */
#define BACKEND_LONGEST_S  86400
#define BACKEND_RESTS_US   (2 * US_PER_S) /* one that does not answer is not asked for so long */
#define BACKEND_BODY_MAX   65536          /* bytes that nobody reads */

/* The URL of a question. false: it does not fit. */
bool backend_url(struct wr *w, struct span base, const struct question *q, unsigned total_clients);
/* What was answered, into the facts. false: nothing was. */
bool backend_read(const struct outgoing_answer *answer, struct facts *f);

#endif
