/* The API below /api/, on the module listener: requests become a table for modules/api/api.v2.lua
 * (LUAHOST_API), its answer becomes HTTP. Who asks is found out here (address, token), the script decides.
 * What may not be said of a request by the script's mistake is checked here: status, names and values of
 * header fields. Tests: tests/unit/httpd/test_api.c, tests/e2e/test_api.py. */
#ifndef HTTPD_API_H
#define HTTPD_API_H

#include "httpd/http.h"
#include "httpd/lua.h"

#define API_US          (15 * US_PER_S) /* a request that takes longer is answered 504 */
#define API_QUERY_MAX   32              /* arguments of a URL */
#define API_VALUE_MAX   2048            /* bytes of one, decoded */
#define API_HEADERS_MAX 8

/* What the script says (a map of status, type, body or held, headers), checked. */
struct api_answer {
    unsigned status; /* 200 to 599 */
    char type[64];
    char extra[512]; /* header lines */
    struct span body;
    uint64_t held; /* its name instead of it (held.h); 0: body */
};
struct packed;
bool api_answer_read(const struct packed *map, struct api_answer *ret);

/* Asks a script (its argument as msgpack) and answers the request with what it says. */
void api_run(struct http *h, enum luahost_slot slot, struct span request);

#endif
