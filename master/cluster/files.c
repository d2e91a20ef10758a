#include "master/cluster/files.h"
#include "common/base/clock.h"
#include "common/base/fd.h"
#include "common/base/mem.h"
#include "common/conf/report.h"
#include "master/cluster/net.h"
#include "master/cluster/records.h"
#include "master/edits.h"
#include "master/master.h"

#include <errno.h>
#include <fcntl.h>

#define FILE_NAME   "files"    /* in state-dir: versions, as spread_pack writes them */
#define FILE_MOST   (8u << 20) /* 171 bytes a row at most, of SPREAD_UIDS_MAX and of as many streams here */
#define PATH_MAX_   4096
#define LATER_MOST  1000            /* words that wait for the disk: more are asked for again */
#define PATIENCE_US (15 * US_PER_S) /* of who pushes; the API waits for 20 s */

/* A file on its way here. */
struct coming {
    struct spread_file f;
    uint64_t number; /* of the write of state-dir that it waits for; 0: that has not begun */
    uint8_t *text;   /* NULL: it goes */
    size_t n;
    char path[PATH_MAX_];
    uint8_t *was;
    size_t was_n;
};
/* A word that is said when what it says is durable. */
struct later {
    struct list link;
    uint64_t number; /* of the write that it waits for; 0: that has not begun */
    uint16_t node;
    size_t n;
    uint8_t word[];
};
/* Somebody waits until all have said what they do. */
struct push_wait {
    struct list link;
    uint64_t who;
    usec_t until_us;
};
struct files {
    struct cluster *c;
    struct spread spread;
    struct state_file *file;
    struct coming *coming;
    size_t n_coming;
    struct list waits, laters;
    size_t n_laters;
    bool unsaved;
    uint64_t left_out; /* of spread's, that were logged */
    struct log_rate left_out_rate;
    bool lost, aside; /* what it had promised; kept as FILE_NAME.bad, until somebody takes that away */
};

static struct files *of(const struct master *m)
{
    return m->cluster ? m->cluster->files : NULL;
}

/* --- what the versions call (struct spread_ops) --- */

static void was_sent(struct master *m, void *arg, int err)
{
    (void)m;
    (void)arg;
    (void)err; /* it is said again */
}

static void tell(void *arg, uint16_t node, struct span word)
{
    const struct files *g = arg;

    net_send(g->c->m, node, NET_KIND_FILES, word, was_sent, NULL);
}

static void tell_kept(void *arg, uint16_t node, struct span word)
{
    struct files *g = arg;
    struct later *x;

    if (g->n_laters == LATER_MOST) return;
    x = mem_new(sizeof(*x) + word.n);
    *x = (struct later){.node = node, .n = word.n};
    memcpy(x->word, word.p, word.n);
    list_push(&g->laters, &x->link);
    g->n_laters++;
    g->unsaved = true;
}

static bool is_there(const struct files *g, uint16_t node)
{
    const struct cluster_node *n = cluster_node(g->c, node);

    return n && member_near(&n->member);
}

static bool there(void *arg, uint16_t node)
{
    return is_there(arg, node);
}

static uint64_t next_term(void *arg, uint64_t above)
{
    const struct files *g = arg;

    (void)cluster_heard_term(g->c, above);
    return cluster_next_term(g->c);
}

/* The file of one stream, and of no other. NULL: there is none, or it holds others too. */
static const char *file_of(const struct conf *c, const char *uid, bool *ret_shared)
{
    const struct conf_stream *s = conf_stream(c, span_of(uid));

    *ret_shared = false;
    for (size_t i = 0; s && i < c->n_streams; i++)
        *ret_shared |= c->streams[i] != s && strcmp(c->streams[i]->file, s->file) == 0;
    return s && !*ret_shared ? s->file : NULL;
}

static bool look(void *arg, const char *uid, char ret_etag[static SPREAD_ETAG_MAX])
{
    const struct files *g = arg;
    bool shared;
    const char *path = file_of(g->c->m->conf, uid, &shared);
    uint8_t *text;
    size_t n;

    ret_etag[0] = 0;
    if (!path) return !shared;
    if (fd_read_file(AT_FDCWD, path, SPREAD_TEXT_MAX, &text, &n) < 0) return false;
    edits_etag(span(text, n), ret_etag);
    mem_free(text);
    return true;
}

