/* The RTSP client's states: legal moves, what is late in each, and how a session ends. */
#include "worker/rtsp_client_impl.h"
#include "common/base/err.h"
#include "common/base/log.h"

#define BIT(state) (1u << (state))
/* A session that ends so close behind its timeout died for want of a keep-alive that counts (K1). */
#define SHORT_LIFE_BEFORE_US (3 * US_PER_S)
#define SHORT_LIFE_AFTER_US  (12 * US_PER_S)
#define SHORT_LIVES_MAX      2

static const char *const STATE_NAMES[CLIENT_STATES] = {
    [CLIENT_IDLE] = "idle",
    [CLIENT_DIALING] = "dial",
    [CLIENT_OPTIONS] = "options",
    [CLIENT_DESCRIBE] = "describe",
    [CLIENT_BIND] = "bind",
    [CLIENT_SETUP] = "setup",
    [CLIENT_UDP_CONNECT] = "udp-connect",
    [CLIENT_PLAY] = "play",
    [CLIENT_PLAYING] = "playing",
    [CLIENT_TEARDOWN] = "teardown",
    [CLIENT_OVER] = "over",
};

/* From each state: where it may go. OVER and DIALING may follow on everything that has begun. */
static const unsigned MOVES[CLIENT_STATES] = {
    [CLIENT_IDLE] = 0,
    [CLIENT_DIALING] = BIT(CLIENT_OPTIONS) | BIT(CLIENT_DESCRIBE),
    [CLIENT_OPTIONS] = BIT(CLIENT_DESCRIBE),
    [CLIENT_DESCRIBE] = BIT(CLIENT_BIND) | BIT(CLIENT_SETUP),
    [CLIENT_BIND] = BIT(CLIENT_SETUP) | BIT(CLIENT_TEARDOWN),
    [CLIENT_SETUP] = BIT(CLIENT_BIND) | BIT(CLIENT_SETUP) | BIT(CLIENT_UDP_CONNECT) | BIT(CLIENT_PLAY) |
        BIT(CLIENT_TEARDOWN),
    [CLIENT_UDP_CONNECT] = BIT(CLIENT_BIND) | BIT(CLIENT_SETUP) | BIT(CLIENT_PLAY) | BIT(CLIENT_TEARDOWN),
    [CLIENT_PLAY] = BIT(CLIENT_PLAYING) | BIT(CLIENT_TEARDOWN),
    [CLIENT_PLAYING] = BIT(CLIENT_TEARDOWN),
    [CLIENT_TEARDOWN] = 0,
    [CLIENT_OVER] = 0,
};

void client_move(struct rtsp_client *c, enum client_state to, const char *why)
{
    must(to == CLIENT_OVER || to == CLIENT_DIALING || (MOVES[c->state] & BIT(to)));
    log_debug("rtsp-state", "from=%s to=%s why=\"%s\"", STATE_NAMES[c->state], STATE_NAMES[to], why);
    c->state = to;
    c->state_by = 0;
}

void client_timer(struct rtsp_client *c, usec_t now_us, usec_t after_us)
{
    c->state_by = now_us + after_us;
}

/* ---- ends ---- */

void client_stop_timers(struct rtsp_client *c)
{
    c->state_by = c->alive_at = c->media_by = c->body_by = c->gone_by = 0;
}

/* K1: two sessions that ended at their timeout, and another method is tried. */
void client_judge_keep_alive(struct rtsp_client *c)
{
    usec_t timeout = (usec_t)(c->timeout_s ? c->timeout_s : RTSP_TIMEOUT_S) * US_PER_S;
    usec_t lived = c->now_us - c->playing_since;

    if (c->state != CLIENT_PLAYING) return;
    if (lived > timeout + SHORT_LIFE_AFTER_US) c->known.short_lives = 0;
    if (lived < timeout - SHORT_LIFE_BEFORE_US || lived > timeout + SHORT_LIFE_AFTER_US) return;
    if (++c->known.short_lives >= SHORT_LIVES_MAX) client_alive_next_method(c);
}

void client_end(struct rtsp_client *c, struct rtsp_event *e)
{
    if (c->over) return;
    client_judge_keep_alive(c);
    client_move(c, CLIENT_OVER, e->text ? e->text : "closed");
    client_stop_timers(c);
    client_forget_description(c);
    c->over = true;
    c->ops->event(c->arg, e);
}

