/* Text inside JSON strings (RFC 8259). Tests: tests/unit/httpd/test_text.c. */
#ifndef HTTPD_JSON_H
#define HTTPD_JSON_H

#include "httpd/text.h"

/* "text" with its quotes; bytes that are no UTF-8 become U+FFFD. Safe inside HTML too: '<', '>' and '&' are
 * escaped. */
void json_text(struct text *to, struct span s);

#endif
