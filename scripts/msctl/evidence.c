/* archive export: an MP4, its manifest and the signature, each whole or not there. The MP4 gets its name
 * last, so that there is none without the others. */
#include "common/base/clock.h"
#include "common/base/err.h"
#include "common/base/fd.h"
#include "common/base/mem.h"
#include "common/base/utf8.h"
#include "common/conf/node_key.h"
#include "common/conf/value.h"
#include "common/ipc/ctl.h"
#include "scripts/msctl/ask.h"
#include "scripts/msctl/evidence.h"
#include "scripts/msctl/out_file.h"
#include "scripts/msctl/place.h"
#include "scripts/msctl/progress.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <unistd.h>

enum { MP4, MANIFEST, SIGNATURE, FILES };

struct job {
    const struct local *l;
    struct evidence e;
    struct place *places; /* all storages */
    size_t n_places;
    struct evidence_place *given;
    const char **missing;
    size_t n_missing;
    char nodes[256]; /* the others of the cluster; "": there are none */
    char version[64], revision[64], name[256], key_file[PLACE_PATH_MAX];
    int64_t node;
    struct crypto_key key;
    struct out_file files[FILES];
    struct progress progress;
};

static volatile sig_atomic_t told_to_stop;

static void on_signal(int signo)
{
    (void)signo;
    told_to_stop = 1;
}

static int fail(const struct job *j, const char *what, const char *why)
{
    fprintf(j->l->err, "msctl: %s%s", what, why ? ": " : "");
    utf8_print(span_of(why), j->l->err);
    fputc('\n', j->l->err);
    return CTL_FAILED;
}

/* --- what the server knows --- */

/* The only row of an answer. */
static int ask_one(const struct job *j, const char *cmd, char *arg, struct show *rows)
{
    char text[512], *args[] = {arg};
    int code = ask(j->l->socket, cmd, args, arg ? 1 : 0, rows, text);

    if (code == CTL_OK && rows->n == 1) return CTL_OK;
    if (code != CTL_NOT_FOUND) (void)fail(j, cmd, text);
    return code == CTL_OK ? CTL_FAILED : code;
}

static int ask_server(struct job *j)
{
    char uid[40];
    struct show status = {0}, stream = {0}, key = {0};
    int code = ask_one(j, "status", NULL, &status);

    snprintf(uid, sizeof(uid), "%s", j->e.uid);
    if (code == CTL_OK) code = ask_one(j, "key show", NULL, &key);
    if (code == CTL_OK) {
        packed_text(status.rows[0], "version", j->version, sizeof(j->version));
        packed_text(status.rows[0], "revision", j->revision, sizeof(j->revision));
        j->node = packed_i64(status.rows[0], "node", 0);
        packed_text(key.rows[0], "file", j->key_file, sizeof(j->key_file));
        /* one that is not configured any more may still have footage */
        if (ask_one(j, "streams", uid, &stream) == CTL_OK)
            packed_text(stream.rows[0], "name", j->name, sizeof(j->name));
    }
    show_done(&status);
    show_done(&stream);
    show_done(&key);
    return code;
}

/* What they have recorded is not read here; what of it was copied here is. */
static void ask_nodes(struct job *j)
{
    struct wr w = wr_of(j->nodes, sizeof(j->nodes));
    struct show rows = {0};
    char text[512];

    (void)ask(j->l->socket, "cluster", NULL, 0, &rows, text);
    for (size_t i = 0; i < rows.n; i++) {
        int64_t node = packed_i64(rows.rows[i], "node", 0);

        if (node != j->node) wr_fmt(&w, "%s%lld", w.n > 0 ? ", " : "", (long long)node);
    }
    (void)wr_cstr(&w);
    show_done(&rows);
}

