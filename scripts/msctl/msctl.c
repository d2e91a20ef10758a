#include "scripts/msctl/msctl.h"
#include "common/base/mem.h"
#include "common/base/utf8.h"
#include "common/conf/paths.h"
#include "common/ipc/ctl.h"
#include "scripts/msctl/ask.h"
#include "scripts/msctl/audit.h"
#include "scripts/msctl/evidence.h"
#include "scripts/msctl/password.h"
#include "scripts/msctl/plan.h"
#include "scripts/msctl/tls.h"

#include <getopt.h>

static const struct show_column status_columns[] = {{"version", "version", SHOW_TEXT},
    {"revision", "revision", SHOW_TEXT}, {"pid", "pid", SHOW_NUMBER}, {"uptime_s", "up", SHOW_PERIOD},
    {"node", "node", SHOW_NUMBER}, {"config", "configuration", SHOW_TEXT},
    {"streams", "streams", SHOW_NUMBER}, {"active", "active", SHOW_NUMBER},
    {"recording", "recording", SHOW_NUMBER}, {"not_recording", "not recording", SHOW_NUMBER},
    {"viewers", "viewers", SHOW_NUMBER}, {"picture_helpers", "picture helpers", SHOW_NUMBER},
    {"sandbox_missing", "sandbox lacks", SHOW_TEXT}, {"storages", "storages", SHOW_NUMBER},
    {"storages_ok", "storages in order", SHOW_NUMBER}, {"connector_pid", "connector's pid", SHOW_NUMBER},
    {"connector_restarts", "its restarts", SHOW_NUMBER}, {"keeper_pid", "keeper's pid", SHOW_NUMBER},
    {"keeper_restarts", "its restarts", SHOW_NUMBER}, {"httpd_pid", "httpd's pid", SHOW_NUMBER},
    {"httpd_restarts", "its restarts", SHOW_NUMBER}, {NULL, NULL, SHOW_TEXT}};
static const struct show_column stream_columns[] = {{"uid", "UID", SHOW_TEXT}, {"state", "STATE", SHOW_TEXT},
    {"reason", "REASON", SHOW_TEXT}, {"since_s", "SINCE", SHOW_TIME}, {"record", "RECORD", SHOW_TEXT},
    {"record_reason", "REASON", SHOW_TEXT}, {"bitrate_bps", "BITRATE", SHOW_BITRATE},
    {"frames", "FRAMES", SHOW_NUMBER}, {"losses", "LOSSES", SHOW_NUMBER}, {"faults", "FAULTS", SHOW_NUMBER},
    {"reconnects", "RECONNECTS", SHOW_NUMBER}, {"restarts", "RESTARTS", SHOW_NUMBER},
    {"viewers", "VIEWERS", SHOW_NUMBER}, {"pid", "PID", SHOW_NUMBER}, {"name", "NAME", SHOW_TEXT},
    {NULL, NULL, SHOW_TEXT}};
static const struct show_column one_stream[] = {{"uid", "uid", SHOW_TEXT}, {"name", "name", SHOW_TEXT},
    {"state", "state", SHOW_TEXT}, {"reason", "reason", SHOW_TEXT}, {"since_s", "since", SHOW_TIME},
    {"source", "source", SHOW_TEXT}, {"record", "recording", SHOW_TEXT},
    {"record_reason", "because", SHOW_TEXT}, {"record_storage", "storage", SHOW_TEXT},
    {"record_path", "segment", SHOW_TEXT}, {"recorded_bytes", "recorded", SHOW_BYTES},
    {"viewers", "viewers", SHOW_NUMBER}, {"bitrate_bps", "bit rate", SHOW_BITRATE},
    {"last_frame_s", "last frame", SHOW_TIME}, {"frames", "frames", SHOW_NUMBER},
    {"damaged", "  damaged", SHOW_NUMBER}, {"dropped", "  dropped", SHOW_NUMBER},
    {"gop_frames", "frames of a GOP", SHOW_NUMBER}, {"gop_ms", "  in ms", SHOW_NUMBER},
    {"packets", "packets", SHOW_NUMBER}, {"losses", "  lost", SHOW_NUMBER},
    {"reordered", "  reordered", SHOW_NUMBER}, {"repairs", "timestamps repaired", SHOW_NUMBER},
    {"connects", "attempts to connect", SHOW_NUMBER}, {"reconnects", "sessions lost", SHOW_NUMBER},
    {"restarts", "worker restarts", SHOW_NUMBER}, {"pid", "worker's pid", SHOW_NUMBER},
    {"faults", "faults of the camera", SHOW_NUMBER}, {"rtsp_bad", "  no RTSP", SHOW_NUMBER},
    {"rtsp_out_of_frame", "  RTSP out of frame", SHOW_NUMBER},
    {"rtsp_channel_unknown", "  unknown channel", SHOW_NUMBER}, {"sdp_bad", "  no SDP", SHOW_NUMBER},
    {"rtp_bad", "  no RTP", SHOW_NUMBER}, {"rtcp_bad", "  no RTCP", SHOW_NUMBER},
    {"rtp_foreign", "  RTP of others", SHOW_NUMBER}, {"payload_bad", "  broken payload", SHOW_NUMBER},
    {"udp_stranger", "  UDP of others", SHOW_NUMBER}, {"udp_overflow", "  UDP overflow", SHOW_NUMBER},
    {NULL, NULL, SHOW_TEXT}};
