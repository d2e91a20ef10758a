#include "common/conf/value.h"
#include "common/base/mem.h"
#include "common/base/utf8.h"
#include "common/base/wr.h"
#include "common/conf/report.h"
#include "common/wire/url.h"

#define DIGITS_MAX   18 /* of a number with a unit: no overflow before the limits are checked */
#define SECRET_MAX   1024
#define MORE_MAX     24 /* "; and 256 more" */
#define HASH_PRIME   1099511628211u
#define LOGIN_MAX    64
#define PASSWORD_MAX 256

bool value_refuse(struct value_why *why, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(why->text, sizeof(why->text), fmt, ap);
    va_end(ap);
    return false;
}

void value_whys_add(struct value_whys *w, const struct value_why *one)
{
    size_t n = strlen(w->all.text), more = strlen(one->text), room = sizeof(w->all.text) - 1 - MORE_MAX;

    if (n > 0 && (w->more > 0 || n + 2 + more > room)) {
        w->more++;
        return;
    }
    if (n > 0) {
        memcpy(w->all.text + n, "; ", 2);
        n += 2;
    }
    more = MIN(more, room - n); /* the first one is there in any case, cut if need be */
    memcpy(w->all.text + n, one->text, more);
    w->all.text[n + more] = '\0';
}

bool value_whys_end(const struct value_whys *w, struct value_why *why)
{
    size_t n = strlen(w->all.text);

    if (n == 0) return true;
    *why = w->all;
    if (w->more > 0) snprintf(why->text + n, sizeof(why->text) - n, "; and %u more", w->more);
    return false;
}

/* Cuts the digits off the front of *s. */
static bool number_take(struct span *s, uint64_t *ret)
{
    size_t n = 0;

    while (n < s->n && s->p[n] >= '0' && s->p[n] <= '9') n++;
    if (n > DIGITS_MAX || !span_u64(span_sub(*s, 0, n), UINT64_MAX, ret)) return false;
    *s = span_from(*s, n);
    return true;
}

bool value_duration(struct span s, usec_t *ret_us)
{
    static const struct {
        const char *unit;
        usec_t us;
    } units[] = {{"ms", US_PER_MS}, {"s", US_PER_S}, {"m", 60 * US_PER_S}, {"h", 3600 * US_PER_S},
        {"d", 86400 * US_PER_S}};
    usec_t total = 0;
    uint64_t v;

    if (s.n == 0) return false;
    if (span_u64(s, 999999999, &v)) return *ret_us = (usec_t)v * US_PER_S, true;
    while (s.n > 0) {
        size_t i = 0, n = 0;

        if (!number_take(&s, &v) || v > 999999999) return false;
        while (n < s.n && !(s.p[n] >= '0' && s.p[n] <= '9')) n++;
        while (i < ARRAY_N(units) && !span_iis(span_sub(s, 0, n), units[i].unit)) i++;
        if (i == ARRAY_N(units) || (usec_t)v > (INT64_MAX - total) / units[i].us) return false;
        total += (usec_t)v * units[i].us;
        s = span_from(s, n);
    }
    *ret_us = total;
    return true;
}

bool value_size(struct span s, bool percent, struct conf_size *ret)
{
    static const char letters[] = "kmgt";
    uint64_t v;
    unsigned shift = 0;

    if (!number_take(&s, &v)) return false;
    s = span_trim(s);
    if (percent && span_is(s, "%")) {
        *ret = (struct conf_size){.percent = (unsigned)v};
        return v >= 1 && v <= 100;
    }
    for (unsigned i = 0; s.n > 0 && i < 4; i++)
        if ((s.p[0] | 0x20) == letters[i]) shift = 10 * (i + 1);
    if (shift > 0) s = span_from(s, 1);
    if (s.n > 0 && !span_iis(s, "b") && !span_iis(s, "ib")) return false;
    if (v > (UINT64_MAX >> 1) >> shift) return false;
    *ret = (struct conf_size){.bytes = v << shift};
    return true;
}

