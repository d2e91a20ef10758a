/* The keeper's side of questions that the master passes on: who is asked, what came, and when it is all. */
#include "archive/keeper_impl.h"
#include "common/base/mem.h"

#define ASKS_MAX   64             /* at a time: the master has fewer sessions */
#define QUEUE_MOST (1u << 20)     /* bytes the master has not read: then pages wait here */
#define WRITER_US  (5 * US_PER_S) /* a worker has ended by then, or is killed */
#define ALIVE_US   (5 * US_PER_S) /* nothing to say for so long: an empty page says that it goes on */

struct page {
    struct list link;
    uint32_t n;
    size_t bytes;
    uint8_t rows[];
};

static struct keeper_ask *find_ask(struct keeper *k, uint64_t id)
{
    LIST_EACH(&k->asks, link)
    {
        struct keeper_ask *q = LIST_ITEM(link, struct keeper_ask, link);

        if (q->answer.ask.id == id) return q;
    }
    return NULL;
}

static void ask_free(struct keeper_ask *q)
{
    LIST_EACH(&q->pages, link) mem_free(LIST_ITEM(link, struct page, link));
    answer_done(&q->answer);
    list_remove(&q->link);
    mem_free(q);
}

static void send_rows(struct keeper_ask *q, struct channel *ch, uint32_t n, struct span rows)
{
    struct packer *p = channel_begin(ch, MSG_KEEP_ROW, 2);

    pack_kv_u64(p, "id", q->answer.ask.id);
    pack_key(p, "rows");
    pack_array(p, n);
    p->bad = p->bad || !buf_put(p->to, rows);
    channel_end(ch, NULL, 0);
    q->said_us = loop_now_us(q->keeper->loop);
}

static void send_end(struct keeper_ask *q, struct channel *ch)
{
    struct packer *p = channel_begin(ch, MSG_KEEP_END, 3);

    pack_kv_u64(p, "id", q->answer.ask.id);
    pack_kv_u64(p, "code", (uint64_t)q->answer.code);
    pack_kv_text(p, "text", q->answer.text);
    channel_end(ch, NULL, 0);
}

/* What waits goes while there is room for it. true: the question is at its end, and has gone. */
static bool go_on(struct keeper_ask *q)
{
    struct channel *ch = child_control(q->keeper->child);

    while (ch && !list_empty(&q->pages) && channel_queued(ch) < QUEUE_MOST) {
        struct page *page = LIST_ITEM(q->pages.next, struct page, link);

        send_rows(q, ch, page->n, span(page->rows, page->bytes));
        list_remove(&page->link);
        mem_free(page);
    }
    if (ch && (q->n_parts > 0 || q->waits_us > 0 || !list_empty(&q->pages))) return false;
    if (ch) send_end(q, ch);
    ask_free(q);
    return true;
}

/* The first that is wrong is the answer's code; that the time for it was over counts before that a storage
 * is not there: what was not done everywhere it could be is not done. */
static void add_text(struct keeper_ask *q, int code, const char *text)
{
    struct answer *a = &q->answer;
    size_t n = strlen(a->text);

    if (code != CTL_OK && (a->code == CTL_OK || (a->code == CTL_FAILED && code == CTL_BUSY))) a->code = code;
    if (!text[0]) return;
    snprintf(a->text + n, sizeof(a->text) - n, "%s%s", n > 0 ? "; " : "", text);
}

static void page_came(void *arg, uint64_t id, uint32_t n, struct span rows)
{
    struct keeper_ask *q = arg;
    struct page *page;

    (void)id;
    q->rows += n;
    if (q->rows > ASK_ROWS_MAX) {
        if (q->rows - n <= ASK_ROWS_MAX) add_text(q, CTL_OK, "there are more rows, they are left out");
        return;
    }
    page = mem_new(sizeof(*page) + rows.n);
    page->n = n;
    page->bytes = rows.n;
    memcpy(page->rows, rows.p, rows.n);
    list_push(&q->pages, &page->link);
}

static bool part_remove(struct keeper_ask *q, const struct store *s)
{
    for (size_t i = 0; i < q->n_parts; i++)
        if (q->parts[i] == s) {
            q->parts[i] = q->parts[--q->n_parts];
            return true;
        }
    return false;
}

/* --- what storages say --- */

void keeper_ask_rows(struct store *s, uint64_t id, uint32_t n, struct span rows)
{
    struct keeper_ask *q = find_ask(s->keeper, id);

    if (!q) return;
    page_came(q, id, n, rows);
    (void)go_on(q);
}

void keeper_ask_answered(struct store *s, uint64_t id, int code, const char *text)
{
    struct keeper_ask *q = find_ask(s->keeper, id);

    if (!q || !part_remove(q, s)) return;
    add_text(q, code, text);
    (void)go_on(q);
}

void keeper_ask_silent(struct store *s)
{
    char text[ASK_TEXT_MAX];

    snprintf(text, sizeof(text), "storage %s does not answer", s->conf.name);
    LIST_EACH(&s->keeper->asks, link)
    {
        struct keeper_ask *q = LIST_ITEM(link, struct keeper_ask, link);

        if (!part_remove(q, s)) continue;
        add_text(q, CTL_FAILED, text);
        (void)go_on(q);
    }
}

void keeper_ask_done(struct keeper *k)
{
    LIST_EACH(&k->asks, link) ask_free(LIST_ITEM(link, struct keeper_ask, link));
}