static const struct show_column storage_columns[] = {{"name", "NAME", SHOW_TEXT},
    {"state", "STATE", SHOW_TEXT}, {"total", "TOTAL", SHOW_BYTES}, {"free", "FREE", SHOW_BYTES},
    {"floor", "FLOOR", SHOW_BYTES}, {"footage", "FOOTAGE", SHOW_BYTES}, {"locked", "LOCKED", SHOW_BYTES},
    {"spare", "SPARE", SHOW_BYTES}, {"rate_bps", "RATE", SHOW_BITRATE}, {"oldest_s", "OLDEST", SHOW_TIME},
    {"keeps_s", "KEEPS", SHOW_PERIOD}, {"full_s", "FULL ON", SHOW_TIME},
    {"clock_ahead_s", "CLOCK AHEAD", SHOW_PERIOD}, {"uuid", "UUID", SHOW_TEXT}, {"path", "PATH", SHOW_TEXT},
    {NULL, NULL, SHOW_TEXT}};
static const struct show_column archive_columns[] = {{"uid", "UID", SHOW_TEXT},
    {"storage", "STORAGE", SHOW_TEXT}, {"segments", "SEGMENTS", SHOW_NUMBER}, {"bytes", "BYTES", SHOW_BYTES},
    {"from_s", "FROM", SHOW_TIME}, {"to_s", "TO", SHOW_TIME}, {NULL, NULL, SHOW_TEXT}};

static const struct show_column plan_columns[] = {{"uid", "UID", SHOW_TEXT},
    {"storage", "STORAGE", SHOW_TEXT}, {"why", "WHY", SHOW_TEXT}, {"segments", "SEGMENTS", SHOW_NUMBER},
    {"bytes", "BYTES", SHOW_BYTES}, {"from_s", "FROM", SHOW_TIME}, {"to_s", "TO", SHOW_TIME},
    {NULL, NULL, SHOW_TEXT}};
static const struct show_column delete_columns[] = {{"uid", "UID", SHOW_TEXT},
    {"storage", "STORAGE", SHOW_TEXT}, {"segments", "DELETED", SHOW_NUMBER}, {"bytes", "BYTES", SHOW_BYTES},
    {"locked", "LOCKED", SHOW_NUMBER}, {"edges", "AT EDGES", SHOW_NUMBER}, {NULL, NULL, SHOW_TEXT}};
static const struct show_column lock_columns[] = {{"id", "LOCK", SHOW_TEXT}, {"uid", "UID", SHOW_TEXT},
    {"from_s", "FROM", SHOW_TIME}, {"to_s", "TO", SHOW_TIME}, {"since_s", "SINCE", SHOW_TIME},
    {"by", "BY", SHOW_TEXT}, {"note", "NOTE", SHOW_TEXT}, {NULL, NULL, SHOW_TEXT}};
static const struct show_column vacuum_columns[] = {{"uid", "UID", SHOW_TEXT},
    {"storage", "STORAGE", SHOW_TEXT}, {"segments", "SEGMENTS", SHOW_NUMBER}, {"bytes", "BYTES", SHOW_BYTES},
    {"locked", "LOCKED", SHOW_NUMBER}, {"deleted", "DELETED", SHOW_NUMBER}, {NULL, NULL, SHOW_TEXT}};

static const struct show_column event_columns[] = {{"uid", "UID", SHOW_TEXT}, {"start_s", "START", SHOW_TIME},
    {"end_s", "END", SHOW_TIME}, {"kind", "KIND", SHOW_TEXT}, {"source", "SOURCE", SHOW_TEXT},
    {"id", "ID", SHOW_NUMBER}, {"payload", "PAYLOAD", SHOW_TEXT}, {NULL, NULL, SHOW_TEXT}};