static bool read_text(void *arg, const char *uid, struct buf *ret)
{
    const struct files *g = arg;
    bool shared, ok;
    const char *path = file_of(g->c->m->conf, uid, &shared);
    uint8_t *text;
    size_t n;

    if (!path || fd_read_file(AT_FDCWD, path, SPREAD_TEXT_MAX, &text, &n) < 0) return false;
    ok = buf_put(ret, span(text, n));
    mem_free(text);
    return ok;
}

static void store(void *arg, const struct spread_file *f, struct span text)
{
    struct files *g = arg;
    struct coming *x;

    if (g->n_coming == 2 * SPREAD_FILES_MAX) return; /* it comes again */
    g->coming = mem_renew(g->coming, (g->n_coming + 1) * sizeof(*g->coming));
    x = &g->coming[g->n_coming++];
    *x = (struct coming){.f = *f, .text = text.p ? mem_dup(text.p, MAX(text.n, 1)) : NULL, .n = text.n};
    g->unsaved = true;
}

static void changed(void *arg)
{
    struct files *g = arg;

    g->unsaved = true;
}

static const char *agreed(void *arg, const struct spread_file *f)
{
    const struct files *g = arg;

    return transfers_agreed(g->c->m, f);
}

/* What came of a push of this node: for the record, as keepers' lines of acts are. */
static void pushed(void *arg, const struct spread_file *f, const char *lost)
{
    const struct stamp *s = &f->decided;

    (void)arg;
    if (lost)
        log_event_of(LOG_WARN, f->uid, "file-not-pushed", "why=%s", log_q(span_of(lost)));
    else
        log_event_of(LOG_NOTE, f->uid, "file-pushed", "term=%llu node=%u boot=%016llx base=%llu mono_us=%lld",
            (unsigned long long)s->term, s->node, (unsigned long long)s->boot,
            (unsigned long long)f->decided_base.term, (long long)clock_mono_us());
}

static const struct spread_ops ops = {
    tell, tell_kept, there, next_term, look, read_text, store, changed, agreed, pushed};

/* --- storing what came --- */

/* NULL, or why it cannot be stored here. */
static const char *place(const struct files *g, struct coming *x)
{
    const struct conf *conf = g->c->m->conf;
    bool shared;
    const char *path = file_of(conf, x->f.uid, &shared);

    if (records_has(g->c->m, x->f.uid)) return "the site's etcd keeps this stream here";
    if (shared) return "its file holds other streams too: give it a file of its own";
    if (path && !span_copy(span_of(path), x->path, sizeof(x->path)))
        return "the path of its file is too long";
    if (!path && !conf_stream_path(conf, span_of(x->f.uid), x->path, sizeof(x->path)))
        return "no pattern of [streams] include takes its file";
    if (path && fd_read_file(AT_FDCWD, x->path, SPREAD_TEXT_MAX, &x->was, &x->was_n) < 0)
        return "its file cannot be read";
    if (conf_uid_refused(span_of(x->f.uid))) return conf_uid_refused(span_of(x->f.uid));
    return NULL;
}

/* For the record; and where it was changed here since it was pushed last: the edits keep what it was. */
static void say_taken(const struct files *g, const struct coming *x, uint64_t revision)
{
    const struct spread_file *was = spread_file(&g->spread, x->f.uid);
    char etag[SPREAD_ETAG_MAX];

    log_event_of(LOG_NOTE, x->f.uid, "file-taken", "term=%llu node=%u boot=%016llx mono_us=%lld",
        (unsigned long long)x->f.stamp.term, x->f.stamp.node, (unsigned long long)x->f.stamp.boot,
        (long long)clock_mono_us());
    if (!x->was || strcmp(edits_etag(span(x->was, x->was_n), etag), was ? was->etag : "") == 0) return;
    log_event_of(LOG_WARN, x->f.uid, "file-overruled", "by_node=%u term=%llu revision=%llu", x->f.stamp.node,
        (unsigned long long)x->f.stamp.term, (unsigned long long)revision);
}

static void done(
    struct files *g, const struct coming *x, const char *etag, const char *why, uint64_t revision)
{
    if (why)
        log_event_of(LOG_WARN, x->f.uid, "file-refused", "by_node=%u term=%llu why=%s", x->f.stamp.node,
            (unsigned long long)x->f.stamp.term, log_q(span_of(why)));
    else
        say_taken(g, x, revision);
    spread_stored(&g->spread, x->f.uid, &x->f.stamp, etag, why);
}