static void fail(
    struct rtsp_client *c, enum rtsp_fail why, unsigned status, const char *text, usec_t retry_us)
{
    struct rtsp_event e = {
        .kind = RTSP_EV_FAILED, .fail = why, .status = status, .text = text, .retry_us = retry_us};

    if (c->over) return;
    if (c->state != CLIENT_TEARDOWN) client_say_teardown(c); /* P20, K9: the slot is free again */
    client_end(c, &e);
}

void client_fail(struct rtsp_client *c, enum rtsp_fail why, unsigned status, const char *text)
{
    fail(c, why, status, text, 0);
}

void client_fail_later(struct rtsp_client *c, enum rtsp_fail why, const char *text, usec_t retry_us)
{
    fail(c, why, 0, text, retry_us);
}

/* ---- time ---- */

static void no_media(struct rtsp_client *c)
{
    c->media_by = 0;
    if (c->udp && !c->known.all_tracks && c->left_some) { /* P13: some send nothing until all are set up */
        c->known.all_tracks = true;
        client_redial(c, "no packets over UDP: all tracks");
    } else if (c->udp && client_other_transport(c)) {
        client_redial(c, "no packets over UDP: TCP");
    } else {
        client_fail(c, RTSP_FAIL_TIMEOUT, 0, c->udp ? "no packets over UDP" : "no media after PLAY");
    }
}

static void no_answer(struct rtsp_client *c)
{
    char text[64];

    snprintf(text, sizeof(text), "no answer to %s", rtsp_method_name(c->ask.method));
    client_fail(c, RTSP_FAIL_TIMEOUT, 0, text);
}

static void options_late(struct rtsp_client *c)
{
    client_move(c, CLIENT_DESCRIBE, "no answer to OPTIONS"); /* C14 */
    client_ask(c, RTSP_DESCRIBE, c->now_us);
}

static void play_late(struct rtsp_client *c)
{
    if (c->media_seen)
        client_playing(c, NULL, c->now_us);
    else
        no_answer(c);
}

static void dial_late(struct rtsp_client *c)
{
    client_fail(c, RTSP_FAIL_UNREACHABLE, 0, "no connection in time");
}

static void ports_late(struct rtsp_client *c)
{
    client_no_ports(c, "no UDP ports in time");
}

/* What the timer of each state means. */
static void (*const LATE[CLIENT_STATES])(struct rtsp_client *) = {
    [CLIENT_DIALING] = dial_late,
    [CLIENT_OPTIONS] = options_late,
    [CLIENT_DESCRIBE] = no_answer,
    [CLIENT_BIND] = ports_late,
    [CLIENT_SETUP] = no_answer,
    [CLIENT_UDP_CONNECT] = ports_late,
    [CLIENT_PLAY] = play_late,
    [CLIENT_TEARDOWN] = client_torn_down,
};

static bool due(usec_t at, usec_t now_us)
{
    return at != 0 && at <= now_us;
}

void rtsp_client_tick(struct rtsp_client *c, usec_t now_us)
{
    c->now_us = now_us;
    if (c->over) return;
    if (due(c->body_by, now_us)) {
        interleaved_flush(&c->il);
        c->body_by = 0;
        c->need = 1;
    } else if (due(c->state_by, now_us)) {
        c->state_by = 0;
        if (LATE[c->state]) LATE[c->state](c);
    } else if (due(c->media_by, now_us)) {
        no_media(c);
    } else if (due(c->gone_by, now_us)) {
        c->gone_by = c->udp_last + CLIENT_GONE_US;
        if (due(c->gone_by, now_us))
            client_fail(c, RTSP_FAIL_ENDED, 0, "connection closed, and no more packets");
    }
    if (due(c->alive_at, now_us) && c->state == CLIENT_PLAYING) client_keep_alive(c, now_us);
}

usec_t rtsp_client_deadline(const struct rtsp_client *c)
{
    const usec_t all[] = {c->state_by, c->alive_at, c->media_by, c->body_by, c->gone_by};
    usec_t first = 0;

    for (size_t i = 0; !c->over && i < ARRAY_N(all); i++)
        if (all[i] != 0 && (first == 0 || all[i] < first)) first = all[i];
    return first;
}
