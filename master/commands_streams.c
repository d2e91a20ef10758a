/* What msctl may ask about files of the configuration: the commands "stream ..." and "config ..." of
 * common/ipc/ctl.h. */
#include "common/base/mem.h"
#include "master/edits_read.h"
#include "master/master.h"

static void report_free(void *p)
{
    conf_report_done(p);
    mem_free(p);
}

/* words: those of the question behind the uid. */
static int apply(struct session *s, struct stream_edit *edit, size_t words, bool dry)
{
    struct conf_set set[CONTROL_ARGS_MAX];
    char by[CONTROL_BY_MAX];
    const struct edits_order order = {.v = edit,
        .n = 1,
        .dry = dry,
        .remote = s->api,
        .who = control_act(s),
        .by = control_by(s, by),
        .why = ""};
    struct edits_result result;
    int code;

    edit->set = set;
    edit->n = s->n_args - words;
    for (size_t i = 0; i < edit->n; i++) set[i] = edits_set(s->args[i + words], edit->kind == EDIT_SITE);
    s->data = NEW(struct conf_report);
    s->data_free = report_free;
    code = edits_apply(s->m, &order, s->data, &result);
    span_copy(span_of(result.text), s->text, sizeof(s->text));
    edits_result_done(&result);
    return code == EDITS_LATER ? control_wait_act(s) : code;
}

static int run_edit(struct session *s, enum edit_kind kind, bool dry)
{
    struct stream_edit edit = {.kind = kind, .uid = s->args[0]};

    return apply(s, &edit, 1, dry);
}

static int run_site(struct session *s, bool dry)
{
    struct stream_edit edit = {.kind = EDIT_SITE, .uid = EDIT_SITE_UID};

    return apply(s, &edit, 0, dry);
}

static int run_site_set(struct session *s)
{
    return run_site(s, false);
}

static int run_site_check(struct session *s)
{
    return run_site(s, true);
}

static int run_create(struct session *s)
{
    return run_edit(s, EDIT_CREATE, false);
}

static int run_set(struct session *s)
{
    return run_edit(s, EDIT_SET, false);
}

static int run_check(struct session *s)
{
    return run_edit(s, conf_stream(s->m->conf, span_of(s->args[0])) ? EDIT_SET : EDIT_CREATE, true);
}

static int run_remove(struct session *s)
{
    return run_edit(s, EDIT_REMOVE, false);
}

/* secondary UID [URL [SECONDS]] */
static int run_secondary(struct session *s)
{
    char by[CONTROL_BY_MAX], text[EDITS_TEXT_MAX];
    struct secondary_order o = {.uid = s->args[0], .url = s->n_args > 1 ? s->args[1] : ""};
    uint64_t seconds = 0;
    int code;

    if (s->n_args > 2 && !span_u64(span_of(s->args[2]), SECONDARY_MOST_S, &seconds)) {
        snprintf(s->text, sizeof(s->text), "seconds: at most %d", SECONDARY_MOST_S);
        return CTL_USAGE;
    }
    o.seconds = (int64_t)seconds;
    o.by = control_by(s, by);
    s->data = NEW(struct conf_report);
    s->data_free = report_free;
    code = secondary_set(s->m, &o, s->data, text);
    span_copy(span_of(text), s->text, sizeof(s->text));
    return code;
}

const struct command commands_streams[] = {
    {"stream create", 2, CONTROL_ARGS_MAX, run_create, row_remarks},
    {"stream set", 2, CONTROL_ARGS_MAX, run_set, row_remarks},
    {"stream check", 2, CONTROL_ARGS_MAX, run_check, row_remarks},
    {"stream remove", 1, 1, run_remove, row_remarks},
    {"secondary", 1, 3, run_secondary, row_remarks},
    {"config set", 1, CONTROL_ARGS_MAX, run_site_set, row_remarks},
    {"config check", 1, CONTROL_ARGS_MAX, run_site_check, row_remarks},
};
const size_t n_commands_streams = ARRAY_N(commands_streams);
