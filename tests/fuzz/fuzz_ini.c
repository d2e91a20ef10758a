/* Any bytes as an ini file: its sections and keys, and each value read as every type; and keys of it changed.
 * What was read is checked for the promises of source.h and edit.h. */
#include "common/base/err.h"
#include "common/base/mem.h"
#include "common/conf/edit.h"
#include "common/conf/source.h"
#include "common/conf/value.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

#define VALUES_MAX 64 /* of one input, tried as every type */

static void try_all(const struct source_item *item)
{
    uint8_t field[VALUE_FIELD_MAX] __attribute__((aligned(16))) = {0};
    struct value_from from = {item->value, item->quoted, item->torn, "/dir"};
    struct value_why why;
    uint64_t h = 0;

    for (size_t i = 0; i < conf_rows_n; i++) {
        if (value_nothing(&conf_rows[i], from.text)) continue;
        if (value_parse(&conf_rows[i], &from, field, &why)) {
            value_hash(&conf_rows[i], field, &h);
            value_done(&conf_rows[i], field);
        } else
            must(why.text[0] != 0);
    }
}

static void check(const struct source *s)
{
    size_t left = VALUES_MAX;

    for (size_t i = 0; i < s->n; i++) {
        must(strlen(s->sections[i].path) <= SOURCE_PATH_MAX);
        for (size_t k = 0; k < s->sections[i].n; k++) {
            const struct source_item *item = &s->sections[i].items[k];

            must(item->value.n <= CONF_VALUE_MAX && strlen(item->key) <= SOURCE_KEY_MAX);
            must(item->line >= s->sections[i].line && !(item->quoted && item->torn));
            if (left > 0) {
                left--;
                try_all(item);
            }
        }
    }
}

static const struct source_section *section(const struct source *s, const char *path)
{
    for (size_t i = 0; i < s->n; i++)
        if (strcmp(s->sections[i].path, path) == 0) return &s->sections[i];
    return NULL;
}

/* The last one counts. */
static const struct source_item *item(const struct source_section *s, const char *key)
{
    const struct source_item *found = NULL;

    for (size_t i = 0; s && i < s->n; i++)
        if (strcmp(s->items[i].key, key) == 0) found = &s->items[i];
    return found;
}

static bool same(const struct source_item *a, const struct source_item *b)
{
    return a && b && span_eq(a->value, b->value) && a->quoted == b->quoted && a->torn == b->torn;
}

/* What was set reads back, what was taken away is gone, everything else is as it was. */
static void check_edit(const struct source *before, const struct source *after)
{
    const struct source_section *was = section(before, "cam"), *is = section(after, "cam");

    must(is && item(is, "stream-name") && span_is(item(is, "stream-name")->value, "a \"b\" # c"));
    must(item(is, "dvr-chunk") && span_is(item(is, "dvr-chunk")->value, "30s") && !item(is, "stream-url"));
    must(after->n == before->n + !was);
    for (size_t i = 0; i < before->n; i++)
        for (size_t k = 0; k < before->sections[i].n; k++) {
            const struct source_section *sec = &before->sections[i];
            const char *key = sec->items[k].key;

            if (sec == was &&
                (strcmp(key, "stream-name") == 0 || strcmp(key, "dvr-chunk") == 0 ||
                    strcmp(key, "stream-url") == 0))
                continue;
            must(same(item(sec, key), item(section(after, sec->path), key)));
        }
}

static void edit(const uint8_t *data, size_t n)
{
    static const struct conf_set set[] = {
        {"stream-name", "a \"b\" # c", NULL}, {"dvr-chunk", "30s", NULL}, {"stream-url", NULL, NULL}};
    struct conf_report r = {0};
    struct source before, after;
    struct buf to;
    size_t at;

    buf_init(&to, 4u << 20);
    source_parse(&before, "fuzz.ini", mem_dup(data, n), n, SOURCE_BARE_KEYS, &r);
    if (conf_edit(span(data, n), SPAN_LIT("cam"), set, ARRAY_N(set), &to, &at) == CONF_EDIT_OK) {
        source_parse(
            &after, "fuzz.ini", mem_dup(buf_span(&to).p, buf_n(&to)), buf_n(&to), SOURCE_BARE_KEYS, &r);
        check_edit(&before, &after);
        source_done(&after);
    }
    source_done(&before);
    conf_report_done(&r);
    buf_done(&to);
}

static void check_set(const struct source *s, const char *path, const char *key, const char *value)
{
    const struct source_item *found = item(section(s, path), key);

    must(found && span_is(found->value, value));
}

/* media-server.ini: a section in a section, made where it is not there. */
static void edit_site(const uint8_t *data, size_t n)
{
    static const struct conf_set set[] = {
        {"web", "*:80/", "server/stream"}, {"k", "\"a,b\", 1", "server/stream/keys"}};
    struct conf_report r = {0};
    struct source before, after;
    struct buf to;
    size_t at;

    buf_init(&to, 4u << 20);
    source_parse(&before, "fuzz.ini", mem_dup(data, n), n, 0, &r);
    if (r.mistakes == 0 && conf_edit(span(data, n), SPAN_NONE, set, ARRAY_N(set), &to, &at) == CONF_EDIT_OK) {
        source_parse(&after, "fuzz.ini", mem_dup(buf_span(&to).p, buf_n(&to)), buf_n(&to), 0, &r);
        check_set(&after, "server/stream", "web", "*:80/");
        check_set(&after, "server/stream/keys", "k", "\"a,b\", 1");
        for (size_t i = 0; i < before.n; i++)
            for (size_t k = 0; k < before.sections[i].n; k++) {
                const struct source_section *sec = &before.sections[i];
                const char *key = sec->items[k].key;

                if (strcmp(key, "web") != 0 && strcmp(key, "k") != 0)
                    must(same(item(sec, key), item(section(&after, sec->path), key)));
            }
        source_done(&after);
    }
    source_done(&before);
    conf_report_done(&r);
    buf_done(&to);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static const unsigned flags[] = {0, SOURCE_BARE_KEYS, SOURCE_NO_SECTION};

    if (n > SOURCE_FILE_MAX) return 0;
    for (size_t i = 0; i < ARRAY_N(flags); i++) {
        struct conf_report r = {0};
        struct source s;

        source_parse(&s, "fuzz.ini", mem_dup(data, n), n, flags[i], &r);
        check(&s);
        source_done(&s);
        conf_report_done(&r);
    }
    edit(data, n);
    edit_site(data, n);
    return 0;
}