/* false: refused as a whole. */
static bool apply(struct files *g, struct coming *const *v, size_t n)
{
    struct stream_edit *edits = mem_renew(NULL, n * sizeof(*edits));
    struct conf_report report = {0};
    struct edits_result result;
    char by[32];
    const struct edits_order order = {
        .v = edits, .n = n, .pushed = true, .by = by, .why = "pushed by another node"};
    int code;

    snprintf(by, sizeof(by), "node %u", v[0]->f.stamp.node);
    for (size_t i = 0; i < n; i++)
        edits[i] = (struct stream_edit){.kind = EDIT_TEXT,
            .uid = v[i]->f.uid,
            .file = v[i]->path,
            .was = v[i]->was ? span(v[i]->was, v[i]->was_n) : SPAN_NONE,
            .text = v[i]->text ? span(v[i]->text, v[i]->n) : SPAN_NONE};
    code = edits_apply(g->c->m, &order, &report, &result);
    for (size_t i = 0; i < n && (code == CTL_OK || n == 1); i++)
        done(g, v[i], code == CTL_OK ? result.etags[i] : "", code == CTL_OK ? NULL : result.text,
            result.revision);
    mem_free(result.etags);
    conf_report_done(&report);
    mem_free(edits);
    return code == CTL_OK;
}

/* All at once; where one of them is wrong, in halves. */
static void apply_all(struct files *g, struct coming *const *v, size_t n)
{
    if (n == 0 || apply(g, v, n) || n == 1) return;
    apply_all(g, v, n / 2);
    apply_all(g, v + n / 2, n - n / 2);
}

static void coming_done(struct coming *x)
{
    mem_free(x->text);
    mem_free(x->was);
}

/* It is durable that nothing older is to be taken: what was pushed by a node may be stored. */
static bool may_take(const struct files *g, const struct coming *x)
{
    return x->number > 0 && x->number <= state_file_kept(g->file);
}

/* A newer one is wanted by now, or our own is newer: it comes again, should that one be lost. */
static bool is_outdone(const struct files *g, const struct coming *x)
{
    const struct spread_file *f = spread_file(&g->spread, x->f.uid);

    return !f || stamp_cmp(&f->wanted, &x->f.stamp) != 0 || spread_pushing(&g->spread, x->f.uid);
}

/* Those that may be stored now; the caller's. */
static struct coming *take_ready(struct files *g, size_t *ret_n)
{
    struct coming *all = mem_renew(NULL, (g->n_coming + 1) * sizeof(*all));
    size_t left = 0;

    *ret_n = 0;
    for (size_t i = 0; i < g->n_coming; i++)
        if (may_take(g, &g->coming[i]))
            all[(*ret_n)++] = g->coming[i];
        else
            g->coming[left++] = g->coming[i];
    g->n_coming = left;
    return all;
}

static void take_coming(struct files *g)
{
    size_t n, n_good = 0;
    struct coming *all, **good;

    if (g->n_coming == 0) return;
    all = take_ready(g, &n);
    good = mem_renew(NULL, (n + 1) * sizeof(struct coming *));
    for (size_t i = 0; i < n; i++) {
        const char *why = place(g, &all[i]);
        bool twice = false;

        for (size_t k = 0; k < n_good; k++) twice |= strcmp(good[k]->f.uid, all[i].f.uid) == 0;
        if (twice || is_outdone(g, &all[i])) continue;
        if (why)
            done(g, &all[i], "", why, 0);
        else if (!all[i].text && !all[i].was)
            done(g, &all[i], "", NULL, 0); /* there is nothing to be done */
        else
            good[n_good++] = &all[i];
    }
    apply_all(g, good, n_good);
    for (size_t i = 0; i < n; i++) coming_done(&all[i]);
    mem_free(good);
    mem_free(all);
}

/* --- its life --- */

static void save(struct files *g)
{
    uint64_t number = 0;
    struct buf b;
    struct packer p;

    buf_init(&b, FILE_MOST);
    p = packer_of(&b);
    spread_pack(&g->spread, &p);
    if (p.bad)
        state_file_too_large(g->file);
    else
        number = state_file_write(g->file, buf_span(&b));
    buf_done(&b);
    g->unsaved = false;
    LIST_EACH(&g->laters, link)
    {
        struct later *x = LIST_ITEM(link, struct later, link);

        if (x->number == 0) x->number = number;
    }
    for (size_t i = 0; i < g->n_coming; i++)
        if (g->coming[i].number == 0) g->coming[i].number = number;
}

