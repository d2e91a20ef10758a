/* archive verify: is the MP4 what the manifest says, and is the manifest what the key has signed? */
#include "common/base/err.h"
#include "common/base/fd.h"
#include "common/base/mem.h"
#include "common/base/utf8.h"
#include "common/ipc/ctl.h"
#include "scripts/msctl/evidence.h"
#include "scripts/msctl/progress.h"
#include "scripts/msctl/show.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#define PATH_LONG  4096
#define KEY_MAX    4096
#define CHUNK      (1u << 20)
#define FAULTS_MAX 8
#define FAULT_MAX  (PATH_LONG + 256)

struct looking {
    const struct local *l;
    const char *file;
    uint8_t *manifest, *signature;
    size_t manifest_n, signature_n;
    struct manifest_claim claim;
    char print[CRYPTO_PRINT_MAX]; /* of the claim's key */
    char faults[FAULTS_MAX][FAULT_MAX];
    unsigned n;
};

PRINTF_LIKE(2, 3) static void fault(struct looking *k, const char *fmt, ...)
{
    va_list ap;

    if (k->n == FAULTS_MAX) return;
    va_start(ap, fmt);
    vsnprintf(k->faults[k->n++], FAULT_MAX, fmt, ap);
    va_end(ap);
}

static bool read_beside(struct looking *k, const char *behind, size_t most, uint8_t **ret, size_t *ret_n)
{
    char path[PATH_LONG];
    int err = snprintf(path, sizeof(path), "%s%s", k->file, behind) < (int)sizeof(path)
        ? fd_read_file(AT_FDCWD, path, most, ret, ret_n)
        : -ENAMETOOLONG;

    if (err) fault(k, "%s: %s", path, err_text(err));
    return err == 0;
}

static bool read_manifest(struct looking *k)
{
    const char *why;

    if (!read_beside(k, EVIDENCE_MANIFEST, MANIFEST_MAX, &k->manifest, &k->manifest_n)) return false;
    why = manifest_read(span(k->manifest, k->manifest_n), &k->claim);
    if (why) fault(k, "the manifest was changed or is not one: %s", why);
    if (!why) crypto_key_print(&k->claim.key, k->print);
    return !why;
}

static void check_signature(struct looking *k)
{
    struct span text = span(k->manifest, k->manifest_n);

    if (!read_beside(k, EVIDENCE_SIGNATURE, KEY_MAX, &k->signature, &k->signature_n)) return;
    if (!crypto_signed_by(&k->claim.key, text, span(k->signature, k->signature_n)))
        fault(k, "the manifest or its signature was changed: they do not belong to each other");
}

static void check_key(struct looking *k)
{
    struct crypto_key want;
    char print[CRYPTO_PRINT_MAX];
    uint8_t *pem;
    size_t n;
    int err = fd_read_file(AT_FDCWD, k->l->key, KEY_MAX, &pem, &n);
    bool ok = !err && crypto_key_read(span(pem, n), &want);

    if (!err) explicit_bzero(pem, n);
    if (!err) mem_free(pem);
    if (!ok) {
        fault(k, "%s: %s", k->l->key, err ? err_text(err) : "is no Ed25519 key in PEM");
        return;
    }
    crypto_key_forget(&want);
    crypto_key_print(&want, print);
    if (memcmp(want.public, k->claim.key.public, sizeof(want.public)) != 0)
        fault(k, "signed by another key: %s, expected %s", k->print, print);
}

