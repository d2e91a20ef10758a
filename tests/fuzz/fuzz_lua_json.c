/* httpd/luahost/json: any text; what is read is written and read again as the same, and a place of a mistake
 * lies inside of it. */
#include "common/base/err.h"
#include "tests/support/lua_help.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

static const char script[] =
    "return function(text)\n"
    "  local v, why, at = ms.parse(text)\n"
    "  if v == nil then return type(why) == 'string' and at >= 0 and at <= #text and 'ok' or 'place' end\n"
    "  local once = ms.json(v)\n"
    "  local again = ms.parse(once)\n"
    "  return again ~= nil and #ms.json(again) == #once and 'ok' or once\n"
    "end";

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    static struct lua_help l;
    static bool begun;
    struct buf b;
    struct packer to;
    struct unpack *u;

    if (!begun) must(lua_help_start(&l, script));
    begun = true;
    buf_init(&b, LUAHOST_MESSAGE_MAX);
    to = packer_of(&b);
    pack_str(&to, span(p, MIN(n, (size_t)10000)));
    must(unpack_new(buf_span(&b), &u) == 0);
    must(world_start(l.w, unpack_root(u), &l.call, &l.result) == WORLD_DONE);
    must(lua_help_is(&l, "ok"));
    unpack_done(u);
    buf_done(&b);
    return 0;
}
