#include "common/conf/keys.h"
#include "common/base/log.h"

#define S  US_PER_S
#define M  (60 * S)
#define H  (60 * M)
#define D  (24 * H)
#define KI ((int64_t)1024)
#define MI (1024 * KI)
#define GI (1024 * MI)
#define TI (1024 * GI)

const struct conf_word conf_words_enable[] = {{"true", CONF_ENABLED}, {"false", CONF_DISABLED},
    {"on-demand", CONF_ON_DEMAND}, {"yes", CONF_ENABLED}, {"no", CONF_DISABLED}, {"on", CONF_ENABLED},
    {"off", CONF_DISABLED}, {"1", CONF_ENABLED}, {"0", CONF_DISABLED}, {NULL, 0}};
const struct conf_word conf_words_access[] = {{"public", CONF_PUBLIC}, {"protected", CONF_PROTECTED},
    {"private", CONF_PRIVATE}, {"none", CONF_NONE}, {NULL, 0}};
const struct conf_word conf_words_dvr_mode[] = {{"continuous", CONF_DVR_CONTINUOUS},
    {"event", CONF_DVR_EVENT}, {"schedule", CONF_DVR_SCHEDULE}, {"ondemand", CONF_DVR_ONDEMAND},
    {"off", CONF_DVR_OFF}, {NULL, 0}};
const struct conf_word conf_words_transport[] = {
    {"auto", CONF_TRANSPORT_AUTO}, {"tcp", CONF_TRANSPORT_TCP}, {"udp", CONF_TRANSPORT_UDP}, {NULL, 0}};
const struct conf_word conf_words_tracks[] = {
    {"video", CONF_TRACK_VIDEO}, {"audio", CONF_TRACK_AUDIO}, {"data", CONF_TRACK_DATA}, {NULL, 0}};
const struct conf_word conf_words_proto[] = {{"rtsp", CONF_PROTO_RTSP}, {"hls", CONF_PROTO_HLS},
    {"mse", CONF_PROTO_MSE}, {"webrtc", CONF_PROTO_WEBRTC}, {NULL, 0}};
static const struct conf_word words_profile[] = {
    {"main", CONF_PROFILE_MAIN}, {"sub", CONF_PROFILE_SUB}, {NULL, 0}};
static const struct conf_word words_format[] = {{"text", CONF_LOG_TEXT}, {"json", CONF_LOG_JSON}, {NULL, 0}};
static const struct conf_word words_sandbox[] = {
    {"best-effort", CONF_SANDBOX_BEST_EFFORT}, {"required", CONF_SANDBOX_REQUIRED}, {NULL, 0}};
static const struct conf_word words_sign_in[] = {
    {"session", CONF_SIGN_IN_SESSION}, {"basic", CONF_SIGN_IN_BASIC}, {NULL, 0}};
static const struct conf_word words_down[] = {
    {"deny", CONF_DOWN_DENY}, {"allow", CONF_DOWN_ALLOW}, {NULL, 0}};
static const struct conf_word words_level[] = {{"error", LOG_ERROR}, {"warn", LOG_WARN}, {"note", LOG_NOTE},
    {"info", LOG_INFO}, {"debug", LOG_DEBUG}, {NULL, 0}};
#define ROADS_ALL (CONF_ROAD_RTSP | CONF_ROAD_PUBLISH | CONF_ROAD_WEB)
static const struct conf_word words_roads[] = {{"rtsp", CONF_ROAD_RTSP}, {"publish", CONF_ROAD_PUBLISH},
    {"web", CONF_ROAD_WEB}, {"true", ROADS_ALL}, {"false", 0}, {NULL, 0}};

/* The field's place, checked against the C type that the kind reads into. */
#define AT(type, field, want)                                                                                \
    (offsetof(type, field) +                                                                                 \
        0 *                                                                                                  \
            sizeof(                                                                                          \
                char[__builtin_types_compatible_p(__typeof__(((type *)0)->field), __typeof__(want)) ? 1      \
                                                                                                    : -1]))
#define CONF_ROW(section_, name_, kind_, field, want, def_)                                                  \
    .scope = SCOPE_CONF, .section = (section_), .name = (name_), .kind = (kind_),                            \
    .at = AT(struct conf, field, want), .def = (def_)
#define STREAM_ROW(name_, kind_, field, want, def_)                                                          \
    .scope = SCOPE_STREAM, .section = "<uid>", .name = (name_), .kind = (kind_),                             \
    .at = AT(struct conf_stream, field, want), .def = (def_)
#define STORAGE_ROW(name_, kind_, field, want, def_)                                                         \
    .scope = SCOPE_STORAGE, .section = "storages/<name>", .name = (name_), .kind = (kind_),                  \
    .at = AT(struct conf_storage, field, want), .def = (def_)

#define SERVER   "server"
#define DELIVERY "server/stream"
#define MODULE   "server/module"
#define USERS    "server/module/users"

