/* lua/modules/auth/validate.lua as it is shipped: who may watch, rule by rule. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>

#include "common/base/fd.h"
#include "common/base/mem.h"
#include "tests/support/lua_help.h"

static struct lua_help l;

/* The shipped script decides; a request is written as Lua, its verdict read as "allow user ttl" or a status.
 */
static int begin(void **state)
{
    const char *files[] = {"test.lua",
        "local validate = require('modules.auth.validate')\n"
        "return function(text)\n"
        "  local r = ms.parse(text)\n"
        "  for k, v in pairs({ uid = 'cam', op = 'live', road = 'hls', address = '10.0.0.1', proto_ok = "
        "true, enabled = true, "
        "access = 'private' }) do if r[k] == nil then r[k] = v end end\n"
        "  local v = validate(r)\n"
        "  if not v.allow then return tostring(v.status) end\n"
        "  return ('allow %s %d'):format(v.user or '-', v.ttl)\n"
        "end",
        "modules/auth/validate.lua", NULL, NULL};
    uint8_t *text;
    size_t n;

    (void)state;
    if (fd_read_file(AT_FDCWD, "lua/modules/auth/validate.lua", 1 << 20, &text, &n) < 0) return -1;
    files[3] = (const char *)text;
    if (!lua_help_files(&l, files)) fail_msg("%s", l.error);
    mem_free(text);
    return 0;
}

static int end(void **state)
{
    (void)state;
    lua_help_stop(&l);
    return 0;
}

#define GOOD       "\"valid\":true,\"stream_ok\":true,\"address_ok\":true,\"user\":\"u\""
#define TOKEN(ops) "\"token\":{" GOOD ",\"ops\":{" ops "}}"

static void rules(void **state)
{
    static const struct {
        const char *request, *want;
    } rows[] = {
        {"{\"access\":\"public\"}", "allow - 60"},
        {"{\"access\":\"public\",\"enabled\":false}", "503"},
        {"{\"access\":\"public\",\"enabled\":false,\"op\":\"preview\"}", "503"},
        {"{\"access\":\"public\",\"enabled\":false,\"op\":\"dvr\"}", "allow - 60"},
        {"{\"access\":\"public\",\"proto_ok\":false}", "403"},
        {"{\"access\":\"public\",\"server_listed\":false}", "403"},
        {"{\"access\":\"public\",\"server_listed\":true}", "allow - 60"},
        {"{\"access\":\"public\",\"token\":{\"valid\":false}}", "allow - 60"},
        {"{\"access\":\"public\"," TOKEN("\"live\":true") "}", "allow u 60"},
        {"{\"access\":\"protected\",\"listed\":true}", "allow - 60"},
        {"{\"access\":\"protected\",\"listed\":false}", "403"},
        {"{\"access\":\"protected\"}", "403"},
        {"{\"access\":\"protected\"," TOKEN("\"live\":true") "}", "403"},
        {"{\"access\":\"none\"}", "403"},
        {"{\"access\":\"none\"," TOKEN("\"live\":true") "}", "403"},
        {"{}", "401"},
        {"{\"enabled\":false}", "401"},
        {"{\"token\":{\"valid\":false}}", "403"},
        {"{" TOKEN("\"live\":true") "}", "allow u 60"},
        {"{\"enabled\":false," TOKEN("\"live\":true") "}", "503"},
        {"{\"op\":\"dvr\"," TOKEN("\"live\":true") "}", "403"},
        {"{\"op\":\"dvr\"," TOKEN("\"dvr\":true") "}", "allow u 60"},
        {"{\"op\":\"copy\"," TOKEN("\"dvr\":true") "}", "403"},
        {"{\"op\":\"copy\"," TOKEN("\"copy\":true") "}", "allow u 60"},
        {"{\"op\":\"page\"," TOKEN("\"dvr\":true") "}", "allow u 60"},
        {"{\"op\":\"page\"," TOKEN("\"copy\":true") "}", "403"},
        {"{\"op\":\"preview\"," TOKEN("\"live\":true") "}", "allow u 60"},
        {"{\"op\":\"publish\"," TOKEN("\"live\":true") "}", "403"},
        {"{\"op\":\"publish\"," TOKEN("\"publish\":true") "}", "allow u 60"},
        {"{\"op\":\"publish\",\"link\":true}", "403"},
        {"{\"op\":\"publish\",\"user\":{\"name\":\"anna\",\"role\":\"root\"}}", "403"},
        {"{\"token\":{\"valid\":true,\"stream_ok\":false,\"address_ok\":true,\"ops\":{\"live\":true}}}",
            "403"},
        {"{\"token\":{\"valid\":true,\"stream_ok\":true,\"address_ok\":false,\"ops\":{\"live\":true}}}",
            "403"},
        {"{\"op\":\"dvr\",\"from\":100,\"to\":200,\"token\":{" GOOD
         ",\"from\":100,\"to\":200,\"ops\":{\"dvr\":true}}}",
            "allow u 60"},
        {"{\"op\":\"dvr\",\"from\":99,\"to\":200,\"token\":{" GOOD
         ",\"from\":100,\"to\":200,\"ops\":{\"dvr\":true}}}",
            "403"},
        {"{\"op\":\"dvr\",\"from\":100,\"to\":201,\"token\":{" GOOD
         ",\"from\":100,\"to\":200,\"ops\":{\"dvr\":true}}}",
            "403"},
        {"{\"link\":true}", "allow - 60"},
        {"{\"link\":false}", "403"},
        {"{\"user\":{\"name\":\"anna\",\"role\":\"user\"}}", "allow anna 60"},
        {"{\"user\":{\"name\":\"anna\",\"role\":\"guest\"}}", "allow anna 60"},
        {"{\"op\":\"dvr\",\"user\":{\"name\":\"anna\",\"role\":\"guest\"}}", "403"},
        {"{\"backend\":{\"allow\":true,\"user\":\"b\",\"duration\":7}}", "allow b 7"},
        {"{\"backend\":{\"allow\":false}," TOKEN("\"live\":true") "}", "403"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_N(rows); i++) {
        if (lua_help_call(&l, rows[i].request) != WORLD_DONE)
            fail_msg("%s: %s", rows[i].request, l.result.error);
        if (!lua_help_is(&l, rows[i].want)) fail_msg("%s is not %s", rows[i].request, rows[i].want);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test_setup_teardown(rules, begin, end)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
