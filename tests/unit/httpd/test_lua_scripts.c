/* httpd/lua_scripts: which file is the script, and when there is something new. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/fd.h"
#include "common/base/mem.h"
#include "httpd/lua_scripts.h"
#include "tests/support/tool.h"

#define HEAD "-- " LUAHOST_INTERFACE "\n"

static char dir[64];
static struct lua_conf conf;
static uint64_t before, hashes[LUAHOST_SLOTS];
static struct lua_found found[LUAHOST_SLOTS];

static void put_script(const char *path, const char *text, size_t n)
{
    char whole[600];
    int fd;

    snprintf(whole, sizeof(whole), "%s/%s", dir, path);
    for (char *at = whole + strlen(dir) + 1; (at = strchr(at, '/')) != NULL; at++) {
        *at = '\0';
        (void)mkdir(whole, 0755);
        *at = '/';
    }
    (void)unlink(whole);
    fd = open(whole, O_WRONLY | O_CREAT | O_EXCL, 0644);
    assert_true(fd >= 0);
    assert_int_equal(fd_write_all(fd, span(text, n)), 0);
    close(fd);
}

static void put_text(const char *path, const char *text)
{
    put_script(path, text, strlen(text));
}

static void drop(void)
{
    for (unsigned i = 0; i < LUAHOST_SLOTS; i++) buf_done(&found[i].load);
}

static int begin(void **state)
{
    (void)state;
    tool_tmpdir(dir, sizeof(dir));
    conf = (struct lua_conf){.entry = {[LUAHOST_AUTH] = "modules/auth/validate.lua",
                                 [LUAHOST_API] = "modules/api/api.v2.lua",
                                 [LUAHOST_API3] = LUA_API3,

                                 [LUAHOST_CPANEL] = "modules/cpanel/cpanel.lua"}};
    snprintf(conf.site, sizeof(conf.site), "%s/site", dir);
    snprintf(conf.shipped, sizeof(conf.shipped), "%s/ours", dir);
    before = 0;
    memset(hashes, 0, sizeof(hashes));
    put_text("ours/modules/auth/validate.lua", HEAD "ours auth");
    put_text("ours/modules/api/api.v2.lua", HEAD "ours api");
    put_text("ours/modules/api/part.lua", "ours part");
    put_text("ours/modules/cpanel/cpanel.lua", HEAD "ours cpanel");
    return 0;
}

static int end(void **state)
{
    (void)state;
    drop();
    tool_rmdir(dir);
    return 0;
}

static void look(void)
{
    drop();
    lua_scripts_look(&conf, &before, hashes, found);
}

/* The text of a file in the LOAD message; false: it has none of that path. */
static bool has(enum luahost_slot slot, const char *path, const char *text)
{
    const struct packed *files;
    struct span map;
    struct unpack *u;
    bool same = false;
    size_t n;

    assert_int_equal(luahost_next(buf_span(&found[slot].load), &map, &n), 0);
    assert_int_equal(unpack_new(map, &u), 0);
    assert_int_equal(packed_u64(unpack_root(u), "slot", 9), slot);
    files = packed_get(unpack_root(u), "files");
    for (size_t i = 0; i < packed_n(files); i++)
        if (span_is(packed_as_str(packed_at(packed_at(files, i), 0)), path))
            same = span_is(packed_as_str(packed_at(packed_at(files, i), 1)), text);
    unpack_done(u);
    return same;
}

static void ours_then_the_sites(void **state)
{
    (void)state;
    look();
    assert_true(found[LUAHOST_AUTH].changed && found[LUAHOST_API].changed);
    assert_true(has(LUAHOST_AUTH, "modules/auth/validate.lua", HEAD "ours auth"));
    assert_true(has(LUAHOST_API, "modules/api/part.lua", "ours part"));
    assert_false(has(LUAHOST_API, "modules/auth/validate.lua", HEAD "ours auth")); /* not its own */
    look();
    assert_false(found[LUAHOST_AUTH].changed || found[LUAHOST_API].changed);
    put_text("site/modules/api/api.v2.lua", HEAD "site api");
    put_text("site/modules/site/more.lua", "more");
    look();
    assert_true(has(LUAHOST_API, "modules/api/api.v2.lua", HEAD "site api"));
    assert_true(has(LUAHOST_API, "modules/api/part.lua", "ours part"));
    assert_true(has(LUAHOST_AUTH, "modules/site/more.lua", "more"));
    assert_non_null(strstr(found[LUAHOST_API].from, "/site/modules/api/api.v2.lua"));
    put_text("site/modules/api/api.v2.lua", HEAD "site api 2");
    look();
    assert_true(found[LUAHOST_API].changed);
    assert_false(found[LUAHOST_AUTH].changed);
}

