/* worker/onvif_xml and onvif_events: notification messages out of documents as cameras write them, hostile
 * ones, and what they mean. */
#include "common/base/mem.h"
#include "common/base/wr.h"
#include "worker/onvif_events.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#define HEAD                                                                                                 \
    "<?xml version=\"1.0\" encoding=\"UTF-8\"?><tt:MetadataStream "                                          \
    "xmlns:tt=\"http://www.onvif.org/ver10/schema\" xmlns:wsnt=\"http://docs.oasis-open.org/wsn/b-2\" "      \
    "xmlns:tns1=\"http://www.onvif.org/ver10/topics\">"
#define TAIL "</tt:MetadataStream>"
#define MESSAGE(topic, attributes, source, data)                                                             \
    "<tt:Event><wsnt:NotificationMessage><wsnt:Topic Dialect=\"x\">" topic "</wsnt:Topic><wsnt:Message>"     \
    "<tt:Message UtcTime=\"2026-01-01T00:00:00Z\" " attributes "><tt:Source>" source                         \
    "</tt:Source><tt:Data>" data                                                                             \
    "</tt:Data></tt:Message></wsnt:Message></wsnt:NotificationMessage></tt:Event>"
#define ITEM(name, value) "<tt:SimpleItem Name=\"" name "\" Value=\"" value "\"/>"
#define MOTION(value)                                                                                        \
    MESSAGE("tns1:RuleEngine/CellMotionDetector/Motion", "PropertyOperation=\"Changed\"", ITEM("Rule", "a"), \
        ITEM("IsMotion", value))

struct got {
    struct onvif_message last;
    unsigned n;
};

static void on_message(void *arg, const struct onvif_message *m)
{
    struct got *g = arg;

    g->last = *m;
    g->n++;
}

/* In pieces of so many bytes. */
static int read_in(struct span doc, size_t size, struct got *g)
{
    struct piece *p = mem_new((doc.n / size + 1) * sizeof(*p));
    size_t n = 0;
    int err;

    *g = (struct got){.n = 0};
    while (doc.n > 0) {
        p[n++] = (struct piece){.s = span_sub(doc, 0, size)};
        doc = span_from(doc, p[n - 1].s.n);
    }
    err = onvif_xml_read(p, n, on_message, g);
    mem_free(p);
    return err;
}

static int read_text(const char *doc, struct got *g)
{
    return read_in(span_of(doc), 1400, g);
}

static void a_motion_is_read(void **state)
{
    struct got g;

    (void)state;
    for (size_t size = 1; size < 900; size = size * 2 + 1) {
        assert_int_equal(read_in(SPAN_LIT(HEAD MOTION("true") TAIL), size, &g), ONVIF_XML_OK);
        assert_int_equal(g.n, 1);
        assert_string_equal(g.last.topic, "RuleEngine/CellMotionDetector/Motion");
        assert_string_equal(g.last.source, "Rule=a");
        assert_string_equal(g.last.data, "IsMotion=true");
        assert_string_equal(g.last.utc, "2026-01-01T00:00:00Z");
        assert_true(g.last.has_state && g.last.state && g.last.operation == ONVIF_CHANGED);
    }
}

