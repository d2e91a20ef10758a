#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include "common/ring/ring.h"
#include "worker/settings.h"

static bool read_settings(void (*more)(struct packer *p), unsigned n, const char *url, struct settings *ret)
{
    struct buf b;
    struct packer p;
    struct unpack *u;
    const char *why = NULL;
    bool ok;

    buf_init(&b, 65536);
    p = packer_of(&b);
    pack_map(&p, 3 + n);
    pack_kv_text(&p, "uid", "cam-1");
    pack_kv_text(&p, "url", url);
    pack_kv_text(&p, "tracks", "video, AUDIO");
    if (more) more(&p);
    assert_int_equal(unpack_new(buf_span(&b), &u), 0);
    ok = settings_read(unpack_root(u), ret, &why);
    assert_true(ok || why);
    unpack_done(u);
    buf_done(&b);
    return ok;
}

static void what_is_missing_has_its_default(void **state)
{
    struct settings s;

    (void)state;
    assert_true(read_settings(NULL, 0, "rtsp://u:p@h/x", &s));
    assert_string_equal(s.uid, "cam-1");
    assert_true(span_is(secret_reveal(&s.url), "rtsp://u:p@h/x"));
    assert_int_equal(s.tracks, 1u << TRACK_VIDEO | 1u << TRACK_AUDIO);
    assert_int_equal(s.transport, RTSP_TRANSPORT_AUTO);
    assert_false(s.record || s.on_demand);
    assert_int_equal(s.chunk_us, 120 * US_PER_S);
    assert_int_equal(s.ring_max, 32u << 20);
    assert_int_equal(s.invalid_after, 10);
    settings_done(&s);
    settings_done(&s);
}

static void odd_values(struct packer *p)
{
    pack_kv_i64(p, "chunk_us", 1);
    pack_kv_u64(p, "ring_max", UINT64_MAX);
    pack_kv_text(p, "transport", "UDP");
    pack_kv_i64(p, "event_before_us", -5);
    pack_kv_i64(p, "retry_first_us", 0);
    pack_kv_text(p, "record", "yes");
}

static void values_stay_in_their_limits(void **state)
{
    struct settings s;

    (void)state;
    assert_true(read_settings(odd_values, 6, "rtsp://h/x", &s));
    assert_int_equal(s.chunk_us, 5 * US_PER_S);
    assert_int_equal(s.ring_max, RING_DATA_MAX);
    assert_int_equal(s.transport, RTSP_TRANSPORT_UDP);
    assert_int_equal(s.event_before_us, 0);
    assert_int_equal(s.retry_first_us, 10 * US_PER_S);
    assert_false(s.record);
    settings_done(&s);
}

static void long_urls_are_not_cut(void **state)
{
    char url[SETTINGS_URL_MAX + 2];
    struct settings s;

    (void)state;
    memset(url, 'x', sizeof(url));
    url[SETTINGS_URL_MAX] = '\0';
    assert_true(read_settings(NULL, 0, url, &s));
    assert_int_equal(secret_reveal(&s.url).n, SETTINGS_URL_MAX);
    settings_done(&s);
    url[SETTINGS_URL_MAX] = 'x';
    url[SETTINGS_URL_MAX + 1] = '\0';
    assert_false(read_settings(NULL, 0, url, &s));
    assert_false(read_settings(NULL, 0, "", &s));
}

static void a_source_is_url_tracks_and_transport(void **state)
{
    struct settings a, b;

    (void)state;
    assert_true(read_settings(NULL, 0, "rtsp://h/x", &a));
    assert_true(read_settings(NULL, 0, "rtsp://h/x", &b));
    b.record = true;
    b.hash = 7;
    assert_true(settings_same_source(&a, &b));
    b.tracks = 1u << TRACK_VIDEO;
    assert_false(settings_same_source(&a, &b));
    settings_done(&a);
    settings_done(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_missing_has_its_default),
        cmocka_unit_test(values_stay_in_their_limits),
        cmocka_unit_test(long_urls_are_not_cut),
        cmocka_unit_test(a_source_is_url_tracks_and_transport),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
