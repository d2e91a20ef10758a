#include "worker/onvif_xml.h"
#include "common/base/err.h"
#include "common/base/mem.h"
#include "common/base/wr.h"

#include <expat.h>

#define SEP  '\n' /* between a namespace and a name, as expat gives them */
#define TT   "http://www.onvif.org/ver10/schema\n"
#define WSNT "http://docs.oasis-open.org/wsn/b-2\n"

enum place { NOWHERE = 0, STREAM, EVENT, NOTIFICATION, TOPIC, WRAPPER, MESSAGE, SOURCE, DATA };

/* From where to where an element leads; what is in no row is passed over with all that it holds. */
static const struct step {
    enum place in;
    const char *name;
    enum place to;
} steps[] = {
    {NOWHERE, TT "MetadataStream", STREAM},
    {STREAM, TT "Event", EVENT},
    {EVENT, WSNT "NotificationMessage", NOTIFICATION},
    {NOTIFICATION, WSNT "Topic", TOPIC},
    {NOTIFICATION, WSNT "Message", WRAPPER},
    {WRAPPER, TT "Message", MESSAGE},
    {MESSAGE, TT "Source", SOURCE},
    {MESSAGE, TT "Key", SOURCE},
    {MESSAGE, TT "Data", DATA},
};

struct reader {
    XML_Parser parser;
    enum place at[ONVIF_XML_DEPTH + 1]; /* of the open elements that count */
    unsigned depth;                     /* of them, */
    unsigned over;                      /* and of those inside that do not */
    unsigned messages;
    int err;
    struct onvif_message m;
    struct wr topic;
    onvif_message_fn *fn;
    void *arg;
};

static void stop(struct reader *r, int err)
{
    if (r->err == 0) r->err = err;
    XML_StopParser(r->parser, XML_FALSE);
}

static const char *attribute(const XML_Char **atts, const char *name)
{
    for (; atts[0]; atts += 2)
        if (strcmp(atts[0], name) == 0) return atts[1];
    return NULL;
}

/* Appends to a text of items; what does not fit is left out. */
static void add_item(char *items, size_t cap, const char *name, const char *value)
{
    size_t n = strlen(items), more = strlen(name) + strlen(value) + 2;

    if (n + more + 1 > cap) return;
    snprintf(items + n, cap - n, "%s%s=%s", n > 0 ? " " : "", name, value);
}

/* "1" and "0" are truth values by the schema; only these names make numbers of them that are none. */
static bool truth(const char *name, const char *value, bool *ret)
{
    static const char *const names[] = {"State", "IsMotion", "IsInside", "LogicalState", "Value"};
    struct span v = span_of(value);
    bool named = false;

    *ret = span_iis(v, "true") || strcmp(value, "1") == 0;
    if (span_iis(v, "true") || span_iis(v, "false")) return true;
    for (size_t i = 0; i < ARRAY_N(names); i++) named = named || strcmp(name, names[i]) == 0;
    return named && (strcmp(value, "1") == 0 || strcmp(value, "0") == 0);
}

static void item(struct reader *r, enum place in, const XML_Char **atts)
{
    const char *name = attribute(atts, "Name"), *value = attribute(atts, "Value");
    struct onvif_message *m = &r->m;
    bool state;

    if (!name || !value) return;
    if (in == SOURCE) {
        add_item(m->source, sizeof(m->source), name, value);
        return;
    }
    add_item(m->data, sizeof(m->data), name, value);
    if (m->has_state || !truth(name, value, &state)) return;
    m->has_state = true;
    m->state = state;
}

static enum onvif_operation operation_of(const char *text)
{
    static const char *const words[] = {
        [ONVIF_INITIALIZED] = "Initialized", [ONVIF_CHANGED] = "Changed", [ONVIF_DELETED] = "Deleted"};

    for (size_t i = ONVIF_INITIALIZED; text && i < ARRAY_N(words); i++)
        if (strcmp(text, words[i]) == 0) return (enum onvif_operation)i;
    return ONVIF_PULSE;
}

static void entered(struct reader *r, enum place to, const XML_Char **atts)
{
    const char *utc;

    if (to == NOTIFICATION) r->m = (struct onvif_message){.operation = ONVIF_PULSE};
    if (to == TOPIC) r->topic = wr_of(r->m.topic, sizeof(r->m.topic) - 1);
    if (to != MESSAGE) return;
    r->m.operation = operation_of(attribute(atts, "PropertyOperation"));
    utc = attribute(atts, "UtcTime");
    if (utc) span_copy(span_of(utc), r->m.utc, sizeof(r->m.utc));
}

