#include "master/tell.h"
#include "common/base/clock.h"
#include "common/base/err.h"
#include "common/base/fd.h"
#include "common/base/log.h"
#include "master/master.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

static struct channel *service(const struct stream *s, enum service_id id)
{
    return services_channel(s->m, id);
}

void tell_view(struct stream *s)
{
    struct channel *ch = service(s, SERVICE_HTTPD);
    const struct conf_stream *c = s->conf;
    char proto[CONF_SET_MAX];
    struct packer *p;
    int64_t others[PLACE_NODES_MAX];
    size_t n_others;

    if (!ch || s->gone || s->probe) return;
    n_others = cluster_others(s, others);
    p = channel_begin(ch, MSG_VIEW, 16);
    pack_kv_text(p, "uid", s->uid);
    pack_kv_text(p, "name", c->name);
    pack_kv_bool(p, "enabled", c->enable != CONF_DISABLED && !record_is_unseen(s, clock_wall_us()));
    pack_kv_text(p, "access", conf_access_word(c->access));
    pack_kv_text(p, "whitelist", c->whitelist.text);
    pack_kv_text(p, "proto", conf_proto_text(c->proto, proto));
    pack_kv_bool(p, "on_demand", c->enable == CONF_ON_DEMAND);
    pack_kv_text(p, "camera", c->camera_uid);
    pack_kv_bool(p, "sub", c->profile == CONF_PROFILE_SUB);
    pack_kv_text(p, "archive", c->dvr_archive.text);
    pack_kv_bool(p, "record", c->record);
    pack_kv_i64(p, "limit", c->limit);
    pack_kv_text(p, "state", s->decided ? ring_state_word(s->state) : "");
    pack_kv_text(p, "reason", s->decided ? s->reason : "");
    pack_kv_text(p, "elsewhere", cluster_elsewhere(s));
    pack_key(p, "nodes");
    pack_array(p, (uint32_t)n_others);
    for (size_t i = 0; i < n_others; i++) pack_i64(p, others[i]);
    channel_end(ch, NULL, 0);
}

void tell_gone(struct stream *s)
{
    static const struct {
        enum service_id to;
        enum message type;
    } rows[] = {{SERVICE_HTTPD, MSG_VIEW_GONE}, {SERVICE_KEEPER, MSG_KEEP_PEER_GONE},
        {SERVICE_KEEPER, MSG_KEEP_STREAM_GONE}, {SERVICE_CONNECTOR, MSG_CONN_PEER_GONE}};

    for (size_t i = 0; i < ARRAY_N(rows); i++) {
        struct channel *ch = service(s, rows[i].to);
        struct packer *p;

        if (!ch || (s->probe && rows[i].to != SERVICE_CONNECTOR)) continue;
        /* A worker closes its segment yet: the end of its socket tells the keeper. */
        if (rows[i].type == MSG_KEEP_PEER_GONE && s->proc.pid > 0) continue;
        p = channel_begin(ch, rows[i].type, 1);
        pack_kv_text(p, "uid", s->uid);
        channel_end(ch, NULL, 0);
    }
}

void tell_camera_free(struct stream *s)
{
    if (proc_runs(&s->proc)) channel_send0(s->proc.ch, MSG_CAMERA_FREE);
}

void tell_settings(struct stream *s)
{
    const struct conf *c = s->m->conf;
    const struct conf_stream *st = s->conf;
    struct packer *p = channel_begin(s->proc.ch, MSG_STREAM, 16);
    char tracks[CONF_SET_MAX];

    pack_kv_text(p, "uid", s->uid);
    pack_kv_u64(p, "hash", st->worker_hash);
    pack_kv_str(p, "url", secret_reveal(&st->url));
    pack_kv_text(p, "tracks", conf_tracks_text(st->tracks, tracks));
    pack_kv_bool(p, "on_demand", st->enable == CONF_ON_DEMAND);
    pack_kv_i64(p, "invalid_after", st->reconnect.invalid);
    pack_kv_i64(p, "retry_numbers", st->reconnect.numbers);
    pack_kv_i64(p, "retry_first_us", st->reconnect.timeout_us);
    pack_kv_i64(p, "retry_most_us", st->reconnect.interval_us);
    pack_kv_bool(p, "record", st->record && !record_is_paused(s, clock_wall_us()));
    pack_kv_text(p, "mode", conf_dvr_mode_word(st->dvr_mode));
    pack_kv_i64(p, "chunk_us", st->dvr_chunk_us);
    pack_kv_text(p, "user_agent", c->delivery.user_agent);
    pack_kv_text(p, "transport", conf_transport_word(st->transport));
    pack_kv_i64(p, "event_before_us", st->dvr_event_before_us);
    pack_kv_u64(p, "ring_max", c->server.ring_max.bytes);
    channel_end(s->proc.ch, NULL, 0);
}