static const struct show_column key_columns[] = {
    {"fingerprint", "fingerprint", SHOW_TEXT}, {"file", "secret half", SHOW_TEXT}, {NULL, NULL, SHOW_TEXT}};

static const struct show_column audit_columns[] = {{"at_s", "WHEN", SHOW_TIME}, {"who", "WHO", SHOW_TEXT},
    {"role", "ROLE", SHOW_TEXT}, {"from", "FROM", SHOW_TEXT}, {"by", "BY", SHOW_TEXT},
    {"what", "WHAT", SHOW_TEXT}, {"on", "ON", SHOW_TEXT}, {"args", "WITH", SHOW_TEXT},
    {"result", "RESULT", SHOW_TEXT}, {"text", "WHY", SHOW_TEXT}, {NULL, NULL, SHOW_TEXT}};
static const struct show_column revoked_columns[] = {{"kind", "KIND", SHOW_TEXT}, {"name", "NAME", SHOW_TEXT},
    {"until_s", "UNTIL", SHOW_TIME}, {NULL, NULL, SHOW_TEXT}};

static const struct show_column cluster_columns[] = {{"node", "NODE", SHOW_NUMBER},
    {"host", "HOST", SHOW_TEXT}, {"state", "STATE", SHOW_TEXT}, {"since_s", "SINCE", SHOW_TIME},
    {"flags", "FLAGS", SHOW_TEXT}, {"heard_ms", "HEARD MS", SHOW_NUMBER}, {"paths", "WAYS", SHOW_TEXT},
    {"clock_ms", "CLOCK MS", SHOW_NUMBER}, {"streams", "STREAMS", SHOW_NUMBER}, {"left", "LEFT", SHOW_NUMBER},
    {"fill_left", "TO FILL", SHOW_NUMBER}, {"acts", "ACTS", SHOW_NUMBER}, {"flaps", "FLAPS", SHOW_NUMBER},
    {"term", "TERM", SHOW_NUMBER}, {"address", "ADDRESS", SHOW_TEXT}, {NULL, NULL, SHOW_TEXT}};
static const struct show_column cluster_stream_columns[] = {{"uid", "UID", SHOW_TEXT},
    {"nodes", "NODES", SHOW_TEXT}, {"runs", "RUNS ON", SHOW_TEXT}, {"here", "HERE", SHOW_TEXT},
    {"why", "WHY", SHOW_TEXT}, {"term", "TERM", SHOW_NUMBER}, {NULL, NULL, SHOW_TEXT}};

static const struct show_column cluster_act_columns[] = {{"node", "NODE", SHOW_NUMBER},
    {"uid", "UID", SHOW_TEXT}, {"what", "WHAT", SHOW_TEXT}, {"by", "BY", SHOW_TEXT},
    {"since_s", "ASKED", SHOW_TIME}, {"term", "TERM", SHOW_NUMBER}, {"why", "WHY", SHOW_TEXT},
    {NULL, NULL, SHOW_TEXT}};
static const struct show_column cluster_file_columns[] = {{"uid", "UID", SHOW_TEXT},
    {"term", "TERM", SHOW_NUMBER}, {"by", "BY NODE", SHOW_NUMBER}, {"has", "ON NODES", SHOW_TEXT},
    {"refused_by", "REFUSED BY", SHOW_NUMBER}, {"why", "WHY", SHOW_TEXT}, {NULL, NULL, SHOW_TEXT}};
static const struct show_column cluster_store_columns[] = {{"state", "state", SHOW_TEXT},
    {"at", "at", SHOW_TEXT}, {"why", "why", SHOW_TEXT}, {"revision", "revision", SHOW_NUMBER},
    {"cluster", "cluster", SHOW_TEXT}, {"answered_ms", "answered, ms", SHOW_NUMBER},
    {"streams", "streams", SHOW_NUMBER}, {"nodes", "nodes", SHOW_NUMBER}, {"refused", "refused", SHOW_NUMBER},
    {"kept", "kept", SHOW_NUMBER}, {"keys", "keys", SHOW_NUMBER}, {NULL, NULL, SHOW_TEXT}};
static const struct show_column cluster_refused_columns[] = {{"uid", "UID", SHOW_TEXT},
    {"revision", "REVISION", SHOW_NUMBER}, {"why", "WHY", SHOW_TEXT}, {NULL, NULL, SHOW_TEXT}};
