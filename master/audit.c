#include "master/audit.h"
#include "common/base/clock.h"
#include "common/base/err.h"
#include "common/base/fd.h"
#include "common/base/log.h"
#include "common/base/mem.h"
#include "common/conf/edit.h"
#include "common/conf/keys.h"
#include "common/conf/mask.h"
#include "common/wire/json.h"
#include "common/wire/url.h"
#include "master/state_file.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#define READ_MAX (2 * AUDIT_FILE_MAX)

/* --- a line --- */

static bool put(struct buf *b, const char *key, struct span value)
{
    return buf_fmt(b, ",\"%s\":", key) && json_put_text(b, value);
}

static bool write_fields(struct buf *b, const struct audit *a, usec_t wall_us, const struct audit_entry *e)
{
    return buf_fmt(b, "{\"seq\":%llu,\"at_s\":%lld", (unsigned long long)a->seq + 1,
               (long long)(wall_us / US_PER_S)) &&
        put(b, "who", span_of(e->who)) && put(b, "role", span_of(e->role)) &&
        put(b, "from", span_of(e->from)) && put(b, "by", span_of(e->by)) &&
        put(b, "what", span_of(e->what)) && put(b, "on", e->on) && put(b, "args", e->args) &&
        put(b, "result", span_of(e->result)) && put(b, "text", e->text);
}

static void keep(struct audit *a, struct span line)
{
    char **slot = &a->kept[a->n++ % AUDIT_KEPT];

    mem_free(*slot);
    *slot = span_dup(line);
}

void audit_add(struct audit *a, usec_t wall_us, const struct audit_entry *e)
{
    struct buf b;

    buf_init(&b, AUDIT_LINE_MAX);
    if (write_fields(&b, a, wall_us, e) && chain_end(&b, a->digest)) {
        keep(a, span_sub(buf_span(&b), 0, buf_n(&b) - 1));
        if (!state_file_add(a->file, buf_span(&b))) a->lost++;
        a->seq++;
    } else {
        log_error("audit-line", "what=%s why=\"it is too long\"", log_q(span_of(e->what)));
    }
    buf_done(&b);
}

bool audit_pack(const struct audit *a, size_t i, struct packer *p)
{
    static const char *const texts[] = {"who", "role", "from", "by", "what", "on", "args", "result", "text"};
    uint8_t mem[AUDIT_LINE_MAX];
    struct span line, digits;
    int64_t n;

    if (i >= MIN(a->n, AUDIT_KEPT)) return false;
    line = span_of(a->kept[(a->n - 1 - i) % AUDIT_KEPT]);
    pack_map(p, 2 + ARRAY_N(texts));
    for (size_t k = 0; k < 2; k++) {
        const char *key = k == 0 ? "seq" : "at_s";

        digits = chain_member(line, key);
        pack_kv_i64(p, key, span_i64(digits, &n) ? n : 0);
    }
    for (size_t k = 0; k < ARRAY_N(texts); k++) {
        struct wr w = wr_of(mem, sizeof(mem));

        (void)json_read_text(&w, chain_member(line, texts[k]));
        pack_kv_str(p, texts[k], wr_span(&w));
    }
    return true;
}

/* --- what may be written down --- */

/* Of words that are no keys of a file: options of commands. */
static bool is_secret(struct span key)
{
    char name[64];

    if (!span_copy(key, name, sizeof(name))) return true;
    for (size_t i = 0; i < conf_rows_n; i++)
        if (strcmp(conf_rows[i].name, name) == 0 &&
            (conf_rows[i].kind == KIND_SECRET || conf_rows[i].kind == KIND_USER))
            return true;
    return strcmp(name, "token") == 0 || strcmp(name, "payload") == 0;
}

static void put_value(struct wr *w, const char *section, const char *key, struct span value)
{
    char name[SOURCE_KEY_MAX + 1], masked[CONF_SHOWN_MAX];
    const struct source_item item = {.key = name, .value = value};

    if (span_copy(span_of(key), name, sizeof(name)) && value.n <= CONF_VALUE_MAX)
        wr_text(w, conf_mask(section, &item, masked));
    else
        wr_text(w, CONF_MASK);
}

