/* Errors of the API as RFC 9457 has them: application/problem+json with a sentence that says what to do. The
 * scripts write the same (lua/modules/api). Tests: tests/e2e/test_signin.py. */
#ifndef HTTPD_PROBLEM_H
#define HTTPD_PROBLEM_H

#include "httpd/http.h"

/* code: a word for programs. extra: header lines, or NULL. The request is done with it. */
void problem_answer(struct http *h, unsigned status, const char *code, const char *extra, const char *fmt,
    ...) PRINTF_LIKE(5, 6);

#endif