static const struct show_column transfer_columns[] = {{"uid", "UID", SHOW_TEXT},
    {"phase", "PHASE", SHOW_TEXT}, {"from", "FROM", SHOW_TEXT}, {"to", "TO", SHOW_TEXT},
    {"keep", "KEEP", SHOW_TEXT}, {"since_s", "SINCE", SHOW_TIME}, {"left", "LEFT", SHOW_NUMBER},
    {"text", "WHAT", SHOW_TEXT}, {NULL, NULL, SHOW_TEXT}};
static const struct show_column push_columns[] = {{"node", "NODE", SHOW_NUMBER},
    {"there", "THERE", SHOW_TEXT}, {"has", "HAS", SHOW_NUMBER}, {"files", "OF", SHOW_NUMBER},
    {"refuses", "REFUSES", SHOW_TEXT}, {"why", "WHY", SHOW_TEXT}, {NULL, NULL, SHOW_TEXT}};

static void print_status(const struct show *s, FILE *out)
{
    show_list(s, status_columns, out);
}

static void print_streams(const struct show *s, FILE *out)
{
    show_table(s, stream_columns, out);
}

static void print_stream(const struct show *s, FILE *out)
{
    show_list(s, one_stream, out);
}

static void print_storages(const struct show *s, FILE *out)
{
    show_table(s, storage_columns, out);
}

static void print_archive(const struct show *s, FILE *out)
{
    show_table(s, archive_columns, out);
}

static void print_plan(const struct show *s, FILE *out)
{
    show_table(s, plan_columns, out);
}

static void print_deleted(const struct show *s, FILE *out)
{
    show_table(s, delete_columns, out);
}

static void print_locks(const struct show *s, FILE *out)
{
    show_table(s, lock_columns, out);
}

static void print_events(const struct show *s, FILE *out)
{
    show_table(s, event_columns, out);
}

static void print_lines(const struct show *s, FILE *out)
{
    show_lines(s, "line", out);
}

static void print_vacuum(const struct show *s, FILE *out)
{
    show_table(s, vacuum_columns, out);
}

static void print_event(const struct show *s, FILE *out)
{
    for (size_t i = 0; i < s->n; i++)
        fprintf(out, "%llu\n", (unsigned long long)packed_u64(s->rows[i], "id", 0));
}

/* The list, and what is put into a file as it stands. */
static void print_key(const struct show *s, FILE *out)
{
    struct span pem = s->n > 0 ? packed_str(s->rows[0], "public") : SPAN_NONE, line;

    show_list(s, key_columns, out);
    while (span_split(&pem, '\n', &line) && line.n > 0) {
        utf8_print(line, out);
        fputc('\n', out);
    }
}

/* "server/stream/web = *:444/", and what waits for a restart. */
static void print_config(const struct show *s, FILE *out)
{
    for (size_t i = 0; i < s->n; i++) {
        struct span key = packed_str(s->rows[i], "key"), pending = packed_str(s->rows[i], "pending");

        if (key.p) utf8_print(key, out);
        if (key.p) fputs(" = ", out);
        utf8_print(key.p ? packed_str(s->rows[i], "value") : pending, out);
        if (pending.p) fputs(": waits for a restart of the server", out);
        if (key.p || pending.p) fputc('\n', out);
    }
}

static void print_token(const struct show *s, FILE *out)
{
    show_lines(s, "token", out);
}

static void print_revoked(const struct show *s, FILE *out)
{
    show_table(s, revoked_columns, out);
}

static void print_cluster(const struct show *s, FILE *out)
{
    show_table(s, cluster_columns, out);
}

static void print_cluster_acts(const struct show *s, FILE *out)
{
    show_table(s, cluster_act_columns, out);
}

static void print_cluster_files(const struct show *s, FILE *out)
{
    show_table(s, cluster_file_columns, out);
}

static void print_cluster_store(const struct show *s, FILE *out)
{
    show_list(s, cluster_store_columns, out);
}

static void print_cluster_refused(const struct show *s, FILE *out)
{
    show_table(s, cluster_refused_columns, out);
}

static void print_transfers(const struct show *s, FILE *out)
{
    show_table(s, transfer_columns, out);
}

static void print_push(const struct show *s, FILE *out)
{
    show_table(s, push_columns, out);
}

static void print_cluster_streams(const struct show *s, FILE *out)
{
    show_table(s, cluster_stream_columns, out);
}

