#include "httpd/sign_fields.h"
#include "common/wire/json.h"
#include "httpd/problem.h"

static struct span *field_of(struct sign_fields *f, struct span key)
{
    if (span_is(key, "user")) return &f->user;
    if (span_is(key, "password")) return &f->password;
    return span_is(key, "secret") ? &f->secret : NULL;
}

void sign_fields_read(struct span body, struct sign_fields *f)
{
    struct wr w = wr_of(f->mem, sizeof(f->mem));
    struct json j = json_of(body);
    struct json_item item;

    *f = (struct sign_fields){.n = 0};
    while (json_next(&j, &item)) {
        struct span *to = field_of(f, item.key);
        size_t from = w.n;

        if (item.type == JSON_END || (item.depth == 0 && item.type == JSON_OBJECT)) continue;
        f->n++;
        if (!to || to->p || item.depth != 1 || item.type != JSON_TEXT) continue;
        if (json_read_text(&w, item.text)) *to = span(f->mem + from, w.n - from);
    }
    f->bad = j.bad || body.n == 0;
    f->at = body.n - j.rest.n;
}

bool sign_is_json(struct http *h)
{
    if (span_istarts(head_get(&h->ask->req.head, "Content-Type"), "application/json")) return true;
    problem_answer(h, 415, "type", NULL, "send application/json");
    return false;
}
