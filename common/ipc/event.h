/* What happened before a camera, as EVENT carries it; and which ones are asked for. Tests:
 * tests/unit/ipc/test_event.c. */
#ifndef IPC_EVENT_H
#define IPC_EVENT_H

#include "common/ipc/channel.h"

#define EVENT_UID_MAX       40 /* with their NULs: */
#define EVENT_KIND_MAX      65
#define EVENT_SOURCE_MAX    17
#define EVENT_PAYLOAD_MAX   4097
#define EVENT_ROLL_MAX_US   (86400 * US_PER_S) /* of footage before and after it */
#define EVENT_KEYS          9
#define EVENT_LENGTH_MAX_US (86400 * US_PER_S)
#define EVENT_LIMIT_MAX     5000 /* of the newest that are asked for */
#define EVENT_SEEN_MAX      640  /* a list of all patterns that a token may have, with its NUL */

struct event {
    uint64_t id;
    char uid[EVENT_UID_MAX];
    char kind[EVENT_KIND_MAX]; /* motion, door, RuleEngine/LineDetector/Crossed: letters, digits, - _ . / : */
    char source[EVENT_SOURCE_MAX]; /* call, onvif */
    usec_t start_us, end_us;       /* wall clock; end 0: it goes on */
    usec_t before_us, after_us;    /* footage that belongs to it */
    char payload[EVENT_PAYLOAD_MAX];
};

bool event_kind_ok(struct span kind);
void event_pack(struct packer *p, const struct event *e); /* EVENT_KEYS pairs of a map */
void event_send(struct channel *to, const struct event *e);
/* false: no such event can be. */
bool event_read(const struct packed *body, struct event *ret);

/* When its footage ends; of one that goes on: the latest that it may. */
usec_t event_footage_end_us(const struct event *e);

/* --- msctl events --- */
/* Events that overlap [from_us, to_us), of one stream (uid "": of all) and kind ("": any). */
struct event_query {
    char uid[EVENT_UID_MAX];
    usec_t from_us, to_us;
    char kind[EVENT_KIND_MAX];
    uint64_t limit;            /* 0: all, by stream and start; else the newest so many, these first */
    char seen[EVENT_SEEN_MAX]; /* of these streams alone: patterns (wire/token.h) with commas; "": of all */
};
#define EVENT_QUERY_ALL ((struct event_query){.to_us = INT64_MAX})
/* UID, from=T, to=T, kind=K, limit=N or seen=LIST; time reads a T. false: it is none of these. */
bool event_query_take(struct event_query *q, struct span arg, bool (*time)(struct span text, usec_t *ret));
bool event_matches(const struct event *e, const struct event_query *q); /* its stream apart */
/* Pairs of a row of ctl.h, EVENT_ROW_KEYS of them. */
#define EVENT_ROW_KEYS(e) ((e)->end_us ? 11u : 9u)
void event_row(struct packer *p, const struct event *e);

#endif