/* clang-format off */
const struct conf_row conf_rows[] = {
    /* --- [server] --------------------------------------------------------------------------------------------- */
    {CONF_ROW(SERVER, "node-id", KIND_INT, server.node_id, int64_t, "1"), .min = 1, .max = 65535, .reload = RELOAD_RESTART,
        .help = "Number of this node, unique in the cluster."},
    {CONF_ROW(SERVER, "node-host", KIND_TEXT, server.node_host, char *, ""), .reload = RELOAD_LIVE,
        .help = "This node's host name, as the others know it: primary-node and secondary-node may name it by this, or by its number."},
    {CONF_ROW(SERVER, "cluster-enable", KIND_BOOL, server.cluster_enable, bool, "false"), .reload = RELOAD_RESTART,
        .help = "Take part in a cluster (docs/cluster.md). Needs cluster-key; without it a warning says that this node works alone."},
    {CONF_ROW(SERVER, "cluster-id", KIND_INT, server.cluster_id, int64_t, "1"), .max = 65535, .reload = RELOAD_RESTART,
        .help = "Number of the cluster: nodes of another one are not heard."},
    {CONF_ROW(SERVER, "cluster-key", KIND_SECRET, server.cluster_key, struct secret, ""), .reload = RELOAD_LIVE,
        .help = "What only the nodes of this cluster know, 43 characters or more: `openssl rand -base64 32` makes one."},
    {CONF_ROW(SERVER, "cluster-key-also", KIND_SECRET, server.cluster_key_also, struct secret, ""), .reload = RELOAD_LIVE,
        .help = "Another key that is believed too, for a change of keys: first the new one here, on every node; then the two change places; then the old one goes."},
    {CONF_ROW(SERVER, "cluster-ca", KIND_PATH, server.cluster_ca, char *, ""), .reload = RELOAD_LIVE,
        .help = "File with the certificate of the authority that has signed those of the nodes (PEM). With it nodes prove themselves to each other by certificates over TCP, and not by cluster-key, which still seals the heartbeats. It should sign for nothing else: whoever it has signed for is a node."},
    {CONF_ROW(SERVER, "cluster-cert", KIND_PATH, server.cluster_tls.cert, char *, ""), .reload = RELOAD_LIVE,
        .help = "File with this node's certificate and its chain, for `cluster-ca`; good for servers and clients, if it says what for."},
    {CONF_ROW(SERVER, "cluster-cert-key", KIND_PATH, server.cluster_tls.key, char *, ""), .reload = RELOAD_LIVE,
        .help = "File with its private key. Only the master reads it."},
    {CONF_ROW(SERVER, "cluster-port", KIND_INT, server.cluster_port, int64_t, "7445"), .min = 1, .max = 65535, .unit = "UDP and TCP", .reload = RELOAD_RESTART,
        .help = "Where heartbeats are heard and connections of other nodes are taken, on every address of this machine, and where those go whose node names no port."},
    {CONF_ROW(SERVER, "cluster-controller", KIND_URL, server.cluster_controller, struct secret, ""), .unit = "http https",
        .reload = RELOAD_LIVE, .help = "Is told by POST what happens to the server and its streams (webhooks)."},
    {CONF_ROW(SERVER, "cluster-controller-secret", KIND_SECRET, server.cluster_controller_secret, struct secret, ""),
        .reload = RELOAD_LIVE, .help = "Key of the webhooks' signature: X-Signature: sha256=HMAC-SHA-256 of the body. Empty: none."},
    {CONF_ROW(SERVER, "cluster-warming-up", KIND_DURATION, server.cluster_warming_up_us, usec_t, "10s"), .max = H, .reload = RELOAD_LIVE,
        .help = "After its own start a node takes nothing over for this long."},
    {CONF_ROW(SERVER, "cluster-tolerance", KIND_DURATION, server.cluster_tolerance_us, usec_t, "2s"), .min = S, .max = D,
        .reload = RELOAD_LIVE, .help = "Since a node was last heard, before its streams are taken over. Five ping intervals or more."},
    {CONF_ROW(SERVER, "cluster-ping-interval", KIND_DURATION, server.cluster_ping_interval_us, usec_t, "200ms"), .min = US_PER_MS * 100,
        .max = H, .reload = RELOAD_LIVE, .help = "Period of the heartbeats."},
    {CONF_ROW(SERVER, "cluster-return", KIND_DURATION, server.cluster_return_us, usec_t, "30s"), .min = S, .max = D, .reload = RELOAD_LIVE,
        .help = "How long a node has to be back before backups leave its streams to it; doubled by each time it goes again soon."},
    {CONF_ROW(SERVER, "cluster-redirect", KIND_BOOL, server.cluster_redirect, bool, "false"), .reload = RELOAD_LIVE,
        .help = "Who asks for a live stream that another node has is sent there, by HTTP 307 and RTSP 302: to the first host of that node in the nodes file, and the port that he asked here. Access is decided here, and there again."},
    {CONF_ROW(SERVER, "cluster-push", KIND_BOOL, server.cluster_push, bool, "false"), .reload = RELOAD_LIVE,
        .help = "Streams that are made, changed or removed by call here are so on all nodes: their files are pushed there (docs/cluster.md)."},
    {CONF_ROW(SERVER, "cluster-store", KIND_SECRET, server.cluster_store, struct secret, ""), .reload = RELOAD_LIVE,
        .help = "etcd://[user:password@]host:2379[,host:2379]/prefix, or etcds:// for TLS: records of streams and nodes come from there (docs/cluster.md). A '@', '/' or '%' in a password as %40, %2f, %25."},
    {CONF_ROW(SERVER, "cluster-store-ca", KIND_PATH, server.cluster_store_ca, char *, ""), .reload = RELOAD_LIVE,
        .help = "File with the certificate of the authority that has signed that of the etcd (PEM), for `cluster-store = etcds://...`. Empty: the authorities of this machine."},
    {CONF_ROW(SERVER, "cluster-store-cert", KIND_PATH, server.cluster_store_tls.cert, char *, ""), .reload = RELOAD_LIVE,
        .help = "File with the certificate and its chain by which this node proves itself to the etcd, where that asks for one (client-cert-auth). Its common name is no user there: etcd's gateway takes users by `user:password@` alone."},
    {CONF_ROW(SERVER, "cluster-store-cert-key", KIND_PATH, server.cluster_store_tls.key, char *, ""), .reload = RELOAD_LIVE,
        .help = "File with its private key. Only the master reads it."},
    {CONF_ROW(SERVER, "cluster-max-streams", KIND_INT, server.cluster_max_streams, int64_t, "0"), .max = CONF_STREAMS_MAX, .unit = "streams", .reload = RELOAD_LIVE,
        .help = "With so many running this node takes over no more. 0: no limit."},
    {CONF_ROW(SERVER, "cluster-max-bitrate", KIND_INT, server.cluster_max_bitrate, int64_t, "0"), .max = 1000000, .unit = "Mbit/s", .reload = RELOAD_LIVE,
        .help = "What it takes over may not bring the sum of its cameras above this. 0: no limit."},
    {CONF_ROW(SERVER, "cluster-fill-rate", KIND_INT, server.cluster_fill_rate, int64_t, "200"), .max = 1000000, .unit = "Mbit/s", .reload = RELOAD_LIVE,
        .help = "The most that this node copies of what others recorded for it while it was away. 0: no limit."},
    {CONF_ROW(SERVER, "sys-limit", KIND_INT, server.sys_limit, int64_t, "81920"), .min = 256, .max = 1048576, .unit = "descriptors",
        .reload = RELOAD_RESTART, .help = "Limit of open descriptors, set at the start."},
    {CONF_ROW(SERVER, "sys-umask", KIND_INT, server.sys_umask, int64_t, "777"), .max = 777, .reload = RELOAD_RESTART,
        .accepted = "accepted and not applied: folders are 2750, files 0640, of the group of `group`",
        .help = "Of the original; ours are fixed."},
    {CONF_ROW(SERVER, "threads", KIND_INT, server.threads, int64_t, "0"), .max = 64, .reload = RELOAD_HTTPD,
        .help = "Event loops that serve viewers. 0: one a processor, at most 8."},
    {CONF_ROW(SERVER, "threads-medium", KIND_INT, server.threads_medium, int64_t, "10"), .max = 4096, .reload = RELOAD_LIVE,
        .accepted = "accepted and not applied: each stream is captured by a process of its own", .help = "Of the original: capture."},
    {CONF_ROW(SERVER, "threads-media", KIND_INT, server.threads_media, int64_t, "10"), .max = 4096, .reload = RELOAD_HTTPD,
        .help = "Of the original: delivery. Taken for `threads` when that is absent, at most 64."},
    {CONF_ROW(SERVER, "threads-web", KIND_INT, server.threads_web, int64_t, "5"), .max = 4096, .reload = RELOAD_HTTPD,
        .accepted = "accepted and not applied: the API's scripts have a process of their own", .help = "Of the original: API and control panel."},
    {CONF_ROW(SERVER, "threads-sched", KIND_INT, server.threads_sched, int64_t, "5"), .max = 4096, .reload = RELOAD_LIVE,
        .accepted = "accepted and not applied: there is no pool of scheduler threads", .help = "Of the original: scheduler."},
    {CONF_ROW(SERVER, "state-dir", KIND_PATH, server.state_dir, char *, ""), .reload = RELOAD_RESTART, .flags = KEY_LOCAL,
        .help = "What the server remembers: storages' identities, keys, revisions. Default /var/lib/media-server, in a checkout its folder var."},
    {CONF_ROW(SERVER, "control-socket", KIND_PATH, server.control_socket, char *, ""), .reload = RELOAD_RESTART, .flags = KEY_LOCAL,
        .help = "Where msctl asks. Default control.sock in `state-dir`."},
    {CONF_ROW(SERVER, "time-zone", KIND_TEXT, server.time_zone, char *, ""), .reload = RELOAD_RESTART,
        .help = "Such as Europe/Berlin, for days and schedules. Empty: the machine's. Files and URLs are in UTC always."},
    {CONF_ROW(SERVER, "log-file", KIND_PATH, server.log_file, char *, ""), .reload = RELOAD_RESTART, .flags = KEY_LOCAL,
        .help = "Written by all processes, opened anew on SIGUSR1. Empty: standard output, errors on standard error."},
    {CONF_ROW(SERVER, "log-format", KIND_ENUM, server.log_format, enum conf_log_format, "text"), .words = words_format,
        .reload = RELOAD_RESTART, .help = "Lines as text or as JSON objects."},
    {CONF_ROW(SERVER, "log-level", KIND_ENUM, server.log_level, int, "info"), .words = words_level, .reload = RELOAD_LIVE,
        .help = "What is written: this level and the more serious ones. `msctl log-level` changes it until the next reload."},
    {CONF_ROW(SERVER, "group", KIND_TEXT, server.group, char *, "media-server"), .reload = RELOAD_RESTART, .flags = KEY_LOCAL,
        .help = "Group of all processes and of the archive's files. Used when started as root."},
    {CONF_ROW(SERVER, "user-worker", KIND_TEXT, server.user_worker, char *, "ms-worker"), .reload = RELOAD_RESTART, .flags = KEY_LOCAL,
        .help = "User of the workers where the range of users of their own (docs/decisions/003) is not there; when started as root."},
    {CONF_ROW(SERVER, "user-keeper", KIND_TEXT, server.user_keeper, char *, "ms-keeper"), .reload = RELOAD_RESTART, .flags = KEY_LOCAL,
        .help = "User of the keeper of the archive."},
    {CONF_ROW(SERVER, "user-httpd", KIND_TEXT, server.user_httpd, char *, "ms-httpd"), .reload = RELOAD_RESTART, .flags = KEY_LOCAL,
        .help = "User of the process that serves viewers."},
    {CONF_ROW(SERVER, "user-connector", KIND_TEXT, server.user_connector, char *, "ms-connector"), .reload = RELOAD_RESTART, .flags = KEY_LOCAL,
        .help = "User of the process that connects to cameras."},
    {CONF_ROW(SERVER, "user-courier", KIND_TEXT, server.user_courier, char *, "ms-courier"), .reload = RELOAD_RESTART, .flags = KEY_LOCAL,
        .help = "User of the process that talks to the other nodes of a cluster."},
    {CONF_ROW(SERVER, "user-picture", KIND_TEXT, server.user_picture, char *, "ms-picture"), .reload = RELOAD_RESTART, .flags = KEY_LOCAL,
        .help = "User of the processes that decode pictures."},
    {CONF_ROW(SERVER, "user-lua", KIND_TEXT, server.user_lua, char *, "ms-lua"), .reload = RELOAD_RESTART, .flags = KEY_LOCAL,
        .help = "User of the process that runs scripts."},
    {CONF_ROW(SERVER, "pictures", KIND_INT, server.pictures, int64_t, "2"), .max = 16, .reload = RELOAD_HTTPD,
        .help = "Processes that decode pictures (JPEG, AAC of telephone sound), at most so many at a time; each takes up to 512 MiB for a moment. 0: none."},
    {CONF_ROW(SERVER, "sandbox", KIND_ENUM, server.sandbox, enum conf_sandbox, "best-effort"), .words = words_sandbox,
        .reload = RELOAD_HTTPD, .flags = KEY_LOCAL, .help = "required: a process that decodes pictures or runs scripts does not begin where a layer of its sandbox cannot be put up. best-effort: it does, and log and `msctl status` name what is missing."},
    {CONF_ROW(SERVER, "camera-allow", KIND_CIDRS, server.camera_allow, struct conf_cidrs, ""), .reload = RELOAD_LIVE,
        .help = "Networks in which cameras may be. Empty: everywhere outside `camera-deny`. Checked for the resolved address and the connected peer. This machine itself and link-local addresses are called only where the URL names them literally, whatever is said here."},
    {CONF_ROW(SERVER, "camera-deny", KIND_CIDRS, server.camera_deny, struct conf_cidrs,
        "0.0.0.0/8, 169.254.169.254/32, 224.0.0.0/4, 240.0.0.0/4, ::/128, ff00::/8"), .reload = RELOAD_LIVE,
        .help = "Networks in which no camera is looked for, whatever `camera-allow` says."},
    {CONF_ROW(SERVER, "ring-max", KIND_SIZE, server.ring_max, struct conf_size, "32M"), .min = MI, .max = GI, .reload = RELOAD_WORKER,
        .help = "Most memory of one stream's frame ring, a power of two (rounded down)."},

    /* --- [server] [[stream]] ------------------------------------------------------------------------------------ */
    {CONF_ROW(DELIVERY, "enable", KIND_SET, delivery.enable, uint32_t, "true"), .words = words_roads, .reload = RELOAD_HTTPD,
        .help = "true, false, or a list out of rtsp, publish, web: which listeners are opened."},
    {CONF_ROW(DELIVERY, "rtsp", KIND_LISTEN, delivery.rtsp, struct conf_listens, "*:554:/"), .reload = RELOAD_HTTPD,
        .help = "RTSP for viewers, host:port:base-url."},
    {CONF_ROW(DELIVERY, "rtsp-tls", KIND_LISTEN, delivery.rtsp_tls, struct conf_listens, ""), .reload = RELOAD_HTTPD,
        .help = "The same with TLS (rtsps://, mostly port 322), beside `rtsp` without: for sites that have viewers of both kinds. Needs ssl-cert and ssl-key, not ssl-enable."},
    {CONF_ROW(DELIVERY, "publish", KIND_LISTEN, delivery.publish, struct conf_listens, "*:7554:/"), .reload = RELOAD_LIVE,
        .help = "RTSP for cameras that push (stream-url = publish://...), without TLS. Opened when there is such a stream."},
    {CONF_ROW(DELIVERY, "publish-tls", KIND_LISTEN, delivery.publish_tls, struct conf_listens, ""), .reload = RELOAD_HTTPD,
        .help = "The same with TLS (rtsps://), beside `publish` without. Needs ssl-cert and ssl-key, not ssl-enable."},
    {CONF_ROW(DELIVERY, "web", KIND_LISTEN, delivery.web, struct conf_listens, "*:444/"), .reload = RELOAD_HTTPD,
        .help = "HTTP for viewers."},
    {CONF_ROW(DELIVERY, "web-tls", KIND_LISTEN, delivery.web_tls, struct conf_listens, ""), .reload = RELOAD_HTTPD,
        .help = "The same with TLS (https://, HTTP/2), beside `web` without. Needs ssl-cert and ssl-key, not ssl-enable."},
    {CONF_ROW(DELIVERY, "whitelist-access", KIND_CIDRS, delivery.whitelist_access, struct conf_cidrs, ""), .reload = RELOAD_LIVE,
        .help = "Networks from which streams may be watched, whatever the stream says. Empty: from everywhere."},
    {CONF_ROW(DELIVERY, "whitelist-publishers", KIND_CIDRS, delivery.whitelist_publishers, struct conf_cidrs, ""), .reload = RELOAD_LIVE,
        .help = "Networks from which cameras may push; empty: from everywhere."},
    {CONF_ROW(DELIVERY, "auth-module", KIND_TEXT, delivery.auth_module, char *, "modules/auth/validate.lua"), .reload = RELOAD_HTTPD, .flags = KEY_TRUST,
        .help = "Lua that decides on viewers: looked up in the site's overlay, then in what is shipped."},
    {CONF_ROW(DELIVERY, "auth-secret", KIND_SECRET, delivery.auth_secret, struct secret, ""), .reload = RELOAD_LIVE,
        .help = "Key 0 of the access tokens, shared by the nodes. A long random text; empty: there is no such key."},
    {CONF_ROW(DELIVERY, "secure-link-key", KIND_SECRET, delivery.secure_link_key, struct secret, ""), .reload = RELOAD_LIVE,
        .help = "Key of secure links as Flussonic makes them (hash-salt-end-start): they open private streams. Empty: there are none."},
    {CONF_ROW(DELIVERY, "auth-backend", KIND_URL, delivery.auth_backend, struct secret, ""), .unit = "http https", .reload = RELOAD_LIVE, .flags = KEY_TRUST,
        .help = "URL of the site's own server, which is asked about viewers of private streams that nothing of ours lets in (Flussonic's contract). Empty: there is none."},
    {CONF_ROW(DELIVERY, "auth-backend-timeout", KIND_DURATION, delivery.auth_backend_timeout_us, usec_t, "3s"), .min = 100 * US_PER_MS, .max = 30 * S,
        .reload = RELOAD_LIVE, .help = "How long its answer is waited for."},
    {CONF_ROW(DELIVERY, "auth-backend-down", KIND_ENUM, delivery.auth_backend_down, enum conf_down, "deny"), .words = words_down, .reload = RELOAD_LIVE,
        .help = "When it does not answer, or says 5xx: deny: new viewers are answered 503; allow: they are let in for 30 s. Who watches goes on."},
    {CONF_ROW(DELIVERY, "web-login", KIND_BOOL, delivery.web_login, bool, "false"), .reload = RELOAD_LIVE,
        .help = "Whoever asks for a private stream over HTTP with nothing in hand is asked to sign in (401) and not refused (403). Browsers then ask their users for a password."},
    {CONF_ROW(DELIVERY, "share-max", KIND_DURATION, delivery.share_max_us, usec_t, "24h"), .min = 60 * S, .max = 366 * 86400 * S, .reload = RELOAD_LIVE,
        .help = "The longest that an account of the role user may share what it sees, by a link with a token. root and admin share for as long as they say."},
    {CONF_ROW(DELIVERY, "rtsp-digest-md5", KIND_BOOL, delivery.rtsp_digest_md5, bool, "true"), .reload = RELOAD_LIVE,
        .help = "Accounts may sign in by Digest with MD5, beside SHA-256: ffmpeg and GStreamer know nothing else."},
    {CONF_ROW(DELIVERY, "trusted-proxies", KIND_CIDRS, delivery.trusted_proxies, struct conf_cidrs, ""), .reload = RELOAD_LIVE,
        .help = "Networks of proxies that are believed who the viewer is (X-Forwarded-For, X-Forwarded-Proto, PROXY protocol 2): whitelists, tokens, limits and the throttle go by that address."},
    {CONF_ROW(DELIVERY, "throttle-exempt", KIND_CIDRS, delivery.throttle_exempt, struct conf_cidrs, "127.0.0.0/8, ::1"), .reload = RELOAD_LIVE,
        .help = "Networks whose wrong tokens and passwords are not counted. From elsewhere each costs 5 s, and from 15 s on that address (IPv6: its /64) is not let in by new credentials until they are over."},
    {CONF_ROW(DELIVERY, "limit-address", KIND_INT, delivery.limit_address, int64_t, "0"), .max = 1000000, .unit = "viewers", .reload = RELOAD_LIVE,
        .help = "Most viewers from one address (IPv6: a /64) at a time. 0: no limit."},
    {CONF_ROW(DELIVERY, "limit-connections", KIND_INT, delivery.limit_connections, int64_t, "20000"), .min = 16, .max = 200000, .reload = RELOAD_LIVE,
        .help = "Most connections of viewers altogether; one more is closed at once."},
    {CONF_ROW(DELIVERY, "limit-bandwidth", KIND_INT, delivery.limit_bandwidth, int64_t, "0"), .max = 1000000, .unit = "Mbit/s", .reload = RELOAD_LIVE,
        .help = "While more than this is being sent, nobody new may begin to watch (503); who watches goes on. 0: no limit."},
    {CONF_ROW(DELIVERY, "ssl-enable", KIND_BOOL, delivery.tls.enable, bool, "false"), .reload = RELOAD_HTTPD,
        .help = "TLS for the listeners `rtsp` and `web`: these then take nothing else. For both kinds side by side leave it off and name `rtsp-tls`, `web-tls`."},
    {CONF_ROW(DELIVERY, "ssl-cert", KIND_PATH, delivery.tls.cert, char *, ""), .reload = RELOAD_LIVE,
        .help = "Certificate and its chain, PEM. Read again at every reload, whether its path has changed or not."},
    {CONF_ROW(DELIVERY, "ssl-key", KIND_PATH, delivery.tls.key, char *, ""), .reload = RELOAD_LIVE,
        .help = "Its private key, PEM, without a pass phrase. The master alone reads it: it need not be open to the users of the services."},
    {CONF_ROW(DELIVERY, "tls-kernel", KIND_BOOL, delivery.tls.kernel, bool, "false"), .reload = RELOAD_LIVE,
        .help = "The kernel encrypts what goes out, where it has TLS (module tls): files of the archive are sent without being copied. Tested on no such kernel yet; nothing changes where the kernel lacks it."},
    {CONF_ROW(DELIVERY, "reconnect-numbers", KIND_INT, delivery.reconnect.numbers, int64_t, "500"), .max = 1000000, .reload = RELOAD_WORKER,
        .help = "Failed attempts in a row before a stream counts as down and an alarm is raised. Trying never ends."},
    {CONF_ROW(DELIVERY, "reconnect-timeout", KIND_DURATION, delivery.reconnect.timeout_us, usec_t, "10s"), .min = 100 * US_PER_MS, .max = H,
        .reload = RELOAD_WORKER, .help = "Upper bound of the first wait before a reconnect (1 s, doubling to 15 s, +-20 %)."},
    {CONF_ROW(DELIVERY, "reconnect-interval", KIND_DURATION, delivery.reconnect.interval_us, usec_t, "30m"), .min = 100 * US_PER_MS, .max = D,
        .reload = RELOAD_WORKER, .help = "Upper bound of the longest wait before a reconnect."},
    {CONF_ROW(DELIVERY, "reconnect-invalid", KIND_INT, delivery.reconnect.invalid, int64_t, "10"), .min = 1, .max = 1000000,
        .reload = RELOAD_WORKER, .help = "Bad packets in a row before a camera counts as invalid."},
    {CONF_ROW(DELIVERY, "web-allow-origin", KIND_TEXT, delivery.web_allow_origin, char *, "*"), .reload = RELOAD_HTTPD,
        .help = "Access-Control-Allow-Origin of media and playlists. Empty: none."},
    {CONF_ROW(DELIVERY, "user-agent", KIND_TEXT, delivery.user_agent, char *, "media-server"), .reload = RELOAD_STREAM,
        .help = "User-Agent towards cameras."},

    /* --- [server] [[module]] ------------------------------------------------------------------------------------ */
    {CONF_ROW(MODULE, "listen", KIND_LISTEN, module.listen, struct conf_listens, "*:8080"), .reload = RELOAD_HTTPD,
        .help = "HTTP for API and control panel."},
    {CONF_ROW(MODULE, "cpanel-enable", KIND_BOOL, module.cpanel_enable, bool, "true"), .reload = RELOAD_LIVE,
        .help = "Serve the control panel."},
    {CONF_ROW(MODULE, "cpanel-baseurl", KIND_BASE, module.cpanel_baseurl, char *, "/cpanel"), .reload = RELOAD_LIVE,
        .help = "Where it stands. Not /: streams and the checks of health stand there."},
    {CONF_ROW(MODULE, "cpanel-module", KIND_TEXT, module.cpanel_module, char *, "modules/cpanel/cpanel.lua"), .reload = RELOAD_LIVE, .flags = KEY_TRUST,
        .help = "Its script: looked for in the site's folder, then in what is shipped."},
    {CONF_ROW(MODULE, "cpanel-whitelist", KIND_CIDRS, module.cpanel_whitelist, struct conf_cidrs, ""), .reload = RELOAD_LIVE,
        .help = "Networks from which users may sign in. Empty: from everywhere over TLS, without it from private addresses."},
    {CONF_ROW(MODULE, "cpanel-auth", KIND_ENUM, module.cpanel_auth, enum conf_sign_in, "session"), .words = words_sign_in,
        .reload = RELOAD_LIVE, .help = "session: users sign in on a page of the panel. basic: the browser asks them, and API and panel take Basic too. Without TLS both only from `cpanel-whitelist` or, where that is empty, from private addresses."},
    {CONF_ROW(MODULE, "api-enable", KIND_BOOL, module.api_enable, bool, "true"), .reload = RELOAD_LIVE,
        .help = "Serve the API."},
    {CONF_ROW(MODULE, "api-baseurl", KIND_BASE, module.api_baseurl, char *, "/api"), .reload = RELOAD_LIVE,
        .help = "Where it stands. Not /, and not where the control panel does."},
    {CONF_ROW(MODULE, "api-module", KIND_TEXT, module.api_module, char *, "modules/api/api.v2.lua"), .reload = RELOAD_LIVE, .flags = KEY_TRUST,
        .help = "Its script: looked for in the site's folder, then in what is shipped."},
    {CONF_ROW(MODULE, "api-whitelist", KIND_CIDRS, module.api_whitelist, struct conf_cidrs, ""), .reload = RELOAD_LIVE,
        .help = "Networks from which it, /metrics and the checks of health may be asked. Empty: from everywhere."},
    {CONF_ROW(MODULE, "api-rate", KIND_INT, module.api_rate, int64_t, "100"), .max = 100000, .unit = "calls a second", .reload = RELOAD_LIVE,
        .help = "How many calls one account or token may make of the API, without either one address (IPv6: its /64); ten seconds of it at once. More are answered 429 with Retry-After. 0: no limit."},
    {CONF_ROW(MODULE, "api-rate-exempt", KIND_CIDRS, module.api_rate_exempt, struct conf_cidrs, "127.0.0.0/8, ::1"), .reload = RELOAD_LIVE,
        .help = "Networks from which api-rate does not hold: those of the site's own scripts."},
    {CONF_ROW(MODULE, "ssl-enable", KIND_BOOL, module.tls.enable, bool, "false"), .reload = RELOAD_HTTPD,
        .help = "TLS for API and control panel."},
    {CONF_ROW(MODULE, "ssl-cert", KIND_PATH, module.tls.cert, char *, ""), .reload = RELOAD_LIVE,
        .help = "Certificate and its chain, PEM. Read again at every reload, whether its path has changed or not."},
    {CONF_ROW(MODULE, "ssl-key", KIND_PATH, module.tls.key, char *, ""), .reload = RELOAD_LIVE,
        .help = "Its private key, PEM, without a pass phrase."},
    {CONF_ROW(USERS, "root", KIND_USER, module.users[CONF_ROLE_ROOT], struct conf_user, ""), .reload = RELOAD_LIVE, .flags = KEY_LOCAL,
        .help = "login:password of the role root. Empty: the role is off. The password as it is, or as $scrypt$ln=15,r=8,p=1$salt$hash (then it can sign in by Basic over TLS only). Accounts may watch private streams; a guest what is live."},
    {CONF_ROW(USERS, "admin", KIND_USER, module.users[CONF_ROLE_ADMIN], struct conf_user, ""), .reload = RELOAD_LIVE, .flags = KEY_LOCAL,
        .help = "login:password of the role admin."},
    {CONF_ROW(USERS, "user", KIND_USER, module.users[CONF_ROLE_USER], struct conf_user, ""), .reload = RELOAD_LIVE, .flags = KEY_LOCAL,
        .help = "login:password of the role user."},
    {CONF_ROW(USERS, "guest", KIND_USER, module.users[CONF_ROLE_GUEST], struct conf_user, ""), .reload = RELOAD_LIVE, .flags = KEY_LOCAL,
        .help = "login:password of the role guest."},

    /* --- [dvr], [streams], [nodes] ------------------------------------------------------------------------------ */
    {CONF_ROW("dvr", "record-tmp-dir", KIND_PATH, dvr.record_tmp_dir, char *, ""), .reload = RELOAD_LIVE,
        .accepted = "accepted: exports are made without temporary files", .help = "Scratch for exports of the original. Nothing is written there."},
    {CONF_ROW("dvr", "export-max", KIND_DURATION, dvr.export_max_us, usec_t, "24h"), .min = M, .max = 31 * D, .reload = RELOAD_LIVE,
        .help = "Longest time in one MP4 file of the archive; a request for more is answered 413."},
    {CONF_ROW("dvr", "capacity-enforce", KIND_BOOL, dvr.capacity_enforce, bool, "false"), .reload = RELOAD_LIVE,
        .help = "Whether dvr-capacity of the streams deletes footage. It was informational in the original: without this key a warning names what it would keep."},
    {CONF_ROW("dvr", "dvr-sync", KIND_DURATION, dvr.sync_us, usec_t, "5s"), .min = 100 * US_PER_MS, .max = 10 * M, .reload = RELOAD_LIVE,
        .help = "How often recorded bytes are made durable: the most a power cut costs."},
    {CONF_ROW("streams", "include", KIND_LIST, streams_include, struct conf_list, "streams/*.ini"), .reload = RELOAD_LIVE, .flags = KEY_LOCAL,
        .help = "Patterns of the stream files, from the ini's folder."},
    {CONF_ROW("nodes", "include", KIND_PATH, nodes_include, char *, "media-server.nodes"), .reload = RELOAD_LIVE, .flags = KEY_LOCAL,
        .help = "File with one `node-id = hostname` a line, the nodes of the cluster."},

    /* --- [plugins] ----------------------------------------------------------------------------------------------- */
    {CONF_ROW("plugins", "load", KIND_LIST, plugins, struct conf_list, ""), .reload = RELOAD_LIVE,
        .help = "Scripts that hear of what happens, run by the clock, see viewers and requests (docs/lua.md), up to 8: looked for in the site's folder, then in what is shipped."},
    {CONF_ROW("plugins", "hosts", KIND_LIST, plugin_hosts, struct conf_list, ""), .reload = RELOAD_LIVE,
        .help = "What they may call by HTTP: host, host:port, *.domain, or * for everything. Empty: nothing."},

    /* --- [storages] [[name]] -------------------------------------------------------------------------------------- */
    {STORAGE_ROW("path", KIND_PATH, path, char *, ""), .reload = RELOAD_LIVE, .help = "The storage's folder. Required."},
    {STORAGE_ROW("free", KIND_SHARE, free, struct conf_size, "auto"), .max = 1024 * TI, .unit = "auto", .reload = RELOAD_LIVE,
        .help = "Space that stays free: a little above it the oldest footage of all streams is deleted, below it recording pauses. auto: 2 % of the storage, or what is recorded in an hour, whichever is more, at most 10 %. Whatever is said here, it is at least 8 MiB."},
    {STORAGE_ROW("index-path", KIND_PATH, index_path, char *, ""), .reload = RELOAD_LIVE,
        .help = "Folder of the index, for an SSD. Empty: on the storage."},

    /* --- streams/<uid>.ini ---------------------------------------------------------------------------------------- */
    {STREAM_ROW("primary-node", KIND_LIST, primary_node, struct conf_list, ""), .reload = RELOAD_LIVE,
        .help = "Node that records the stream, by host name or number. Empty: every node that has this file. Without cluster-enable it means nothing."},
    {STREAM_ROW("secondary-node", KIND_LIST, secondary_node, struct conf_list, ""), .reload = RELOAD_LIVE,
        .help = "Nodes that may take it over, in this order; seven with the primary one at most."},
    {STREAM_ROW("camera-uid", KIND_TEXT, camera_uid, char *, ""), .reload = RELOAD_LIVE,
        .help = "Label of the camera. Streams with the same one are one camera: low-latency HLS of its main stream offers the others too."},
    {STREAM_ROW("stream-name", KIND_TEXT, name, char *, ""), .reload = RELOAD_LIVE, .help = "Name for people."},
    {STREAM_ROW("stream-enable", KIND_ENUM, enable, enum conf_enable, "true"), .words = conf_words_enable, .reload = RELOAD_WORKER,
        .help = "on-demand: connected at the first viewer or event, left 30 s after the last."},
    {STREAM_ROW("stream-url", KIND_URL, url, struct secret, ""), .unit = "rtsp rtsps tcp udp publish", .reload = RELOAD_STREAM,
        .help = "The camera: rtsp://user:password@host:port/path. tcp:// and udp:// are RTSP with media over that transport. publish://user:password@node/<uid>/: the camera pushes to the publish listener, with this user and password. rtsps:// is accepted, and such a stream is down with that reason in this version. Required unless the stream is disabled."},
    {STREAM_ROW("stream-transport", KIND_ENUM, transport, enum conf_transport, "auto"), .words = conf_words_transport, .reload = RELOAD_STREAM,
        .help = "Transport of the media. auto: TCP, and UDP where the camera refuses it. tcp:// and udp:// in the URL win."},
    {STREAM_ROW("stream-profile", KIND_ENUM, profile, enum conf_profile, "main"), .words = words_profile, .reload = RELOAD_LIVE,
        .help = "Which of its camera's streams this is."},
    {STREAM_ROW("stream-proto", KIND_SET, proto, uint32_t, "rtsp, hls, mse, webrtc"), .words = conf_words_proto, .reload = RELOAD_LIVE,
        .help = "By what viewers may watch it."},
    {STREAM_ROW("stream-tracks", KIND_SET, tracks, uint32_t, "video, audio"), .words = conf_words_tracks, .reload = RELOAD_STREAM,
        .help = "What is captured. The sample of the original says video."},
    {STREAM_ROW("stream-limit", KIND_INT, limit, int64_t, "0"), .max = 1000000, .unit = "viewers", .reload = RELOAD_LIVE,
        .help = "Most viewers at a time: endless answers and RTSP sessions, and players of HLS (30 s behind their last request). One more is answered 503. 0: no limit."},
    {STREAM_ROW("stream-access", KIND_ENUM, access, enum conf_access, "public"), .words = conf_words_access, .reload = RELOAD_LIVE,
        .help = "public; protected (`stream-whitelist`); private (token, account, secure link or backend); none (nobody watches; recording goes on)."},
    {STREAM_ROW("stream-whitelist", KIND_CIDRS, whitelist, struct conf_cidrs, ""), .reload = RELOAD_LIVE,
        .help = "Networks from which a protected stream may be watched."},
    {STREAM_ROW("reconnect-numbers", KIND_INT, reconnect.numbers, int64_t, "500"), .max = 1000000, .reload = RELOAD_WORKER, .flags = KEY_INHERITS,
        .help = "As in [[stream]] of [server]."},
    {STREAM_ROW("reconnect-timeout", KIND_DURATION, reconnect.timeout_us, usec_t, "10s"), .min = 100 * US_PER_MS, .max = H, .reload = RELOAD_WORKER,
        .flags = KEY_INHERITS, .help = "As in [[stream]] of [server]."},
    {STREAM_ROW("reconnect-interval", KIND_DURATION, reconnect.interval_us, usec_t, "30m"), .min = 100 * US_PER_MS, .max = D, .reload = RELOAD_WORKER,
        .flags = KEY_INHERITS, .help = "As in [[stream]] of [server]."},
    {STREAM_ROW("reconnect-invalid", KIND_INT, reconnect.invalid, int64_t, "10"), .min = 1, .max = 1000000, .reload = RELOAD_WORKER,
        .flags = KEY_INHERITS, .help = "As in [[stream]] of [server]."},
    {STREAM_ROW("dvr-enable", KIND_BOOL, dvr_enable, bool, "false"), .reload = RELOAD_LIVE, .help = "Record. `dvr-mode` wins over it."},
    {STREAM_ROW("dvr-ondemand", KIND_BOOL, dvr_ondemand, bool, "false"), .reload = RELOAD_LIVE,
        .help = "With dvr-enable: record only while asked to, as dvr-mode = ondemand."},
    {STREAM_ROW("dvr-mode", KIND_ENUM, dvr_mode, enum conf_dvr_mode, ""), .words = conf_words_dvr_mode, .reload = RELOAD_LIVE,
        .help = "When to record: always; around events; in the windows of `dvr-schedule`; while `msctl record` says so; never. Default: what dvr-enable and dvr-ondemand say."},
    {STREAM_ROW("dvr-archive", KIND_ARCHIVE, dvr_archive, struct conf_archive, ""), .reload = RELOAD_WORKER,
        .help = "A storage's name or a path; several with weights: a*3, b*1. Default: the storage named default, or the first one."},
    {STREAM_ROW("dvr-duration", KIND_DURATION, dvr_duration_us, usec_t, "10d"), .max = 36500 * D, .reload = RELOAD_LIVE,
        .help = "How long footage is kept. 0: until space is needed."},
    {STREAM_ROW("dvr-capacity", KIND_SHARE, dvr_capacity, struct conf_size, "0"), .max = 1024 * TI, .reload = RELOAD_LIVE,
        .help = "Most space of the stream's footage on one storage, in bytes or % of it, where [dvr] capacity-enforce = true: the oldest is deleted. 0: no limit."},
    {STREAM_ROW("dvr-chunk", KIND_DURATION, dvr_chunk_us, usec_t, "2m"), .min = 10 * S, .max = H, .reload = RELOAD_WORKER,
        .help = "What one segment file spans."},
    {STREAM_ROW("dvr-event-before", KIND_DURATION, dvr_event_before_us, usec_t, "10s"), .max = 10 * M, .reload = RELOAD_WORKER,
        .help = "What an event's recording holds of the time before it, from a key frame on. The frame ring is made large enough, up to `ring-max`."},
    {STREAM_ROW("dvr-event-after", KIND_DURATION, dvr_event_after_us, usec_t, "30s"), .max = H, .reload = RELOAD_LIVE,
        .help = "And of the time after it."},
    {STREAM_ROW("dvr-event-duration", KIND_DURATION, dvr_event_duration_us, usec_t, "0"), .max = 36500 * D, .reload = RELOAD_LIVE,
        .help = "How long the footage of events is kept, where that is longer than `dvr-duration`. 0: as all other footage."},
    {STREAM_ROW("dvr-schedule", KIND_SCHEDULE, dvr_schedule, struct conf_schedule, ""), .reload = RELOAD_LIVE,
        .help = "Weekly windows of dvr-mode = schedule, in `time-zone`: mon-fri 08:00-18:00, sat+sun 22:00-06:00, daily 00:00-24:00."},
};
/* clang-format on */
const size_t conf_rows_n = ARRAY_N(conf_rows);

