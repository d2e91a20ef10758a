/* ONVIF metadata documents: the notification messages of their event stream (ONVIF Streaming Specification
 * 5.1.2.1.1, Core Specification 9.5, 9.11). Everything else in them, as tt:VideoAnalytics, is passed over.
 *
 * The one door to expat. Whatever a camera sends costs its document at most: no DTD, so no entities; at most
 * ONVIF_XML_MAX bytes, ONVIF_XML_DEPTH deep, ONVIF_XML_MESSAGES messages. A parser lives for one document:
 * nothing is kept for streams without such a track. Prefixes are the document's own; namespaces count.
 * Tests: tests/unit/worker/test_onvif_xml.c, tests/fuzz/fuzz_onvif_xml.c. */
#ifndef WORKER_ONVIF_XML_H
#define WORKER_ONVIF_XML_H

#include "common/media/frame.h"

#define ONVIF_XML_MAX      (256u << 10)
#define ONVIF_XML_DEPTH    32
#define ONVIF_XML_MESSAGES 64
#define ONVIF_TOPIC_MAX    128
#define ONVIF_ITEMS_MAX    384

/* Conditions (positive). */
enum {
    ONVIF_XML_OK = 0,
    ONVIF_XML_E_NONE = 1,  /* not plain XML: gzip, EXI */
    ONVIF_XML_E_BAD = 2,   /* not well-formed, or with a DTD */
    ONVIF_XML_E_LARGE = 3, /* beyond a limit; what was given before it counts */
};

enum onvif_operation { ONVIF_PULSE = 0, ONVIF_INITIALIZED, ONVIF_CHANGED, ONVIF_DELETED };

struct onvif_message {
    char topic[ONVIF_TOPIC_MAX]; /* without prefixes: RuleEngine/CellMotionDetector/Motion */
    enum onvif_operation operation;
    char utc[40];                 /* as the camera's clock has it */
    char source[ONVIF_ITEMS_MAX]; /* "VideoSourceConfigurationToken=1 Rule=x", key items too; may be cut */
    char data[ONVIF_ITEMS_MAX];   /* "IsMotion=true" */
    bool has_state, state;        /* of the data: its first item that is a truth value */
};

typedef void onvif_message_fn(void *arg, const struct onvif_message *m);
/* Gives each message as it ends. pieces: as a depacketiser hands them out, no NAL units. */
int onvif_xml_read(const struct piece *pieces, size_t n, onvif_message_fn *fn, void *arg);

#endif