static int load_key(struct job *j)
{
    CLEANUP(fd_close) int dir = -1;
    char *slash = strrchr(j->key_file, '/'), why[NODE_KEY_WHY_MAX];
    int err;

    if (!slash) return fail(j, "key show", "no file");
    *slash = 0;
    dir = open(j->key_file, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (dir < 0) return fail(j, j->key_file, err_text(-errno));
    err = node_key_load(dir, &j->key, why);
    return err ? fail(j, "the node's key cannot be used", why) : CTL_OK;
}

/* --- the storages --- */

static int list_places(struct job *j)
{
    struct show rows = {0};
    char text[512];
    int code = ask(j->l->socket, "storage list", NULL, 0, &rows, text);

    if (code != CTL_OK) (void)fail(j, "storage list", text);
    j->places = mem_new_n(MAX(rows.n, 1), sizeof(*j->places));
    for (size_t i = 0; code == CTL_OK && i < rows.n; i++)
        if (place_of(rows.rows[i], &j->places[j->n_places])) j->n_places++;
    show_done(&rows);
    return code;
}

static int open_places(struct job *j)
{
    int code = list_places(j);

    if (code != CTL_OK) return code;
    j->given = mem_new_n(MAX(j->n_places, 1), sizeof(*j->given));
    j->missing = mem_new_n(MAX(j->n_places, 1), sizeof(*j->missing));
    for (size_t i = 0; i < j->n_places; i++) {
        struct place *p = &j->places[i];

        if (j->e.n_places < UINT8_MAX && place_open(p, j->l->err) == CTL_OK)
            j->given[j->e.n_places++] = (struct evidence_place){p->name, p->path, p->ix};
        else
            j->missing[j->n_missing++] = p->name;
    }
    j->e.places = j->given;
    return j->e.n_places > 0 ? CTL_OK : fail(j, "no storage can be read", NULL);
}

/* --- the files --- */

/* FILE.mp4, FILE.mp4.json, FILE.mp4.sig */
static void file_name(const struct job *j, int which, char dst[OUT_PATH_MAX])
{
    static const char *const behind[FILES] = {"", EVIDENCE_MANIFEST, EVIDENCE_SIGNATURE};

    snprintf(dst, OUT_PATH_MAX, "%s%s", j->l->out_path, behind[which]);
}

static int open_files(struct job *j)
{
    char path[OUT_PATH_MAX];

    for (int i = 0; i < FILES; i++) {
        int err;

        file_name(j, i, path);
        if (!j->l->force && faccessat(AT_FDCWD, path, F_OK, AT_SYMLINK_NOFOLLOW) == 0)
            return fail(j, path, "is there already (--force: replaces it)");
        err = out_file_open(&j->files[i], path);
        if (err) return fail(j, path, err_text(err));
    }
    return CTL_OK;
}

static int keep_files(struct job *j)
{
    char path[OUT_PATH_MAX];

    for (int i = FILES - 1; i >= 0; i--) {
        int err = out_file_keep(&j->files[i], j->l->force);

        file_name(j, i, path);
        if (err) return fail(j, path, err_text(err));
    }
    return CTL_OK;
}

/* --- the export --- */

static bool alive(void *arg, uint64_t done, uint64_t all)
{
    struct job *j = arg;

    progress_tell(&j->progress, done >> 20, all >> 20, PROGRESS_NONE);
    return !told_to_stop;
}

static int nothing_there(const struct job *j)
{
    struct evidence_near near = evidence_near(&j->e);
    char text[640], iso[CLOCK_ISO_MAX];
    struct wr w = wr_of(text, sizeof(text));

    wr_text(&w,
        near.before_us || near.after_us ? "nothing is recorded then; the nearest footage"
                                        : "nothing is recorded");
    if (near.before_us) wr_fmt(&w, " ends at %s", clock_iso(near.before_us, iso));
    if (near.after_us)
        wr_fmt(&w, "%s begins at %s", near.before_us ? ", and" : "", clock_iso(near.after_us, iso));
    if (j->nodes[0]) wr_fmt(&w, "; other nodes (%s) may have it: export it there", j->nodes);
    return fail(j, j->e.uid, wr_cstr(&w));
}

static int told(const struct job *j, int err)
{
    if (err == EXPORT_OK) return CTL_OK;
    if (err == EXPORT_E_NONE) return nothing_there(j);
    if (err == -ECANCELED) return fail(j, "given up", NULL);
    if (err == EXPORT_E_MANY) return fail(j, j->e.uid, "too much for one file: export a shorter time");
    if (err == EXPORT_E_CHANGED)
        return fail(j, j->e.uid, "the footage has changed meanwhile: export it again");
    if (err <= -EVIDENCE_OUT) return fail(j, j->l->out_path, err_text(err + EVIDENCE_OUT));
    return fail(j, "the archive cannot be read", err_text(err));
}

/* Its bytes are what is signed. */
static int write_manifest(struct job *j)
{
    const char *slash = strrchr(j->l->out_path, '/');
    const struct manifest m = {.evidence = &j->e,
        .file = slash ? slash + 1 : j->l->out_path,
        .name = j->name,
        .version = j->version,
        .revision = j->revision,
        .key = &j->key,
        .node = j->node,
        .now_us = clock_wall_us(),
        .missing = j->missing,
        .n_missing = j->n_missing};
    uint8_t signature[CRYPTO_SIGNATURE_N];
    struct buf b;
    int code = CTL_OK, err = 0;

    buf_init(&b, MANIFEST_MAX);
    if (!manifest_write(&m, &b)) code = fail(j, "the manifest", "longer than anybody would read");
    if (code == CTL_OK && !crypto_sign(&j->key, buf_span(&b), signature))
        code = fail(j, "the manifest", "cannot be signed");
    if (code == CTL_OK) err = fd_write_all(j->files[MANIFEST].fd, buf_span(&b));
    if (code == CTL_OK && !err)
        err = fd_write_all(j->files[SIGNATURE].fd, span(signature, sizeof(signature)));
    if (err) code = fail(j, j->l->out_path, err_text(err));
    buf_done(&b);
    return code;
}

/* Is there something of all the time that was asked for? */
static bool is_whole(const struct job *j)
{
    const struct export_facts *f = export_facts(j->e.x);

    return f->gaps == 0 && f->start_us <= j->e.from_us + INDEX_JOIN_US &&
        f->end_us >= j->e.to_us - INDEX_JOIN_US;
}

static void say(const struct job *j)
{
    const struct export_facts *f = export_facts(j->e.x);
    char from[CLOCK_ISO_MAX], to[CLOCK_ISO_MAX], print[CRYPTO_PRINT_MAX];
    FILE *out = j->l->out;

    clock_iso(f->start_us, from);
    clock_iso(f->end_us, to);
    crypto_key_print(&j->key, print);
    if (j->l->json) {
        fputs("[{\"file\": ", out);
        show_json_text(span_of(j->l->out_path), out);
        fprintf(out,
            ", \"bytes\": %llu, \"sha256\": \"%s\", \"from\": \"%s\", \"to\": \"%s\", \"segments\": %zu, "
            "\"gaps\": %u, \"fingerprint\": \"%s\"}]\n",
            (unsigned long long)f->bytes, j->e.sum, from, to, j->e.n, f->gaps, print);
        return;
    }
    utf8_print(span_of(j->l->out_path), out);
    fprintf(out, ": %s to %s, %llu bytes of %zu segments, %u gaps, %u changes of format\nsigned by %s\n",
        from, to, (unsigned long long)f->bytes, j->e.n, f->gaps, f->changes, print);
    if (f->end_us < j->e.to_us - INDEX_JOIN_US)
        fprintf(out, "what follows is not recorded, or is still being written: see archive list\n");
    if (j->nodes[0] && !is_whole(j))
        fprintf(out, "what other nodes (%s) have and was not copied here is not in it: export it there\n",
            j->nodes);
}

static int export(struct job *j)
{
    int code = ask_server(j);

    if (code == CTL_OK) code = load_key(j);
    if (code == CTL_OK) code = open_places(j);
    if (code == CTL_OK) code = open_files(j);
    if (code != CTL_OK) return code;
    ask_nodes(j);
    progress_begin(&j->progress, j->l->err, "MiB");
    code = told(j, evidence_lay(&j->e));
    if (code == CTL_OK) code = told(j, evidence_write(&j->e, j->files[MP4].fd));
    progress_clear(&j->progress);
    if (code == CTL_OK) code = write_manifest(j);
    if (code == CTL_OK) code = keep_files(j);
    if (code == CTL_OK) say(j);
    return code;
}

/* --- the command --- */

static bool take_time(struct job *j)
{
    usec_t length_us;

    if (!value_time_us(span_of(j->l->args[1]), &j->e.from_us) ||
        !value_duration(span_of(j->l->args[2]), &length_us) || length_us <= 0 || j->e.from_us <= 0 ||
        j->e.from_us > SEG_TIME_MAX_US || length_us > SEG_TIME_MAX_US)
        return false;
    j->e.to_us = j->e.from_us + length_us;
    return true;
}

/* A descriptor for each segment: as many as this machine gives. */
static void many_descriptors(void)
{
    const struct rlimit most = {EXPORT_PARTS_MAX + 256, EXPORT_PARTS_MAX + 256};
    struct rlimit have;

    if (getrlimit(RLIMIT_NOFILE, &have) < 0 || have.rlim_cur >= most.rlim_cur ||
        setrlimit(RLIMIT_NOFILE, &most) == 0)
        return;
    have.rlim_cur = have.rlim_max;
    (void)setrlimit(RLIMIT_NOFILE, &have);
}

int local_export(const struct local *l)
{
    static const int signals[] = {SIGINT, SIGTERM, SIGHUP};
    struct job *j = NEW(struct job);
    int code = CTL_USAGE;

    j->l = l;
    j->e = (struct evidence){.uid = l->args[0], .keep_gaps = l->keep_gaps, .alive = alive, .arg = j};
    for (int i = 0; i < FILES; i++) j->files[i] = (struct out_file){.dir = -1, .fd = -1};
    many_descriptors();
    for (size_t i = 0; i < ARRAY_N(signals); i++)
        sigaction(signals[i], &(struct sigaction){.sa_handler = on_signal}, NULL);
    if (!l->out_path || strlen(l->out_path) + sizeof(EVIDENCE_MANIFEST) > OUT_PATH_MAX)
        (void)fail(j, "archive export", "--out FILE.mp4 says where to");
    else if (!seg_uid_ok(l->args[0]))
        (void)fail(j, "archive export", "no such stream");
    else if (!take_time(j))
        (void)fail(
            j, "archive export", "FROM is unix seconds or 2026-01-31T12:00:00Z, DURATION seconds or 10m");
    else
        code = export(j);
    for (int i = 0; i < FILES; i++) out_file_done(&j->files[i]);
    evidence_done(&j->e);
    for (size_t i = 0; i < j->n_places; i++) place_close(&j->places[i]);
    crypto_key_forget(&j->key);
    mem_free(j->places);
    mem_free(j->given);
    mem_free(j->missing);
    mem_free(j);
    return code;
}
