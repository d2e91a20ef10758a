/* Who may watch: one function decides, on every road. Until tokens and address lists are built, what is not
 * plainly public is refused, so that nothing leaks that a site has protected. Tests:
 * tests/unit/httpd/test_access.c. */
#ifndef HTTPD_ACCESS_H
#define HTTPD_ACCESS_H

#include "common/base/span.h"

enum access_mode { ACCESS_PUBLIC = 0, ACCESS_PROTECTED, ACCESS_PRIVATE, ACCESS_NONE };
/* What the request is about. */
enum access_op { ACCESS_PAGE = 0, ACCESS_LIVE, ACCESS_DVR };

struct access_rule {
    enum access_mode mode;
    bool whitelist; /* the stream has one */
    bool enabled;
    bool web; /* stream-proto lets it be watched over HTTP */
};
struct access_answer {
    unsigned status; /* 200: allowed */
    const char *why; /* short text for the viewer */
};

/* "public", "protected", "private", "none"; anything else is private, the safe side. */
enum access_mode access_mode_of(struct span text);
/* Does a stream-proto list (text, may be empty) name a way of watching over HTTP? */
bool access_proto_web(struct span proto);
/* May everybody watch, so that a shared cache may keep what is sent? */
bool access_public(const struct access_rule *rule);
struct access_answer access_decide(const struct access_rule *rule, enum access_op op);

#endif
