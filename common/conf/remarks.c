/* What is taken without an effect in this version, or cannot work with it yet: gathered while files are read,
 * and said once for all keys and streams that say the same, with the first of them. */
#include "common/base/mem.h"
#include "common/base/wr.h"
#include "common/conf/load.h"
#include "common/conf/report.h"

static const char *const lacks[LACKS] = {
    [LACK_RTSPS] = "accepted: rtsps is not part of this version, such a stream is down",
    [LACK_PUSH] =
        "the publish listener is not opened (enable of [[stream]]), so nobody can push such a stream",
    [LACK_LOGIN] = "without user and password in the URL everybody (whitelist-publishers) may push it",
    [LACK_DEMAND] = "a camera that pushes comes and goes by itself: on-demand is taken as true",
    [LACK_WHITELIST] =
        "accepted: stream-whitelist is of streams with stream-access = protected, here it closes nothing",
    [LACK_PROTECTED] = "no network is listed (stream-whitelist), so nobody may watch such a stream",
    [LACK_KEY] = "there is no key for tokens (auth-secret) and no account, so nobody may watch such a stream",
    [LACK_NODE] =
        "primary-node or secondary-node names what is no node of the nodes file: nobody stands for it",
};

static void gather(struct accepted *a, const char *file, unsigned line, const char *key)
{
    if (a->count++ > 0) return;
    a->line = line;
    a->file = mem_strdup(file);
    a->key = mem_strdup(key);
}

void load_accepted(
    struct load *l, const struct conf_row *row, const struct source *s, unsigned line, const char *name)
{
    if (row->accepted) gather(&l->accepted[conf_row_index(row)], s->file, line, name);
}

void load_lack(struct load *l, enum lack what, const char *file, unsigned line, const char *name)
{
    gather(&l->lacks[what], file, line, name);
}

void load_remarks_done(struct load *l)
{
    for (size_t i = 0; i < CONF_ROWS_MAX + LACKS; i++) {
        struct accepted *a = i < CONF_ROWS_MAX ? &l->accepted[i] : &l->lacks[i - CONF_ROWS_MAX];

        mem_free(a->file);
        mem_free(a->key);
    }
    mem_free(l->short_capacity.file);
    mem_free(l->short_capacity.key);
}

static void note(
    struct load *l, const struct accepted *first, const char *text, const char *also, unsigned streams)
{
    char many[48] = "";

    if (streams > 1) snprintf(many, sizeof(many), " (%u streams)", streams);
    report_add(l->r, CONF_NOTE, first->file, first->line, first->key, "%s%s%s", text, also, many);
}

/* One note for all keys that say the same. */
static void note_accepted(struct load *l, size_t first, bool *said)
{
    const struct conf_row *row = &conf_rows[first];
    unsigned most = l->accepted[first].count;
    char also[300] = "";
    struct wr w = wr_of(also, sizeof(also));

    for (size_t i = first; i < conf_rows_n; i++) {
        if (l->accepted[i].count == 0 || conf_rows[i].scope != row->scope ||
            strcmp(conf_rows[i].accepted, row->accepted) != 0)
            continue;
        said[i] = true;
        most = MAX(most, l->accepted[i].count);
        if (i > first) wr_fmt(&w, "%s%s", w.n ? ", " : " (also ", conf_rows[i].name);
    }
    if (w.n > 0) wr_text(&w, ")");
    note(l, &l->accepted[first], row->accepted, wr_cstr(&w), row->scope == SCOPE_STREAM ? most : 1);
}

void load_remarks(struct load *l)
{
    bool said[CONF_ROWS_MAX] = {false};

    if (l->short_capacity.n > 0)
        report_add(l->r, CONF_WARNING, l->short_capacity.file, l->short_capacity.line, l->short_capacity.key,
            "dvr-capacity of %u stream(s) deletes nothing, because [dvr] capacity-enforce is not given; "
            "enforced it would keep this "
            "one for about %.1f days of the %.1f of dvr-duration (at 2 Mbit/s)",
            l->short_capacity.n, l->short_capacity.days, l->short_capacity.of_days);
    for (size_t i = 0; i < LACKS; i++)
        if (l->lacks[i].count > 0) note(l, &l->lacks[i], lacks[i], "", l->lacks[i].count);
    for (size_t i = 0; i < conf_rows_n; i++)
        if (l->accepted[i].count > 0 && !said[i]) note_accepted(l, i, said);
}