static void later_free(struct files *g, struct later *x)
{
    list_remove(&x->link);
    g->n_laters--;
    mem_free(x);
}

static bool is_kept(const struct later *x, uint64_t kept)
{
    return x->number > 0 && x->number <= kept;
}

/* What is durable now is said; where the disk does not take it nothing is, and it is asked for again. */
static void tell_laters(struct files *g, bool failed)
{
    uint64_t kept = state_file_kept(g->file);
    usec_t now_us = clock_mono_us();
    struct list due;

    list_init(&due);
    LIST_EACH(&g->laters, link)
    {
        struct later *x = LIST_ITEM(link, struct later, link);

        if (!is_kept(x, kept) && !failed) continue;
        list_remove(&x->link);
        list_push(&due, &x->link);
    }
    while (!list_empty(&due)) {
        struct later *x = LIST_ITEM(due.next, struct later, link);

        if (is_kept(x, kept) && x->node == g->spread.self)
            spread_heard(&g->spread, x->node, span(x->word, x->n), now_us);
        else if (is_kept(x, kept))
            tell(g, x->node, span(x->word, x->n));
        later_free(g, x);
    }
}

static bool take(void *arg, struct span bytes)
{
    struct files *g = arg;
    struct unpack *u = NULL;
    bool ok = unpack_file(bytes, &u) == 0 && spread_read(&g->spread, unpack_root(u));

    unpack_done(u);
    return ok;
}

/* Who does not know what it has promised promises nothing, and pushes nothing: two pushes could both be
 * decided. It takes what others push. */
static void load(struct files *g, int state_dir)
{
    g->lost = state_file_read(state_dir, FILE_NAME, FILE_MOST, take, g) < 0;
    g->aside = state_file_is_aside(state_dir, FILE_NAME);
    g->lost |= g->aside;
    spread_mute(&g->spread, g->lost);
    if (g->lost)
        log_error("files-lost",
            "kept=%s.bad effect=\"this node pushes no files, and promises none, until that file is removed\"",
            FILE_NAME);
}

static void look_aside(struct files *g)
{
    if (!g->aside || state_file_is_aside(g->c->m->state_dir, FILE_NAME)) return;
    g->lost = g->aside = false;
    spread_mute(&g->spread, false);
    log_note("files-lost-over", "why=\"%s.bad was removed\"", FILE_NAME);
}

int files_open(struct cluster *c)
{
    struct files *g = c->files = NEW(struct files);

    g->c = c;
    list_init(&g->waits);
    list_init(&g->laters);
    spread_init(&g->spread, &ops, g, (uint16_t)c->m->conf->server.node_id, c->boot);
    files_conf(c);
    g->file = state_file_new(c->m->state_dir, FILE_NAME);
    if (!g->file) return -EMFILE;
    load(g, c->m->state_dir);
    return 0;
}

void files_close(struct cluster *c)
{
    struct files *g = c->files;

    if (!g) return;
    if (g->unsaved && g->file) save(g);
    LIST_EACH(&g->waits, link) mem_free(LIST_ITEM(link, struct push_wait, link));
    LIST_EACH(&g->laters, link) later_free(g, LIST_ITEM(link, struct later, link));
    for (size_t i = 0; i < g->n_coming; i++) coming_done(&g->coming[i]);
    mem_free(g->coming);
    spread_done(&g->spread);
    state_file_free(g->file);
    mem_free(g);
    c->files = NULL;
}

void files_conf(struct cluster *c)
{
    uint16_t *others = mem_new((c->n_nodes + 1) * sizeof(*others));
    bool same = c->files && c->files->spread.n_nodes == c->n_nodes;

    for (size_t i = 0; i < c->n_nodes; i++) {
        others[i] = c->nodes[i].member.id;
        same = same && c->files->spread.nodes[i] == others[i];
    }
    if (c->files && !same) spread_nodes(&c->files->spread, others, c->n_nodes);
    mem_free(others);
}

void files_got(struct master *m, uint16_t node, uint64_t boot, struct span body)
{
    struct files *g = of(m);

    (void)boot; /* stamps have it */
    if (!g) return;
    spread_heard(&g->spread, node, body, clock_mono_us());
    if (g->unsaved) save(g); /* who asks for a promise waits for the disk */
}

/* --- who pushes --- */