static void what_is_said_in_other_ways(void **state)
{
    static const struct {
        const char *doc, *topic;
        bool has_state, state;
        enum onvif_operation operation;
    } rows[] = {
        /* other prefixes, the default namespace, blanks and a comment in the topic */
        {"<MetadataStream xmlns=\"http://www.onvif.org/ver10/schema\" "
         "xmlns:b=\"http://docs.oasis-open.org/wsn/b-2\">"
         "<Event><b:NotificationMessage><b:Topic>\n tns1:VideoSource/<!-- x -->tnsv:MotionAlarm "
         "</b:Topic><b:Message>"
         "<Message PropertyOperation=\"Initialized\"><Data><SimpleItem Value=\"1\" "
         "Name=\"State\"/></Data></Message>"
         "</b:Message></b:NotificationMessage></Event></MetadataStream>",
            "VideoSource/MotionAlarm", true, true, ONVIF_INITIALIZED},
        {HEAD MESSAGE("tns1:RuleEngine/LineDetector/Crossed", "", "", ITEM("ObjectId", "1")) TAIL,
            "RuleEngine/LineDetector/Crossed", false, false, ONVIF_PULSE},
        {HEAD MESSAGE("a/b", "PropertyOperation=\"Deleted\"", "", ITEM("x", "y") ITEM("State", "FALSE")) TAIL,
            "a/b", true, false, ONVIF_DELETED},
        {HEAD "<tt:VideoAnalytics><tt:Frame UtcTime=\"x\"><tt:Object/></tt:Frame></tt:VideoAnalytics>" MOTION(
             "0") TAIL,
            "RuleEngine/CellMotionDetector/Motion", true, false, ONVIF_CHANGED},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_N(rows); i++) {
        struct got g;

        if (read_text(rows[i].doc, &g) != ONVIF_XML_OK || g.n != 1) fail_msg("row %zu: n=%u", i, g.n);
        assert_string_equal(g.last.topic, rows[i].topic);
        assert_int_equal(g.last.has_state, rows[i].has_state);
        assert_int_equal(g.last.state, rows[i].state);
        assert_int_equal(g.last.operation, rows[i].operation);
    }
}

static void what_is_no_message(void **state)
{
    static const struct {
        const char *doc;
        int err;
    } rows[] = {
        {HEAD TAIL, ONVIF_XML_OK},
        {"<a/>", ONVIF_XML_OK},
        /* right names in no namespace, or in another place */
        {"<MetadataStream><Event><NotificationMessage><Topic>a</Topic></NotificationMessage></Event></"
         "MetadataStream>",
            ONVIF_XML_OK},
        {HEAD "<tt:VideoAnalytics>" MOTION("true") "</tt:VideoAnalytics>" TAIL, ONVIF_XML_OK},
        {HEAD MESSAGE("", "", "", "") TAIL, ONVIF_XML_OK},
        {"", ONVIF_XML_E_NONE},
        {"\x1f\x8b gzip", ONVIF_XML_E_NONE},
        {"$EXI", ONVIF_XML_E_NONE},
        {"<a>", ONVIF_XML_E_BAD},
        {"<a></b>", ONVIF_XML_E_BAD},
        {"<x:a/>", ONVIF_XML_E_BAD},
        {"<a>\xff</a>", ONVIF_XML_E_BAD},
        {"<a/><b/>", ONVIF_XML_E_BAD},
        {"<!DOCTYPE a SYSTEM \"file:///etc/passwd\"><a/>", ONVIF_XML_E_BAD},
        {"<!DOCTYPE a [<!ENTITY b \"c\"><!ENTITY d \"&b;&b;\">]><a>&d;</a>", ONVIF_XML_E_BAD},
        {"<a>&undefined;</a>", ONVIF_XML_E_BAD},
        {"<?xml version=\"1.0\" encoding=\"EBCDIC-37\"?><a/>", ONVIF_XML_E_BAD},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_N(rows); i++) {
        struct got g;
        int err = read_text(rows[i].doc, &g);

        if (err != rows[i].err || g.n != 0) fail_msg("row %zu: err=%d n=%u", i, err, g.n);
    }
}

