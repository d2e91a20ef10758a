#include "archive/manifest.h"
#include "common/base/clock.h"
#include "common/wire/json.h"

#define PEM_BEGIN "-----BEGIN PUBLIC KEY-----\n"
#define PEM_END   "\n-----END PUBLIC KEY-----\n"

/* --- writing --- */

struct out {
    struct buf *to;
    bool ok;
};

static void put(struct out *o, const char *s)
{
    o->ok = o->ok && buf_text(o->to, s);
}

PRINTF_LIKE(2, 3) static void put_fmt(struct out *o, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    o->ok = o->ok && buf_vfmt(o->to, fmt, ap);
    va_end(ap);
}

/* "key": "text" */
static void put_text(struct out *o, const char *key, const char *text)
{
    put_fmt(o, "\"%s\": ", key);
    o->ok = o->ok && json_put_text(o->to, span_of(text));
}

static void put_time(struct out *o, const char *key, usec_t us)
{
    char iso[CLOCK_ISO_MAX];

    put_text(o, key, clock_iso(us, iso));
}

static void put_seconds(struct out *o, const char *key, int64_t us)
{
    uint64_t u = us < 0 ? 0 - (uint64_t)us : (uint64_t)us;

    put_fmt(o, "\"%s\": %s%llu.%06llu", key, us < 0 ? "-" : "", (unsigned long long)(u / 1000000),
        (unsigned long long)(u % 1000000));
}

static void put_flag(struct out *o, const char *key, bool is)
{
    put_fmt(o, "\"%s\": %s", key, is ? "true" : "false");
}

static void put_key(struct out *o, const struct crypto_key *k)
{
    char pem[CRYPTO_PEM_MAX], print[CRYPTO_PRINT_MAX];
    struct span body;

    crypto_key_public_pem(k, pem);
    crypto_key_print(k, print);
    body =
        span_sub(span_of(pem), sizeof(PEM_BEGIN) - 1, strlen(pem) - sizeof(PEM_BEGIN) - sizeof(PEM_END) + 2);
    put_fmt(o, " \"key\": {\"algorithm\": \"Ed25519\", \"fingerprint\": \"%s\", \"public\": \"%.*s\"},\n",
        print, SPAN_FMT(body));
}

static void put_head(struct out *o, const struct manifest *m)
{
    const struct evidence *e = m->evidence;

    put(o, "{");
    put_text(o, "format", MANIFEST_FORMAT);
    put(o, ",\n \"stream\": {");
    put_text(o, "uid", e->uid);
    put(o, ", ");
    put_text(o, "name", m->name);
    put_fmt(o, "},\n \"node\": {\"id\": %lld},\n", (long long)m->node);
    put_key(o, m->key);
    put(o, " \"software\": {");
    put_text(o, "version", m->version);
    put(o, ", ");
    put_text(o, "revision", m->revision);
    put(o, "},\n ");
    put_time(o, "exported", m->now_us);
}

static void put_span(struct out *o, const char *key, usec_t from_us, usec_t to_us)
{
    put_fmt(o, ",\n \"%s\": {", key);
    put_time(o, "from", from_us);
    put(o, ", ");
    put_time(o, "to", to_us);
    put(o, "}");
}

static void put_movie(struct out *o, const struct manifest *m)
{
    const struct evidence *e = m->evidence;
    const struct export_facts *f = export_facts(e->x);
    const char *before = "";

    put(o, ",\n \"mp4\": {");
    put_text(o, "file", m->file);
    put_fmt(o, ", \"bytes\": %llu, \"sha256\": \"%s\", \"gaps\": \"%s\", \"left_out\": [",
        (unsigned long long)f->bytes, e->sum, e->keep_gaps ? "keep" : "close");
    for (enum codec c = CODEC_NONE; f->left_out >> c != 0; c++) {
        if (!(f->left_out & 1u << c)) continue;
        put_fmt(o, "%s\"%s\"", before, codec_name(c));
        before = ", ";
    }
    put(o, "]}");
}

static void put_list(struct out *o, const char *key, const char *const *v, size_t n)
{
    put_fmt(o, ",\n \"%s\": [", key);
    for (size_t i = 0; i < n; i++) {
        put(o, i > 0 ? ", " : "");
        o->ok = o->ok && json_put_text(o->to, span_of(v[i]));
    }
    put(o, "]");
}

/* --- gaps, forms --- */

static void put_gap(struct out *o, const char **before, usec_t from_us, usec_t to_us)
{
    if (to_us - from_us <= INDEX_JOIN_US) return;
    put(o, *before);
    put(o, "\n  {");
    put_time(o, "from", from_us);
    put(o, ", ");
    put_time(o, "to", to_us);
    put(o, ", ");
    put_seconds(o, "seconds", to_us - from_us);
    put(o, "}");
    *before = ",";
}