static void print_audit(const struct show *s, FILE *out)
{
    show_table(s, audit_columns, out);
}

static void print_nothing(const struct show *s, FILE *out)
{
    (void)s;
    (void)out;
}

/* Levels of `log-level`, by name; their numbers are the syslog's. */
static const char *const levels[] = {[3] = "error", [4] = "warn", [5] = "note", [6] = "info", [7] = "debug"};

static const struct command {
    const char *words; /* "storage init" */
    const char *syntax, *help;
    size_t args_min, args_max;
    void (*print)(const struct show *s, FILE *out);
    void (*print_one)(const struct show *s, FILE *out); /* with an argument; NULL: the same */
} commands[] = {
    {"status", "status", "what the server is and how it is", 0, 0, print_status, NULL},
    {"streams", "streams [UID]", "state of every camera, and why; all that is known of one", 0, 1,
        print_streams, print_stream},
    {"restart", "restart UID", "starts the stream's worker anew", 1, 1, print_nothing, NULL},
    {"logs", "logs [UID]", "the newest log lines of a stream, or of the master", 0, 1, print_lines, NULL},
    {"reload", "reload", "reads the configuration again", 0, 0, show_remarks, NULL},
    {"stream create", "stream create UID KEY=VALUE...", "a new camera: its file is written, durably", 2,
        ASK_ARGS_MAX, show_remarks, NULL},
    {"stream set", "stream set UID KEY=VALUE|KEY...",
        "changes keys in the stream's file and in what runs; KEY alone: its default", 2, ASK_ARGS_MAX,
        show_remarks, NULL},
    {"stream check", "stream check UID KEY=VALUE|KEY...", "what set or create would say; nothing is changed",
        2, ASK_ARGS_MAX, show_remarks, NULL},
    {"stream remove", "stream remove UID", "its file is set aside, its archive stays", 1, 1, show_remarks,
        NULL},
    {"config show", "config show", "what is set in media-server.ini, secrets as ***", 0, 0, print_config,
        NULL},
    {"config set", "config set SECTION/KEY=VALUE|SECTION/KEY...",
        "changes keys of media-server.ini and of what runs; SECTION/KEY alone: its default", 1, ASK_ARGS_MAX,
        show_remarks, NULL},
    {"config check", "config check SECTION/KEY=VALUE|SECTION/KEY...",
        "what config set would say; nothing is changed", 1, ASK_ARGS_MAX, show_remarks, NULL},
    {"secondary", "secondary UID [URL [SECONDS]]", "another source for a while; without URL its own again", 1,
        3, show_remarks, NULL},
    {"storage list", "storage list", "storages, their state and space", 0, 0, print_storages, NULL},
    {"storage init", "storage init NAME", "accepts a storage's path as it is", 1, 1, print_nothing, NULL},
    {"storage clock", "storage clock NAME", "the clock is right, however far ahead: footage ages by it", 1, 1,
        print_nothing, NULL},
    {"archive list", "archive list [UID]", "what footage lies on which storage", 0, 1, print_archive, NULL},
    {"archive plan", "archive plan [STORAGE|UID]",
        "what would be deleted now, and why; --config FILE: with that configuration", 0, 1, print_plan, NULL},
    {"archive delete", "archive delete UID FROM TO",
        "deletes footage; a time: 2026-01-31T12:00:00Z, unix seconds", 3, 3, print_deleted, NULL},
    {"archive lock", "archive lock UID FROM TO [NOTE]", "keeps footage until it is unlocked", 3, 4,
        print_locks, NULL},
    {"archive unlock", "archive unlock UID LOCK", "takes a lock away", 2, 2, print_nothing, NULL},
    {"archive locks", "archive locks [UID]", "what is locked", 0, 1, print_locks, NULL},
    {"archive check", "archive check [STORAGE]", "is on the disk what the index says? --sum: every byte", 0,
        1, print_nothing, NULL},
    {"archive rebuild", "archive rebuild [STORAGE]",
        "an index out of the files alone; mends where the one in use differs; --sum: every byte; --verify: "
        "only tells",
        0, 1, print_nothing, NULL},
    {"archive export", "archive export UID FROM DURATION",
        "footage as an MP4, with a signed manifest: --out FILE.mp4; --force, --keep-gaps", 3, 3,
        print_nothing, NULL},
    {"archive verify", "archive verify FILE.mp4", "is it what was exported, and by whom? --key FILE", 1, 1,
        print_nothing, NULL},
    {"archive vacuum", "archive vacuum [UID]",
        "footage of streams that are not configured any more; --yes: deletes it", 0, 1, print_vacuum, NULL},
    {"event", "event UID KIND", "something happens; --start, --end, --before, --after, --payload", 2, 2,
        print_event, NULL},
    {"events", "events [UID]", "what happened; --from, --to, --kind", 0, 1, print_events, NULL},
    {"record", "record UID on|off", "dvr-mode = ondemand: on [SECONDS] [--until-restart], or off", 2, 3,
        print_nothing, NULL},
    {"pause", "pause UID [SECONDS]", "stops recording, whatever its dvr-mode, until it is resumed", 1, 2,
        print_nothing, NULL},
    {"resume", "resume UID", "ends a pause", 1, 1, print_nothing, NULL},
    {"broadcast", "broadcast UID on|off [SECONDS]", "whether it may be watched live; recording goes on", 2, 3,
        print_nothing, NULL},
    {"token create", "token create STREAMS",
        "an access token; --user, --ops, --duration, --not-before, --from, --to, --address, --sessions, "
        "--note",
        1, 1, print_token, NULL},
    {"token revoke", "token revoke KIND=NAME",
        "takes back token=TOKEN, id=ID, or all of user=NAME, stream=UID", 1, 1, print_nothing, NULL},
    {"token revoked", "token revoked", "what was taken back", 0, 0, print_revoked, NULL},
    {"audit verify", "audit verify [FILE...]", "is the audit log as it was written? oldest file first", 0,
        ASK_ARGS_MAX, print_nothing, NULL},
    {"audit", "audit [N]", "who did what, newest first", 0, 1, print_audit, NULL},
    {"password", "password", "a password's hash, for [[[users]]]: reads the password from standard input", 0,
        0, print_nothing, NULL},
    {"key show", "key show", "the public half of the key by which this node signs, and its fingerprint", 0, 0,
        print_key, NULL},
    {"tls self-signed", "tls self-signed [NAME...]",
        "a certificate for these names, and its key: --out FOLDER; --force", 0, ASK_ARGS_MAX, print_nothing,
        NULL},
    {"cluster streams", "cluster streams",
        "which nodes record each stream ('+': nothing that plays yet, '!': not as it should), and why here "
        "or not",
        0, 0, print_cluster_streams, NULL},
    {"cluster acts", "cluster acts", "deletes and locks that other nodes have still to do", 0, 0,
        print_cluster_acts, NULL},
    {"cluster files", "cluster files", "streams' files that were pushed, and who has them", 0, 0,
        print_cluster_files, NULL},
    {"cluster store", "cluster store", "the site's etcd, and what is had of it", 0, 0, print_cluster_store,
        NULL},
    {"cluster refused", "cluster refused", "records of the site's etcd that are refused, and why", 0, 0,
        print_cluster_refused, NULL},
    {"cluster", "cluster", "the nodes and how they are", 0, 0, print_cluster, NULL},
    {"transfers", "transfers [UID]", "streams that move between nodes, and how far", 0, 1, print_transfers,
        NULL},
    {"transfer", "transfer UID NODE[,NODE...] [keep|free]",
        "moves a stream with its archive; free: the old copies go", 2, 3, print_transfers, NULL},
    {"config push", "config push [UID]", "this node's stream files, or one of them, to all nodes", 0, 1,
        print_push, NULL},
    {"drain", "drain [off]", "gives this node's streams to their other nodes; off: takes them back", 0, 1,
        print_nothing, NULL},
    {"log-level", "log-level LEVEL", "error, warn, note, info, debug or 3 to 7, until the next reload", 1, 1,
        print_nothing, NULL},
};