/* At each limit, and one above. */
static void limits(void **state)
{
    struct got g;
    struct wr w;
    char *doc = mem_new(ONVIF_XML_MAX + 64);

    (void)state;
    for (int deep = ONVIF_XML_DEPTH; deep <= ONVIF_XML_DEPTH + 1; deep++) {
        w = wr_of(doc, ONVIF_XML_MAX);
        for (int i = 0; i < deep; i++) wr_text(&w, "<a>");
        for (int i = 0; i < deep; i++) wr_text(&w, "</a>");
        assert_int_equal(
            read_in(wr_span(&w), 1400, &g), deep > ONVIF_XML_DEPTH ? ONVIF_XML_E_LARGE : ONVIF_XML_OK);
    }
    memset(doc, ' ', ONVIF_XML_MAX + 1);
    memcpy(doc, "<a/>", 4);
    assert_int_equal(read_in(span(doc, ONVIF_XML_MAX), 1400, &g), ONVIF_XML_OK);
    assert_int_equal(read_in(span(doc, ONVIF_XML_MAX + 1), 1400, &g), ONVIF_XML_E_LARGE);
    w = wr_of(doc, ONVIF_XML_MAX);
    wr_text(&w, HEAD);
    for (int i = 0; i < ONVIF_XML_MESSAGES + 1; i++) wr_text(&w, MOTION("true"));
    wr_text(&w, TAIL);
    assert_int_equal(read_in(wr_span(&w), 1400, &g), ONVIF_XML_E_LARGE);
    assert_int_equal(g.n, ONVIF_XML_MESSAGES);
    /* Texts that are too long: items are left out, a topic is cut. */
    w = wr_of(doc, ONVIF_XML_MAX);
    wr_text(&w, HEAD "<tt:Event><wsnt:NotificationMessage><wsnt:Topic>");
    for (int i = 0; i < 5000; i++) wr_text(&w, "topic");
    wr_text(&w, "</wsnt:Topic><wsnt:Message><tt:Message UtcTime=\"");
    for (int i = 0; i < 500; i++) wr_text(&w, "2026");
    wr_text(&w, "\"><tt:Data>" ITEM("a", "b") "<tt:SimpleItem Name=\"c\" Value=\"");
    for (int i = 0; i < 500; i++) wr_text(&w, "value");
    wr_text(&w,
        "\"/>" ITEM(
            "d", "e") "</tt:Data></tt:Message></wsnt:Message></wsnt:NotificationMessage></tt:Event>" TAIL);
    assert_int_equal(read_in(wr_span(&w), 100, &g), ONVIF_XML_OK);
    assert_string_equal(g.last.data, "a=b d=e");
    assert_true(strlen(g.last.topic) < ONVIF_TOPIC_MAX);
    mem_free(doc);
}

/* --- what they mean --- */

static struct onvif_message message(const char *topic, const char *source, int state, enum onvif_operation op)
{
    struct onvif_message m = {.operation = op, .has_state = state >= 0, .state = state > 0};

    span_copy(span_of(topic), m.topic, sizeof(m.topic));
    span_copy(span_of(source), m.source, sizeof(m.source));
    return m;
}