/* Of the time that was asked for: before it, in it, behind it. */
static void put_gaps(struct out *o, const struct evidence *e)
{
    const struct export_facts *f = export_facts(e->x);
    const char *before = "";

    put(o, ",\n \"gaps\": [");
    put_gap(o, &before, e->from_us, f->start_us);
    for (size_t i = 0; i < e->n; i++) {
        const struct evidence_segment *s = &e->v[i];

        put_gap(o, &before, s->gap_from_us, s->gap_from_us + s->gap_us);
    }
    put_gap(o, &before, f->end_us, e->to_us);
    put(o, "]");
}

static void put_track(struct out *o, const struct evidence_track *t)
{
    put_fmt(o, "{\"codec\": \"%s\"", codec_name(t->codec));
    if (t->width > 0) put_fmt(o, ", \"width\": %u, \"height\": %u", t->width, t->height);
    if (t->sample_rate > 0)
        put_fmt(o, ", \"sample_rate\": %u, \"channels\": %u", t->sample_rate, t->channels);
    put(o, "}");
}

static void put_forms(struct out *o, const struct evidence *e)
{
    const char *before = "";

    put(o, ",\n \"formats\": [");
    for (size_t i = 0; i < e->n; i++) {
        const struct evidence_segment *s = &e->v[i];

        if (!s->another) continue;
        put(o, before);
        put(o, "\n  {");
        put_time(o, "from", s->start_us);
        put(o, ", \"tracks\": [");
        for (unsigned k = 0; k < s->n_tracks; k++) {
            put(o, k > 0 ? ", " : "");
            put_track(o, &s->t[k]);
        }
        put(o, "]}");
        before = ",";
    }
    put(o, "]");
}

/* --- segments --- */

static void put_segment(struct out *o, const struct evidence *e, const struct evidence_segment *s)
{
    char path[SEG_PATH_MAX];

    seg_path_of(s->id, path);
    put_fmt(o, "\n  {\"id\": \"%llx\", ", (unsigned long long)s->id);
    put_text(o, "storage", e->places[s->place].name);
    put_fmt(o, ", \"path\": \"%s/records/%s\", ", e->uid, path);
    put_time(o, "start", s->start_us);
    put(o, ", ");
    put_seconds(o, "seconds", s->end_us - s->start_us);
    put_fmt(o, ", \"bytes\": %llu, ", (unsigned long long)s->bytes);
    if (s->sum[0])
        put_text(o, "sha256", s->sum);
    else
        put(o, "\"sha256\": null");
    put(o, ", ");
    put_flag(o, "in_mp4", s->used);
    if (s->err == 0) {
        put(o, ", \"clock\": \"server\", "); /* seginfo.h: all times are by it */
        if (s->clock == SEG_CLOCK_CAMERA)
            put_seconds(o, "camera_clock_offset", s->clock_offset_us);
        else
            put(o, "\"camera_clock_offset\": null");
        put_fmt(o, ", \"frames_damaged\": %u, \"frames_repaired\": %u, ", s->damaged, s->repaired);
        put_flag(o, "damaged", s->flags & SEG_DAMAGED);
        put(o, ", ");
        put_flag(o, "recovered", s->flags & SEG_RECOVERED);
        put(o, ", ");
        put_flag(o, "after_a_break", s->flags & SEG_DISCONT);
    }
    put(o, "}");
}

bool manifest_write(const struct manifest *m, struct buf *to)
{
    const struct evidence *e = m->evidence;
    const struct export_facts *f = export_facts(e->x);
    struct out o = {to, true};

    put_head(&o, m);
    put_span(&o, "asked", e->from_us, e->to_us);
    put_span(&o, "held", f->start_us, f->end_us);
    put_list(&o, "storages_missing", m->missing, m->n_missing);
    put(&o, ",\n ");
    put_flag(&o, "index_damaged", e->damaged);
    put_movie(&o, m);
    put_gaps(&o, e);
    put_forms(&o, e);
    put(&o, ",\n \"segments\": [");
    for (size_t i = 0; i < e->n; i++) {
        put_segment(&o, e, &e->v[i]);
        put(&o, i + 1 < e->n ? "," : "");
    }
    put(&o, "]\n}\n");
    return o.ok;
}

/* --- reading --- */

