/* Every message between our processes: one row a message. On the wire: u32 length (big-endian) | msgpack
 * array of [number, map] or [number, map, descriptors]. Over-long or unknown is that peer's end. Descriptors
 * travel with the first bytes of their message (SCM_RIGHTS), at most as many as the row says. A map's keys
 * stand in the comment; a key in [] may be missing.
 *
 *   MESSAGE(name, number, from, to, most bytes, descriptors)
 */
#ifndef IPC_MESSAGES_H
#define IPC_MESSAGES_H

#include <stddef.h>

#define IPC_PROTO   1
#define IPC_FDS_MAX 8

enum role {
    ROLE_MASTER = 1,
    ROLE_WORKER = 2,
    ROLE_KEEPER = 3,
    ROLE_HTTPD = 4,
    ROLE_CONNECTOR = 5,
    ROLE_CTL = 6,
    ROLE_COURIER = 7
};
/* Bits for the rows. */
enum {
    TO_MASTER = 1 << 1,
    TO_WORKER = 1 << 2,
    TO_KEEPER = 1 << 3,
    TO_HTTPD = 1 << 4,
    TO_CONNECTOR = 1 << 5,
    TO_CTL = 1 << 6,
    TO_COURIER = 1 << 7,
    TO_CHILD = TO_WORKER | TO_KEEPER | TO_HTTPD | TO_CONNECTOR | TO_COURIER
};

