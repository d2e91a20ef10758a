/* The Lua host's side of wire.h: messages in, messages out, no I/O. One message of httpd's, one answer.
 * Tests: tests/unit/luahost/test_host.c, tests/fuzz/fuzz_luahost.c. */
#ifndef LUAHOST_HOST_H
#define LUAHOST_HOST_H

#include "httpd/luahost/wire.h"

#define HOST_CALLS_MAX 4096 /* that wait for what they asked for; httpd holds fewer */

struct host;
struct host *host_new(void);
void host_free(struct host *h);
/* map: one message. Its answer, and lines of the log before it, are appended to `out`. false: httpd broke the
 * rules, or memory is out: this process ends. */
bool host_hear(struct host *h, struct span map, struct buf *out);

#endif
