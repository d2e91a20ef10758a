#include "master/secondary.h"
#include "common/base/clock.h"
#include "common/base/fd.h"
#include "common/base/log.h"
#include "common/base/mem.h"
#include "common/conf/source.h"
#include "common/ipc/pack.h"
#include "master/edits.h"
#include "master/master.h"
#include "master/state_file.h"

#include <errno.h>
#include <fcntl.h>

#define FILE_NAME "secondary"
#define FILE_MAX  (SECONDARY_MAX * (2u * CONF_VALUE_MAX + 64))
#define KEY       "stream-url"
#define AGAIN_S   60 /* behind a change back that was refused */
#define ITEMS     4  /* of a row in the file: uid, until_s, before, now */

static int64_t now_s(void)
{
    return clock_wall_us() / US_PER_S;
}

/* --- the table --- */

static struct secondary_row *find(struct secondary *x, const char *uid)
{
    for (size_t i = 0; i < x->n; i++)
        if (strcmp(x->v[i].uid, uid) == 0) return &x->v[i];
    return NULL;
}

static void drop(struct secondary *x, struct secondary_row *row)
{
    mem_free(row->before);
    mem_free(row->now);
    *row = x->v[--x->n];
}

static void save(const struct secondary *x)
{
    struct packer p;
    struct buf b;

    buf_init(&b, FILE_MAX);
    p = packer_of(&b);
    pack_array(&p, (uint32_t)x->n);
    for (size_t i = 0; i < x->n; i++) {
        pack_array(&p, ITEMS);
        pack_str(&p, span_of(x->v[i].uid));
        pack_i64(&p, x->v[i].until_s);
        pack_str(&p, span_of(x->v[i].before));
        pack_str(&p, span_of(x->v[i].now));
    }
    if (!p.bad) state_file_write(x->file, buf_span(&b));
    buf_done(&b);
}

static bool is_text(struct span s)
{
    return s.n <= CONF_VALUE_MAX && (s.n == 0 || !memchr(s.p, 0, s.n));
}

bool secondary_read(struct secondary *x, struct span bytes)
{
    const struct packed *rows;
    struct unpack *u;

    if (unpack_new(bytes, &u) != 0) return false;
    rows = unpack_root(u);
    for (size_t i = 0; i < packed_n(rows) && x->n < SECONDARY_MAX; i++) {
        const struct packed *row = packed_at(rows, i);
        struct span uid = packed_as_str(packed_at(row, 0)), before = packed_as_str(packed_at(row, 2));
        struct span now = packed_as_str(packed_at(row, 3));
        struct secondary_row *to = &x->v[x->n];

        if (packed_n(row) != ITEMS || conf_uid_refused(uid) || !is_text(before) || !is_text(now)) continue;
        *to = (struct secondary_row){.until_s = packed_as_i64(packed_at(row, 1), 0)};
        span_copy(uid, to->uid, sizeof(to->uid));
        if (find(x, to->uid)) continue;
        to->before = span_dup(before);
        to->now = span_dup(now);
        x->n++;
    }
    unpack_done(u);
    return true;
}

int secondary_open(struct secondary *x, int state_dir)
{
    uint8_t *bytes;
    size_t n;
    int err = fd_read_file(state_dir, FILE_NAME, FILE_MAX, &bytes, &n);

    *x = (struct secondary){.file = state_file_private(state_dir, FILE_NAME)};
    if (!x->file) return -EMFILE;
    if (err < 0) return err == -ENOENT ? 0 : err;
    if (!secondary_read(x, span(bytes, n))) err = -EBADMSG;
    mem_free(bytes);
    return err;
}

void secondary_close(struct secondary *x)
{
    while (x->n > 0) drop(x, &x->v[0]);
    state_file_free(x->file);
    x->file = NULL;
}

/* --- the stream's file --- */

struct found {
    char url[CONF_VALUE_MAX + 1];
};