/* "2026-01-31", "2026-01-31T12:00:00Z" (UTC), unix seconds. */
bool value_time(struct span s, int64_t *ret_s)
{
    static const uint8_t at[] = {0, 5, 8, 11, 14, 17}, n[] = {4, 2, 2, 2, 2, 2};
    uint64_t v[6] = {0};
    struct tm tm = {0};
    size_t parts = s.n == 10 ? 3 : 6;

    if (span_i64(s, ret_s)) return *ret_s >= 0;
    if (s.n != 10 && !(s.n == 20 && s.p[10] == 'T' && s.p[13] == ':' && s.p[16] == ':' && s.p[19] == 'Z'))
        return false;
    if (s.p[4] != '-' || s.p[7] != '-') return false;
    for (size_t i = 0; i < parts; i++)
        if (!span_u64(span_sub(s, at[i], n[i]), 9999, &v[i])) return false;
    if (v[0] < 1970 || v[1] < 1 || v[1] > 12 || v[2] < 1 || v[2] > 31 || v[3] > 23 || v[4] > 59 || v[5] > 59)
        return false;
    tm = (struct tm){.tm_year = (int)v[0] - 1900,
        .tm_mon = (int)v[1] - 1,
        .tm_mday = (int)v[2],
        .tm_hour = (int)v[3],
        .tm_min = (int)v[4],
        .tm_sec = (int)v[5]};
    *ret_s = timegm(&tm);
    return tm.tm_mday == (int)v[2];
}

bool value_time_us(struct span s, usec_t *ret_us)
{
    ssize_t dot = span_find(s, '.');
    struct span whole = dot < 0 ? s : span_sub(s, 0, (size_t)dot),
                part = dot < 0 ? SPAN_NONE : span_from(s, (size_t)dot + 1);
    uint64_t unused, us = 0;
    int64_t seconds;

    if (dot >= 0 && (part.n > 6 || !span_u64(part, 999999, &us) || !span_u64(whole, INT64_MAX, &unused)))
        return false;
    for (size_t i = part.n; dot >= 0 && i < 6; i++) us *= 10;
    if (!value_time(whole, &seconds) || seconds >= INT64_MAX / US_PER_S) return false;
    *ret_us = seconds * US_PER_S + (usec_t)us;
    return true;
}

/* Adds the parts of s, which has no "." and ".." afterwards. */
static void path_add(struct wr *w, struct span s)
{
    struct span piece;

    while (span_split(&s, '/', &piece)) {
        if (piece.n == 0 || span_is(piece, ".")) continue;
        if (!span_is(piece, "..")) {
            wr_u8(w, '/');
            wr_bytes(w, piece);
            continue;
        }
        while (w->n > 0 && w->p[w->n - 1] != '/') w->n--;
        if (w->n > 0) w->n--;
    }
}

bool value_path(const char *dir, struct span s, char dst[VALUE_PATH_MAX])
{
    struct wr w = wr_of(dst, VALUE_PATH_MAX);

    if (s.n == 0 || s.p[0] != '/') path_add(&w, span_of(dir));
    path_add(&w, s);
    if (w.n == 0) wr_u8(&w, '/');
    return wr_cstr(&w)[0] != 0;
}

/* Text goes into JSON and messages: what is not UTF-8 becomes '?', byte by byte. */
static char *text_dup(struct span s)
{
    char *dst = span_dup(s);
    size_t i = 0;

    while (i < s.n) {
        size_t n = utf8_len(span_from(s, i));

        if (n == 0) dst[i] = '?';
        i += MAX(n, 1);
    }
    return dst;
}

static const char *words_text(const struct conf_word *words, char dst[static 200])
{
    struct wr w = wr_of(dst, 200);

    for (const struct conf_word *i = words; i->word; i++) {
        const struct conf_word *same = words;

        while (same->value != i->value) same++;
        if (same != i) continue; /* another spelling */
        if (i != words) wr_text(&w, ", ");
        wr_text(&w, i->word);
    }
    return wr_cstr(&w);
}

static const struct conf_word *word_find(const struct conf_word *words, struct span s)
{
    while (words->word && !span_iis(s, words->word)) words++;
    return words->word ? words : NULL;
}

static bool bool_parse(
    const struct conf_row *row, const struct value_from *f, void *field, struct value_why *why)
{
    static const struct conf_word words[] = {{"true", 1}, {"false", 0}, {"yes", 1}, {"no", 0}, {"on", 1},
        {"off", 0}, {"1", 1}, {"0", 0}, {NULL, 0}};
    const struct conf_word *w = word_find(words, f->text);

    (void)row;
    if (!w) return value_refuse(why, "%s is neither true nor false", report_q(f->text));
    *(bool *)field = w->value == 1;
    return true;
}

