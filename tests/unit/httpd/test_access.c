/* Words of who may watch; the decisions: see the table of roads. */
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include "httpd/access.h"

static void modes(void **state)
{
    (void)state;
    assert_int_equal(access_mode_of(SPAN_LIT("public")), ACCESS_PUBLIC);
    assert_int_equal(access_mode_of(SPAN_LIT("Protected")), ACCESS_PROTECTED);
    assert_int_equal(access_mode_of(SPAN_LIT("none")), ACCESS_NONE);
    assert_int_equal(access_mode_of(SPAN_LIT("publik")), ACCESS_PRIVATE);
    assert_int_equal(access_mode_of(SPAN_NONE), ACCESS_PRIVATE);
}

static bool has(const char *proto, enum access_road road)
{
    return access_roads_of(span_of(proto)) & 1u << road;
}

static void protocols(void **state)
{
    (void)state;
    assert_int_equal(access_roads_of(SPAN_NONE), ACCESS_ROADS_ALL);
    assert_int_equal(access_roads_of(SPAN_LIT("rtsp")), ACCESS_ROADS_ALL);
    assert_true(has("ts, hls", ROAD_HLS) && has("HLS", ROAD_TS) && has("hls", ROAD_PAGE));
    assert_false(has("hls", ROAD_RTSP) || has("hls", ROAD_WS));
    assert_true(has("mse", ROAD_WS) && has("mse", ROAD_INFO));
    assert_false(has("mse", ROAD_HLS));
    assert_int_equal(access_roads_of(SPAN_LIT("ts,rtmp")), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(modes),
        cmocka_unit_test(protocols),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
