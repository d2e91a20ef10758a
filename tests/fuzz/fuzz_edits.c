/* The body of "api edit", which the master takes apart: whatever stands in it, what is taken is edits whose
 * texts are whole, and an ini file that they are applied to stays one. */
#include "common/base/err.h"
#include "common/base/mem.h"
#include "common/conf/mask.h"
#include "master/edits_read.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

#define TRIED_MAX 16 /* edits of one input that are applied */

static void apply(const struct stream_edit *e)
{
    static const char text[] = "[cam]\na = 1 # one\n[server]\n[[stream]]\nauth-secret = x\n";
    struct conf_report r = {0};
    struct source s;
    struct buf to;
    size_t at = 0;
    int err;

    buf_init(&to, 2u << 20);
    err = conf_edit(SPAN_LIT(text), span_of(e->uid), e->set, e->n, &to, &at);
    must(at <= e->n);
    if (err == CONF_EDIT_OK && e->kind == EDIT_SITE) {
        source_parse(&s, "", mem_dup(buf_span(&to).p, buf_n(&to)), buf_n(&to), SOURCE_BARE_KEYS, &r);
        must(r.mistakes == 0);
        source_done(&s);
    }
    conf_report_done(&r);
    buf_done(&to);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct edits_read in;
    bool ok = edits_read(span(data, n), &in);

    must(ok == (in.n > 0) && in.n <= EDITS_MAX);
    for (size_t i = 0; i < in.n; i++) {
        const struct stream_edit *e = &in.v[i];

        must(e->uid[0] && e->kind <= EDIT_SITE && e->kind != EDIT_TEXT);
        must((e->kind == EDIT_SITE) == (strcmp(e->uid, EDIT_SITE_UID) == 0 && e->kind == EDIT_SITE));
        for (size_t k = 0; k < e->n; k++) {
            must(!strchr(e->set[k].key, '=') && !strchr(e->set[k].key, '\n'));
            must(e->kind == EDIT_SITE ? !strchr(e->set[k].key, '/') : !e->set[k].section);
        }
        if (i < TRIED_MAX && (e->kind != EDIT_SITE || e->n > 0)) apply(e);
    }
    edits_read_done(&in);
    return 0;
}
