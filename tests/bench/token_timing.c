/* Does the time that a forged token is refused in tell what is wrong with it? R16, as dudect does it: two
 * classes of tokens, in an order that nobody knows, each sample timed, outliers cut off, Welch's t between
 * the classes. |t| above 4.5 means that they differ. Prints JSON: for each pair of classes t, the mean of
 * both in ns, and how many samples. Method: O. Reparaz et al., "Dude, is my code constant time?", 2017. */
#include "common/base/err.h"
#include "common/base/mem.h"
#include "common/base/rng.h"
#include "common/base/span.h"
#include "common/wire/base64.h"
#include "common/wire/crypto.h"
#include "common/wire/token.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#define NOW_S   1700000000
#define SECRET  "a secret of this bench, of a usual length"
#define CUTS    8 /* thresholds above which samples are left out */
#define SAMPLES 1000000

enum kind { RIGHT, FIRST_BYTE, LAST_BYTE, ALL_BYTES, OTHER_KEY, OTHER_USER, OTHER_CLUSTER, ENDED, KINDS };
static const char *const names[KINDS] = {[RIGHT] = "right",
    [FIRST_BYTE] = "first byte of the MAC wrong",
    [LAST_BYTE] = "last byte of the MAC wrong",
    [ALL_BYTES] = "MAC of nobody",
    [OTHER_KEY] = "unknown key id",
    [OTHER_USER] = "payload changed",
    [OTHER_CLUSTER] = "of another cluster",
    [ENDED] = "ended"};

static struct token_keys keys;

static void mac_of(struct span payload, uint8_t *ret)
{
    const struct span pieces[] = {span("msv1", 5), SPAN_LIT("0"), span("", 1), payload};

    crypto_hmac_sha256(SPAN_LIT(SECRET), pieces, ARRAY_N(pieces), ret);
}

static void make(enum kind kind, char *dst)
{
    struct token t = {
        .audience = "1", .user = "anna", .streams = {"cam-1"}, .n_streams = 1, .ops = TOKEN_LIVE};
    uint8_t payload[TOKEN_PAYLOAD_MAX], mac[CRYPTO_SHA256_N];
    struct wr w = wr_of(payload, sizeof(payload)), text = wr_of(dst, TOKEN_TEXT_MAX);

    rng_bytes(t.id, sizeof(t.id));
    if (kind == OTHER_CLUSTER) t.audience[0] = '2';
    if (kind == ENDED) t.not_after_s = NOW_S - 3600;
    t.made_us = (int64_t)NOW_S * US_PER_S + (int64_t)(rng_u32() % 1000000);
    token_write(&w, &t);
    mac_of(wr_span(&w), mac);
    if (kind == FIRST_BYTE) mac[0] ^= (uint8_t)(1 + rng_u32() % 255);
    if (kind == LAST_BYTE) mac[sizeof(mac) - 1] ^= (uint8_t)(1 + rng_u32() % 255);
    if (kind == ALL_BYTES) rng_bytes(mac, sizeof(mac));
    if (kind == OTHER_USER) payload[5] ^= 1;
    wr_fmt(&text, "v1.%c.", kind == OTHER_KEY ? '7' : '0');
    base64url_write(&text, wr_span(&w));
    wr_text(&text, ".");
    base64url_write(&text, span(mac, sizeof(mac)));
    must(wr_cstr(&text)[0] != '\0');
}

static int64_t now_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

/* Each token is another one, in the same place: which digits a few of them happen to have, and where they
 * lie, takes longer or shorter by more than what is looked for. */
static int64_t once(enum kind kind)
{
    static char text[TOKEN_TEXT_MAX];
    const struct token_check check = {&keys, "1", NOW_S};
    struct token t;
    int64_t until_s, began;
    int err;

    make(kind, text);
    began = now_ns();
    err = token_verify(&check, span_of(text), &t, &until_s);
    began = now_ns() - began;
    must((err == 0) == (kind == RIGHT));
    return began;
}

/* Welch's t, as samples come. */
struct moments {
    double n, mean, m2;
};

static void add(struct moments *m, double x)
{
    double d = x - m->mean;

    m->n++;
    m->mean += d / m->n;
    m->m2 += d * (x - m->mean);
}

static double root(double x)
{
    double r = x > 1 ? x : 1;

    for (int i = 0; i < 60; i++) r = (r + x / r) / 2;
    return r;
}

static double t_of(const struct moments *a, const struct moments *b)
{
    double error = a->m2 / (a->n - 1) / a->n + b->m2 / (b->n - 1) / b->n;

    return error > 0 ? (a->mean - b->mean) / root(error) : 0;
}

static int by_value(const void *a, const void *b)
{
    const int64_t *x = a, *y = b;

    return (*x > *y) - (*x < *y);
}

/* Percentiles of samples of both. */
static void thresholds(enum kind a, enum kind b, int64_t ret[CUTS])
{
    static int64_t first[20000];

    for (size_t i = 0; i < ARRAY_N(first); i++) first[i] = once(i % 2 ? a : b);
    qsort(first, ARRAY_N(first), sizeof(first[0]), by_value);
    for (size_t i = 0; i < CUTS; i++) ret[i] = first[ARRAY_N(first) * (50 + 7 * i) / 100];
}

static void compare(enum kind a, enum kind b, size_t samples, const char *before)
{
    struct moments m[CUTS + 1][2] = {{{.n = 0}}};
    int64_t cut[CUTS];
    double worst = 0;

    thresholds(a, b, cut);
    for (size_t i = 0; i < samples; i++) {
        unsigned class = rng_u32() & 1;
        int64_t ns = once(class ? b : a);

        add(&m[CUTS][class], (double)ns);
        for (size_t k = 0; k < CUTS; k++)
            if (ns < cut[k]) add(&m[k][class], (double)ns);
    }
    for (size_t k = 0; k <= CUTS; k++) {
        double t = t_of(&m[k][0], &m[k][1]);

        if (m[k][0].n > 1000 && m[k][1].n > 1000 && (t < 0 ? -t : t) > worst) worst = t < 0 ? -t : t;
    }
    printf("%s{\"a\":\"%s\",\"b\":\"%s\",\"t\":%.2f,\"a_ns\":%.1f,\"b_ns\":%.1f,\"samples\":%zu}", before,
        names[a], names[b], worst, m[CUTS - 1][0].mean, m[CUTS - 1][1].mean, samples);
}

int main(int argc, char **argv)
{
    uint64_t samples = SAMPLES;

    if (argc > 1 && !span_u64(span_of(argv[1]), 1u << 30, &samples)) return 2;
    must(token_keys_add(&keys, SPAN_LIT("0"), SPAN_LIT(SECRET), 0, 0));
    compare(FIRST_BYTE, LAST_BYTE, samples, "[");
    compare(FIRST_BYTE, ALL_BYTES, samples, ",\n ");
    compare(FIRST_BYTE, OTHER_USER, samples, ",\n ");
    compare(FIRST_BYTE, OTHER_KEY, samples, ",\n ");
    compare(FIRST_BYTE, OTHER_CLUSTER, samples, ",\n ");
    compare(FIRST_BYTE, ENDED, samples, ",\n ");
    compare(FIRST_BYTE, RIGHT, samples, ",\n ");
    printf("]\n");
    token_keys_done(&keys);
    return 0;
}