static void scripts_of_another_server(void **state)
{
    static const char bytecode[] = "\x1bLuaS -- " LUAHOST_INTERFACE "\n";

    (void)state;
    put_text("site/modules/auth/validate.lua", "local ngx = ngx\n");
    put_text("site/modules/cpanel/cpanel.lua", "return {}\n");
    put_script("site/modules/api/api.v2.lua", bytecode, sizeof(bytecode) - 1);
    look();
    for (unsigned i = 0; i < LUAHOST_PLUGIN; i++) {
        if (i == LUAHOST_API3) continue; /* the site has none */
        assert_non_null(strstr(found[i].foreign, "/site/modules/"));
        assert_non_null(strstr(found[i].from, "/ours/modules/"));
        assert_string_equal(found[i].error, "");
    }
    assert_true(has(LUAHOST_AUTH, "modules/auth/validate.lua", HEAD "ours auth"));
}

static void other_places(void **state)
{
    static char path[LUAHOST_PATH_MAX];

    (void)state;
    put_text("elsewhere/validate.lua", HEAD "absolute");
    snprintf(path, sizeof(path), "%s/elsewhere/validate.lua", dir);
    memcpy(conf.entry[LUAHOST_AUTH], path, sizeof(path));
    put_text("site/own/api.lua", HEAD "own folder");
    snprintf(conf.entry[LUAHOST_API], LUAHOST_PATH_MAX, "own/api.lua");
    look();
    assert_true(has(LUAHOST_AUTH, path, HEAD "absolute"));
    assert_true(has(LUAHOST_API, "own/api.lua", HEAD "own folder"));
    put_text("site/own/api.lua", "of another server");
    before = 0;
    look();
    assert_true(has(LUAHOST_API, "modules/api/api.v2.lua", HEAD "ours api"));
}

static void places_that_are_none(void **state)
{
    static const char *const entries[] = {"../ours/modules/api/api.v2.lua", "modules/../api.lua", "",
        "modules//api/api.v2.lua", "modules/.hidden/api.lua", "modules/api", "/nowhere/api.lua", "a\\b.lua"};

    (void)state;
    for (size_t i = 0; i < ARRAY_N(entries); i++) {
        snprintf(conf.entry[LUAHOST_API], LUAHOST_PATH_MAX, "%s", entries[i]);
        before = 0;
        look();
        assert_int_equal(buf_n(&found[LUAHOST_API].load), 0);
        assert_non_null(strstr(found[LUAHOST_API].error, "neither in the site's folder nor in ours"));
    }
}

/* Plug-ins that are not configured are looked for nowhere, and those that are as the others. */
static void plug_ins(void **state)
{
    (void)state;
    put_text("site/modules/site/alarm.lua", HEAD "alarm");
    look();
    assert_int_equal(buf_n(&found[LUAHOST_PLUGIN].load), 0);
    assert_string_equal(found[LUAHOST_PLUGIN].error, "");
    snprintf(conf.entry[LUAHOST_PLUGIN + 1], LUAHOST_PATH_MAX, "modules/site/alarm.lua");
    snprintf(conf.entry[LUAHOST_PLUGIN + 2], LUAHOST_PATH_MAX, "modules/site/none.lua");
    before = 0;
    look();
    assert_true(has(LUAHOST_PLUGIN + 1, "modules/site/alarm.lua", HEAD "alarm"));
    assert_non_null(strstr(found[LUAHOST_PLUGIN + 2].error, "neither in the site's folder nor in ours"));
}

static void limits(void **state)
{
    char *large = mem_new(LUA_FILE_MAX + 2), path[64];

    (void)state;
    memset(large, 'x', LUA_FILE_MAX + 1);
    put_text("site/modules/api/api.v2.lua", large);
    look();
    assert_int_equal(buf_n(&found[LUAHOST_API].load), 0);
    assert_non_null(strstr(found[LUAHOST_API].error, "/site/modules/api/api.v2.lua"));
    put_text("site/modules/api/api.v2.lua", HEAD);
    large[LUA_FILE_MAX] = '\0';
    for (unsigned i = 0; i < 3; i++) {
        snprintf(path, sizeof(path), "site/modules/%u.lua", i);
        put_text(path, large);
    }
    look();
    assert_non_null(strstr(found[LUAHOST_API].error, "more than"));
    for (unsigned i = 0; i < 70; i++) {
        snprintf(path, sizeof(path), "site/modules/%u.lua", i);
        put_text(path, "small");
    }
    look();
    assert_non_null(strstr(found[LUAHOST_API].error, "more than"));
    mem_free(large);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(ours_then_the_sites, begin, end),
        cmocka_unit_test_setup_teardown(scripts_of_another_server, begin, end),
        cmocka_unit_test_setup_teardown(other_places, begin, end),
        cmocka_unit_test_setup_teardown(places_that_are_none, begin, end),
        cmocka_unit_test_setup_teardown(plug_ins, begin, end),
        cmocka_unit_test_setup_teardown(limits, begin, end),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