/* --- the master --- */

static void take_act(const struct packed *act, struct ask_act *ret)
{
    *ret = (struct ask_act){.id = (uint64_t)packed_i64(act, "id", 0),
        .at_us = packed_i64(act, "at_us", 0),
        .until_us = packed_i64(act, "until_us", 0)};
    (void)stamp_get(act, "stamp", &ret->stamp);
}

static bool take(const struct packed *body, struct ask *ret)
{
    const struct packed *args = packed_get(body, "args");

    *ret = (struct ask){.id = packed_u64(body, "id", 0),
        .command = ask_command(packed_str(body, "cmd")),
        .n_args = packed_n(args)};
    packed_text(body, "by", ret->by, sizeof(ret->by));
    take_act(packed_get(body, "act"), &ret->act);
    if (!ret->command || ret->n_args > ASK_ARGS_MAX) return false;
    for (size_t i = 0; i < ret->n_args; i++)
        if (!span_copy(packed_as_str(packed_at(args, i)), ret->args[i], ASK_ARG_MAX)) return false;
    return ret->n_args >= ret->command->args_min && ret->n_args <= ret->command->args_max;
}

static void ask_storages(struct keeper_ask *q)
{
    LIST_EACH(&q->keeper->stores, link)
    {
        struct store *s = LIST_ITEM(link, struct store, link);

        if (s->gone || q->n_parts == KEEPER_STORES_MAX) continue;
        if (!s->known || s->ending || s->stalled) {
            char text[ASK_TEXT_MAX];

            snprintf(text, sizeof(text), "storage %s does not answer", s->conf.name);
            add_text(q, CTL_FAILED, text);
            continue;
        }
        q->parts[q->n_parts++] = s;
        disk_ask(s->disk, &q->answer.ask);
    }
}

/* Its last segment is on its way to the index while a stream that was taken away is still being written. */
static usec_t waits_until(const struct keeper_ask *q)
{
    const struct ask *a = &q->answer.ask;
    struct keeper *k = q->keeper;

    if (!a->command->unwritten || a->n_args == 0 || !a->args[0][0]) return 0;
    if (map_get(&k->keeping, span_of(a->args[0])) || !keeper_is_written(k, a->args[0])) return 0;
    return loop_now_us(k->loop) + WRITER_US;
}

/* true: it was at its end at once, and has gone. */
static bool look_at_writer(struct keeper_ask *q)
{
    bool written = keeper_is_written(q->keeper, q->answer.ask.args[0]);

    if (q->waits_us == 0 || (written && loop_now_us(q->keeper->loop) < q->waits_us)) return false;
    q->waits_us = 0;
    ask_storages(q);
    return go_on(q);
}

void keeper_ask_unwritten(struct keeper *k)
{
    LIST_EACH(&k->asks, link)(void) look_at_writer(LIST_ITEM(link, struct keeper_ask, link));
}

void keeper_ask_tick(struct keeper *k)
{
    struct channel *ch = child_control(k->child);

    LIST_EACH(&k->asks, link)
    {
        struct keeper_ask *q = LIST_ITEM(link, struct keeper_ask, link);

        if (look_at_writer(q) || go_on(q) || !ch) continue;
        if (loop_now_us(k->loop) - q->said_us >= ALIVE_US) send_rows(q, ch, 0, SPAN_NONE);
    }
}

static void refuse(struct keeper *k, uint64_t id, const char *text)
{
    struct channel *ch = child_control(k->child);
    struct packer *p;

    if (!ch) return;
    p = channel_begin(ch, MSG_KEEP_END, 3);
    pack_kv_u64(p, "id", id);
    pack_kv_u64(p, "code", CTL_USAGE);
    pack_kv_text(p, "text", text);
    channel_end(ch, NULL, 0);
}

int keeper_ask(struct keeper *k, struct incoming *in)
{
    struct keeper_ask *q;
    struct ask ask;
    size_t n = 0;

    LIST_EACH(&k->asks, link) n++;
    if (!take(in->body, &ask) || n >= ASKS_MAX || find_ask(k, ask.id)) {
        refuse(k, packed_u64(in->body, "id", 0), n >= ASKS_MAX ? "too many questions" : "wrong arguments");
        return 0;
    }
    q = NEW(struct keeper_ask);
    q->keeper = k;
    q->said_us = loop_now_us(k->loop);
    list_init(&q->pages);
    answer_init(&q->answer, &ask, page_came, q);
    list_push(&k->asks, &q->link);
    if (ask.command->begin) q->answer.code = ask.command->begin(k, &q->answer);
    answer_flush(&q->answer);
    if (ask.command->step && q->answer.code == CTL_OK) {
        q->waits_us = waits_until(q);
        if (q->waits_us == 0) ask_storages(q);
    }
    (void)go_on(q);
    return 0;
}

/* What its storages still say is nobody's. */
int keeper_ask_gone(struct keeper *k, struct incoming *in)
{
    struct keeper_ask *q = find_ask(k, packed_u64(in->body, "id", 0));

    if (q) ask_free(q);
    return 0;
}

int keeper_ask_complete(struct keeper *k, struct answer *a)
{
    if (!k->complete) answer_fail(a, CTL_FAILED, "the configuration has not come yet");
    return k->complete ? CTL_OK : CTL_FAILED;
}
