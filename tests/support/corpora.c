#include "tests/support/corpora.h"
#include "common/base/fd.h"
#include "common/base/mem.h"
#include "common/wire/hex.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILE_MAX (16u << 20)

bool corpora_dir(const char *name, char *dst, size_t cap)
{
    static const char *const up[] = {"../shared/corpora", "../../shared/corpora", "../../../shared/corpora"};
    const char *named = getenv("MS_CORPORA");

    for (size_t i = 0; i < ARRAY_N(up) + 1; i++) {
        const char *base = i == 0 ? named : up[i - 1];

        if (base == NULL) continue;
        snprintf(dst, cap, "%s/%s", base, name);
        if (access(dst, R_OK) == 0) return true;
    }
    return false;
}

bool corpora_read(const char *path, struct buf *into)
{
    uint8_t *p;
    size_t n;
    bool ok;

    if (fd_read_file(AT_FDCWD, path, FILE_MAX, &p, &n) != 0) return false;
    buf_clear(into);
    ok = buf_put(into, span(p, n));
    mem_free(p);
    return ok;
}

bool corpora_hex(struct span s, struct wr *w)
{
    if (s.n % 2 != 0) return false;
    for (size_t i = 0; i < s.n; i += 2) {
        int high = hex_digit(s.p[i]), low = hex_digit(s.p[i + 1]);

        if (high < 0 || low < 0) return false;
        wr_u8(w, (uint8_t)(high << 4 | low));
    }
    return wr_ok(w);
}

/* One escape of a Go string literal; returns the bytes of the source that it takes. */
static size_t go_escape(struct span s, struct wr *w)
{
    static const char from[] = "abfnrtv\\\"'", to[] = "\a\b\f\n\r\t\v\\\"'";
    const char *at = strchr(from, s.n > 1 ? s.p[1] : 0);

    if (s.n >= 4 && s.p[1] == 'x') {
        corpora_hex(span_sub(s, 2, 2), w);
        return 4;
    }
    if (s.n >= 2 && at && *at) {
        wr_u8(w, (uint8_t)to[at - from]);
        return 2;
    }
    wr_u8(w, '?');
    return 2;
}

/* The last argument of the form []byte("...") or string("..."). */
static struct span go_argument(struct span text, uint8_t *mem)
{
    struct wr w = wr_of(mem, text.n);
    struct span rest = text, line, last = SPAN_NONE;
    ssize_t quote;

    while (span_split(&rest, '\n', &line))
        if (span_find(line, '"') >= 0) last = line;
    quote = span_find(last, '"');
    if (quote < 0) return SPAN_NONE;
    last = span_from(last, (size_t)quote + 1);
    for (size_t i = 0; i < last.n && last.p[i] != '"';) {
        if (last.p[i] == '\\') {
            i += go_escape(span_from(last, i), &w);
        } else {
            wr_u8(&w, last.p[i++]);
        }
    }
    return wr_span(&w);
}

static int by_name(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

static void give(const char *path, void (*fn)(const char *, struct span, void *), void *arg)
{
    static const char go[] = "go test fuzz v1";
    struct buf b;

    buf_init(&b, FILE_MAX);
    if (corpora_read(path, &b)) {
        uint8_t *mem = mem_new(buf_n(&b) + 1);
        struct span data = buf_span(&b);

        if (span_starts(data, span_of(go))) data = go_argument(data, mem);
        fn(path, data, arg);
        mem_free(mem);
    }
    buf_done(&b);
}

size_t corpora_each(
    const char *dir, const char *part, void (*fn)(const char *name, struct span data, void *arg), void *arg)
{
    struct dirent **names;
    int n = scandir(dir, &names, NULL, by_name);
    size_t count = 0;

    for (int i = 0; i < n; i++) {
        char path[1024];
        struct stat st;

        snprintf(path, sizeof(path), "%s/%s", dir, names[i]->d_name);
        if (names[i]->d_name[0] != '.' && stat(path, &st) == 0) {
            if (S_ISDIR(st.st_mode)) {
                count += corpora_each(path, part, fn, arg);
            } else if (part == NULL || strstr(names[i]->d_name, part)) {
                give(path, fn, arg);
                count++;
            }
        }
        free(names[i]);
    }
    if (n >= 0) free(names);
    return count;
}
