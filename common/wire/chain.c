#include "common/wire/chain.h"
#include "common/wire/json.h"

#define DIGEST_KEY ",\"digest\":\""

bool chain_end(struct buf *b, char digest[CHAIN_DIGEST])
{
    char text[2 * CRYPTO_HASH_MAX + 1];
    struct span fields;

    if (!buf_fmt(b, ",\"before\":\"%s\"", digest)) return false;
    fields = buf_span(b);
    crypto_hash_hex(CRYPTO_SHA256, &fields, 1, text);
    if (!buf_fmt(b, DIGEST_KEY "%s\"}\n", text)) return false;
    memcpy(digest, text, CHAIN_DIGEST);
    return true;
}

struct span chain_member(struct span line, const char *key)
{
    struct json j = json_of(line);
    struct json_item item;

    while (json_next(&j, &item))
        if (item.depth == 1 && span_is(item.key, key)) return item.text;
    return SPAN_NONE;
}

/* A text of ours has its quotes escaped, so this stands nowhere before. */
static struct span signed_part(struct span line)
{
    ssize_t at = span_find_span(line, SPAN_LIT(DIGEST_KEY));

    return at < 0 ? SPAN_NONE : span_sub(line, 0, (size_t)at);
}

static bool follows(struct span line, const char *before)
{
    struct span part = signed_part(line), digest = chain_member(line, "digest");
    char want[2 * CRYPTO_HASH_MAX + 1];

    if (part.n == 0 || !span_ends(line, SPAN_LIT("\"}")) ||
        part.n + sizeof(DIGEST_KEY) - 1 + digest.n + 2 != line.n)
        return false;
    crypto_hash_hex(CRYPTO_SHA256, &part, 1, want);
    return span_is(digest, want) && (before[0] == '\0' || span_is(chain_member(line, "before"), before));
}

size_t chain_check(struct span lines, char digest[CHAIN_DIGEST], size_t *ret_n)
{
    struct span line;

    *ret_n = 0;
    while (span_split(&lines, '\n', &line)) {
        if (line.n == 0 && !lines.p) break;
        ++*ret_n;
        if (!follows(line, digest)) return *ret_n;
        span_copy(chain_member(line, "digest"), digest, CHAIN_DIGEST);
    }
    return 0;
}
