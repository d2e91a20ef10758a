#include "httpd/outgoing.h"
#include "common/base/buf.h"
#include "common/base/list.h"
#include "common/base/mem.h"
#include "common/net/loop.h"

#include <curl/curl.h>
#include <pthread.h>
#include <signal.h>

#define POLL_MS 60000 /* it is woken when there is something to do */

struct job {
    struct list link;
    CURL *easy;
    struct curl_slist *fields;
    uint8_t *body;
    struct buf answer, head;
    bool large;
    struct loop *loop;
    void (*done)(void *arg, const struct outgoing_answer *a);
    void *arg;
    struct outgoing_answer got;
};
struct outgoing {
    pthread_t thread;
    pthread_mutex_t lock;
    struct list queue; /* guarded by lock */
    size_t queued;     /* the same */
    bool end;          /* the same */
    CURLM *multi;
    struct list open; /* the thread's */
    unsigned n_open;
};

const char *outgoing_why(int err)
{
    static const char *const texts[] = {[OUTGOING_E_BUSY] = "too many requests wait",
        [OUTGOING_E_NONE] = "no requests are made here",
        [OUTGOING_E_URL] = "this is no URL of http or https",
        [OUTGOING_E_LATE] = "no answer in time",
        [OUTGOING_E_LARGE] = "the answer is too large",
        [OUTGOING_E_CONNECT] = "it cannot be reached",
        [OUTGOING_E_TLS] = "its certificate is not trusted"};

    return err > 0 && (size_t)err < ARRAY_N(texts) ? texts[err] : "";
}

/* --- a job --- */

static void job_free(struct job *j)
{
    if (j->easy) curl_easy_cleanup(j->easy);
    curl_slist_free_all(j->fields);
    mem_free(j->body);
    buf_done(&j->answer);
    buf_done(&j->head);
    mem_free(j);
}

static size_t on_body(char *p, size_t one, size_t n, void *arg)
{
    struct job *j = arg;

    j->large = !buf_put(&j->answer, span(p, one * n));
    return j->large ? 0 : one * n;
}

static size_t on_head(char *p, size_t one, size_t n, void *arg)
{
    struct job *j = arg;
    struct span line = span(p, one * n);

    /* each response, a 100 too, begins with its status line: the last one counts */
    if (span_starts(line, SPAN_LIT("HTTP/"))) buf_clear(&j->head);
    j->large = !buf_put(&j->head, line);
    return j->large ? 0 : line.n;
}

static bool add_fields(struct job *j, const struct outgoing_ask *ask)
{
    char line[1024];

    for (size_t i = 0; i < ask->n_fields; i++) {
        int n = snprintf(line, sizeof(line), "%s: %s", ask->fields[i].name, ask->fields[i].value);
        struct curl_slist *more;

        if (n < 0 || (size_t)n >= sizeof(line) || strpbrk(line, "\r\n")) continue;
        more = curl_slist_append(j->fields, line);
        if (!more) return false;
        j->fields = more;
    }
    return true;
}