static void states_begin_and_end(void **state)
{
    static const struct {
        const char *topic, *source;
        int state; /* -1: none */
        enum onvif_operation operation;
        int64_t at_s;
        enum onvif_tell tell;
        int64_t start_s, end_s;
        const char *kind;
    } rows[] = {
        /* the first word of a source: what a worker before us may have told of is over */
        {"VideoSource/MotionAlarm", "a", 0, ONVIF_INITIALIZED, 100, ONVIF_TELL_OVER, 100, 100, "motion"},
        {"VideoSource/MotionAlarm", "a", 1, ONVIF_CHANGED, 101, ONVIF_TELL, 101, 0, "motion"},
        {"VideoSource/MotionAlarm", "a", 1, ONVIF_CHANGED, 102, ONVIF_TELL_NOT, 0, 0, ""},
        {"VideoSource/MotionAlarm", "b", 1, ONVIF_CHANGED, 103, ONVIF_TELL, 103, 0, "motion"},
        {"VideoSource/MotionAlarm", "a", 1, ONVIF_CHANGED, 101 + 300, ONVIF_TELL, 101, 0, "motion"},
        {"VideoSource/MotionAlarm", "a", 0, ONVIF_CHANGED, 405, ONVIF_TELL_OVER, 101, 405, "motion"},
        {"VideoSource/MotionAlarm", "a", 0, ONVIF_CHANGED, 406, ONVIF_TELL_NOT, 0, 0, ""},
        {"VideoSource/MotionAlarm", "b", 1, ONVIF_DELETED, 407, ONVIF_TELL_OVER, 103, 407, "motion"},
        {"RuleEngine/LineDetector/Crossed", "r", -1, ONVIF_PULSE, 408, ONVIF_TELL, 408, 408,
            "RuleEngine/LineDetector/Crossed"},
        {"RuleEngine/My Rule#1", "r", -1, ONVIF_CHANGED, 409, ONVIF_TELL, 409, 409, "RuleEngine/My_Rule_1"},
        {"RuleEngine/Field", "r", -1, ONVIF_INITIALIZED, 410, ONVIF_TELL_NOT, 0, 0, ""},
        /* nothing that happens before the camera */
        {"Monitoring/ProcessorUsage", "x", 1, ONVIF_CHANGED, 411, ONVIF_TELL_NOT, 0, 0, ""},
        {"Device/HardwareFailure/FanFailure", "x", 1, ONVIF_CHANGED, 412, ONVIF_TELL_NOT, 0, 0, ""},
        {"Device/Trigger/DigitalInput", "x", 1, ONVIF_CHANGED, 413, ONVIF_TELL, 413, 0,
            "Device/Trigger/DigitalInput"},
    };
    struct onvif_events *ev = NEW(struct onvif_events);
    struct event *e = NEW(struct event);

    (void)state;
    for (size_t i = 0; i < ARRAY_N(rows); i++) {
        struct onvif_message m = message(rows[i].topic, rows[i].source, rows[i].state, rows[i].operation);
        enum onvif_tell tell = onvif_events_take(ev, &m, rows[i].at_s * US_PER_S, e);

        if (tell != rows[i].tell) fail_msg("row %zu: %d", i, tell);
        if (tell == ONVIF_TELL_NOT) continue;
        if (e->start_us != rows[i].start_s * US_PER_S || e->end_us != rows[i].end_s * US_PER_S)
            fail_msg("row %zu: %lld %lld", i, (long long)e->start_us, (long long)e->end_us);
        assert_string_equal(e->kind, rows[i].kind);
        assert_true(e->id != 0 && event_kind_ok(span_of(e->kind)));
    }
    /* What goes on ends with the session. */
    assert_true(onvif_events_end(ev, 500 * US_PER_S, e));
    assert_string_equal(e->kind, "Device/Trigger/DigitalInput");
    assert_true(e->start_us == 413 * US_PER_S && e->end_us == 500 * US_PER_S);
    assert_false(onvif_events_end(ev, 500 * US_PER_S, e));
    mem_free(e);
    mem_free(ev);
}

/* A camera that reports without end: so many beginnings a minute, and each of them ends. */
static void a_flood_is_held_back(void **state)
{
    struct onvif_events *ev = NEW(struct onvif_events);
    struct event *e = NEW(struct event);
    unsigned begun = 0, over = 0;

    (void)state;
    for (int i = 0; i < 1000; i++) {
        struct onvif_message m = message("VideoSource/MotionAlarm", "a", 1, ONVIF_CHANGED);

        begun += onvif_events_take(ev, &m, 1000 * US_PER_S + i * 10 * US_PER_MS, e) == ONVIF_TELL;
        m.state = false;
        over += onvif_events_take(ev, &m, 1000 * US_PER_S + i * 10 * US_PER_MS + 1, e) == ONVIF_TELL_OVER;
    }
    assert_int_equal(begun, ONVIF_MINUTE_MAX);
    assert_int_equal(over, ONVIF_MINUTE_MAX);
    assert_int_equal(ev->held, 1000 - ONVIF_MINUTE_MAX);
    for (int i = 0; i < 1000; i++) { /* more sources than are remembered */
        struct onvif_message m = message("VideoSource/MotionAlarm", "", 1, ONVIF_CHANGED);

        snprintf(m.source, sizeof(m.source), "s=%d", i);
        (void)onvif_events_take(ev, &m, 5000 * US_PER_S + i * 10 * US_PER_MS, e);
    }
    assert_int_equal(ev->n, ONVIF_STATES_MAX);
    mem_free(e);
    mem_free(ev);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(a_motion_is_read),
        cmocka_unit_test(what_is_said_in_other_ways), cmocka_unit_test(what_is_no_message),
        cmocka_unit_test(limits), cmocka_unit_test(states_begin_and_end),
        cmocka_unit_test(a_flood_is_held_back)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
