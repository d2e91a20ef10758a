/* Questions about lists of streams, as a script passes them on from a URL: msgpack, with a cursor that
 * anybody may have made. Whatever is asked, the answer is JSON, or a sentence; a cursor that was given is
 * taken. */
#include <stddef.h>
#include <stdint.h>

#include "common/wire/json.h"
#include "httpd/stream_rows.h"

#define ROWS 20

static struct buf bytes;
static struct unpack *rows_of;
static const struct packed *v[ROWS];

static void make_rows(void)
{
    struct packer p;

    buf_init(&bytes, 1 << 16);
    p = packer_of(&bytes);
    pack_array(&p, ROWS);
    for (unsigned i = 0; i < ROWS; i++) {
        char uid[16];

        snprintf(uid, sizeof(uid), "cam-%02u", i);
        pack_map(&p, 5);
        pack_kv_text(&p, "uid", uid);
        pack_kv_text(&p, "state", i % 2 ? "active" : "down \"<\xff");
        pack_kv_i64(&p, "bitrate", i % 3 ? (int64_t)i : INT64_MIN);
        pack_kv_f64(&p, "cpu", i / 3.0);
        pack_kv_bool(&p, "enabled", i % 5 == 0);
    }
    if (unpack_new(buf_span(&bytes), &rows_of) != 0) __builtin_trap();
    for (unsigned i = 0; i < ROWS; i++) v[i] = packed_at(unpack_root(rows_of), i);
}

static void check_json(struct span text)
{
    struct json j = json_of(text);
    struct json_item item;

    while (json_next(&j, &item)) {
    }
    if (j.bad) __builtin_trap();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    const struct rows rows = {.v = v, .n = ROWS};
    struct unpack *u;
    struct buf out;

    if (!rows_of) make_rows();
    if (unpack_new(span(data, n), &u) != 0) return 0;
    buf_init(&out, 1 << 20);
    if (!stream_rows_list(&rows, unpack_root(u), &out)) check_json(buf_span(&out));
    buf_done(&out);
    unpack_done(u);
    return 0;
}