static bool set_up(struct job *j, const struct outgoing_ask *ask)
{
    CURL *e = j->easy;
    bool ok = curl_easy_setopt(e, CURLOPT_URL, ask->url) == CURLE_OK &&
        curl_easy_setopt(e, CURLOPT_CUSTOMREQUEST, ask->method) == CURLE_OK &&
        curl_easy_setopt(e, CURLOPT_PROTOCOLS_STR, "http,https") == CURLE_OK;

    if (!ok || !add_fields(j, ask)) return false;
    curl_easy_setopt(e, CURLOPT_PRIVATE, j);
    curl_easy_setopt(e, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(e, CURLOPT_FOLLOWLOCATION, 0L);
    curl_easy_setopt(e, CURLOPT_PROXY, "");
    curl_easy_setopt(e, CURLOPT_USERAGENT, "media-server");
    curl_easy_setopt(e, CURLOPT_TIMEOUT_MS, (long)CLAMP(ask->limit_us / US_PER_MS, 1, 600000));
    curl_easy_setopt(e, CURLOPT_HTTPHEADER, j->fields);
    curl_easy_setopt(e, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(e, CURLOPT_WRITEDATA, j);
    curl_easy_setopt(e, CURLOPT_HEADERFUNCTION, on_head);
    curl_easy_setopt(e, CURLOPT_HEADERDATA, j);
    if (strcmp(ask->method, "HEAD") == 0) curl_easy_setopt(e, CURLOPT_NOBODY, 1L);
    if (!ask->body.p) return true;
    j->body = mem_try(ask->body.n + 1);
    if (!j->body) return false;
    memcpy(j->body, ask->body.p, ask->body.n);
    curl_easy_setopt(e, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)ask->body.n);
    return curl_easy_setopt(e, CURLOPT_POSTFIELDS, j->body) == CURLE_OK;
}

static struct job *job_new(const struct outgoing_ask *ask)
{
    struct job *j = NEW(struct job);

    j->loop = ask->loop;
    j->done = ask->done;
    j->arg = ask->arg;
    buf_init(&j->answer, ask->answer_max);
    buf_init(&j->head, OUTGOING_FIELDS_MAX);
    j->easy = curl_easy_init();
    if (j->easy && set_up(j, ask)) return j;
    job_free(j);
    return NULL;
}

/* --- the thread --- */

static int err_of(const struct job *j, CURLcode code)
{
    if (code == CURLE_OK) return 0;
    if (j->large) return OUTGOING_E_LARGE;
    if (code == CURLE_OPERATION_TIMEDOUT) return OUTGOING_E_LATE;
    if (code == CURLE_PEER_FAILED_VERIFICATION || code == CURLE_SSL_CONNECT_ERROR ||
        code == CURLE_SSL_CACERT_BADFILE || code == CURLE_SSL_ISSUER_ERROR)
        return OUTGOING_E_TLS;
    return OUTGOING_E_CONNECT;
}

/* In the asker's loop. */
static void tell(void *arg)
{
    struct job *j = arg;

    j->got.body = buf_span(&j->answer);
    j->got.fields = buf_span(&j->head);
    j->done(j->arg, &j->got);
    job_free(j);
}

static void job_over(struct outgoing *o, struct job *j, int err)
{
    long status = 0;

    list_remove(&j->link);
    o->n_open--;
    curl_multi_remove_handle(o->multi, j->easy);
    j->got.err = err;
    if (err == 0 && curl_easy_getinfo(j->easy, CURLINFO_RESPONSE_CODE, &status) == CURLE_OK)
        j->got.status = (unsigned)CLAMP(status, 0, 999);
    loop_post(j->loop, tell, j);
}

/* Has any? Then there is room for one that waits. */
static bool look_at_finished(struct outgoing *o)
{
    CURLMsg *msg;
    bool any = false;
    int left;

    while ((msg = curl_multi_info_read(o->multi, &left)) != NULL) {
        struct job *j = NULL;

        if (msg->msg != CURLMSG_DONE) continue;
        curl_easy_getinfo(msg->easy_handle, CURLINFO_PRIVATE, &j);
        job_over(o, j, err_of(j, msg->data.result));
        any = true;
    }
    return any;
}

/* false: the end. */
static bool take_queued(struct outgoing *o)
{
    bool end;

    pthread_mutex_lock(&o->lock);
    end = o->end;
    while (!end && o->n_open < OUTGOING_OPEN_MAX && !list_empty(&o->queue)) {
        struct job *j = CONTAINER(o->queue.next, struct job, link);

        list_remove(&j->link);
        o->queued--;
        list_push(&o->open, &j->link);
        o->n_open++;
        if (curl_multi_add_handle(o->multi, j->easy) != CURLM_OK) job_over(o, j, OUTGOING_E_CONNECT);
    }
    pthread_mutex_unlock(&o->lock);
    return !end;
}

static void *run(void *arg)
{
    struct outgoing *o = arg;
    int running;

    while (take_queued(o)) {
        curl_multi_perform(o->multi, &running);
        if (!look_at_finished(o)) curl_multi_poll(o->multi, NULL, 0, POLL_MS, NULL);
    }
    return NULL;
}

/* --- the face --- */

static void free_all(struct list *jobs, CURLM *multi)
{
    while (!list_empty(jobs)) {
        struct job *j = CONTAINER(jobs->next, struct job, link);

        list_remove(&j->link);
        if (multi) curl_multi_remove_handle(multi, j->easy);
        job_free(j);
    }
}

struct outgoing *outgoing_new(void)
{
    struct outgoing *o;
    sigset_t all, before;
    int err;

    if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) return NULL;
    o = NEW(struct outgoing);
    list_init(&o->queue);
    list_init(&o->open);
    pthread_mutex_init(&o->lock, NULL);
    o->multi = curl_multi_init();
    sigfillset(&all); /* signals are the main loop's */
    pthread_sigmask(SIG_SETMASK, &all, &before);
    err = o->multi ? pthread_create(&o->thread, NULL, run, o) : -1;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (err == 0) return o;
    if (o->multi) curl_multi_cleanup(o->multi);
    pthread_mutex_destroy(&o->lock);
    mem_free(o);
    return NULL;
}

void outgoing_free(struct outgoing *o)
{
    if (!o) return;
    pthread_mutex_lock(&o->lock);
    o->end = true;
    pthread_mutex_unlock(&o->lock);
    curl_multi_wakeup(o->multi);
    pthread_join(o->thread, NULL);
    free_all(&o->open, o->multi);
    free_all(&o->queue, NULL);
    curl_multi_cleanup(o->multi);
    pthread_mutex_destroy(&o->lock);
    mem_free(o);
}

static bool url_ok(const char *url)
{
    struct span s = span_of(url);

    if (s.n > OUTGOING_URL_MAX || strpbrk(url, " \t\r\n")) return false;
    return span_istarts(s, "http://") || span_istarts(s, "https://");
}

int outgoing_send(struct outgoing *o, const struct outgoing_ask *ask)
{
    struct job *j;
    bool full;

    if (!o) return OUTGOING_E_NONE;
    if (!url_ok(ask->url)) return OUTGOING_E_URL;
    j = job_new(ask);
    if (!j) return OUTGOING_E_URL;
    pthread_mutex_lock(&o->lock);
    full = o->queued >= OUTGOING_QUEUE_MAX;
    if (!full) {
        list_push(&o->queue, &j->link);
        o->queued++;
    }
    pthread_mutex_unlock(&o->lock);
    if (full) {
        job_free(j);
        return OUTGOING_E_BUSY;
    }
    curl_multi_wakeup(o->multi);
    return 0;
}

struct span outgoing_field(const struct outgoing_answer *a, const char *name)
{
    struct span rest = a->fields, line, found = SPAN_NONE;

    while (span_split(&rest, '\n', &line)) {
        ssize_t colon = span_find(line, ':');

        if (colon > 0 && span_iis(span_trim(span_sub(line, 0, (size_t)colon)), name))
            found = span_trim(span_from(line, (size_t)colon + 1));
    }
    return found;
}
