/* What the event stream tells: all at first, then what has changed, whoever was away for how long. */
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include "common/ipc/pack.h"
#include "common/wire/json.h"
#include "httpd/feed.h"
#include "httpd/feed_rows.h"

static struct feed_rows *t;
static struct buf out;

struct given {
    const char *uid, *state;
    int64_t bitrate;
};

static void take(const struct given *g, size_t n)
{
    const struct packed **v = NULL;
    struct unpack *u;
    struct packer p;
    struct buf b;

    buf_init(&b, 1u << 22);
    p = packer_of(&b);
    pack_array(&p, (uint32_t)n);
    for (size_t i = 0; i < n; i++) {
        pack_map(&p, 4);
        pack_kv_text(&p, "uid", g[i].uid);
        pack_kv_text(&p, "state", g[i].state);
        pack_kv_i64(&p, "bitrate", g[i].bitrate);
        pack_kv_i64(&p, "last_frame", (int64_t)feed_rows_now(t)); /* is told to nobody */
    }
    assert_int_equal(unpack_new(buf_span(&b), &u), 0);
    v = calloc(n + 1, sizeof(*v));
    for (size_t i = 0; i < n; i++) v[i] = packed_at(unpack_root(u), i);
    feed_rows_take(t, v, n);
    free(v);
    unpack_done(u);
    buf_done(&b);
}

static const char *told(uint64_t since, const char *cameras)
{
    struct camera_list seen;

    assert_true(camera_list_read(span_of(cameras), &seen));
    buf_clear(&out);
    if (!feed_rows_write(t, since, &seen, &out)) return "";
    assert_true(buf_put(&out, span("", 1)));
    return (const char *)buf_span(&out).p;
}

static int setup(void **state)
{
    (void)state;
    t = feed_rows_new();
    buf_init(&out, 1u << 22);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    feed_rows_free(t);
    buf_done(&out);
    return 0;
}

static void all_and_changes(void **state)
{
    uint64_t at;

    (void)state;
    take((struct given[]){{"a", "active", 1000}, {"b", "down", 0}}, 2);
    assert_string_equal(told(0, ""),
        "{\"all\":true,\"rows\":[{\"uid\":\"a\",\"state\":\"active\",\"bitrate\":1000},"
        "{\"uid\":\"b\",\"state\":\"down\",\"bitrate\":0}],\"gone\":[]}");
    at = feed_rows_now(t);
    take((struct given[]){{"a", "active", 1000}, {"b", "down", 0}}, 2);
    assert_int_equal(feed_rows_now(t), at);
    assert_string_equal(told(at, ""), "");
    take((struct given[]){{"a", "active", 1001}, {"b", "active", 500}}, 2);
    assert_string_equal(
        told(at, ""), "{\"rows\":[{\"uid\":\"b\",\"state\":\"active\",\"bitrate\":500}],\"gone\":[]}");
    assert_string_equal(told(at, "a*"), "");
    assert_string_equal(told(0, "x,b"),
        "{\"all\":true,\"rows\":[{\"uid\":\"b\",\"state\":\"active\",\"bitrate\":500}],\"gone\":[]}");
    assert_string_equal(told(0, "x"), "{\"all\":true,\"rows\":[],\"gone\":[]}");
}

/* Small steps add up: what was told stands until it is a 32nd away. */
static void steady(void **state)
{
    uint64_t at;

    (void)state;
    take((struct given[]){{"a", "active", 3200}}, 1);
    at = feed_rows_now(t);
    for (int64_t v = 3201; v < 3300; v++) take((struct given[]){{"a", "active", v}}, 1);
    assert_int_equal(feed_rows_now(t), at);
    take((struct given[]){{"a", "active", 3300}}, 1);
    assert_string_equal(told(at, ""), "{\"rows\":[{\"uid\":\"a\",\"bitrate\":3300}],\"gone\":[]}");
    at = feed_rows_now(t);
    take((struct given[]){{"a", "active", 0}}, 1);
    assert_string_equal(told(at, ""), "{\"rows\":[{\"uid\":\"a\",\"bitrate\":0}],\"gone\":[]}");
}