/* clang-format off */
#define MESSAGES(MESSAGE) \
    /* --- every child and the master ------------------------------------------------------------------------ */ \
    /* first of a child: proto, role, gen (of this start), pid, uid (worker's stream, else ""), hash (of the settings it is started \
       for; 0: a service) */ \
    MESSAGE(HELLO, 1, TO_CHILD, TO_MASTER, 512, 0) \
    /* first of the master: log_level, log_json, log_journal */ \
    MESSAGE(WELCOME, 2, TO_MASTER, TO_CHILD, 4096, 0) \
    MESSAGE(STOP, 3, TO_MASTER, TO_CHILD, 64, 0)              /* flush and exit within 2 s */ \
    MESSAGE(LOG_FD, 4, TO_MASTER, TO_CHILD, 64, 1)            /* log there from now on */ \
    MESSAGE(LOG_LEVEL, 5, TO_MASTER, TO_CHILD, 64, 0)         /* level */ \
    MESSAGE(LOG_LINE, 6, TO_CHILD, TO_MASTER, 2048, 0)        /* level, line: kept for msctl logs */ \
    MESSAGE(BEAT, 7, TO_CHILD, TO_MASTER, 64, 0)              /* services: every second. Workers beat in their ring */ \
    /* --- worker and master ---------------------------------------------------------------------------------- */ \
    /* settings of its stream, after the handshake and when they change: uid, hash (of them all; the worker writes it into the ring's \
       header), url, tracks (video,audio,data), user_agent, transport (auto,tcp,udp), on_demand, invalid_after, retry_numbers, \
       retry_first_us, retry_most_us, record (bool), mode (continuous, event, schedule, ondemand), chunk_us, event_before_us, ring_max. The camera of a worker never changes: another \
       url, tracks, transport or user_agent is another worker */ \
    MESSAGE(STREAM, 10, TO_MASTER, TO_WORKER, 16384, 0) \
    /* gen (ring generation); descriptors: ring (read-write), demand page (read-only), eventfd of new frames, eventfd of new demand */ \
    MESSAGE(RING, 11, TO_MASTER, TO_WORKER, 64, 4) \
    MESSAGE(RING_WANT, 12, TO_WORKER, TO_MASTER, 64, 0)       /* bytes, frames: answered by RING with the next generation */ \
    MESSAGE(RING_MOVED, 13, TO_WORKER, TO_MASTER, 64, 0)      /* gen: of the ring that is written from now on */ \
    MESSAGE(CONNECTOR_SOCK, 14, TO_MASTER, TO_WORKER, 64, 1)  /* after start and after a new connector */ \
    MESSAGE(KEEPER_SOCK, 15, TO_MASTER, TO_WORKER, 64, 1)     /* after start and after a new keeper */ \
    MESSAGE(STATE, 16, TO_WORKER, TO_MASTER, 512, 0)          /* state (number of enum stream_state), reason, since_us (wall clock): on every change */ \
    /* of an attempt to reach the camera: name (begin, connect, an RTSP method, over), ok, took_us, text, cause (over: a word of \
       ring_end_word) */ \
    MESSAGE(STEP, 17, TO_WORKER, TO_MASTER, 1024, 0) \
    MESSAGE(SDP, 18, TO_WORKER, TO_MASTER, 16384, 0)          /* text: how the camera describes its session, cut at 8 KiB */ \
    /* of a cluster: no other node has this camera's session any more. Who waits because the camera was full tries at once */ \
    MESSAGE(CAMERA_FREE, 112, TO_MASTER, TO_WORKER, 64, 0) \
    /* --- connector ------------------------------------------------------------------------------------------ */ \
    /* a worker's socket: uid, gen (of its start: the same one keeps its UDP pairs), host, port (as configured; others are redirects); \
       allow, deny: the site's CIDR lists as text, "" = none; push: its camera pushes, nothing is dialled */ \
    MESSAGE(CONN_PEER, 20, TO_MASTER, TO_CONNECTOR, 8192, 1) \
    MESSAGE(CONN_PEER_GONE, 21, TO_MASTER, TO_CONNECTOR, 128, 0) /* uid */ \
    MESSAGE(DIAL, 22, TO_WORKER, TO_CONNECTOR, 1024, 0)       /* id, host, port, timeout_us; a new DIAL ends the one before */ \
    /* id, err (0, or positive errno; EACCES: refused by policy; ENOENT: no such name), text, addr ("192.168.1.5:554"); descriptor when err is 0 */ \
    MESSAGE(DIALED, 23, TO_CONNECTOR, TO_WORKER, 1024, 1) \
    /* id, pushed: an even and odd port pair towards the last dialled address, or that of the PUSHED connection of this number */ \
    MESSAGE(UDP_BIND, 24, TO_WORKER, TO_CONNECTOR, 64, 0) \
    MESSAGE(UDP_BOUND, 25, TO_CONNECTOR, TO_WORKER, 256, 2)   /* id, err, port (of RTP), two descriptors when err is 0 */ \
    MESSAGE(UDP_CONNECT, 26, TO_WORKER, TO_CONNECTOR, 64, 0)  /* id, port, rtcp_port: the camera's; both ends get connected */ \
    MESSAGE(UDP_CONNECTED, 27, TO_CONNECTOR, TO_WORKER, 64, 0) /* id, err */ \
    MESSAGE(UDP_CLOSE, 28, TO_WORKER, TO_CONNECTOR, 64, 0)    /* id: the connector forgets its copies */ \
    /* id, addr: somebody's connection to the publish listener, his first request (it names this stream) unread in it */ \
    MESSAGE(PUSHED, 29, TO_CONNECTOR, TO_WORKER, 256, 1) \
    /* addr, base (of the listener): somebody pushes inside TLS, which httpd takes off; the connection to it: what he says, and is told */ \
    MESSAGE(PUSH_TLS, 98, TO_HTTPD | TO_MASTER, TO_MASTER | TO_CONNECTOR, 256, 1) \
    /* id (of the PUSHED connection), addr, token: may this camera push by this token? To httpd also uid; empty to a worker: httpd is \
       another one, and is to be asked again about who pushes by a token */ \
    MESSAGE(PUSH_ASK, 73, TO_WORKER | TO_MASTER, TO_MASTER | TO_HTTPD | TO_WORKER, 4096, 0) \
    /* id, status (200: it may; 503: nobody can say now), [uid, to the master]: the answer, and another one when what was allowed ends */ \
    MESSAGE(PUSH_MAY, 74, TO_HTTPD | TO_MASTER, TO_MASTER | TO_WORKER, 256, 0) \
    /* id (0: all of this stream), [uid, to httpd]: it has gone, and what was allowed with it */ \
    MESSAGE(PUSH_OVER, 75, TO_WORKER | TO_MASTER, TO_MASTER | TO_HTTPD, 256, 0) \
    /* whitelist (CIDR list of whitelist-publishers as text, "": from everywhere): the listeners of before are forgotten, LISTEN \
       says the new ones. After CONF_PEERs, and with every reload */ \
    MESSAGE(PUSH_CONF, 72, TO_MASTER, TO_CONNECTOR, 65536, 0) \
    MESSAGE(RESOLVE, 110, TO_MASTER, TO_CONNECTOR, 512, 0)    /* host: of another node of the cluster */ \
    MESSAGE(RESOLVED, 111, TO_CONNECTOR, TO_MASTER, 1024, 0)  /* host, addr ("10.0.0.1"; "": none) */ \
    /* --- keeper --------------------------------------------------------------------------------------------- */ \
    /* name, path, index_path, free (bytes or percent as text), uuid (expected by state-dir, "" = never seen), sync_us, pulse (bool: of a cluster) */ \
    MESSAGE(STORAGE, 30, TO_MASTER, TO_KEEPER | TO_HTTPD | TO_COURIER, 4096, 0) \
    MESSAGE(STORAGE_GONE, 31, TO_MASTER, TO_KEEPER | TO_HTTPD | TO_COURIER, 256, 0) /* name */ \
    MESSAGE(STORAGE_INIT, 32, TO_MASTER, TO_KEEPER, 256, 0)   /* name: accept this path as it is (msctl storage init) */ \
    /* name, state (ok, missing, refused, full, readonly, failed), errno, uuid, total, free, files, files_free (inodes), floor, rate (bytes a second recorded), footage (bytes), \
       held (bytes that locks and events keep though room is needed), oldest_s, full_s (when deleting for room begins), keeps_s (so long fits), \
       ahead_s (of the clock, by which ages are not counted then), spare (bytes that may come beside what comes within an hour, and nothing is \
       deleted before its time), silent (bool: its device does not answer; only with pulse): on change and every 10 s; 0: not known */ \
    MESSAGE(STORAGE_STATE, 33, TO_KEEPER, TO_MASTER, 1024, 0) \
    MESSAGE(INDEX_READY, 34, TO_KEEPER | TO_MASTER, TO_MASTER | TO_HTTPD | TO_COURIER, 2048, 0) /* name, path: who reads it opens it, or opens it anew */ \
    MESSAGE(KEEP_PEER, 35, TO_MASTER, TO_KEEPER, 1024, 1)     /* a worker's socket: uid, os_uid (owner of its folder), os_gid, archive */ \
    MESSAGE(KEEP_PEER_GONE, 36, TO_MASTER, TO_KEEPER, 128, 0) /* uid */ \
    MESSAGE(ARCHIVE_ASK, 37, TO_WORKER, TO_KEEPER, 64, 0)     /* give me my folder, please */ \
    /* state (ok, wait), errno, storage; descriptor of <storage>/<uid>/records when ok. Pushed again on every change: \
       a worker that holds a folder and is told wait closes its segment */ \
    MESSAGE(ARCHIVE, 38, TO_KEEPER, TO_WORKER, 512, 1) \
    MESSAGE(SEG_OPENED, 39, TO_WORKER, TO_KEEPER, 512, 0)     /* id, storage (as ARCHIVE named it), path, start_us */ \
    MESSAGE(SEG_CLOSED, 40, TO_WORKER, TO_KEEPER, 65536, 0)   /* id, info: seg_info as archive/seginfo.h writes it */ \
    MESSAGE(SEG_STORED, 41, TO_KEEPER, TO_WORKER, 64, 0)      /* id: it is in the index, durably */ \
    MESSAGE(SEGMENT, 99, TO_KEEPER, TO_MASTER, 512, 0)        /* uid, storage, path, start_us, end_us, bytes: of one that has been closed */ \
    MESSAGE(FOOTAGE_GONE, 101, TO_KEEPER, TO_MASTER, 256, 0)  /* uid, segments, bytes, from_us, to_us: deleted, by call or because it was its time */ \
    MESSAGE(INDEX_SUSPECT, 70, TO_HTTPD | TO_COURIER | TO_MASTER, TO_MASTER | TO_KEEPER, 256, 0) /* name: who read it found damage that no record explains: look */ \
    MESSAGE(WRITE_FAILED, 42, TO_WORKER, TO_KEEPER, 64, 0)    /* errno: the keeper looks at the storage and answers by ARCHIVE */ \
    /* uid, duration_us (0: until space is needed), event_duration_us, capacity_bytes, capacity_percent (of a storage; both 0: no limit), \
       archive: how footage is kept, of every configured stream, at the start and on change */ \
    MESSAGE(KEEP_STREAM, 43, TO_MASTER, TO_KEEPER, 1024, 0) \
    MESSAGE(KEEP_STREAM_GONE, 44, TO_MASTER, TO_KEEPER, 128, 0) /* uid: not configured any more */ \
    /* id, cmd (of archive/ask.h), by (who asks), args (array of text), [act (stamp: array of term, node, boot; id, at_us, until_us: a singular act of a \
       cluster)]: any number of KEEP_ROW, then KEEP_END */ \
    MESSAGE(KEEP_ASK, 45, TO_MASTER, TO_KEEPER, 8192, 0) \
    MESSAGE(KEEP_ROW, 46, TO_KEEPER, TO_MASTER, 65536, 0)     /* id, rows: array of maps, at most 100; none: it goes on */ \
    /* id, code (of ctl.h), text. From the master, id: whoever asked has gone */ \
    MESSAGE(KEEP_END, 47, TO_KEEPER | TO_MASTER, TO_MASTER | TO_KEEPER, 4096, 0) \
    /* --- events --------------------------------------------------------------------------------------------- */ \
    /* id, uid, kind, source (call, onvif), start_us, end_us (0: goes on), before_us, after_us, payload. Said again when the end is known, \
       and to a new worker or keeper. The keeper says it back when a storage has it, durably. A worker tells of what its camera says: id is then its number of that source, it has no before and after; over (bool): \
       it ends if it goes on, and is nothing otherwise */ \
    MESSAGE(EVENT, 48, TO_MASTER | TO_WORKER | TO_KEEPER, TO_WORKER | TO_MASTER | TO_KEEPER, 8192, 0) \
    /* from_us, until_us (-1: until another order; not behind from_us: none): modes schedule and ondemand. One at a time */ \
    MESSAGE(RECORD, 49, TO_MASTER, TO_WORKER, 64, 0) \
    /* --- httpd ---------------------------------------------------------------------------------------------- */ \
    MESSAGE(LISTEN, 50, TO_MASTER, TO_HTTPD | TO_CONNECTOR | TO_COURIER, 512, 1) /* kind (web, rtsp, publish, module; node: the courier's), base, tls (bool): a listening socket. publish: with TLS httpd's, else the connector's */ \
    /* module (bool: of the listener of API and panel, else of the viewers'), cert and key (PEM), kernel: for new connections, from now on. \
       Before LISTEN, at a reload that found others, and once a day, for new ticket keys */ \
    MESSAGE(TLS, 90, TO_MASTER, TO_HTTPD, 65536, 0) \
    /* threads, web_dir (cpanel files), allow_origin, export_max_us (longest MP4 of the archive), pictures (helpers at most); scripts: lua_site, \
       lua_shipped (folders), auth_module, api_module, cpanel_module, plugins (array of paths), plugin_hosts (list) */ \
    MESSAGE(HTTPD_CONF, 51, TO_MASTER, TO_HTTPD, 8192, 0) \
    /* whitelist (CIDR list of whitelist-access as text, "": from everywhere), api (bool: is there one), api_whitelist, api_base (where it stands), api_rate (calls a second of one caller; 0: no limit), api_exempt (CIDR list: of whom not), cpanel (as api), cpanel_base, cpanel_whitelist, keys (of tokens: array of kid, secret, \
       not_before_s, not_after_s), audience (of tokens), proxies and exempt (CIDR lists: trusted-proxies, throttle-exempt), users (array of login, password, role, cameras: uids and \
       beginnings with '*', "": all), panel_basic (bool: Basic is a sign-in), link_key, \
       backend (URL), backend_timeout_us, backend_down_allows, digest_md5, web_login, address_limit, connections_limit (viewers), bandwidth_limit (bit/s; 0: none): behind HTTPD_CONF, and when anything of it has changed */ \
    MESSAGE(HTTPD_AUTH, 71, TO_MASTER, TO_HTTPD, 65536, 0) \
    /* rows: array of kind (token, user, stream), name, at_us, [until_s]: tokens that count no more, whole at the start and then what is new */ \
    MESSAGE(REVOKED, 76, TO_MASTER, TO_HTTPD, 65536, 0) \
    /* uid, name, enabled, access (public, protected, private, none), whitelist, proto, on_demand, camera (camera-uid), sub (it is not its main stream), \
       archive, record, limit (viewers, 0: no limit), \
       state (when the master decided it: disabled, down, idle), reason, elsewhere (host of the node that viewers are sent to, or ""), \
       nodes (array: the others that are named for it; none: any) */ \
    MESSAGE(VIEW, 52, TO_MASTER, TO_HTTPD, 8192, 0) \
    /* uid, gen; descriptors: ring (read-only), demand page (read-write), eventfd of new frames, eventfd of new demand */ \
    MESSAGE(VIEW_RING, 53, TO_MASTER, TO_HTTPD, 128, 4) \
    MESSAGE(VIEW_GONE, 54, TO_MASTER, TO_HTTPD, 128, 0)       /* uid */ \
    MESSAGE(CONF_DONE, 55, TO_MASTER, TO_HTTPD | TO_KEEPER | TO_CONNECTOR | TO_COURIER, 64, 0) /* the first table is complete */ \
    /* connections, viewers, bytes_out, requests; cage_missing: layers that the cage of the newest helper lacks (base/cage.h): every \
       second */ \
    MESSAGE(HTTPD_STATS, 56, TO_HTTPD, TO_MASTER, 512, 0) \
    MESSAGE(METRICS, 93, TO_MASTER, TO_HTTPD, 65536, 0)       /* text: lines for /metrics that only the master can write, every 5 s */ \
    /* id, url, signature (hexadecimal; "": none), body (JSON): a webhook to be sent; one at a time */ \
    MESSAGE(HOOKS, 94, TO_MASTER, TO_HTTPD, 65536, 0) \
    MESSAGE(HOOKS_DONE, 95, TO_HTTPD, TO_MASTER, 512, 0)      /* id, status (of HTTP; 0: no answer), why */ \
    /* who, role, from (address), by (session, basic, token), what, result (done, refused, failed), text, held (lines left out before it): \
       who did something that the master did not see, such as signing in */ \
    MESSAGE(AUDIT, 96, TO_HTTPD, TO_MASTER, 2048, 0) \
    /* id (hexadecimal), user, streams (patterns with commas, "": all), ops, made_us, until_s, from_s, to_s (0: open), by, note: a token was \
       made that the master did not make; of one id, the last counts */ \
    MESSAGE(TOKEN_MADE, 77, TO_HTTPD, TO_MASTER, 2048, 0) \
    MESSAGE(HAPPENED, 97, TO_MASTER, TO_HTTPD, 16384, 0)      /* event, data (JSON): what webhooks are told, as it happens; "segment" */ \
    /* plugin (its name), key, [value]: a row of the key-value store of plug-ins; without a value it goes. From the master: all of them, \
       behind HTTPD_CONF */ \
    MESSAGE(STORE, 100, TO_HTTPD | TO_MASTER, TO_MASTER | TO_HTTPD, 8192, 0) \
    MESSAGE(HELPER_WANT, 57, TO_HTTPD, TO_MASTER, 64, 0)      /* kind (1: ms-picture): answered by HELPER, once there is one */ \
    /* kind, id, pid, err (0, or positive errno: it could not be born); descriptor: the helper's socket, which only it and httpd have, when \
       err is 0 */ \
    MESSAGE(HELPER, 58, TO_MASTER, TO_HTTPD, 64, 1) \
    MESSAGE(HELPER_GONE, 59, TO_HTTPD, TO_MASTER, 64, 0)      /* id: not needed any more, or hangs: it is killed */ \
    /* --- courier: the channel between nodes (courier/wire.h is what it speaks with its like) -------------------- */ \
    /* node, cluster, boot (of this start of the node), keys: array of id, secret (32 bytes, of the channel alone; the first one is offered, all are \
       believed); cert, key, ca (PEM; "": the keys); fill_rate (bytes a second, 0: no limit), nodes: array of node, addrs (array of "10.0.0.1:7445"). At the start, and \
       when anything of it has changed */ \
    MESSAGE(COURIER_CONF, 120, TO_MASTER, TO_COURIER, 65536, 0) \
    /* uid, fill (bool: this node is the first of its nodes, so that it gets here what others recorded), nodes (array: the others of its order, the \
       best first), duration_us (older footage is not copied but where a lock or an event keeps it; 0: any), event_duration_us (so long does an event; 0: no longer) */ \
    MESSAGE(COURIER_STREAM, 121, TO_MASTER, TO_COURIER, 1024, 0) \
    MESSAGE(COURIER_STREAM_GONE, 122, TO_MASTER, TO_COURIER, 128, 0) /* uid */ \
    /* rows: array of node, uid ("": all), from_us, to_us: deletes that were decided and wait for that node, so that nothing of that time is copied from it \
       now; all there are, whenever they change, and first */ \
    MESSAGE(COURIER_HOLD, 129, TO_MASTER, TO_COURIER, 65536, 0) \
    /* id (never 0; rises), node, kind, body (at most NET_BODY_MAX bytes, which the courier does not read): from this master to that one. To be sent again by \
       whoever has no NET_SENT of it after a courier's death */ \
    MESSAGE(NET_SEND, 123, TO_MASTER, TO_COURIER, 65536, 0) \
    /* id, err (0: the other master has it; or positive errno: EHOSTUNREACH, it is not there; ETIMEDOUT, it may have it or not; EMSGSIZE, ENOBUFS: it was not sent) */ \
    MESSAGE(NET_SENT, 124, TO_COURIER, TO_MASTER, 64, 0) \
    MESSAGE(NET_GOT, 125, TO_COURIER, TO_MASTER, 65536, 0)    /* node, boot (of that node), kind, body: once for each NET_SEND that was answered by 0 */ \
    /* refused (connections of strangers), nodes: array of node, there (bool), since_us (wall clock), in, out (bytes), why (it is not there), left, left_bytes (to be filled \
       from it), filled, filled_bytes, failed: every second */ \
    MESSAGE(COURIER_STATE, 126, TO_COURIER, TO_MASTER, 65536, 0) \
    MESSAGE(COURIER_LEFT, 147, TO_COURIER, TO_MASTER, 65536, 0) /* rows: array of uid, left, bytes (segments that are known to be missing here): of streams with fill, when it has changed, once a second */ \
    MESSAGE(COURIER_SOCK, 127, TO_MASTER, TO_HTTPD | TO_KEEPER, 64, 1) /* the courier's; after start, and after a new courier */ \
    MESSAGE(COURIER_PEER, 128, TO_MASTER, TO_COURIER, 64, 1)  /* role (httpd, keeper): its socket, in place of the one before */ \
    /* id (never 0), node (it is asked alone; 0: all), uid, from_us, to_us, after (id of the segment before; 0), most (of each node and storage; 0: 12): what other nodes have, the closed \
       segments that their indexes do not know yet and what they still write among it. Answered by any number of AWAY_FOUND */ \
    MESSAGE(AWAY_FIND, 130, TO_HTTPD, TO_COURIER, 256, 0) \
    /* id, node, storage, infos (array of bin: seg_info as archive/seginfo.h writes it, in order; flags with SEG_FILLED, SEG_OPEN), more (bool: this storage has some behind the last \
       one), last (bool: nothing follows), missing (with last: array of the nodes that have not answered within AWAY_PATIENCE_US, or not said all: a storage of theirs cannot be read now) */ \
    MESSAGE(AWAY_FOUND, 131, TO_COURIER, TO_HTTPD, 65536, 0) \
    /* id, node, storage ("": whichever has it), uid, segment: answered by AWAY_FILE, once the whole of it is here, or, of one that is still written, what is whole of it now */ \
    MESSAGE(AWAY_OPEN, 132, TO_HTTPD, TO_COURIER, 256, 0) \
    /* id, err (0, or positive errno: ENOENT, that node has it no more; EHOSTUNREACH, ETIMEDOUT; EBADMSG: its checksum is wrong; ENOSPC), bytes; a descriptor, read-only, \
       when err is 0 */ \
    MESSAGE(AWAY_FILE, 133, TO_COURIER, TO_HTTPD, 64, 1) \
    MESSAGE(AWAY_GONE, 134, TO_HTTPD, TO_COURIER, 64, 0)      /* id: whoever asked does not want it any more */ \
    MESSAGE(AWAY_RANGES, 135, TO_HTTPD, TO_COURIER, 256, 0)   /* id, node, uid, from_us, to_us: answered by AWAY_SPANS, as AWAY_FIND is */ \
    /* id, node, storage, spans (array of start_us, end_us, by pairs: the index's in order, then those up to now), more, last, missing: as AWAY_FOUND; it goes on where the last one ends */ \
    MESSAGE(AWAY_SPANS, 136, TO_COURIER, TO_HTTPD, 65536, 0) \
    /* self, nodes (array of node, host, by pairs; host: where viewers of its footage are sent, "": nowhere; 0: no node): of the cluster, behind \
       HTTPD_CONF, and with every reload. Not said where there is no cluster */ \
    MESSAGE(NODES, 137, TO_MASTER, TO_HTTPD, 65536, 0) \
    /* id, node (0: all), uid ("": of all streams), from_us, to_us, [kind]: events and locks that other nodes have, also those that go on; answered by AWAY_HAPPENED, as \
       AWAY_FIND is */ \
    MESSAGE(AWAY_EVENTS, 138, TO_HTTPD, TO_COURIER, 512, 0) \
    /* id, node, and event (map as EVENT has it) or lock (as FILL_LOCK, released ones too), some of them twice; or last, missing */ \
    MESSAGE(AWAY_HAPPENED, 139, TO_COURIER, TO_HTTPD, 16384, 0) \
    /* --- courier and keeper: back-fill (docs/decisions/031) ------------------------------------------------------ */ \
    /* id, uid, node (whose it is), info (seg_info): room for this file, please. A FILL_OPEN of the same id ends the one before */ \
    MESSAGE(FILL_OPEN, 140, TO_COURIER, TO_KEEPER, 8192, 0) \
    /* id, err (0, or positive errno: EEXIST, it is here; ENOSPC, there is no room for what is so old; EAGAIN: later); a descriptor, for writing, of a file without a \
       name when err is 0 */ \
    MESSAGE(FILL_FILE, 141, TO_KEEPER, TO_COURIER, 64, 1) \
    MESSAGE(FILL_DONE, 142, TO_COURIER, TO_KEEPER, 64, 0)     /* id, err (0: it is all written; else it is given up): answered by FILL_STORED when err is 0 */ \
    MESSAGE(FILL_STORED, 143, TO_KEEPER, TO_COURIER, 64, 0)   /* id, err (0: it is in the index, durably; EBADMSG: it is not what FILL_OPEN said) */ \
    MESSAGE(FILL_EVENT, 144, TO_COURIER, TO_KEEPER, 8192, 0)  /* as EVENT: of another node, for the footage that comes from it */ \
    MESSAGE(FILL_LOCK, 145, TO_COURIER, TO_KEEPER, 1024, 0)   /* uid, id, start_us, end_us, version_us, released_us, by, note */ \
    /* uid, until_us: another node is the first of this stream, and has, or does not want, what is here from before then; what is newer is let go last. INT64_MAX: \
       nothing is kept for anybody */ \
    MESSAGE(FILL_KNOWN, 146, TO_COURIER, TO_KEEPER, 128, 0) \
    /* --- courier and master: the site's etcd (docs/decisions/034) ----------------------------------------------- */ \
    /* urls (array of text: endpoints; none: there is no store), prefix (of its keys), user, password, ttl_s (of the lease), self (value of keys that \
       this node holds), authority, cert, key (PEM, may be empty): at the start, and when it is another */ \
    MESSAGE(ETCD_CONF, 150, TO_MASTER, TO_COURIER, 65536, 0) \
    MESSAGE(ETCD_BEGIN, 151, TO_COURIER, TO_MASTER, 64, 0)    /* all records are said anew: those that are not said before ETCD_READY are not there */ \
    /* kind (of enum etcd_kind), name, revision, [text], gone (bool), large (bool: the text is longer than 56 KiB, and not here): as it was read, unjudged */ \
    MESSAGE(ETCD_ROW, 152, TO_COURIER, TO_MASTER, 65536, 0) \
    MESSAGE(ETCD_READY, 153, TO_COURIER, TO_MASTER, 64, 0)    /* revision: all was said as it was then; cluster: its cluster_id */ \
    /* there (bool: what is new there is heard), at (the endpoint that is asked), why (it is not there), revision, cluster, answered_us (CLOCK_MONOTONIC, \
       when it last said anything; 0: never): once a second */ \
    MESSAGE(ETCD_STATE, 154, TO_COURIER, TO_MASTER, 1024, 0) \
    MESSAGE(ETCD_OWN, 155, TO_MASTER, TO_COURIER, 128, 0)     /* uid, wanted (bool): this node records it, and is to hold its key */ \
    MESSAGE(ETCD_OWNS, 156, TO_COURIER, TO_MASTER, 128, 0)    /* uid, term (revision since which this node holds its key; 0: it does not) */ \
    MESSAGE(ETCD_HELD, 157, TO_COURIER, TO_MASTER, 64, 0)     /* until_us (CLOCK_MONOTONIC): the lease of these keys; 0: it is lost, and with it all of them */ \
    /* id, uid, was (mod_revision that its record must have, 0: there must be none), [text] (none: it goes): one of the records that ETCD_COMMIT changes */ \
    MESSAGE(ETCD_CHANGE, 158, TO_MASTER, TO_COURIER, 65536, 0) \
    MESSAGE(ETCD_COMMIT, 159, TO_MASTER, TO_COURIER, 64, 0)   /* id: all of them at once, or none. Answered by ETCD_CHANGED, once */ \
    MESSAGE(ETCD_CHANGED, 160, TO_COURIER, TO_MASTER, 512, 0) /* id, how (of enum etcd_changed), revision (done), why (not) */ \
    /* --- msctl: commands and rows stand in ctl.h ---------------------------------------------------------------- */ \
    MESSAGE(CTL, 60, TO_CTL, TO_MASTER, 4096, 0)              /* proto, cmd, args (array of text); of httpd, for whom: [who, role, from, by, cameras, confirmed] */ \
    MESSAGE(CTL_BODY, 64, TO_CTL, TO_MASTER, 65536, 0)        /* data: before CTL, in pieces, for commands that take more than words */ \
    MESSAGE(CTL_OPEN, 63, TO_HTTPD, TO_MASTER, 64, 1)         /* a socket, on which it asks as msctl does: the commands of the API alone */ \
    MESSAGE(CTL_ROW, 61, TO_MASTER, TO_CTL, 65536, 0)         /* rows: array of maps, at most 100 */ \
    MESSAGE(CTL_END, 62, TO_MASTER, TO_CTL, 4096, 0)          /* code (exit code of msctl), text */
/* clang-format on */

enum message {
#define MESSAGE(name, number, from, to, most, fds) MSG_##name = (number),
    MESSAGES(MESSAGE)
#undef MESSAGE
};

/* Helpers of httpd: ms-picture, ms-luahost, and another ms-luahost for the plug-ins. */
enum helper_kind { HELPER_PICTURE = 1, HELPER_LUA = 2, HELPER_PLUGINS = 3 };
enum etcd_kind { ETCD_STREAM = 1, ETCD_NODE, ETCD_OWNER }; /* of ETCD_ROW */
/* Of ETCD_CHANGED. CONFLICT: a record is not as it was said to be; UNKNOWN: the answer was lost. */
enum etcd_changed { ETCD_DONE = 0, ETCD_CONFLICT, ETCD_NOT_DONE, ETCD_UNKNOWN };

#define IPC_MESSAGE_MAX  65536
#define NET_BODY_MAX     61440 /* of NET_SEND */
#define AWAY_PATIENCE_US 1000000

struct message_row {
    const char *name;
    unsigned number, from, to;
    size_t most;
    int fds;
};
/* NULL: unknown. */
const struct message_row *message_row(unsigned number);

#endif