const struct conf_free_section conf_free_sections[] = {
    {"server/stream/keys", "KID = secret[, not-before[, not-after]]",
        "Further keys of the access tokens, good between these times (2026-01-31, 2026-01-31T12:00:00Z or "
        "unix "
        "seconds). The last in the list that is good signs; a reload applies them.",
        CONF_SECRET_FIRST, true, KEY_LOCAL},
    {"server/module/accounts", "LOGIN = ROLE:PASSWORD",
        "Accounts beside those of [[[users]]]; the role is root, admin, user or guest, the password as it is "
        "there (`msctl password` makes its hash).",
        CONF_SECRET_COLON, false, KEY_LOCAL},
    {"server/module/cameras", "LOGIN = UID|BEGINNING*, ...",
        "The streams that an account is for, wherever it signs in. An account without a list is for all.",
        CONF_SECRET_NONE, false, KEY_LOCAL},
    {"nodes", "NODE-ID = HOST[:PORT][, HOST[:PORT]...]",
        "In the nodes file, and here too: the nodes of the cluster, this one may stand among them. Further "
        "hosts "
        "are further ways to the same node, four at most: heartbeats go over all of them.",
        CONF_SECRET_NONE, false, 0},
    {"storages", "NAME = PATH", "Storages; `[[NAME]]` holds the keys of one that needs more than a path.",
        CONF_SECRET_NONE, false, 0},
};
const size_t conf_free_sections_n = ARRAY_N(conf_free_sections);

