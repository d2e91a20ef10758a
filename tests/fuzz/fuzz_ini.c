/* Any bytes as an ini file: its sections and keys, and each value read as every type. What was read is
 * checked for the promises of source.h. */
#include "common/base/err.h"
#include "common/base/mem.h"
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
    return 0;
}