void audit_set(struct wr *w, const struct conf_set *set)
{
    wr_fmt(w, " %s%s%s", set->section ? set->section : "", set->section ? "/" : "", set->key);
    if (!set->value) return;
    wr_text(w, "=");
    put_value(w, set->section, set->key, span_of(set->value));
}

/* "server/stream/auth-secret=..." of "config set". */
static bool put_site_key(struct wr *w, struct span key, struct span value)
{
    char path[SOURCE_PATH_MAX + SOURCE_KEY_MAX + 2], *slash;

    if (!span_copy(key, path, sizeof(path))) return false;
    slash = strrchr(path, '/');
    if (!slash || slash == path || slash[-1] == '/') return false;
    *slash = '\0';
    wr_bytes(w, key);
    wr_text(w, "=");
    put_value(w, path, slash + 1, value);
    return true;
}

void audit_word(struct wr *w, struct span word)
{
    char masked[URL_MAX];
    struct span value = word, key;

    if (!span_split(&value, '=', &key) || !value.p || span_find_span(key, SPAN_LIT("://")) >= 0) {
        wr_text(w, url_masked(word, masked, sizeof(masked)));
        return;
    }
    if (put_site_key(w, key, value)) return;
    wr_bytes(w, key);
    wr_text(w, "=");
    if (is_secret(key))
        wr_text(w, CONF_MASK);
    else if (span_find_span(value, SPAN_LIT("://")) >= 0)
        wr_text(w, url_masked(value, masked, sizeof(masked)));
    else
        wr_bytes(w, value);
}

/* --- the file --- */

static void take_line(struct audit *a, struct span line)
{
    struct span digest = chain_member(line, "digest");
    int64_t seq;

    if (!span_i64(chain_member(line, "seq"), &seq) || digest.n != CHAIN_DIGEST - 1) return;
    keep(a, line);
    a->seq = (uint64_t)seq;
    span_copy(digest, a->digest, sizeof(a->digest));
}

/* What a crash has left of a line would spoil the next one. */
static void cut_torn(int dir, const char *name, size_t whole, size_t torn)
{
    CLEANUP(fd_close) int fd = openat(dir, name, O_WRONLY | O_CLOEXEC | O_NOFOLLOW);
    int err = fd < 0 || ftruncate(fd, (off_t)whole) < 0 || fsync(fd) < 0 ? -errno : 0;

    log_warn("audit-torn", "file=%s bytes=%zu err=%s", name, torn, log_q(span_of(err ? err_text(err) : "")));
}

/* Lines of one file; 0, or -errno. */
static int read_file(struct audit *a, int dir, const char *name)
{
    char digest[CHAIN_DIGEST] = "";
    struct span rest, line;
    size_t n, bad, lines, whole;
    uint8_t *p;
    int err = fd_read_file(dir, name, READ_MAX, &p, &n);

    if (err == -ENOENT) return 0;
    if (err < 0) return err;
    for (whole = n; whole > 0 && p[whole - 1] != '\n';) whole--;
    if (whole < n) cut_torn(dir, name, whole, n - whole);
    rest = span(p, whole);
    snprintf(digest, sizeof(digest), "%s", a->digest);
    bad = chain_check(rest, digest, &lines);
    if (bad > 0)
        log_error("audit-broken", "file=%s line=%zu why=\"this line is not as it was written\"", name, bad);
    while (span_split(&rest, '\n', &line)) take_line(a, line);
    mem_free(p);
    return 0;
}

int audit_open(struct audit *a, int state_dir)
{
    int err;

    *a = (struct audit){.file = state_file_log(state_dir, AUDIT_FILE, AUDIT_FILE_MAX)};
    if (!a->file) return -EMFILE;
    err = read_file(a, state_dir, AUDIT_FILE ".1");
    return err < 0 ? err : read_file(a, state_dir, AUDIT_FILE);
}

void audit_close(struct audit *a)
{
    state_file_free(a->file);
    for (size_t i = 0; i < AUDIT_KEPT; i++) mem_free(a->kept[i]);
    *a = (struct audit){.file = NULL};
}