/* Commands that take options of their own, or that msctl does itself. */
static const struct extra {
    const char *words, *options; /* letters of options_take */
    int (*local)(const struct local *l);
} extras[] = {
    {"archive plan", "C", NULL},
    {"archive check", "PIS", local_check},
    {"archive rebuild", "PISV", local_rebuild},
    {"archive export", "OFG", local_export},
    {"archive verify", "K", local_verify},
    {"archive vacuum", "Y", local_vacuum},
    {"tls self-signed", "OF", local_self_signed},
    {"password", "", local_password},
    {"audit verify", "", local_audit_verify},
};

static const struct extra *extra_of(const struct command *cmd)
{
    static const struct extra none = {"", "", NULL};

    for (size_t i = 0; i < ARRAY_N(extras); i++)
        if (strcmp(extras[i].words, cmd->words) == 0) return &extras[i];
    return &none;
}

static int usage(FILE *to, int code)
{
    fprintf(to, "usage: msctl [-s SOCKET] [--json] COMMAND\n\n");
    for (size_t i = 0; i < ARRAY_N(commands); i++)
        fprintf(to, "  %-32s %s\n", commands[i].syntax, commands[i].help);
    fprintf(to,
        "\n  -s SOCKET                        control socket of the server (else $MSCTL_SOCKET, else "
        "this "
        "installation's)\n"
        "  -j, --json                       an array of objects, with every field\n"
        "  --path FOLDER                    check and rebuild: this storage, without a server; --index "
        "FOLDER: its "
        "index\n\n"
        "exit code: 0 done, 1 failed, 2 usage, 3 no server answers, 4 no such stream or storage, 5 there is "
        "one already\n");
    return code;
}