bool files_may_push(const struct master *m, char *text)
{
    const struct files *g = of(m);

    if (!g || !g->lost) return singular_reach(m->cluster, text);
    snprintf(text, ACT_TEXT_MAX,
        "this node has lost what it had promised, and pushes nothing until %s/%s.bad is removed "
        "(docs/cluster.md)",
        m->conf->server.state_dir, FILE_NAME);
    return false;
}

bool files_may_edit(const struct master *m, char *text)
{
    return !of(m) || !m->conf->server.cluster_push || files_may_push(m, text);
}

bool files_push(struct master *m, const char *uid, const struct stamp *base)
{
    struct files *g = of(m);

    const struct spread_how how = {
        .gone = conf_stream(m->conf, span_of(uid)) == NULL, .keep = true, .base = *base};

    return g && !records_has(m, uid) && spread_push(&g->spread, uid, &how, clock_mono_us());
}

bool files_pushing(const struct master *m, const char *uid)
{
    return of(m) && spread_pushing(&of(m)->spread, uid);
}

const char *files_lost(const struct master *m, const char *uid)
{
    return of(m) ? spread_lost(&of(m)->spread, uid) : "";
}

void files_edited(struct master *m, const char *uid, bool gone)
{
    struct files *g = of(m);

    if (!g || !m->conf->server.cluster_push) return;
    if (!spread_push(&g->spread, uid, &(struct spread_how){.gone = gone, .keep = true}, clock_mono_us()))
        log_event_of(LOG_WARN, uid, "file-not-pushed", "why=\"it is not a file of its own, or too large\"");
}

const struct spread_file *files_version(const struct master *m, const char *uid)
{
    return of(m) ? spread_file(&of(m)->spread, uid) : NULL;
}

bool files_has(const struct master *m, const struct spread_file *f, uint16_t node)
{
    return (f->has & spread_bit(&of(m)->spread, node)) != 0;
}

bool files_refuses(const struct master *m, const struct spread_file *f, uint16_t node)
{
    return (f->refused & spread_bit(&of(m)->spread, node)) != 0;
}

/* s->args[0]: a uid, or all. */
static bool all_settled(const struct files *g, const struct session *s)
{
    const struct conf *conf = g->c->m->conf;

    if (s->n_args > 0) return spread_settled(&g->spread, s->args[0]);
    for (size_t i = 0; i < conf->n_streams; i++)
        if (!spread_settled(&g->spread, conf->streams[i]->uid)) return false;
    return true;
}

/* Of those that s has pushed: the first that came to nothing, and how many. */
static int result(const struct files *g, struct session *s)
{
    const struct conf *conf = g->c->m->conf;
    const char *first = NULL;
    size_t n = 0;

    for (size_t i = 0; i < conf->n_streams; i++) {
        const char *uid = conf->streams[i]->uid;
        bool one = (s->n_args == 0 || strcmp(uid, s->args[0]) == 0) && spread_lost(&g->spread, uid)[0];

        n += one;
        if (one && !first) first = uid;
    }
    if (!first) return CTL_OK;
    snprintf(s->text, sizeof(s->text), "not done, %zu file%s: %s: %s", n, n == 1 ? "" : "s", first,
        spread_lost(&g->spread, first));
    return CTL_BUSY;
}

static void follow_waits(struct files *g, usec_t now_us)
{
    LIST_EACH(&g->waits, link)
    {
        struct push_wait *w = LIST_ITEM(link, struct push_wait, link);
        struct session *s = control_acting(g->c->m, w->who);

        if (s && now_us < w->until_us && !all_settled(g, s)) continue;
        list_remove(&w->link);
        mem_free(w);
        if (!s) continue;
        s->act_id = 0;
        control_answer_late(s, result(g, s), s->text, SPAN_NONE);
    }
}

/* Peers name streams without end. */
static void say_left_out(struct files *g, usec_t now_us)
{
    uint32_t held;

    if (g->left_out == g->spread.left_out || !log_limited(&g->left_out_rate, now_us, &held)) return;
    log_error("files-many", "uids=%zu left_out=%llu", g->spread.files.n,
        (unsigned long long)(g->spread.left_out - g->left_out));
    g->left_out = g->spread.left_out;
}

void files_tick(struct cluster *c, usec_t now_us)
{
    struct files *g = c->files;

    if (!g) return;
    look_aside(g);
    say_left_out(g, now_us);
    take_coming(g);
    spread_tick(&g->spread, now_us);
    follow_waits(g, now_us);
    if (g->unsaved) save(g);
    tell_laters(g, state_file_say(g->file));
}

/* --- msctl --- */

