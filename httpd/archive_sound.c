/* Films whose telephone sound is made into AAC (audio=aac): which form it has, and the frames of a piece.
 * The neighbours of a segment are heard where they lie on its storage. In the storages' pools. */
#include "httpd/archive_mp4.h"
#include "archive/segproof.h"
#include "common/base/fd.h"
#include "common/base/map.h"
#include "common/base/mem.h"
#include "httpd/sound.h"

#include <errno.h>

#define NEIGHBOURS 3 /* before, own, behind */

/* A segment that may be heard in a piece. */
struct heard {
    struct seg_table *t;
    int fd;
};

static void heard_done(struct heard h[NEIGHBOURS])
{
    for (int i = 0; i < NEIGHBOURS; i++) {
        seg_table_free(h[i].t);
        fd_close(&h[i].fd);
    }
}

bool film_sound_form(const struct seg_table *t, struct track *ret_source, struct export_made *ret)
{
    for (unsigned i = 0; i < t->tracks.n; i++) {
        struct track made = sound_track(&t->tracks.t[i]);

        if (made.codec == CODEC_NONE) continue;
        *ret_source = t->tracks.t[i];
        *ret = (struct export_made){
            .track = made, .bytes = sound_bytes(&t->tracks.t[i]), .ticks = SOUND_SAMPLES};
        return true;
    }
    return false;
}

static int open_heard(const struct film_answer *a, uint32_t source, struct heard *ret)
{
    return film_source(a, source, &ret->fd, &ret->t);
}

static int track_of(const struct seg_table *t)
{
    for (unsigned i = 0; i < t->tracks.n; i++)
        if (t->tracks.t[i].codec == CODEC_PCMA || t->tracks.t[i].codec == CODEC_PCMU) return (int)i;
    return -1;
}

/* Names all that is heard, and from where on. */
static void name(
    const struct film_answer *a, const struct export_piece *p, int64_t first, char key[PICTURES_KEY_MAX])
{
    uint64_t sum = (uint64_t)first;

    for (uint32_t i = p->source > 0 ? p->source - 1 : 0; i <= p->source + 1 && i < a->film->n; i++) {
        const struct export_source *s = &a->film->source[i];
        uint64_t facts[] = {sum, s->id, s->bytes, s->crc, s->storage};

        sum = hash_fnv1a(span(facts, sizeof(facts)));
    }
    snprintf(key, PICTURES_KEY_MAX, "%s %llx %016llx", a->uid,
        (unsigned long long)a->film->source[p->source].id, (unsigned long long)sum);
}

/* The neighbours that cannot be read are silent. */
static int hear(const struct film_answer *a, const struct export_piece *p, struct heard h[NEIGHBOURS])
{
    const struct export_source *all = a->film->source;
    int err = open_heard(a, p->source, &h[1]);

    if (err != 0) return err;
    if (p->source > 0 && all[p->source - 1].storage == all[p->source].storage)
        (void)open_heard(a, p->source - 1, &h[0]);
    if (p->source + 1 < a->film->n && all[p->source + 1].storage == all[p->source].storage)
        (void)open_heard(a, p->source + 1, &h[2]);
    return 0;
}

/* The chunk that byte `at` of the piece lies in. */
static int make_chunk(
    struct film_answer *a, const struct sound *s, uint64_t at, uint32_t *ret_first, struct picture **ret)
{
    int err = sound_make(a->pictures, s, (uint32_t)(at / sound_bytes(&s->like)), ret_first, ret);

    a->sound_err = MAX(err, 0);
    return err > 0 ? -EIO : err;
}

static int put_frames(struct film_answer *a, const struct export_piece *p, const struct sound *s)
{
    uint64_t at = a->next - p->at, from, n;
    struct picture *made;
    uint32_t first;
    int err = make_chunk(a, s, at, &first, &made);

    if (err != 0) return err;
    from = at - (uint64_t)first * sound_bytes(&s->like);
    n = MIN(MIN(made->n - from, p->n - at), a->end - a->next);
    err = buf_put(&a->out, span(made->data + from, (size_t)n)) ? 0 : -ENOMEM;
    picture_unref(made);
    if (err == 0) a->next += n;
    return err;
}

static int make_only(struct film_answer *a, const struct export_piece *p, const struct sound *s)
{
    struct picture *made;
    uint32_t first;
    int err = make_chunk(a, s, MAX(a->next, p->at) - p->at, &first, &made);

    if (err == 0) picture_unref(made);
    return err;
}

typedef int sound_do(struct film_answer *a, const struct export_piece *p, const struct sound *s);

static int with_sound(struct film_answer *a, const struct export_piece *p, sound_do *what)
{
    struct export_sound e = export_made_of(a->film->x, p);
    struct heard h[NEIGHBOURS] = {{NULL, -1}, {NULL, -1}, {NULL, -1}};
    struct sound s = {.like = a->film->sound, .frames = e.frames};
    char key[PICTURES_KEY_MAX];
    int err = hear(a, p, h);

    if (err == 0 && (e.first >= h[1].t->n || h[1].t->s[e.first].track != e.track)) err = -ESTALE;
    if (err == 0) {
        const struct track *own = &h[1].t->tracks.t[e.track];

        s.first = scale_i64(h[1].t->s[e.first].dts, s.like.clock_hz, own->clock_hz) + e.ahead;
        name(a, p, s.first, key);
        s.key = key;
        for (int i = 0; i < NEIGHBOURS; i++) {
            int track = i == 1 ? e.track : h[i].t ? track_of(h[i].t) : -1;

            if (track >= 0) s.source[s.n_sources++] = (struct sound_source){h[i].t, h[i].fd, (uint8_t)track};
        }
        err = what(a, p, &s);
    }
    heard_done(h);
    return err > 0 ? -ESTALE : err;
}

int film_sound_put(struct film_answer *a, const struct export_piece *p)
{
    return with_sound(a, p, put_frames);
}

int film_sound_first(struct film_answer *a)
{
    struct export_piece p;
    bool there = a->film->sound.codec != CODEC_NONE && export_seek(a->film->x, a->next, &p);

    while (there && p.kind != EXPORT_MADE) there = export_next(a->film->x, &p);
    if (!there || p.at >= a->end || a->st[a->film->source[p.source].storage]->pool != a->lent.pool) return 0;
    return with_sound(a, &p, make_only);
}

const char *film_sound_why(int err)
{
    static const char *const why[] = {
        [PICTURES_OK] = "",
        [PICTURES_E_OFF] = "no sound is made here",
        [PICTURES_E_BUSY] = "too much is being made; ask again",
        [PICTURES_E_NONE] = "nothing can make sound now; ask again",
        [PICTURES_E_KILLED] = "this sound took too long to make, and was given up",
        [PICTURES_E_POISON] =
            "this sound could not be made a moment ago, and is not tried again for a minute",
        [PICTURES_E_BAD] = "this sound cannot be made into AAC",
        [PICTURES_E_LARGE] = "this sound needs more memory than the limits allow",
    };

    return err >= 0 && err < (int)ARRAY_N(why) ? why[err] : why[PICTURES_E_NONE];
}