/* The command that the words begin with; *ret_used of them name it. */
static const struct command *command_find(char *const *words, int n, int *ret_used)
{
    char two[64];

    for (size_t i = 0; i < ARRAY_N(commands); i++) {
        if (n >= 1 && strcmp(commands[i].words, words[0]) == 0) return *ret_used = 1, &commands[i];
        if (n < 2) continue;
        snprintf(two, sizeof(two), "%s %s", words[0], words[1]);
        if (strcmp(commands[i].words, two) == 0) return *ret_used = 2, &commands[i];
    }
    return NULL;
}

static const char *level_number(const char *word, char dst[4])
{
    for (unsigned i = 0; i < ARRAY_N(levels); i++)
        if (levels[i] && strcmp(levels[i], word) == 0) {
            snprintf(dst, 4, "%u", i);
            return dst;
        }
    return word;
}

#define OF_COMMAND 256 /* getopt's value of options that go to the server as name=value */

struct options {
    const char *socket;
    const char *path, *index, *out, *key, *config; /* of local commands */
    bool json, help, sum, verify, yes, force, keep_gaps;
    char used[16]; /* letters of those that only some commands take */
    char of_command[ASK_ARGS_MAX][ASK_ARG_MAX];
    size_t n;
};

static bool option_keep(struct options *o, const struct option *which, const char *value)
{
    int n;

    if (o->n == ASK_ARGS_MAX) return false;
    n = snprintf(
        o->of_command[o->n++], ASK_ARG_MAX, "%s%s%s", which->name, value ? "=" : "", value ? value : "");
    return n < ASK_ARG_MAX;
}

static bool options_take(int argc, char *const *argv, struct options *o)
{
    static const struct option longs[] = {{"json", no_argument, NULL, 'j'}, {"help", no_argument, NULL, 'h'},
        {"socket", required_argument, NULL, 's'}, {"path", required_argument, NULL, 'P'},
        {"index", required_argument, NULL, 'I'}, {"sum", no_argument, NULL, 'S'},
        {"verify", no_argument, NULL, 'V'}, {"yes", no_argument, NULL, 'Y'},
        {"out", required_argument, NULL, 'O'}, {"force", no_argument, NULL, 'F'},
        {"keep-gaps", no_argument, NULL, 'G'}, {"config", required_argument, NULL, 'C'},
        {"key", required_argument, NULL, 'K'}, {"start", required_argument, NULL, OF_COMMAND},
        {"end", required_argument, NULL, OF_COMMAND}, {"before", required_argument, NULL, OF_COMMAND},
        {"after", required_argument, NULL, OF_COMMAND}, {"payload", required_argument, NULL, OF_COMMAND},
        {"from", required_argument, NULL, OF_COMMAND}, {"to", required_argument, NULL, OF_COMMAND},
        {"kind", required_argument, NULL, OF_COMMAND}, {"until-restart", no_argument, NULL, OF_COMMAND},
        {"user", required_argument, NULL, OF_COMMAND}, {"ops", required_argument, NULL, OF_COMMAND},
        {"duration", required_argument, NULL, OF_COMMAND},
        {"not-before", required_argument, NULL, OF_COMMAND}, {"address", required_argument, NULL, OF_COMMAND},
        {"sessions", required_argument, NULL, OF_COMMAND}, {"note", required_argument, NULL, OF_COMMAND},
        {0}};
    int c, at = 0;

    optind = 0; /* from the start, also when called twice */
    while ((c = getopt_long(argc, argv, "s:jh", longs, &at)) != -1) {
        if (c == 's') o->socket = optarg;
        if (c < OF_COMMAND && strchr("PISVYOFGKC", c) && strlen(o->used) + 1 < sizeof(o->used))
            o->used[strlen(o->used)] = (char)c;
        if (c == 'P') o->path = optarg;
        if (c == 'I') o->index = optarg;
        if (c == 'O') o->out = optarg;
        if (c == 'K') o->key = optarg;
        if (c == 'C') o->config = optarg;
        if (c == 'F') o->force = true;
        if (c == 'G') o->keep_gaps = true;
        if (c == 'S') o->sum = true;
        if (c == 'V') o->verify = true;
        if (c == 'Y') o->yes = true;
        if (c == 'j') o->json = true;
        if (c == 'h') o->help = true;
        if (c == '?' || (c == OF_COMMAND && !option_keep(o, &longs[at], optarg))) return false;
    }
    return true;
}

