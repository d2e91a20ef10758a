/* The configuration of the whole server, read at once: media-server.ini, the nodes file and the stream files.
 * Each key is one row of the key table (keys.c); compatibility with the files of the original is its first
 * duty.
 *
 * conf_load reads all files, reports every mistake it meets, and gives a configuration only when there was
 * none. It reads files and nothing else: no clock, no network, no user database. A struct conf is not changed
 * afterwards; a reload loads another one and compares (conf_diff). Text fields are never NULL ("" when
 * empty). Secrets are struct secret, and no report names their value. Tests: tests/unit/conf, fuzz:
 * tests/fuzz/fuzz_ini.c. */
#ifndef CONF_CONF_H
#define CONF_CONF_H

#include "common/base/map.h"
#include "common/conf/accounts.h"
#include "common/conf/schedule.h"

#include <stdio.h>

#define CONF_UID_MAX     36   /* characters of a stream's uid */
#define CONF_NAME_MAX    32   /* of a storage's name and a key id */
#define CONF_VALUE_MAX   4096 /* bytes of one value */
#define CONF_STREAMS_MAX 20000
#define CONF_PLUGINS_MAX 8

/* --- the report --- */

enum conf_level { CONF_MISTAKE, CONF_WARNING, CONF_NOTE }; /* a note: accepted, and what that means today */
struct conf_remark {
    enum conf_level level;
    char *file;
    unsigned line; /* 0: the file as a whole */
    char *key;     /* "" when the line as such is wrong; "server/stream/web" or "<uid>/stream-url" */
    char *text;    /* what is wrong, and what is allowed */
};
struct conf_report {
    struct conf_remark *v;
    size_t n, cap;
    size_t mistakes, warnings;
};
void conf_report_done(struct conf_report *r); /* a zeroed one is empty */
/* One line each, mistakes first: "FILE:LINE: key: text", warnings and notes with "warning: " or "note: "
 * before key. */
void conf_report_print(const struct conf_report *r, FILE *to);

/* --- values --- */

struct conf_list {
    char **v;
    size_t n;
};
struct conf_size {
    uint64_t bytes;
    unsigned percent; /* > 0: of the storage, and bytes is 0 */
    bool automatic;   /* as the program sees fit: the others are 0 */
};
struct conf_cidr {
    uint8_t addr[16]; /* an IPv4 address in the first four */
    uint8_t bits;
    bool v6;
};
struct conf_cidrs {
    struct conf_cidr *v;
    size_t n;
    char *text; /* "10.0.0.0/8, ::1/128": as messages carry it */
};
struct conf_listen {
    char *host; /* "*", a name or an address without brackets */
    uint16_t port;
    char *base; /* begins with "/", ends with "/" */
};
#define CONF_LISTENERS_MAX 64 /* of all roads together: httpd opens so many */
struct conf_listens {
    struct conf_listen *v;
    size_t n;
};

enum { CONF_ROAD_RTSP = 1, CONF_ROAD_PUBLISH = 2, CONF_ROAD_WEB = 4 }; /* [[stream]] enable */
enum {
    CONF_PROTO_RTSP = 1,
    CONF_PROTO_HLS = 2,
    CONF_PROTO_MSE = 4,
    CONF_PROTO_WEBRTC = 8
};                                                                        /* stream-proto */
enum { CONF_TRACK_VIDEO = 1, CONF_TRACK_AUDIO = 2, CONF_TRACK_DATA = 4 }; /* stream-tracks */
enum conf_enable { CONF_DISABLED, CONF_ENABLED, CONF_ON_DEMAND };
enum conf_access { CONF_PUBLIC, CONF_PROTECTED, CONF_PRIVATE, CONF_NONE };
enum conf_dvr_mode {
    CONF_DVR_OFF,
    CONF_DVR_CONTINUOUS,
    CONF_DVR_EVENT,
    CONF_DVR_SCHEDULE,
    CONF_DVR_ONDEMAND
};
enum conf_source { CONF_SOURCE_RTSP, CONF_SOURCE_PUBLISH };
enum conf_transport { CONF_TRANSPORT_AUTO, CONF_TRANSPORT_TCP, CONF_TRANSPORT_UDP };
enum conf_profile { CONF_PROFILE_MAIN, CONF_PROFILE_SUB };
enum conf_log_format { CONF_LOG_TEXT, CONF_LOG_JSON };
enum conf_down { CONF_DOWN_DENY, CONF_DOWN_ALLOW }; /* where the auth-backend is away */
enum conf_sandbox { CONF_SANDBOX_BEST_EFFORT, CONF_SANDBOX_REQUIRED };

