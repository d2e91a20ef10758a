#include "master/keeps.h"
#include "common/base/fd.h"
#include "common/base/mem.h"
#include "common/wire/json.h"
#include "master/state_file.h"

#include <errno.h>

#define FILE_NAME "plugins"
#define FILE_MAX  (KEEPS_MAX * 16384u)

struct keep {
    char plugin[KEEPS_NAME_MAX + 1], key[KEEPS_KEY_MAX + 1];
    char *value;
    size_t n;
};

static struct keep *find(struct keeps *k, struct span plugin, struct span key)
{
    for (size_t i = 0; i < k->n; i++)
        if (span_is(plugin, k->v[i].plugin) && span_is(key, k->v[i].key)) return &k->v[i];
    return NULL;
}

static void drop(struct keeps *k, struct keep *e)
{
    mem_free(e->value);
    *e = k->v[--k->n];
}

static void put(struct keeps *k, struct span plugin, struct span key, struct span value)
{
    struct keep *e = find(k, plugin, key);

    if (!value.p) {
        if (e) drop(k, e);
        return;
    }
    if (plugin.n > KEEPS_NAME_MAX || key.n > KEEPS_KEY_MAX || value.n > KEEPS_VALUE_MAX) return;
    if (!e) {
        if (k->n == KEEPS_MAX) return;
        k->v = mem_renew(k->v, (k->n + 1) * sizeof(*k->v));
        e = &k->v[k->n++];
        *e = (struct keep){.n = 0};
        span_copy(plugin, e->plugin, sizeof(e->plugin));
        span_copy(key, e->key, sizeof(e->key));
    }
    mem_free(e->value);
    e->value = span_dup(value);
    e->n = value.n;
}

void keeps_put(struct keeps *k, const struct packed *body)
{
    put(k, packed_str(body, "plugin"), packed_str(body, "key"), packed_str(body, "value"));
    k->changed = true;
}

void keeps_send(const struct keeps *k, struct channel *httpd)
{
    for (size_t i = 0; i < k->n; i++) {
        struct packer *p = channel_begin(httpd, MSG_STORE, 3);

        pack_kv_text(p, "plugin", k->v[i].plugin);
        pack_kv_text(p, "key", k->v[i].key);
        pack_kv_str(p, "value", span(k->v[i].value, k->v[i].n));
        channel_end(httpd, NULL, 0);
    }
}

/* --- state-dir --- */

static void read_line(struct keeps *k, struct span line)
{
    static const char *const names[] = {"plugin", "key", "value"};
    uint8_t mem[KEEPS_NAME_MAX + KEEPS_KEY_MAX + KEEPS_VALUE_MAX];
    struct wr w = wr_of(mem, sizeof(mem));
    struct span fields[3] = {SPAN_NONE, SPAN_NONE, SPAN_NONE};
    struct json j = json_of(line);
    struct json_item item;

    while (json_next(&j, &item))
        for (size_t i = 0; i < ARRAY_N(names); i++) {
            size_t from = w.n;

            if (item.type == JSON_TEXT && span_is(item.key, names[i]) && json_read_text(&w, item.text))
                fields[i] = span(mem + from, w.n - from);
        }
    if (!j.bad && fields[0].p && fields[1].p && fields[2].p) put(k, fields[0], fields[1], fields[2]);
}

int keeps_open(struct keeps *k, int state_dir)
{
    struct span rest, line;
    uint8_t *p;
    size_t n;
    int err;

    *k = (struct keeps){.file = state_file_new(state_dir, FILE_NAME)};
    if (!k->file) return -EMFILE;
    err = fd_read_file(state_dir, FILE_NAME, FILE_MAX, &p, &n);
    if (err == -ENOENT) return 0;
    if (err < 0) return err;
    rest = span(p, n);
    while (span_split(&rest, '\n', &line))
        if (line.n > 0) read_line(k, line);
    mem_free(p);
    return 0;
}

static bool write_line(struct buf *b, const struct keep *e)
{
    return buf_text(b, "{\"plugin\":") && json_put_text(b, span_of(e->plugin)) && buf_text(b, ",\"key\":") &&
        json_put_text(b, span_of(e->key)) && buf_text(b, ",\"value\":") &&
        json_put_text(b, span(e->value, e->n)) && buf_text(b, "}\n");
}

void keeps_tick(struct keeps *k)
{
    struct buf b;
    bool ok = true;

    if (!k->changed) return;
    k->changed = false;
    buf_init(&b, FILE_MAX * 2);
    for (size_t i = 0; ok && i < k->n; i++) ok = write_line(&b, &k->v[i]);
    if (ok) state_file_write(k->file, buf_span(&b));
    buf_done(&b);
}

void keeps_close(struct keeps *k)
{
    if (k->file) keeps_tick(k);
    state_file_free(k->file);
    for (size_t i = 0; i < k->n; i++) mem_free(k->v[i].value);
    mem_free(k->v);
    *k = (struct keeps){.n = 0};
}
