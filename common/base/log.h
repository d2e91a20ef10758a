/* One line per event: time, level, process, stream or other stable id, event, key=value fields.
 *
 *   2026-11-22T17:03:20.123Z warn worker[4711] cam-1 rtp-loss packets=12 track=0
 *
 * As text, or as JSON lines with the fields as members; with journald priorities ("<4>") where stderr is the
 * journal. Libraries return, processes log. What a remote side caused goes through log_limited(). A value
 * that came from outside is written with log_q(), a secret cannot be written at all (secret.h). */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include "common/base/span.h"

enum log_level { LOG_ERROR = 3, LOG_WARN = 4, LOG_NOTE = 5, LOG_INFO = 6, LOG_DEBUG = 7 };

#define LOG_LINE_MAX 1024

struct log_setup {
    const char *process; /* "worker"; must outlive the process */
    const char *id;      /* stream uid or NULL; copied */
    enum log_level level;
    bool json;
    bool journal; /* priorities before text lines */
    int fd;       /* written to with one write(2) a line; info and above of the master go to stdout */
};

void log_init(const struct log_setup *s);
void log_set_level(enum log_level level);
void log_set_fd(
    int fd); /* after the log file was reopened; takes it, closes the one before unless it is 1 or 2 */
bool log_wants(enum log_level level);
/* Called with every line that is written, without line end: the worker's way to the master's recent lines. */
void log_set_mirror(void (*fn)(enum log_level level, const char *line, size_t n));

/* event: a fixed word such as "rtsp-connect"; fmt: "key=%d other=%s". */
void log_event(enum log_level level, const char *event, const char *fmt, ...) PRINTF_LIKE(3, 4);
/* The same with another id than the process's own, as the master does for its streams. */
void log_event_of(enum log_level level, const char *id, const char *event, const char *fmt, ...)
    PRINTF_LIKE(4, 5);

#define log_error(event, ...) log_event(LOG_ERROR, event, __VA_ARGS__)
#define log_warn(event, ...)  log_event(LOG_WARN, event, __VA_ARGS__)
#define log_note(event, ...)  log_event(LOG_NOTE, event, __VA_ARGS__)
#define log_info(event, ...)  log_event(LOG_INFO, event, __VA_ARGS__)
#define log_debug(event, ...) (log_wants(LOG_DEBUG) ? log_event(LOG_DEBUG, event, __VA_ARGS__) : (void)0)

/* At most one line a minute for one kind of thing: zeroed at the start, one a kind and stream. */
struct log_rate {
    usec_t last_us;
    uint32_t held; /* not written since the last line */
};
/* true: write now, and *ret_held lines were held back since the last. */
bool log_limited(struct log_rate *r, usec_t now_us, uint32_t *ret_held);

/* The bytes as a quoted value without control characters, cut at 200: one of eight buffers in turn, so up to
 * eight may stand in one call. */
const char *log_q(struct span s);

#endif
