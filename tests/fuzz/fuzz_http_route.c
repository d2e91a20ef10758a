/* A request from its bytes to its row of the route table: whatever comes, captures lie inside the path, and a
 * stream's name is one that a configuration could have. */
#include "common/base/err.h"
#include "httpd/archive.h"
#include "httpd/routes.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void inside(struct span outer, struct span inner)
{
    if (inner.n == 0) return;
    must(inner.p >= outer.p && inner.n <= outer.n && (size_t)(inner.p - outer.p) <= outer.n - inner.n);
}

static void look_at(const struct route_match *m, struct span path)
{
    usec_t us, to_us;

    must(m->n <= ROUTE_CAPTURES_MAX);
    for (unsigned i = 0; i < m->n; i++) {
        inside(path, m->capture[i]);
        must(m->capture[i].n > 0);
        if (archive_date(m->capture[i], &us)) archive_span(m->capture[i], us, &to_us);
    }
    inside(path, m->uid);
    if (m->route->flags & ROUTE_STREAM) must(route_uid_ok(m->uid));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct head_find find = {0};
    struct http_request req;
    struct route_match m;
    char path[HTTP_PATH_MAX];
    size_t n;

    if (http_request_parse(&find, span(data, size), 65536, &req, &n) != 0) return 0;
    if (span_is(req.path, "*") || !http_path_decode(req.path, path, sizeof(path))) return 0;
    for (int module = 0; module < 2; module++)
        if (route_find(span_of(path), req.method, module != 0, &m) != 404) look_at(&m, span_of(path));
    return 0;
}
