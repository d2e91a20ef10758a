/* What the camera's metadata says: to the master, which knows what goes on. */
#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/base/mem.h"
#include "worker/worker_impl.h"

static void tell(struct worker *w, const struct event *e, bool over)
{
    struct packer *p = channel_begin(child_control(w->child), MSG_EVENT, EVENT_KEYS + 1);

    event_pack(p, e);
    pack_kv_bool(p, "over", over);
    channel_end(child_control(w->child), NULL, 0);
}

static void on_message(void *arg, const struct onvif_message *m)
{
    struct worker *w = arg;
    struct event *e = NEW(struct event);
    enum onvif_tell what = onvif_events_take(w->onvif, m, w->document_us, e);

    span_copy(span_of(w->settings.uid), e->uid, sizeof(e->uid));
    if (what != ONVIF_TELL_NOT) tell(w, e, what == ONVIF_TELL_OVER);
    mem_free(e);
}

void worker_document(void *arg, unsigned track, const struct piece *pieces, size_t n, usec_t wall_us)
{
    struct worker *w = arg;
    uint64_t before;
    uint32_t held;
    int err;

    if (!w->onvif) w->onvif = NEW(struct onvif_events);
    before = w->onvif->held;
    w->document_us = wall_us;
    err = onvif_xml_read(pieces, n, on_message, w);
    if (err == ONVIF_XML_E_BAD || err == ONVIF_XML_E_LARGE) ingest_fault(w->ingest, FAULT_PAYLOAD, track, 1);
    if (w->onvif->held > before && log_limited(&w->metadata, clock_mono_us(), &held))
        log_warn("events-held-back", "why=\"more than %d in a minute\" held=%u", ONVIF_MINUTE_MAX, held);
}

/* What went on is over as far as can be told. */
void worker_metadata_over(struct worker *w)
{
    struct event *e;

    if (!w->onvif) return;
    e = NEW(struct event);
    while (onvif_events_end(w->onvif, clock_wall_us(), e)) {
        span_copy(span_of(w->settings.uid), e->uid, sizeof(e->uid));
        tell(w, e, true);
    }
    mem_free(e);
}