/* 0 or -errno; *ret_n bytes of it. */
static int sum_movie(struct looking *k, int fd, uint64_t *ret_n, char ret[EVIDENCE_SUM_MAX])
{
    CLEANUP(mem_freep) uint8_t *chunk = mem_new(CHUNK);
    struct progress progress;
    struct crypto_sum sum;
    ssize_t n = 1;

    crypto_sum_begin(&sum);
    progress_begin(&progress, k->l->err, "MiB");
    for (*ret_n = 0; n > 0; *ret_n += (uint64_t)MAX(n, 0)) {
        do {
            n = read(fd, chunk, CHUNK);
        } while (n < 0 && errno == EINTR);
        if (n > 0) crypto_sum_add(&sum, span(chunk, (size_t)n));
        progress_tell(&progress, *ret_n >> 20, k->claim.bytes >> 20, PROGRESS_NONE);
    }
    progress_clear(&progress);
    if (n < 0) return -errno;
    crypto_sum_hex(&sum, ret);
    return 0;
}

static void check_movie(struct looking *k)
{
    CLEANUP(fd_close) int fd = open(k->file, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    char sum[EVIDENCE_SUM_MAX];
    uint64_t n = 0;
    int err = fd < 0 ? -errno : sum_movie(k, fd, &n, sum);

    if (err)
        fault(k, "%s: %s", k->file, err_text(err));
    else if (n != k->claim.bytes)
        fault(k, "the MP4 was changed: it has %llu bytes, the manifest says %llu", (unsigned long long)n,
            (unsigned long long)k->claim.bytes);
    else if (strcmp(sum, k->claim.sum) != 0)
        fault(k, "the MP4 was changed: its SHA-256 is %s, the manifest says %s", sum, k->claim.sum);
}

/* --- what is told --- */

static void say_text(FILE *out, const char *title, struct span s)
{
    fprintf(out, "%-12s ", title);
    utf8_print(s, out);
    fputc('\n', out);
}

static void say_claim(const struct looking *k)
{
    const struct manifest_claim *c = &k->claim;
    FILE *out = k->l->out;

    say_text(out, "stream", c->uid);
    say_text(out, "name", c->name);
    say_text(out, "from", c->from);
    say_text(out, "to", c->to);
    say_text(out, "exported", c->exported);
    say_text(out, "node", c->node);
    say_text(out, "version", c->version);
    say_text(out, "key", span_of(k->print));
    fprintf(out, "%-12s %u segments, %u gaps, %u formats\n", "made of", c->segments, c->gaps, c->formats);
    if (c->missing > 0) fprintf(out, "%-12s %u storages could not be read\n", "missing", c->missing);
}

static void say_json(const struct looking *k)
{
    FILE *out = k->l->out;

    fputs("[{\"file\": ", out);
    show_json_text(span_of(k->file), out);
    fprintf(out, ", \"good\": %s, \"fingerprint\": \"%s\", \"faults\": [", k->n == 0 ? "true" : "false",
        k->print);
    for (unsigned i = 0; i < k->n; i++) {
        fputs(i > 0 ? ", " : "", out);
        show_json_text(span_of(k->faults[i]), out);
    }
    fputs("]}]\n", out);
}

static void say(const struct looking *k)
{
    if (k->l->json) {
        say_json(k);
        return;
    }
    if (k->n == 0) say_claim(k);
    for (unsigned i = 0; i < k->n; i++) {
        fputs("WRONG: ", k->l->out);
        utf8_print(span_of(k->faults[i]), k->l->out);
        fputc('\n', k->l->out);
    }
    if (k->n > 0) return;
    fputs("good: MP4, manifest and signature belong together", k->l->out);
    fputs(k->l->key ? ", and the key is the one that was given\n"
                    : "; whose key it is, its fingerprint says (msctl key show on the node, or --key)\n",
        k->l->out);
}

int local_verify(const struct local *l)
{
    struct looking *k = NEW(struct looking);
    int code;

    k->l = l;
    k->file = l->args[0];
    if (read_manifest(k)) {
        check_signature(k);
        if (l->key) check_key(k);
        check_movie(k);
    }
    say(k);
    code = k->n == 0 ? CTL_OK : CTL_FAILED;
    mem_free(k->manifest);
    mem_free(k->signature);
    mem_free(k);
    return code;
}