const struct conf_free_section *conf_free_section(struct span section)
{
    for (size_t i = 0; i < conf_free_sections_n; i++)
        if (span_is(section, conf_free_sections[i].section)) return &conf_free_sections[i];
    return NULL;
}

bool conf_section_raw(struct span section)
{
    const struct conf_free_section *f = conf_free_section(section);

    return f && f->raw;
}

const struct conf_row *conf_row_find(enum conf_scope scope, const char *section, const char *name)
{
    for (size_t i = 0; i < conf_rows_n; i++) {
        const struct conf_row *row = &conf_rows[i];

        if (row->scope == scope && (scope != SCOPE_CONF || strcmp(row->section, section) == 0) &&
            strcmp(row->name, name) == 0)
            return row;
    }
    return NULL;
}

const struct conf_row *conf_site_row(const char *section, const char *key)
{
    static const char storages[] = "storages/";

    if (strncmp(section, storages, sizeof(storages) - 1) == 0 && !strchr(section + sizeof(storages) - 1, '/'))
        return conf_row_find(SCOPE_STORAGE, "", key);
    return conf_row_find(SCOPE_CONF, section, key);
}

const char *conf_kind_name(enum conf_kind k)
{
    static const char *const names[KINDS] = {[KIND_TEXT] = "text",
        [KIND_SECRET] = "secret",
        [KIND_BOOL] = "true, false",
        [KIND_INT] = "number",
        [KIND_DURATION] = "duration",
        [KIND_SIZE] = "size",
        [KIND_SHARE] = "size or %",
        [KIND_ENUM] = "word",
        [KIND_SET] = "words",
        [KIND_LIST] = "list",
        [KIND_LISTEN] = "listeners",
        [KIND_CIDRS] = "networks",
        [KIND_URL] = "URL",
        [KIND_PATH] = "path",
        [KIND_BASE] = "URL path",
        [KIND_USER] = "login:password",
        [KIND_ARCHIVE] = "storages",
        [KIND_SCHEDULE] = "schedule"};

    return names[k];
}

const char *conf_reload_name(enum conf_reload r)
{
    static const char *const names[] = {[RELOAD_LIVE] = "live",
        [RELOAD_WORKER] = "live",
        [RELOAD_STREAM] = "restart-stream",
        [RELOAD_HTTPD] = "restart-httpd",
        [RELOAD_RESTART] = "restart"};

    return names[r];
}