/* A socket between the worker and a service: both ends are handed out, the master keeps none. */
static bool pair_up(struct stream *s, enum service_id with, enum message to_worker, int *ret_end)
{
    int sv[2];

    if (!proc_runs(&s->proc) || !service(s, with)) return false;
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sv) < 0) {
        log_event_of(LOG_ERROR, s->uid, "socketpair", "err=%s", log_q(span_of(err_text(-errno))));
        return false;
    }
    channel_begin(s->proc.ch, to_worker, 0);
    channel_end(s->proc.ch, &sv[0], 1);
    fd_close(&sv[0]);
    *ret_end = sv[1];
    return true;
}

void tell_connector(struct stream *s)
{
    const struct conf_server *c = &s->m->conf->server;
    CLEANUP(fd_close) int end = -1;
    struct packer *p;

    if (!pair_up(s, SERVICE_CONNECTOR, MSG_CONNECTOR_SOCK, &end)) return;
    p = channel_begin(service(s, SERVICE_CONNECTOR), MSG_CONN_PEER, 7);
    pack_kv_text(p, "uid", s->uid);
    pack_kv_u64(p, "gen", s->proc.gen);
    pack_kv_text(p, "host", s->conf->host);
    pack_kv_bool(p, "push", s->conf->source == CONF_SOURCE_PUBLISH);
    pack_kv_u64(p, "port", s->conf->port);
    pack_kv_text(p, "allow", c->camera_allow.text);
    pack_kv_text(p, "deny", c->camera_deny.text);
    channel_end(service(s, SERVICE_CONNECTOR), &end, 1);
}

void tell_keeper(struct stream *s)
{
    struct identity as = roles_worker(&s->m->roles, s->uid);
    CLEANUP(fd_close) int end = -1;
    struct packer *p;

    if (!s->conf->record || !pair_up(s, SERVICE_KEEPER, MSG_KEEPER_SOCK, &end)) return;
    p = channel_begin(service(s, SERVICE_KEEPER), MSG_KEEP_PEER, 4);
    pack_kv_text(p, "uid", s->uid);
    pack_kv_u64(p, "os_uid", as.change ? as.uid : geteuid());
    pack_kv_u64(p, "os_gid", s->m->roles.group);
    pack_kv_text(p, "archive", s->conf->dvr_archive.text);
    channel_end(service(s, SERVICE_KEEPER), &end, 1);
}

void tell_keeping(struct stream *s)
{
    struct channel *ch = service(s, SERVICE_KEEPER);
    bool enforce = s->m->conf->dvr.capacity_enforce;
    const struct conf_stream *c = s->conf;
    struct packer *p;

    if (!ch || s->gone) return;
    p = channel_begin(ch, MSG_KEEP_STREAM, 6);
    pack_kv_text(p, "uid", s->uid);
    pack_kv_i64(p, "duration_us", c->dvr_duration_us);
    pack_kv_i64(p, "event_duration_us", c->dvr_event_duration_us);
    pack_kv_u64(p, "capacity_bytes", enforce ? c->dvr_capacity.bytes : 0);
    pack_kv_u64(p, "capacity_percent", enforce ? c->dvr_capacity.percent : 0);
    pack_kv_text(p, "archive", c->dvr_archive.text);
    channel_end(ch, NULL, 0);
}
