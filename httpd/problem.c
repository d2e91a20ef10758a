#include "httpd/problem.h"
#include "httpd/answer.h"
#include "httpd/json.h"

#define DETAIL_MAX  400
#define PROBLEM_MAX 2048

void problem_answer(
    struct http *h, unsigned status, const char *code, const char *extra, const char *fmt, ...)
{
    struct answer a = {
        .status = status, .type = "application/problem+json", .cache = CACHE_NEVER, .extra = extra};
    char detail[DETAIL_MAX];
    struct text t;
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(detail, sizeof(detail), fmt, ap);
    va_end(ap);
    text_init(&t, PROBLEM_MAX);
    text_fmt(&t, "{\"type\":\"about:blank\",\"title\":\"%s\",\"status\":%u,\"code\":\"%s\",\"detail\":",
        http_reason(status), status, code);
    json_text(&t, span_of(detail));
    text_put(&t, "}\n");
    if (text_ok(&t))
        answer_bytes(h, &a, text_span(&t));
    else
        answer_error(h, status, "%s", detail);
    text_done(&t);
}
