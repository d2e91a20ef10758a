/* master/fleet: whose word counts for a stream's state. */
#include "master/fleet.h"
#include "common/base/mem.h"
#include "master/master.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

/* As a worker says it. */
static void says(struct stream *s, enum stream_state state, const char *reason)
{
    struct incoming in = {.type = MSG_STATE};
    struct unpack *u;
    struct packer p;
    struct buf b;

    buf_init(&b, 1024);
    p = packer_of(&b);
    pack_map(&p, 3);
    pack_kv_u64(&p, "state", state);
    pack_kv_text(&p, "reason", reason);
    pack_kv_i64(&p, "since_us", 1);
    assert_int_equal(unpack_new(buf_span(&b), &u), 0);
    in.body = unpack_root(u);
    assert_int_equal(s->proc.ops->on_message(&s->proc, &in), 0);
    unpack_done(u);
    buf_done(&b);
}

/* What a worker had said before it heard that it ends comes behind the master's decision, and changes
 * nothing: the stream was shown as active for ever. */
static void last_words(void **state)
{
    struct master *m = NEW(struct master);
    struct conf *conf = NEW(struct conf);
    struct conf_stream off = {.uid = (char[]){"cam-1"}, .enable = CONF_DISABLED};
    struct stream *s;

    (void)state;
    m->loop = loop_new();
    m->conf = conf;
    fleet_add(m, &off);
    s = fleet_stream(m, SPAN_LIT("cam-1"));
    assert_non_null(s);
    assert_int_equal(s->state, STREAM_DISABLED);
    says(s, STREAM_ACTIVE, "");
    assert_int_equal(s->state, STREAM_DISABLED);
    assert_true(s->decided);
    says(s, STREAM_DOWN, "the camera is away");
    assert_string_equal(s->reason, "by its configuration");
    s->proc.wanted = true; /* it is to run again */
    says(s, STREAM_ACTIVE, "");
    assert_int_equal(s->state, STREAM_ACTIVE);
    assert_false(s->decided);
    s->proc.wanted = false;
    fleet_remove(m, SPAN_LIT("cam-1"));
    map_done(&m->fleet.by_uid);
    loop_free(m->loop);
    mem_free(conf);
    mem_free(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(last_words)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
