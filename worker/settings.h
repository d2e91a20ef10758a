/* The settings of a worker's stream, out of the master's STREAM message. */
#ifndef WORKER_SETTINGS_H
#define WORKER_SETTINGS_H

#include "common/base/secret.h"
#include "common/ipc/pack.h"
#include "worker/rtsp_client.h"

#define SETTINGS_URL_MAX 2048

/* When what is captured is written. */
enum record_mode {
    RECORD_CONTINUOUS,
    RECORD_EVENT,  /* windows of events */
    RECORD_ORDERED /* windows that the master orders: a schedule's, or a call's */
};

struct settings {
    char uid[40];
    uint64_t hash;     /* of them all, as the master counts */
    struct secret url; /* holds the camera's password */
    char user_agent[128];
    unsigned tracks; /* 1 << TRACK_VIDEO and so on */
    enum rtsp_transport_choice transport;
    bool on_demand;
    uint32_t invalid_after; /* bad packets in a row, 0: never */
    uint32_t retry_numbers; /* failed attempts before an alarm, 0: never */
    usec_t retry_first_us, retry_most_us;
    bool record;
    enum record_mode mode;
    usec_t chunk_us;
    usec_t event_before_us;
    uint32_t ring_max;
};

/* false: cannot be used; *ret_why says what. *ret is then as settings_done leaves it. */
bool settings_read(const struct packed *body, struct settings *ret, const char **ret_why);
void settings_done(struct settings *s);
/* Does its camera push (publish://)? */
bool settings_pushed(const struct settings *s);
/* What is set up: what is to be captured, and in dvr-mode = event the metadata, which is read only. */
unsigned settings_tracks(const struct settings *s);
/* The same camera, asked in the same way? */
bool settings_same_source(const struct settings *a, const struct settings *b);

#endif