static void gone_and_back(void **state)
{
    uint64_t at;

    (void)state;
    take((struct given[]){{"a", "active", 1}, {"b", "down", 0}}, 2);
    at = feed_rows_now(t);
    take((struct given[]){{"a", "active", 1}}, 1);
    assert_string_equal(told(at, ""), "{\"rows\":[],\"gone\":[\"b\"]}");
    assert_string_equal(told(at, "a"), ""); /* nor is told that there was a b */
    take((struct given[]){{"a", "active", 1}, {"b", "idle", 0}}, 2);
    assert_string_equal(
        told(at, ""), "{\"rows\":[{\"uid\":\"b\",\"state\":\"idle\",\"bitrate\":0}],\"gone\":[]}");
    take(NULL, 0);
    assert_string_equal(told(at, ""), "{\"rows\":[],\"gone\":[\"b\",\"a\",\"b\"]}");
    assert_string_equal(told(0, ""), "{\"all\":true,\"rows\":[],\"gone\":[]}");
}

/* What is forgotten is known to be: from before it all is told anew. */
static void reach(void **state)
{
    uint64_t at;
    char uid[16];

    (void)state;
    assert_false(feed_rows_reach(t, 0) || feed_rows_reach(t, 1));
    take((struct given[]){{"a", "active", 1}}, 1);
    at = feed_rows_now(t);
    assert_true(feed_rows_reach(t, at));
    assert_false(feed_rows_reach(t, at + 1));
    for (int i = 0; i <= FEED_GONE_MAX; i++) {
        snprintf(uid, sizeof(uid), "x%d", i);
        take((struct given[]){{"a", "active", 1}, {uid, "idle", 0}}, 2);
    }
    assert_true(feed_rows_reach(t, at));
    take((struct given[]){{"a", "active", 1}}, 1);
    assert_false(feed_rows_reach(t, at));
    assert_true(feed_rows_reach(t, feed_rows_now(t)));
}

/* What hostile names become is JSON, in one line. */
static void hostile(void **state)
{
    static const char *const names[] = {"</script>\"\\\n\r\ndata: x\n\n", "\xff\xfe", "\u202e\u2028"};
    struct json_item item;

    (void)state;
    for (size_t i = 0; i < ARRAY_N(names); i++) {
        struct json j;

        take((struct given[]){{"a", names[i], 1}}, 1);
        j = json_of(span_of(told(0, "")));
        while (json_next(&j, &item)) continue;
        assert_false(j.bad);
        assert_true(span_find(span_of(told(0, "")), '\n') < 0);
    }
}

static bool wish(const char *text, struct feed_wish *w)
{
    *w = (struct feed_wish){.topics = 0};
    return feed_topics(span_of(text), w);
}

static void wishes(void **state)
{
    struct feed_wish w;

    (void)state;
    assert_true(wish("", &w) && w.topics == (FEED_STREAMS | FEED_SERVER | FEED_NOTICES));
    assert_true(wish("server, stream:cam-1 ,stream:b", &w) && w.topics == FEED_SERVER && w.n_details == 2);
    assert_string_equal(w.details[0], "cam-1");
    assert_false(wish("streams,x", &w) || wish("stream:", &w) || wish("stream:a/b", &w));
    assert_false(
        wish("stream:1,stream:2,stream:3,stream:4,stream:5,stream:6,stream:7,stream:8,stream:9", &w));
    w = (struct feed_wish){.boot = 0};
    feed_last_id(SPAN_LIT("0a1b2c3d-17"), &w);
    assert_true(w.boot == 0x0a1b2c3d && w.since == 17);
    w = (struct feed_wish){.boot = 0};
    feed_last_id(SPAN_LIT("0a1b2c3d"), &w);
    feed_last_id(SPAN_LIT("0a1b2c3-17"), &w);
    feed_last_id(SPAN_LIT("0a1b2c3d-x"), &w);
    feed_last_id(SPAN_LIT("0a1b2c3d--1"), &w);
    assert_true(w.boot == 0 && w.since == 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(all_and_changes, setup, teardown),
        cmocka_unit_test_setup_teardown(steady, setup, teardown),
        cmocka_unit_test_setup_teardown(gone_and_back, setup, teardown),
        cmocka_unit_test_setup_teardown(reach, setup, teardown),
        cmocka_unit_test_setup_teardown(hostile, setup, teardown),
        cmocka_unit_test(wishes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