static void XMLCALL on_start(void *arg, const XML_Char *name, const XML_Char **atts)
{
    struct reader *r = arg;
    enum place in = r->depth > 0 ? r->at[r->depth - 1] : NOWHERE;

    if (r->depth + r->over == ONVIF_XML_DEPTH) {
        stop(r, ONVIF_XML_E_LARGE);
        return;
    }
    if (r->over == 0 && (in == SOURCE || in == DATA) && strcmp(name, TT "SimpleItem") == 0) item(r, in, atts);
    for (size_t i = 0; r->over == 0 && i < ARRAY_N(steps); i++) {
        if (steps[i].in != in || strcmp(steps[i].name, name) != 0) continue;
        r->at[r->depth++] = steps[i].to;
        entered(r, steps[i].to, atts);
        return;
    }
    r->over++;
}

/* tns1:RuleEngine/tnsx:Detector -> RuleEngine/Detector, without what is around it. */
static void clean_topic(char topic[ONVIF_TOPIC_MAX])
{
    struct span rest = span_trim(span_of(topic)), part;
    char clean[ONVIF_TOPIC_MAX];
    struct wr w = wr_of(clean, sizeof(clean));

    while (span_split(&rest, '/', &part)) {
        ssize_t colon = span_find(part, ':');

        if (w.n > 0) wr_u8(&w, '/');
        wr_bytes(&w, span_from(part, (size_t)(colon + 1)));
    }
    span_copy(wr_span(&w), topic, ONVIF_TOPIC_MAX);
}

static void XMLCALL on_end(void *arg, const XML_Char *name)
{
    struct reader *r = arg;

    (void)name;
    if (r->over > 0) {
        r->over--;
        return;
    }
    if (r->at[--r->depth] != NOTIFICATION) return;
    clean_topic(r->m.topic);
    if (r->m.topic[0]) r->fn(r->arg, &r->m);
    if (++r->messages == ONVIF_XML_MESSAGES) stop(r, ONVIF_XML_E_LARGE);
}

static void XMLCALL on_text(void *arg, const XML_Char *text, int n)
{
    struct reader *r = arg;

    if (r->over == 0 && r->depth > 0 && r->at[r->depth - 1] == TOPIC && wr_left(&r->topic) >= (size_t)n)
        wr_bytes(&r->topic, span(text, (size_t)n));
}

static void XMLCALL on_doctype(
    void *arg, const XML_Char *name, const XML_Char *sysid, const XML_Char *pubid, int internal)
{
    (void)name;
    (void)sysid;
    (void)pubid;
    (void)internal;
    stop(arg, ONVIF_XML_E_BAD);
}

/* What may stand before the first element of plain XML: a byte order mark of UTF-8 or UTF-16, blanks. */
static bool is_plain(const struct piece *pieces, size_t n)
{
    static const uint8_t first[] = {'<', ' ', '\t', '\r', '\n', 0xef, 0xfe, 0xff};

    return n > 0 && pieces[0].s.n > 0 && memchr(first, pieces[0].s.p[0], sizeof(first));
}

static int feed(struct reader *r, const struct piece *pieces, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (XML_Parse(r->parser, (const char *)pieces[i].s.p, (int)pieces[i].s.n, i + 1 == n) !=
            XML_STATUS_OK)
            return r->err ? r->err : ONVIF_XML_E_BAD;
    return r->err;
}

int onvif_xml_read(const struct piece *pieces, size_t n, onvif_message_fn *fn, void *arg)
{
    struct reader *r;
    int err;

    if (!is_plain(pieces, n)) return ONVIF_XML_E_NONE;
    if (piece_bytes(pieces, n) > ONVIF_XML_MAX) return ONVIF_XML_E_LARGE;
    r = NEW(struct reader);
    *r = (struct reader){.parser = XML_ParserCreateNS(NULL, SEP), .fn = fn, .arg = arg};
    must(r->parser != NULL);
    XML_SetUserData(r->parser, r);
    XML_SetElementHandler(r->parser, on_start, on_end);
    XML_SetCharacterDataHandler(r->parser, on_text);
    XML_SetStartDoctypeDeclHandler(r->parser, on_doctype);
    err = feed(r, pieces, n);
    XML_ParserFree(r->parser);
    mem_free(r);
    return err;
}
