/* JSON (RFC 8259), read item by item without a tree, and text as JSON writes it. Reads what others wrote:
 * strict, at most JSON_DEPTH_MAX deep, every call takes at least a byte or ends. Nothing is copied: keys and
 * texts are spans of the input, with their escapes. Tests: tests/unit/wire/test_json.c,
 * tests/fuzz/fuzz_manifest.c. */
#ifndef WIRE_JSON_H
#define WIRE_JSON_H

#include "common/base/buf.h"
#include "common/base/utf8.h"
#include "common/base/wr.h"

#define JSON_DEPTH_MAX 16

enum json_type { JSON_OBJECT, JSON_ARRAY, JSON_END /* of one of them */, JSON_TEXT, JSON_NUMBER, JSON_WORD };
struct json_item {
    enum json_type type;
    unsigned depth;   /* of what it stands in; 0: the whole */
    struct span key;  /* in an object, without quotes; else p NULL */
    struct span text; /* of the last three; JSON_TEXT: without quotes */
};
struct json {
    struct span rest;
    unsigned depth;
    uint32_t arrays;  /* a bit for each depth */
    bool first, done; /* nothing has come in this one yet; the whole has ended */
    bool bad;
};
struct json json_of(struct span text);
/* false: at the end; j->bad: it is no JSON. */
bool json_next(struct json *j, struct json_item *ret);

/* Takes one character off the front of a text, and returns it as it stands between JSON's quotes: escaped
 * where it has to be, or would harm who shows it (utf8.h). Empty when s is. */
struct span json_shown(struct span *s, char buf[static UTF8_SHOWN_MAX]);
/* What the escapes of a text or key stand for, as UTF-8. false: half a pair of surrogates, or no room. */
bool json_read_text(struct wr *w, struct span text);
/* With its quotes; bytes that are no UTF-8 become U+FFFD. false: to's limit. */
bool json_put_text(struct buf *to, struct span s);

#endif