/* What is looked for: the field of a section ("": of the whole). Given twice it could be read in two ways. */
enum wanted { FORMAT, UID, NAME, NODE, ALGORITHM, PUBLIC, VERSION, EXPORTED, FROM, TO, BYTES, SUM, WANTED };
static const struct {
    const char *section, *key;
    enum json_type type;
} wanted[WANTED] = {
    [FORMAT] = {"", "format", JSON_TEXT},
    [UID] = {"stream", "uid", JSON_TEXT},
    [NAME] = {"stream", "name", JSON_TEXT},
    [NODE] = {"node", "id", JSON_NUMBER},
    [ALGORITHM] = {"key", "algorithm", JSON_TEXT},
    [PUBLIC] = {"key", "public", JSON_TEXT},
    [VERSION] = {"software", "version", JSON_TEXT},
    [EXPORTED] = {"", "exported", JSON_TEXT},
    [FROM] = {"held", "from", JSON_TEXT},
    [TO] = {"held", "to", JSON_TEXT},
    [BYTES] = {"mp4", "bytes", JSON_NUMBER},
    [SUM] = {"mp4", "sha256", JSON_TEXT},
};
/* Lists of which the items are counted. */
enum counted { SEGMENTS, GAPS, FORMATS, MISSING, COUNTED };
static const char *const counted[COUNTED] = {
    [SEGMENTS] = "segments", [GAPS] = "gaps", [FORMATS] = "formats", [MISSING] = "storages_missing"};

struct reading {
    struct span section; /* at depth 1 */
    struct span found[WANTED];
    unsigned count[COUNTED];
    uint32_t seen; /* a bit for each of WANTED */
    bool twice;
};
_Static_assert(WANTED <= 32, "a bit for each");

static void see(struct reading *r, const struct json_item *i)
{
    if (i->depth == 1 && (i->type == JSON_OBJECT || i->type == JSON_ARRAY)) r->section = i->key;
    if (i->type == JSON_END) return;
    for (size_t k = 0; k < COUNTED && i->depth == 2 && !i->key.p; k++)
        r->count[k] += span_is(r->section, counted[k]);
    for (size_t k = 0; k < WANTED && i->key.p; k++) {
        if (i->depth != (wanted[k].section[0] ? 2u : 1u) || !span_is(i->key, wanted[k].key)) continue;
        if (wanted[k].section[0] && !span_is(r->section, wanted[k].section)) continue;
        r->twice |= r->seen >> k & 1;
        r->seen |= 1u << k;
        if (i->type == wanted[k].type) r->found[k] = i->text;
    }
}

static bool read_key(struct span body, struct crypto_key *ret)
{
    char pem[CRYPTO_PEM_MAX];
    struct wr w = wr_of(pem, sizeof(pem));

    wr_text(&w, PEM_BEGIN);
    wr_bytes(&w, body);
    wr_text(&w, PEM_END);
    return wr_ok(&w) && crypto_key_read(wr_span(&w), ret) && !ret->secret;
}

static bool is_sum(struct span s)
{
    for (size_t i = 0; i < s.n; i++)
        if (!strchr("0123456789abcdef", s.p[i]) || s.p[i] == 0) return false;
    return s.n == EVIDENCE_SUM_MAX - 1;
}

const char *manifest_read(struct span text, struct manifest_claim *ret)
{
    struct json j = json_of(text);
    struct reading r = {.section = SPAN_NONE};
    struct manifest_claim c = {.bytes = 0};
    struct json_item i;

    while (json_next(&j, &i)) see(&r, &i);
    if (j.bad) return "it is no JSON";
    if (!span_is(r.found[FORMAT], MANIFEST_FORMAT)) return "it is not of the format \"" MANIFEST_FORMAT "\"";
    if (r.twice) return "a field stands in it twice";
    for (size_t k = 0; k < WANTED; k++)
        if (!r.found[k].p) return "a field is missing in it, or is of another type";
    if (!span_is(r.found[ALGORITHM], "Ed25519") || !read_key(r.found[PUBLIC], &c.key))
        return "its key is no Ed25519 key";
    if (!span_u64(r.found[BYTES], INT64_MAX, &c.bytes) || !is_sum(r.found[SUM]))
        return "length or SHA-256 of the MP4 are none";
    span_copy(r.found[SUM], c.sum, sizeof(c.sum));
    c.uid = r.found[UID];
    c.name = r.found[NAME];
    c.from = r.found[FROM];
    c.to = r.found[TO];
    c.exported = r.found[EXPORTED];
    c.version = r.found[VERSION];
    c.node = r.found[NODE];
    c.segments = r.count[SEGMENTS];
    c.gaps = r.count[GAPS];
    c.formats = r.count[FORMATS];
    c.missing = r.count[MISSING];
    *ret = c;
    return NULL;
}
