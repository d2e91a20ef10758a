/* What a stream's rule says to everybody, before credentials are looked at; and what ends when it is another,
 * or the stream goes (access_rule_changed, access_stream_gone in access.h). Tests:
 * tests/unit/httpd/test_access_table.c, test_access.c. */
#ifndef HTTPD_ACCESS_RULE_H
#define HTTPD_ACCESS_RULE_H

#include "httpd/access_facts.h"

/* 200: as far as the rule goes. */
struct access_verdict access_rule_says(const struct facts *f);

#endif