/* Words of the enums above, as they stand in the file, for messages and answers. */
const char *conf_access_word(enum conf_access a);
const char *conf_transport_word(enum conf_transport t);
const char *conf_dvr_mode_word(enum conf_dvr_mode m);
/* "video,audio": the words of a set. tracks or proto bits; at least CONF_SET_MAX bytes; returns dst. */
#define CONF_SET_MAX 64
const char *conf_tracks_text(uint32_t tracks, char *dst);
const char *conf_proto_text(uint32_t proto, char *dst);

/* --- the sections --- */

struct conf_tls {
    bool enable, kernel, used; /* the last is derived: some listener speaks TLS */
    char *cert, *key;          /* files; "": not given */
    /* Where they stand, for what is found wrong with them; 0: nowhere. */
    unsigned cert_line, key_line, kernel_line;
};

struct conf_server { /* [server] */
    int64_t node_id;
    char *node_host;
    bool cluster_enable;
    int64_t cluster_id;
    struct secret cluster_controller, cluster_controller_secret; /* a URL, maybe with a password; signs */
    struct secret cluster_key, cluster_key_also, cluster_store;  /* the last: conf_store_read */
    struct conf_tls cluster_tls, cluster_store_tls; /* of this node: between nodes; to the site's etcd */
    char *cluster_ca, *cluster_store_ca;            /* files; "": the keys alone; the machine's */
    unsigned cluster_ca_line, cluster_store_ca_line;
    int64_t cluster_port, cluster_max_streams;
    int64_t cluster_max_bitrate, cluster_fill_rate; /* Mbit/s */
    bool cluster_redirect, cluster_push;
    usec_t cluster_warming_up_us, cluster_tolerance_us, cluster_ping_interval_us, cluster_return_us;
    int64_t sys_limit, sys_umask;
    int64_t threads; /* httpd's media loops; 0: one a processor, at most 8 */
    int64_t threads_medium, threads_media, threads_web, threads_sched;
    char *state_dir;      /* absolute */
    char *control_socket; /* absolute */
    char *time_zone;      /* "": the machine's */
    char *log_file;       /* "": stdout and stderr */
    enum conf_log_format log_format;
    int log_level; /* enum log_level */
    char *group, *user_worker, *user_keeper, *user_httpd, *user_connector, *user_courier;
    char *user_picture, *user_lua;
    int64_t pictures; /* helpers of httpd at most; 0: no JPEG */
    enum conf_sandbox sandbox;
    struct conf_cidrs camera_allow, camera_deny;
    struct conf_size ring_max;
};

struct conf_reconnect {
    int64_t numbers, invalid;
    usec_t timeout_us, interval_us; /* first and longest wait */
};

struct conf_auth_key {
    char *kid;
    struct secret secret;
    int64_t not_before_s, not_after_s; /* unix seconds; 0: open */
};

struct conf_delivery {                                                      /* [[stream]] of [server] */
    uint32_t enable;                                                        /* CONF_ROAD_* */
    struct conf_listens rtsp, publish, web, rtsp_tls, publish_tls, web_tls; /* _tls: always with it */
    struct conf_cidrs whitelist_access, whitelist_publishers;
    char *auth_module;
    struct secret auth_secret, secure_link_key, auth_backend;
    struct conf_cidrs trusted_proxies, throttle_exempt;
    usec_t auth_backend_timeout_us;
    usec_t share_max_us; /* a link of a user's */
    enum conf_down auth_backend_down;
    int64_t limit_address, limit_connections, limit_bandwidth; /* the last in Mbit/s */
    bool web_login, rtsp_digest_md5;
    struct conf_auth_key *keys; /* [[[keys]]] */
    size_t n_keys;
    struct conf_tls tls;
    struct conf_reconnect reconnect;
    char *web_allow_origin, *user_agent;
};

struct conf_module { /* [[module]] of [server] */
    struct conf_listens listen;
    bool cpanel_enable, api_enable;
    char *cpanel_baseurl, *cpanel_module;
    enum conf_sign_in cpanel_auth;
    char *api_baseurl, *api_module;
    struct conf_cidrs cpanel_whitelist, api_whitelist, api_rate_exempt;
    int64_t api_rate; /* calls a second of one caller; 0: no limit */
    struct conf_tls tls;
    struct conf_user users[CONF_ROLES];
    struct conf_accounts own; /* beside those */
};

