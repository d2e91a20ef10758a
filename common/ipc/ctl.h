/* What msctl asks the master over its control socket. One CTL with proto (IPC_PROTO), cmd and args; the
 * answer is any number of CTL_ROW, each with at most CTL_ROWS_MAX maps, then one CTL_END with code and text,
 * and the master closes. Rows come in the order they are to be shown. A key without a value is left out of
 * its row; msctl shows the columns it knows and, with --json, everything.
 *
 * Types of the keys: u number, b boolean, t text; _s seconds (since_s: unix seconds, wall clock), _bps bits
 * per second. Each command, what it takes, its rows:
 *
 * - status: one row. version t, revision t, pid u, uptime_s u, node u, config t, streams u, active u,
 * recording u, viewers u, picture_helpers u (that live), sandbox_missing t (layers that the newest of them
 * lacks; "": none), storages u, storages_ok u; for connector, keeper, httpd: NAME_pid u (0: not
 * running), NAME_restarts u.
 * - streams [UID]: a row a stream. uid t, state t (connecting, active, stale, idle, down, invalid, disabled),
 *   reason t, since_s u, pid u, record t (off, on, waiting, armed, paused, failed, stopped), bitrate_bps u,
 * frames u, losses u, repairs u, reconnects u (of the camera), restarts u (of the worker), viewers u, name t.
 * - api streams [UID]: a row a stream, for the API; URLs without their passwords. uid t, name t, camera_uid
 * t, profile t, enabled b, on_demand b, access t, tracks t, proto t (of its configuration), dvr b, dvr_mode
 * t, archive t, source t, state t, reason t, since u, viewers u, record t, record_reason t, paused b (by
 * call), restarts u, memory u, cpu (share of a processor), storage t, ping (seconds), bitrate u, codec t,
 * audio t, width u, height u, last_frame u, frames u, losses u, repairs u, connects u, reconnects u.
 * - api stream UID: rows by kind: one "stream" (file t, whitelist t, limit u, pid u, peer t, last_key u,
 * gop_frames u, gop_seconds, clock_known b, clock_offset, counters, recording: maps); "attempt" (at, ended,
 * cause t, text t), newest first; "step" of the newest (name t, ok b, seconds, text t); "sdp" (text t).
 * - api probe URL TRANSPORT SECONDS [UID]: a camera is tried, in up to 10 s (its own where UID is named).
 * "probe" (ok b, state t, reason t, peer t, codec t, audio t, width u, height u, frames u, losses u,
 * gop_frames u, gop_seconds, bitrate u), then attempt, step and sdp as api stream. CTL_BUSY: two are being
 * tried.
 * - api config UID: etag t of its file; then key t, value t of each key there, URLs without their passwords.
 * - api edit DRY WHY: behind CTL_BODY: an array of [kind (create, set, merge, replace, remove, site), uid,
 * etag, "key=value" or "key" a line; of site, whose uid is "[server]", "section/key"]; all of them or none;
 * DRY = dry: only judged. Rows: "edit" (revision u, at u: on failure which it is about; of site too site b,
 * httpd b, streams u, restart: array), "item" (uid t, "" of site, etag t), then remarks as reload. etag: of
 * `api config`, "*": there must be one, "-": none, "": whatever.
 * - api revisions: a row each, newest first. id u, at, by t, text t, changes u. api revision ID: that row,
 * then "change" (uid t, what t, before, after: maps of keys, or nothing).
 * - api undo ID DRY, api rollback ID DRY: rows as api edit. That one is taken back, or all that came behind
 * it.
 * - api server: "server" (version t, ..., cpu, memory, network, disks, streams: maps), then "process" (name
 * t, state t, pid u, restarts u, cpu, memory u). api history: a row a minute. api keys: a row a key of the
 * configuration.
 * - api export UID FROM TO SECONDS NOTE: rows as archive lock. That footage is locked for so long; its id is
 * the lock's. api exports: a row each, newest first. id t, uid t, by t, note t, from u, to u, made u, until
 * u. api export end ID: no row.
 * - archive ranges UID FROM TO: from_us u, to_us u of each stretch, of each storage. archive segments UID
 * FROM TO LIMIT: id t, storage t, path t, from_us u, to_us u, bytes u, samples u, flags u. FROM, TO:
 * microseconds.
 * - pause UID [SECONDS], resume UID: no row. Nothing is recorded, whatever its dvr-mode; kept over restarts.
 * - broadcast UID on|off [SECONDS]: no row. off: nobody watches it live; recording and archive go on; kept.
 * - restart UID: no row. Its worker is replaced at once, without a back-off.
 * - logs [UID]: a row a line. line t: the newest that the master keeps, oldest first; without UID the
 * master's own.
 * - reload: a row a remark. level t (mistake, warning, note), file t, line u, key t, text t. Code CTL_FAILED
 * when the configuration was refused, and what runs goes on.
 * - storage list: a row a storage. name t, path t, mount t, fs t (where its path is mounted, and of which
 * kind), state t (of STORAGE_STATE, or unknown), errno u, total u, free u, files u, files_free u (inodes),
 * uuid t, index t (its folder; not there while it is not open), floor u (bytes that stay free), footage u
 * (bytes), rate_bps u (of what is recorded there), locked u (bytes that locks and events keep though room is
 * needed; else 0), oldest_s u, keeps_s u (so long a time fits at this rate), full_s u (when deleting for want
 * of room begins; not there: never, as it is now), clock_ahead_s u (only while the clock is so far ahead of
 * what is known that ages are not counted by it).
 * - key show: one row. fingerprint t, public t (PEM), file t (of the secret half). CTL_FAILED: the file is
 * not as it should be, and text says how.
 * - storage clock NAME: no row. The clock is right, however far ahead: ages are counted by it from now on.
 * - storage init NAME: no row. The path is accepted as it is.
 * - archive list [UID]: a row for each stream and storage that holds footage of it, configured or not. uid t,
 *   storage t, segments u, bytes u, from_s u, to_s u.
 * - archive plan [STORAGE|UID]: what would be deleted now; a row for each stream, storage and reason. uid t,
 *   storage t, why t (age, capacity, floor), segments u, bytes u, from_s u, to_s u.
 * - archive delete UID FROM TO: segments that lie wholly inside, at once; a row a storage. uid t, storage t,
 *   segments u, bytes u, locked u (segments that a lock touches: they stay), edges u (segments that reach
 * over FROM or TO: they stay). FROM, TO: unix seconds, 2026-01-31 or 2026-01-31T12:00:00Z.
 * - archive lock UID FROM TO [NOTE]: segments that touch the time stay until it is unlocked. One row, as
 * locks.
 * - archive unlock UID ID: no row.
 * - archive locks [UID]: a row a lock. id t, uid t, from_s u, to_s u, since_s u, by t, note t.
 * - archive reread STORAGE UID ID [sum]: no row. The index's record of a segment (ID in hex; 0: the stream's
 * ranges and total) is made anew from its file, or goes where there is none. A file without a footer, with
 * sum also one whose bytes are not what it says, first gets a footer that knows what of it is whole. msctl
 * archive rebuild says it.
 * - archive restore STORAGE [copies]: no row. Locks and events are put into the storage's index again out of
 * their copies; copies: all events of the index into the copies before. msctl archive rebuild says it.
 * - archive vacuum [UID [yes|no [progress]]]: a row for each stream and storage with footage of a stream that
 * is not configured; yes: all of it but what is locked is deleted. uid t, storage t, segments u, bytes u,
 * locked u, deleted u. UID "": all. progress: also, once a second and storage, a page of one row of how far
 * it is, in segments: storage t, done u, all u.
 * - event UID KIND [start=T] [end=T] [before=D] [after=D] [payload=TEXT]: one row. id u, uid t. Something
 *   happens: from start (else now) to end; without an end it goes on, and is renewed by the same call. An end
 *   alone ends the one that goes on, or is a moment. T: unix seconds, with up to six digits behind a dot, a
 *   date and time in UTC, or now. D: a duration.
 * - events [UID] [from=T] [to=T] [kind=K] [limit=N]: a row an event and storage, by stream and start, or with
 * limit (1 to 5000) each storage's newest N, these first; behind them those that no storage has taken yet. id
 * u, uid t, kind t, source t (call, onvif), start_s u, start_us u, end_s u, end_us u (both only when it is
 * over), before_us u, after_us u, payload t.
 * - record UID on [SECONDS] [until-restart], record UID off: no row. Of dvr-mode = ondemand; kept over
 *   restarts, unless the call says otherwise.
 * - stream create UID KEY=VALUE..., stream set UID KEY=VALUE|KEY..., stream remove UID: a row a remark, as
 * reload. Into the stream's file, durably, and into what runs; a mistake refuses it and nothing is written.
 * KEY without a value: the key goes, its default holds. A removed stream's file is set aside, its archive
 * stays. stream check UID KEY=VALUE|KEY...: the same as set, or create where there is none, and only judged.
 * - secondary UID [URL [SECONDS]]: a row a remark, as reload. Another source for so long (0: until it is
 * taken back), in the stream's file; without URL its own again. Over restarts, too.
 * - config show: of media-server.ini, for root: file t, etag t; then key t ("server/stream/web"), value t of
 * each key there, secrets as "***"; then pending t: a key that waits for a restart of the server.
 * - config set SECTION/KEY=VALUE|SECTION/KEY..., config check ...: as stream set and check, of
 * media-server.ini. SECTION/ alone: the section goes. "***" in a secret: what stands there.
 * - token create STREAMS [user=T] [ops=LIST] [duration=D] [not-before=T] [from=T] [to=T] [address=CIDR]
 *   [sessions=N] [note=T]: one row. token t, id t, until_s u. STREAMS: uids or beginnings with '*', with
 * commas; ops out of live, dvr, copy, publish, api (live,dvr); duration 1 day, 0: without an end; from, to:
 * of footage.
 * - api token create: the same, for whoever asks: what his role may. api tokens: a row each, newest first, of
 * his own, of a root all. id t, by t, user t, streams t, note t, ops t, made u, until u (0: open), footage
 * (from, to), revoked b. api token revoke ID: no row.
 * - token revoke token=T|id=T|user=T|stream=T: no row. Durable; what runs on it ends within 2 s. By user or
 * stream: all tokens made until now.
 * - token revoked: a row each. kind t (token, user, stream), name t, at_us u, until_s u.
 * - audit [N]: a row a line of the audit log, newest first, at most N (100). seq u, at_s u, who t, role t,
 * from t, by t (session, basic, token, msctl), what t, on t, args t, result t (done, refused, failed), text
 * t. "api audit" for the API. What only reads is not written down (master/audit_commands.c).
 * - api accounts: a row each. name t, role t, cameras t (patterns with commas, "": all), kept t (scrypt,
 * plain).
 * - api account set NAME [WORD...]: behind CTL_BODY: a map of [role], [password] (as it is to be kept),
 * [cameras]; the words are for the audit log. A new one (text: created) needs role and password. CTL_FAILED:
 * it is the last root. api account remove NAME: no row.
 * - api setup NAME: behind CTL_BODY: a map of secret, password (as it is to be kept). The first root account.
 * Text: secret, name, password (wrong ones), over.
 * - api layouts: a row each, one's own and the shared. name t, shared b, by t, at u. api layout get KIND
 * NAME: that row, then rows of piece t. KIND: own, shared. api layout put KIND NAME: behind CTL_BODY: JSON as
 * text. api layout remove KIND NAME. Text: name, layout, full, role.
 * - api signing keys: a row each, as tokens are signed. id t, not_before u, not_after u (0: open), state t
 * (signs, good, later, over). api signing rotate SECONDS: a new one signs, those before are good for so long;
 * text: its id. api signing remove ID: no row.
 * - cluster: a row a node, this one first. node u, host t, state t (docs/cluster.md), since_s u, flags t
 * (self, drained, full, ending), streams u (that run), term u; of this one left u (still to be given away);
 * of others address t, paths t ("heard/all"), flaps u, sent u, received u, heard_ms u, clock_ms i (its clock
 * before ours), acts u (that wait for it), channel b (its courier answers), fill_left u (segments to be
 * fetched from it). CTL_FAILED: there is no cluster.
 * - cluster streams: a row a stream. uid t, nodes t (numbers, in order), runs t (numbers; '+': nothing that
 * plays yet, '!': not as it should), term u, here b, why t.
 * - cluster acts: a row for each delete or lock that a node has still to do. node u, uid t, what t, by t,
 * since_s u, term u, why t.
 * - cluster files: a row for each stream's file that was pushed. uid t, term u, by u (node), gone b, has t
 * (nodes that have this version), refused_by u, why t.
 * - cluster store: one row, of the site's etcd. state t (up, reading, away), at t (its endpoint), why t (it
 * is away), revision u, cluster t (its cluster_id, hexadecimal), answered_ms i (since it said anything; -1:
 * never), streams u (records), nodes u, refused u, kept u (it does not name them any more), keys u (that this
 * node holds). cluster refused: a row for each of its records that is refused. uid t, revision u, why t.
 * CTL_FAILED: there is no store.
 * - config push [UID]: a row for each other node. node u, there b, has u (of the pushed files), files u,
 * refuses t (a uid), why t. CTL_BUSY: too few nodes are there.
 * - transfer UID NODES [keep|free]: the row of it. NODES: numbers or hosts with commas, the first to record
 * it. transfers [UID]: a row each. uid t, phase t (spread, take, fill, settle, free, done, failed), to t,
 * from t (nodes), keep b, began_s u, since_s u, by t, text t, left u, left_bytes u (segments to be fetched,
 * of whatever camera; only while that is known).
 * - drain [off]: no row. Streams of this node are given to their other nodes, until a restart or off.
 * - log-level N: no row. N: 3 (error) to 7 (debug), for all processes, until the next reload.
 */
#ifndef IPC_CTL_H
#define IPC_CTL_H

#define CTL_ROWS_MAX 100

/* Codes of CTL_END, and exit codes of msctl. */
enum {
    CTL_OK = 0,
    CTL_FAILED = 1,    /* tried and not done: text says why */
    CTL_USAGE = 2,     /* unknown cmd, wrong number of args */
    CTL_NO_SERVER = 3, /* msctl's own: nobody answers at the socket */
    CTL_NOT_FOUND = 4, /* no such stream or storage */
    CTL_EXISTS = 5,    /* there is one of this name already */
    CTL_CHANGED = 6,   /* it is not as whoever asks has read it */
    CTL_BUSY = 7,      /* others are at it: later */
    CTL_CONFIRM = 8    /* whoever asks has to show a password again first */
};

#endif
