#include "archive/store_choice.h"
#include "common/base/map.h"
#include "common/base/wr.h"

#include <math.h>

#define WEIGHT_MAX 1000

/* Weighted rendezvous: -w / ln(u), u from the hash of uid and name; the largest wins. */
static double score(const char *uid, struct span name, unsigned weight)
{
    uint8_t mem[256];
    struct wr w = wr_of(mem, sizeof(mem));
    uint64_t h;

    wr_text(&w, uid);
    wr_u8(&w, 0);
    wr_bytes(&w, span_sub(name, 0, 128));
    h = hash_fnv1a(wr_span(&w));
    h ^= h >> 33; /* FNV's low bits follow its last bytes too closely (murmur3's last step) */
    h *= 0xff51afd7ed558ccdull;
    h ^= h >> 33;
    h *= 0xc4ceb9fe1a85ec53ull;
    h ^= h >> 33;
    return -(double)weight / log(((double)(h >> 11) + 0.5) / 9007199254740992.0);
}

static int find(struct span what, const struct choice_store *s, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (span_eq(s[i].name, what) || (s[i].path.n > 0 && span_eq(s[i].path, what))) return (int)i;
    return -1;
}

static struct span weight_of(struct span piece, unsigned *ret)
{
    ssize_t star = span_find(piece, '*');
    uint64_t v = 1;

    if (star >= 0 && span_u64(span_trim(span_from(piece, (size_t)star + 1)), WEIGHT_MAX, &v))
        piece = span_sub(piece, 0, (size_t)star);
    *ret = (unsigned)v;
    return span_trim(piece);
}

int choice_store(struct span archive, const char *uid, const struct choice_store *s, size_t n)
{
    struct span rest = span_trim(archive).n > 0 ? archive : SPAN_LIT(CHOICE_DEFAULT), piece;
    double best_score = 0;
    int best = -1;

    for (size_t i = 0; i < CHOICE_MAX && span_split(&rest, ',', &piece); i++) {
        unsigned weight;
        struct span name = weight_of(piece, &weight);
        int at = find(name, s, n);
        double v;

        if (at < 0 || weight == 0) continue;
        v = score(uid, s[at].name, weight);
        if (best < 0 || (s[at].ok && !s[best].ok) || (s[at].ok == s[best].ok && v > best_score)) {
            best = at;
            best_score = v;
        }
    }
    return best;
}
