/* Manifests of evidence: any bytes; what is taken has all that verify goes by. */
#include "archive/manifest.h"
#include "common/wire/json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

/* Every item lies in the input, and every call takes of it. */
static void items(struct span text)
{
    struct json j = json_of(text);
    struct json_item i;
    size_t left = text.n + 1;

    while (json_next(&j, &i)) {
        if (j.rest.n >= left || i.depth > JSON_DEPTH_MAX) __builtin_trap();
        if (i.text.n > text.n ||
            (i.text.n > 0 && (i.text.p < text.p || i.text.p + i.text.n > text.p + text.n)))
            __builtin_trap();
        left = j.rest.n;
    }
}

/* What json_put_text writes is one text. */
static void written(struct span text)
{
    struct json_item i;
    struct json j;
    struct buf b;

    buf_init(&b, 1u << 20);
    if (json_put_text(&b, text)) {
        j = json_of(buf_span(&b));
        if (!json_next(&j, &i) || i.type != JSON_TEXT || json_next(&j, &i) || j.bad) __builtin_trap();
    }
    buf_done(&b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct span text = span(data, n);
    struct manifest_claim c;

    items(text);
    written(text);
    if (manifest_read(text, &c)) return 0;
    if (c.key.secret || strlen(c.sum) != EVIDENCE_SUM_MAX - 1 || !c.uid.p || !c.from.p || !c.to.p)
        __builtin_trap();
    return 0;
}
