/* What the API asks about exports: the commands "api export...", "api exports" of common/ipc/ctl.h. */
#include "common/base/clock.h"
#include "common/base/mem.h"
#include "common/conf/value.h"
#include "master/master.h"

static int refuse(struct session *s, int code, const char *text)
{
    span_copy(span_of(text), s->text, sizeof(s->text));
    return code;
}

/* --- api export UID FROM TO SECONDS NOTE: locked, and kept so long --- */

/* The keeper's row says by which number the lock goes. */
static void locked(struct session *s, const struct packed *rows)
{
    struct export_row *r = s->data;

    if (packed_n(rows) == 0 || r->id[0]) return;
    span_copy(packed_str(packed_at(rows, 0), "id"), r->id, sizeof(r->id));
    if (r->id[0]) (void)exports_add(s->m, r);
}

static bool take_times(struct session *s, struct export_row *r)
{
    uint64_t seconds;

    if (!value_time(span_of(s->args[1]), &r->from_s) || !value_time(span_of(s->args[2]), &r->to_s) ||
        r->to_s <= r->from_s || !span_u64(span_of(s->args[3]), (uint64_t)EXPORT_KEEP_MOST, &seconds) ||
        seconds == 0)
        return false;
    r->made_s = clock_wall_us() / US_PER_S;
    r->until_s = r->made_s + (int64_t)seconds;
    return true;
}

static int run_export(struct session *s)
{
    struct export_row *r = NEW(struct export_row);
    char why[ACT_TEXT_MAX];

    s->data = r;
    s->data_free = mem_free;
    if (!fleet_stream(s->m, span_of(s->args[0]))) return refuse(s, CTL_NOT_FOUND, "no such stream");
    if (!take_times(s, r) || strlen(s->args[4]) > EXPORT_NOTE_MAX)
        return refuse(
            s, CTL_USAGE, "from and to in unix seconds, kept for a week at most, with a note of 200 bytes");
    if ((r->to_s - r->from_s) * US_PER_S > s->m->conf->dvr.export_max_us) {
        snprintf(s->text, sizeof(s->text), "one file spans at most %lld seconds (export-max): make several",
            (long long)(s->m->conf->dvr.export_max_us / US_PER_S));
        return CTL_USAGE;
    }
    if (s->m->exports.n == EXPORTS_MAX)
        return refuse(s, CTL_FAILED, "there are too many exports: delete some");
    span_copy(span_of(s->args[0]), r->uid, sizeof(r->uid));
    span_copy(span_of(s->args[4]), r->note, sizeof(r->note));
    control_by(s, r->by);
    snprintf(s->args[1], sizeof(s->args[1]), "%lld000000", (long long)r->from_s);
    snprintf(s->args[2], sizeof(s->args[2]), "%lld000000", (long long)r->to_s);
    snprintf(s->args[3], sizeof(s->args[3]), "export: %.200s", r->note);
    s->n_args = 4;
    s->keep_cmd = "archive lock";
    s->keep_rows = locked;
    /* where the other nodes cannot agree what is here is locked here: footage is wanted when machines fail */
    return singular_reach(s->m->cluster, why) ? singular_run(s, ACT_LOCK) : control_ask_keeper(s);
}

/* --- api exports, api export end ID --- */

static int run_exports(struct session *s)
{
    (void)s;
    return CTL_OK;
}

static bool row_exports(struct session *s, struct packer *p)
{
    const struct exports *x = &s->m->exports;

    while (s->at < x->n) {
        const struct export_row *r = &x->v[x->n - 1 - s->at++];

        if (r->until_s == 0) continue;
        exports_pack(p, r);
        return true;
    }
    return false;
}

static int run_end(struct session *s)
{
    struct export_row *r = exports_find(&s->m->exports, span_of(s->args[0]));

    if (!r || !control_sees(s, r->uid)) return refuse(s, CTL_NOT_FOUND, "there is no such export");
    exports_end(s->m, r);
    return CTL_OK;
}

const struct command commands_exports[] = {
    {"api export", 5, 5, run_export, NULL},
    {"api exports", 0, 0, run_exports, row_exports},
    {"api export end", 1, 1, run_end, NULL},
};
const size_t n_commands_exports = ARRAY_N(commands_exports);