int files_run_push(struct session *s)
{
    struct files *g = of(s->m);
    const struct conf *conf = s->m->conf;
    struct push_wait *w;
    size_t n = 0, left = 0;

    if (!g) {
        span_copy(SPAN_LIT("this node works alone: there is nobody to push to"), s->text, sizeof(s->text));
        return CTL_FAILED;
    }
    if (!files_may_push(s->m, s->text)) return CTL_BUSY;
    if (s->n_args > 0 && !conf_stream(conf, span_of(s->args[0]))) {
        snprintf(s->text, sizeof(s->text), "no such stream: %.256s", s->args[0]);
        return CTL_NOT_FOUND;
    }
    for (size_t i = 0; i < conf->n_streams; i++) {
        const char *uid = conf->streams[i]->uid;

        if (s->n_args > 0 && strcmp(uid, s->args[0]) != 0) continue;
        if (!records_has(s->m, uid) &&
            spread_push(&g->spread, uid, &(struct spread_how){.gone = false}, clock_mono_us()))
            n++;
        else
            left++;
    }
    snprintf(s->text, sizeof(s->text), "%zu file%s pushed%s", n, n == 1 ? "" : "s",
        left > 0 ? "; others hold more than one stream, are too large, or are kept by the site's etcd" : "");
    if (n == 0) return CTL_FAILED;
    w = NEW(struct push_wait);
    w->who = s->act_id = ++s->m->control.asks;
    w->until_us = clock_mono_us() + PATIENCE_US;
    list_push(&g->waits, &w->link);
    control_wait(s);
    return CONTROL_WAITS;
}

/* A row a node: how many of the files that were pushed it has, and the first that it refuses. */
bool files_row_push(struct session *s, struct packer *p)
{
    const struct files *g = of(s->m);
    size_t has = 0, all = 0;
    const struct spread_file *wrong = NULL;
    struct map_slot slot;
    char why[SPREAD_WHY_MAX + 24];
    uint16_t node;
    size_t at = 0;

    if (!g || s->at >= g->spread.n_nodes) return false;
    node = g->spread.nodes[s->at];
    while (map_next(&g->spread.files, &at, &slot)) {
        const struct spread_file *f = slot.value;

        if (f->stamp.term == 0 || (s->n_args > 0 && strcmp(f->uid, s->args[0]) != 0)) continue;
        all++;
        has += f->has >> s->at & 1;
        if (f->refused >> s->at & 1) wrong = f;
    }
    s->at++;
    pack_map(p, wrong ? 6 : 4);
    pack_kv_u64(p, "node", node);
    pack_kv_bool(p, "there", is_there(g, node));
    pack_kv_u64(p, "has", has);
    pack_kv_u64(p, "files", all);
    if (!wrong) return true;
    pack_kv_text(p, "refuses", wrong->uid);
    /* the last reason is kept: mostly they all have the same one */
    snprintf(why, sizeof(why), "node %u says: %s", wrong->why_node, wrong->why);
    pack_kv_text(p, "why", wrong->why_node == node ? wrong->why : why);
    return true;
}

/* A row a version, by uid. */
bool files_row(struct session *s, struct packer *p)
{
    const struct files *g = of(s->m);
    const struct spread_file *next = NULL;
    struct map_slot slot;
    char has[128];
    struct wr w = wr_of(has, sizeof(has));
    size_t at = 0;

    if (!g) return false;
    while (map_next(&g->spread.files, &at, &slot)) {
        const struct spread_file *f = slot.value;

        if (f->stamp.term > 0 && strcmp(f->uid, s->last) > 0 && (!next || strcmp(f->uid, next->uid) < 0))
            next = f;
    }
    if (!next) return false;
    span_copy(span_of(next->uid), s->last, sizeof(s->last));
    for (size_t i = 0; i < g->spread.n_nodes; i++)
        if (next->has >> i & 1) wr_fmt(&w, "%s%u", w.n > 0 ? "," : "", g->spread.nodes[i]);
    pack_map(p, next->why[0] ? 7 : 5);
    pack_kv_text(p, "uid", next->uid);
    pack_kv_u64(p, "term", next->stamp.term);
    pack_kv_u64(p, "by", next->stamp.node);
    pack_kv_bool(p, "gone", next->gone);
    pack_kv_text(p, "has", wr_cstr(&w));
    if (!next->why[0]) return true;
    pack_kv_u64(p, "refused_by", next->why_node);
    pack_kv_text(p, "why", next->why);
    return true;
}