static bool int_parse(
    const struct conf_row *row, const struct value_from *f, void *field, struct value_why *why)
{
    int64_t v;

    if (!span_i64(f->text, &v) || v < row->min || v > row->max)
        return value_refuse(why, "%s is not a number from %lld to %lld", report_q(f->text),
            (long long)row->min, (long long)row->max);
    *(int64_t *)field = v;
    return true;
}

static const char *us_text(usec_t us, char dst[static 32])
{
    if (us % (86400 * US_PER_S) == 0 && us > 0)
        snprintf(dst, 32, "%lldd", (long long)(us / 86400 / US_PER_S));
    else if (us % (3600 * US_PER_S) == 0 && us > 0)
        snprintf(dst, 32, "%lldh", (long long)(us / 3600 / US_PER_S));
    else if (us % (60 * US_PER_S) == 0 && us > 0)
        snprintf(dst, 32, "%lldm", (long long)(us / 60 / US_PER_S));
    else if (us % US_PER_S == 0)
        snprintf(dst, 32, "%llds", (long long)(us / US_PER_S));
    else
        snprintf(dst, 32, "%lldms", (long long)(us / US_PER_MS));
    return dst;
}

static bool duration_parse(
    const struct conf_row *row, const struct value_from *f, void *field, struct value_why *why)
{
    char lo[32], hi[32];
    usec_t v;

    if (!value_duration(f->text, &v))
        return value_refuse(why, "%s is not a duration: a number with ms, s, m, h or d, such as 90s or 1h30m",
            report_q(f->text));
    if (v < row->min || v > row->max)
        return value_refuse(
            why, "%s is not from %s to %s", report_q(f->text), us_text(row->min, lo), us_text(row->max, hi));
    *(usec_t *)field = v;
    return true;
}

static bool size_parse(
    const struct conf_row *row, const struct value_from *f, void *field, struct value_why *why)
{
    bool percent = row->kind == KIND_SHARE;
    struct conf_size v;

    if (row->unit && span_is(f->text, row->unit)) {
        *(struct conf_size *)field = (struct conf_size){.automatic = true};
        return true;
    }
    if (!value_size(f->text, percent, &v))
        return value_refuse(why, "%s is not a size: a number with K, M, G or T%s%s%s; bare: bytes",
            report_q(f->text), percent ? ", or a percentage from 1% to 100%" : "", row->unit ? ", or " : "",
            row->unit ? row->unit : "");
    if (v.percent == 0 && (v.bytes < (uint64_t)row->min || v.bytes > (uint64_t)row->max))
        return value_refuse(why, "%s is not from %lld to %lld bytes", report_q(f->text), (long long)row->min,
            (long long)row->max);
    *(struct conf_size *)field = v;
    return true;
}

static bool enum_parse(
    const struct conf_row *row, const struct value_from *f, void *field, struct value_why *why)
{
    const struct conf_word *w = word_find(row->words, f->text);
    char all[200];

    if (!w) return value_refuse(why, "%s is none of %s", report_q(f->text), words_text(row->words, all));
    *(uint32_t *)field = w->value;
    return true;
}

static bool set_parse(
    const struct conf_row *row, const struct value_from *f, void *field, struct value_why *why)
{
    struct span rest = f->text, item;
    struct value_whys whys = {0};
    uint32_t v = 0;
    char all[200];

    while (value_item(&rest, &item)) {
        const struct conf_word *w = word_find(row->words, item);

        if (w) {
            v |= w->value;
            continue;
        }
        value_refuse(why, "%s is none of %s", report_q(item), words_text(row->words, all));
        value_whys_add(&whys, why);
    }
    *(uint32_t *)field = v;
    return value_whys_end(&whys, why);
}

static bool text_parse(
    const struct conf_row *row, const struct value_from *f, void *field, struct value_why *why)
{
    (void)row;
    if (f->text.n > VALUE_TEXT_MAX)
        return value_refuse(why, "the text has %zu bytes, at most %d are allowed", f->text.n, VALUE_TEXT_MAX);
    *(char **)field = text_dup(f->text);
    return true;
}

static bool secret_parse(
    const struct conf_row *row, const struct value_from *f, void *field, struct value_why *why)
{
    (void)row;
    if (f->text.n > SECRET_MAX)
        return value_refuse(why, "the secret has %zu bytes, at most %d are allowed", f->text.n, SECRET_MAX);
    *(struct secret *)field = secret_of(f->text);
    return true;
}