static void take_url(void *arg, const char *key, struct span value)
{
    struct found *f = arg;

    if (strcmp(key, KEY) == 0) span_copy(value, f->url, sizeof(f->url));
}

/* As it stands there now; false: there is no such stream, or its file cannot be read. */
static bool url_now(const struct master *m, const char *uid, struct found *ret)
{
    const struct conf_stream *c = conf_stream(m->conf, span_of(uid));
    uint8_t *text;
    size_t n;

    *ret = (struct found){""};
    if (!c || fd_read_file(AT_FDCWD, c->file, SOURCE_FILE_MAX, &text, &n) < 0) return false;
    conf_show(span(text, n), span_of(uid), take_url, ret);
    mem_free(text);
    return true;
}

static int edit(struct master *m, const struct secondary_order *o, struct conf_report *r, char *text)
{
    const struct conf_set set = {KEY, o->url[0] ? o->url : NULL, NULL};
    const struct stream_edit e = {.kind = EDIT_SET, .quiet = true, .uid = o->uid, .set = &set, .n = 1};
    const struct edits_order order = {.v = &e, .n = 1, .by = o->by, .why = "another source for a while"};
    struct edits_result result;
    int code = edits_apply(m, &order, r, &result);

    span_copy(span_of(result.text), text, EDITS_TEXT_MAX);
    edits_result_done(&result);
    return code;
}

/* --- for a while, and back --- */

static int back(struct master *m, struct secondary_row *row, struct conf_report *r, char *text)
{
    const struct secondary_order o = {.uid = row->uid, .url = row->before, .by = "its own source again"};
    struct found now;
    int code = CTL_OK;

    /* Somebody has changed it, or taken the stream away: that stays. */
    if (url_now(m, row->uid, &now) && strcmp(now.url, row->now) == 0) code = edit(m, &o, r, text);
    log_event_of(code == CTL_OK ? LOG_NOTE : LOG_ERROR, row->uid, "secondary-over", "code=%d", code);
    if (code == CTL_OK)
        drop(&m->secondary, row);
    else
        row->until_s = now_s() + AGAIN_S;
    save(&m->secondary);
    return code;
}

static int refuse(char *text, int code, const char *why)
{
    span_copy(span_of(why), text, EDITS_TEXT_MAX);
    return code;
}

int secondary_set(struct master *m, const struct secondary_order *o, struct conf_report *r, char *text)
{
    struct secondary_row *row = find(&m->secondary, o->uid);
    struct found before, now;
    int code;

    text[0] = '\0';
    if (!url_now(m, o->uid, &before)) return refuse(text, CTL_NOT_FOUND, "no such stream");
    if (!o->url[0]) return row ? back(m, row, r, text) : CTL_OK;
    if (!row && m->secondary.n == SECONDARY_MAX)
        return refuse(text, CTL_BUSY, "too many streams have another source");
    code = edit(m, o, r, text);
    if (code != CTL_OK || !url_now(m, o->uid, &now)) return code;
    if (!row) {
        row = &m->secondary.v[m->secondary.n++];
        *row = (struct secondary_row){.before = mem_strdup(before.url)};
        span_copy(span_of(o->uid), row->uid, sizeof(row->uid));
    }
    mem_free(row->now);
    row->now = mem_strdup(now.url);
    row->until_s = o->seconds > 0 ? now_s() + o->seconds : 0;
    save(&m->secondary);
    log_event_of(LOG_NOTE, o->uid, "secondary", "seconds=%lld", (long long)o->seconds);
    return CTL_OK;
}

void secondary_check(struct master *m)
{
    char text[EDITS_TEXT_MAX];

    for (size_t i = m->secondary.n; i-- > 0;) {
        struct conf_report r = {0};
        struct secondary_row *row = &m->secondary.v[i];

        if (row->until_s > 0 && now_s() >= row->until_s) (void)back(m, row, &r, text);
        conf_report_done(&r);
    }
}