/* An event stands in the index of each storage that its stream may be recorded on: shown once. */
static void once(struct show *s, const char *key)
{
    size_t n = 0;

    for (size_t i = 0; i < s->n; i++) {
        uint64_t id = packed_u64(s->rows[i], key, 0);
        bool seen = false;

        for (size_t k = 0; k < n && !seen; k++) seen = packed_u64(s->rows[k], key, 0) == id;
        if (!seen) s->rows[n++] = s->rows[i];
    }
    s->n = n;
}

static struct local local_of(const struct options *o)
{
    return (struct local){.socket = o->path ? NULL : o->socket,
        .path = o->path,
        .index = o->index,
        .out_path = o->out,
        .key = o->key,
        .config = o->config,
        .json = o->json,
        .sum = o->sum,
        .verify = o->verify,
        .force = o->force,
        .yes = o->yes,
        .keep_gaps = o->keep_gaps};
}

static int run(
    const struct command *cmd, char **args, size_t n, const struct options *o, FILE *out, FILE *err)
{
    struct show rows = {0};
    char text[512] = "", level[4], *level_arg[] = {level};
    int (*local)(const struct local *l) = o->config ? local_plan : extra_of(cmd)->local;
    struct local l = local_of(o);
    int code;

    l.args = args;
    l.n_args = n;
    l.rows = &rows;
    l.text = text;
    l.out = out;
    l.err = err;
    if (strcmp(cmd->words, "log-level") == 0 && args[0] && level_number(args[0], level) == level)
        args = level_arg;
    code = local ? local(&l) : ask(o->socket, cmd->words, args, n, &rows, text);
    if (cmd->print == print_events) once(&rows, "id");
    if ((code == CTL_OK || rows.n > 0) && (!local || cmd->print != print_nothing)) {
        if (o->json)
            show_json(&rows, out);
        else
            (n > 0 && cmd->print_one ? cmd->print_one : cmd->print)(&rows, out);
    }
    if (text[0]) {
        FILE *to = code == CTL_OK && !o->json ? out : err;

        fputs(code == CTL_OK ? "" : "msctl: ", to);
        utf8_print(span_of(text), to);
        fputc('\n', to);
    }
    show_done(&rows);
    return code;
}

int msctl_run(int argc, char *const *argv, FILE *out, FILE *err)
{
    struct options o = {.socket = getenv("MSCTL_SOCKET")};
    char *args[ASK_ARGS_MAX] = {NULL};
    const struct command *cmd;
    struct paths paths;
    int used = 0, n;

    if (!options_take(argc, argv, &o)) return usage(err, CTL_USAGE);
    if (o.help) return usage(out, CTL_OK);
    cmd = command_find(argv + optind, argc - optind, &used);
    n = argc - optind - used;
    if (!cmd || (size_t)n < cmd->args_min || (size_t)n > cmd->args_max) return usage(err, CTL_USAGE);
    if (o.used[strspn(o.used, extra_of(cmd)->options)] || (o.index && !o.path) || (o.path && n > 0) ||
        (o.n > 0 && (extra_of(cmd)->local || o.yes)) || (size_t)n + o.n > ASK_ARGS_MAX)
        return usage(err, CTL_USAGE);
    for (int i = 0; i < n; i++) args[i] = argv[optind + used + i];
    for (size_t i = 0; i < o.n; i++) args[(size_t)n + i] = o.of_command[i];
    if (!o.socket && !o.path) {
        if (paths_find(&paths) < 0) return usage(err, CTL_USAGE);
        o.socket = paths.control;
    }
    return run(cmd, args, (size_t)n + o.n, &o, out, err);
}