static bool path_parse(
    const struct conf_row *row, const struct value_from *f, void *field, struct value_why *why)
{
    char path[VALUE_PATH_MAX];

    (void)row;
    if (f->text.n == 0) return *(char **)field = mem_strdup(""), true;
    if (!value_path(f->dir, f->text, path))
        return value_refuse(why, "the path is longer than %d bytes", VALUE_PATH_MAX - 1);
    *(char **)field = mem_strdup(path);
    return true;
}

static bool base_parse(
    const struct conf_row *row, const struct value_from *f, void *field, struct value_why *why)
{
    char path[VALUE_PATH_MAX];

    (void)row;
    if (f->text.n == 0 || f->text.p[0] != '/' || !value_path("/", f->text, path))
        return value_refuse(why, "%s is not the path of a URL: it begins with '/'", report_q(f->text));
    *(char **)field = mem_strdup(path);
    return true;
}

static bool url_parse_value(
    const struct conf_row *row, const struct value_from *f, void *field, struct value_why *why)
{
    struct span schemes = span_of(row->unit), one;
    struct url u;
    int e;

    e = url_parse(f->text, &u);
    if (e != 0 && e != URL_E_SCHEME) return value_refuse(why, "the URL cannot be used: %s", url_error(e));
    while (e == 0 && span_split(&schemes, ' ', &one))
        if (span_is(one, url_scheme_name(u.scheme)))
            return *(struct secret *)field = secret_of(f->text), true;
    return value_refuse(why, "the URL does not begin with one of %s and ://", row->unit);
}

static bool user_parse(
    const struct conf_row *row, const struct value_from *f, void *field, struct value_why *why)
{
    ssize_t colon = span_find(f->text, ':');
    struct span login = colon < 0 ? f->text : span_sub(f->text, 0, (size_t)colon), password = SPAN_NONE, rest;

    (void)row;
    if (f->text.n == 0) return *(struct conf_user *)field = (struct conf_user){.login = mem_strdup("")}, true;
    if (colon >= 0) password = span_trim(span_from(f->text, (size_t)colon + 1));
    rest = password;
    if (password.n > 1 && (password.p[0] == '"' || password.p[0] == '\'') &&
        password.p[password.n - 1] == password.p[0])
        password = span_sub(rest, 1, password.n - 2);
    if (colon < 1 || password.n == 0) return value_refuse(why, "is not login:password, with both of them");
    if (login.n > LOGIN_MAX || password.n > PASSWORD_MAX)
        return value_refuse(why, "the login has at most %d bytes, the password %d", LOGIN_MAX, PASSWORD_MAX);
    *(struct conf_user *)field = (struct conf_user){text_dup(login), secret_of(password)};
    return true;
}

static bool schedule_parse_value(
    const struct conf_row *row, const struct value_from *f, void *field, struct value_why *why)
{
    struct span rest = f->text, part, at;
    struct value_whys whys = {0};
    const char *what = "";

    (void)row;
    if (schedule_parse(f->text, field, &what, &at)) return true;
    while (span_split(&rest, ',', &part)) {
        if (schedule_parse(part, field, &what, &at)) continue;
        value_refuse(why, "%s: %s", report_q(at), what);
        value_whys_add(&whys, why);
    }
    if (!value_whys_end(&whys, why)) return false;
    schedule_parse(f->text, field, &what, &at); /* each is right, and all of them are not */
    return value_refuse(why, "%s: %s", report_q(at), what);
}

typedef bool (*parse_fn)(
    const struct conf_row *row, const struct value_from *f, void *field, struct value_why *why);

