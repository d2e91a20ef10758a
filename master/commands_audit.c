/* What may be asked of the audit log: "audit" and, for the API, "api audit" (common/ipc/ctl.h). */
#include "master/audit.h"
#include "master/master.h"

#define SHOWN 100 /* lines, where nobody says how many */

static int run_audit(struct session *s)
{
    uint64_t n = SHOWN;

    if (s->n_args > 0 && (!span_u64(span_of(s->args[0]), AUDIT_KEPT, &n) || n == 0)) {
        snprintf(s->text, sizeof(s->text), "a number of lines, at most %d", AUDIT_KEPT);
        return CTL_USAGE;
    }
    snprintf(s->last, sizeof(s->last), "%llu", (unsigned long long)n);
    return CTL_OK;
}

static bool row_audit(struct session *s, struct packer *p)
{
    uint64_t n;

    return span_u64(span_of(s->last), AUDIT_KEPT, &n) && s->at < n && audit_pack(&s->m->audit, s->at++, p);
}

const struct command commands_audit[] = {
    {"audit", 0, 1, run_audit, row_audit},
    {"api audit", 0, 1, run_audit, row_audit},
};
const size_t n_commands_audit = ARRAY_N(commands_audit);