struct conf_dvr { /* [dvr] */
    char *record_tmp_dir;
    bool capacity_enforce;
    usec_t sync_us;
    usec_t export_max_us;
};

struct conf_storage {
    char *name;
    char *path;       /* absolute */
    char *index_path; /* "": on the storage */
    struct conf_size free;
    char *free_text; /* "1%", bytes, or "" for auto, as messages carry it */
    char *file;      /* where it was named */
    unsigned line;
};

struct conf_archive_part {
    char *storage; /* a name of conf.storages */
    unsigned weight;
};
struct conf_archive {
    struct conf_archive_part *v;
    size_t n;
    char *text; /* "a*3, b*1" */
};

struct conf_stream {
    char *uid;
    char *file;
    unsigned line; /* of the section */
    struct conf_list primary_node, secondary_node;
    char *camera_uid, *name;
    enum conf_enable enable;
    struct secret url; /* rtsp://… or rtsps://…: tcp:// and udp:// are already turned into it */
    enum conf_source source;
    enum conf_transport transport;
    char *host; /* of the URL, without brackets; "" for publish:// */
    uint16_t port;
    const char *unready; /* NULL, or why this stream cannot run with this version: state down, this reason */
    enum conf_profile profile;
    uint32_t proto, tracks; /* CONF_PROTO_*, CONF_TRACK_* */
    int64_t limit;          /* viewers, 0: no limit */
    enum conf_access access;
    struct conf_cidrs whitelist;
    struct conf_reconnect reconnect; /* the stream's own, or the server's */
    bool dvr_enable, dvr_ondemand;
    enum conf_dvr_mode dvr_mode;
    struct conf_archive dvr_archive; /* n is 0 when nothing is recorded and no storage is named */
    usec_t dvr_duration_us;          /* 0: until space is needed */
    struct conf_size dvr_capacity;   /* zeroes: none. Enforced only with dvr.capacity_enforce */
    usec_t dvr_chunk_us, dvr_event_before_us, dvr_event_after_us;
    usec_t dvr_event_duration_us; /* 0: as dvr_duration_us */
    struct conf_schedule dvr_schedule;
    bool record;          /* derived: it has a recorder, in whatever mode */
    uint64_t source_hash; /* over the way to its camera: another one, another worker */
    uint64_t worker_hash; /* over everything that its worker is told */
    uint64_t view_hash;   /* over everything */
};

struct conf {
    char *file, *dir; /* as given; absolute folder of it: relative paths start there */
    struct conf_server server;
    struct conf_delivery delivery;
    struct conf_module module;
    struct conf_dvr dvr;
    struct conf_list plugins, plugin_hosts; /* [plugins]: paths; what they may call */
    struct conf_list streams_include;
    char *nodes_include;
    struct conf_node *nodes; /* nodes.h */
    size_t n_nodes;
    struct conf_storage *storages; /* of [storages], then one for each path that a dvr-archive names */
    size_t n_storages;
    struct conf_stream **streams; /* sorted by uid */
    size_t n_streams;
    struct map by_uid; /* to struct conf_stream */
};

/* 0: *ret is the configuration (conf_free). CONF_E_MISTAKES: r says which; *ret is NULL. -errno: the file
 * itself could not be read (r says so too). r is added to, and stays the caller's in every case. */
enum { CONF_E_MISTAKES = 1 };
int conf_load(const char *file, struct conf **ret, struct conf_report *r);
void conf_free(struct conf *c); /* NULL is harmless */

struct conf_stream *conf_stream(const struct conf *c, struct span uid); /* NULL: no such stream */
const struct conf_storage *conf_storage(const struct conf *c, struct span name);
/* May this be the uid of a stream? NULL, or why not. */
const char *conf_uid_refused(struct span uid);

/* --- reload --- */

enum conf_change { CONF_ADDED, CONF_REMOVED, CONF_SOURCE_CHANGED, CONF_WORKER_CHANGED, CONF_VIEW_CHANGED };
struct conf_diff {
    struct {
        enum conf_change change;
        const char *uid; /* belongs to the new configuration, of a removed one to the old */
    } * streams;
    size_t n_streams;
    bool live;                /* keys that are applied at once have changed */
    bool httpd;               /* httpd has to be started anew */
    bool storages;            /* the list of storages has changed */
    struct conf_list restart; /* keys that only a restart of the server applies: "server/log-file" */
};
void conf_diff(const struct conf *before, const struct conf *after, struct conf_diff *ret);
void conf_diff_done(struct conf_diff *d);

#endif