static const struct {
    parse_fn parse;
    size_t size;
    bool torn;  /* a quoted part and more behind it is right */
    bool blank; /* empty is a value, not "as if it were not there" */
} kinds[KINDS] = {
    [KIND_TEXT] = {text_parse, sizeof(char *), false, true},
    [KIND_SECRET] = {secret_parse, sizeof(struct secret), false, true},
    [KIND_BOOL] = {bool_parse, sizeof(bool), false, false},
    [KIND_INT] = {int_parse, sizeof(int64_t), false, false},
    [KIND_DURATION] = {duration_parse, sizeof(usec_t), false, false},
    [KIND_SIZE] = {size_parse, sizeof(struct conf_size), false, false},
    [KIND_SHARE] = {size_parse, sizeof(struct conf_size), false, false},
    [KIND_ENUM] = {enum_parse, sizeof(uint32_t), false, false},
    [KIND_SET] = {set_parse, sizeof(uint32_t), true, false},
    [KIND_LIST] = {value_list_parse, sizeof(struct conf_list), true, true},
    [KIND_LISTEN] = {value_list_parse, sizeof(struct conf_listens), true, true},
    [KIND_CIDRS] = {value_list_parse, sizeof(struct conf_cidrs), true, true},
    [KIND_URL] = {url_parse_value, sizeof(struct secret), false, false},
    [KIND_PATH] = {path_parse, sizeof(char *), false, true},
    [KIND_BASE] = {base_parse, sizeof(char *), false, false},
    [KIND_USER] = {user_parse, sizeof(struct conf_user), true, true},
    [KIND_ARCHIVE] = {value_list_parse, sizeof(struct conf_archive), true, true},
    [KIND_SCHEDULE] = {schedule_parse_value, sizeof(struct conf_schedule), false, true},
};

bool value_nothing(const struct conf_row *row, struct span text)
{
    return text.n == 0 && !kinds[row->kind].blank;
}

bool value_parse(
    const struct conf_row *row, const struct value_from *from, void *field, struct value_why *why)
{
    uint8_t fresh[VALUE_FIELD_MAX] __attribute__((aligned(16))) = {0};

    if (from->torn && !kinds[row->kind].torn)
        return value_refuse(why, "there is text behind the closing quote");
    if (!kinds[row->kind].parse(row, from, fresh, why)) return false;
    value_done(row, field);
    memcpy(field, fresh, kinds[row->kind].size);
    return true;
}

void value_done(const struct conf_row *row, void *field)
{
    switch ((int)row->kind) {
    case KIND_TEXT:
    case KIND_PATH:
    case KIND_BASE: mem_free(*(char **)field); break;
    case KIND_SECRET:
    case KIND_URL: secret_done(field); break;
    case KIND_USER:
        mem_free(((struct conf_user *)field)->login);
        secret_done(&((struct conf_user *)field)->password);
        break;
    case KIND_LIST:
    case KIND_LISTEN:
    case KIND_CIDRS:
    case KIND_ARCHIVE: value_list_done(row->kind, field); break;
    default: break;
    }
    memset(field, 0, kinds[row->kind].size);
}

void value_hash_bytes(uint64_t *h, struct span s)
{
    uint64_t n = s.n;

    *h = (*h ^ hash_fnv1a(span(&n, sizeof(n)))) * HASH_PRIME;
    *h = (*h ^ hash_fnv1a(s)) * HASH_PRIME;
}

static void hash_text(uint64_t *h, const char *s)
{
    value_hash_bytes(h, span_of(s));
}

void value_hash(const struct conf_row *row, const void *field, uint64_t *h)
{
    const struct conf_listens *listens = field;
    const struct conf_list *list = field;
    const struct conf_user *user = field;

    switch ((int)row->kind) {
    case KIND_TEXT:
    case KIND_PATH:
    case KIND_BASE: hash_text(h, *(char *const *)field); break;
    case KIND_SECRET:
    case KIND_URL: value_hash_bytes(h, secret_reveal(field)); break;
    case KIND_USER:
        hash_text(h, user->login);
        value_hash_bytes(h, secret_reveal(&user->password));
        break;
    case KIND_LIST:
        for (size_t i = 0; i < list->n; i++) hash_text(h, list->v[i]);
        break;
    case KIND_LISTEN:
        for (size_t i = 0; i < listens->n; i++) {
            hash_text(h, listens->v[i].host);
            value_hash_bytes(h, span(&listens->v[i].port, sizeof(uint16_t)));
            hash_text(h, listens->v[i].base);
        }
        break;
    case KIND_CIDRS: hash_text(h, ((const struct conf_cidrs *)field)->text); break;
    case KIND_ARCHIVE: hash_text(h, ((const struct conf_archive *)field)->text); break;
    case KIND_SIZE:
    case KIND_SHARE:
        value_hash_bytes(h, span(&((const struct conf_size *)field)->bytes, sizeof(uint64_t)));
        value_hash_bytes(h, span(&((const struct conf_size *)field)->percent, sizeof(unsigned)));
        value_hash_bytes(h, span(&((const struct conf_size *)field)->automatic, sizeof(bool)));
        break;
    default: value_hash_bytes(h, span(field, kinds[row->kind].size)); break;
    }
    value_hash_bytes(h, span_of(row->name));
}
