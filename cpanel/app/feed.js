/* Everything that is live comes by one stream of server-sent events, which this keeps: rows of all streams, the server's
 * state, notices. The server beats every two seconds; a line that is silent for much longer counts as dead at once,
 * and what it said last is old from then on. */
import { base, get } from './api.js';

const SILENT_MS = 6000;
const SAMPLE_MS = 1000;
const AGAIN_MS = [500, 1000, 2000, 4000, 8000];
export const HISTORY = 90; /* samples of a stream's bitrate that are kept */

export const streams = new Map();
export let server = null;
export let alive = null; /* null: not known yet */
export let skew = 0; /* the server's clock minus ours, seconds */
export const now = () => Date.now() / 1000 + skew;

const bus = new EventTarget();
let source = null;
let watchdog = 0;
let retry = 0;
let sampler = 0;
let tries = 0;
let detail = null; /* the uid whose counters are wanted */

/* what: streams ({ all, uids, gone }), server, notice, stream (counters of one), alive. Returns how to stop it. */
export function on(what, run) {
  const ear = (e) => run(e.detail);
  bus.addEventListener(what, ear);
  return () => bus.removeEventListener(what, ear);
}

/* run() when that counter of the server's row is another than it was. Returns how to stop it. */
export function onCount(name, run) {
  let was = server?.server?.[name];
  return on('server', (s) => {
    const is = s.server?.[name];
    if (is !== was) run();
    was = is;
  });
}

const tell = (what, said) => bus.dispatchEvent(new CustomEvent(what, { detail: said }));

function setAlive(value) {
  if (alive === value) return;
  alive = value;
  tell('alive', value);
}

function heard() {
  clearTimeout(watchdog);
  watchdog = setTimeout(lost, SILENT_MS);
  tries = 0;
  setAlive(true);
}

function lost() {
  clearTimeout(watchdog);
  clearTimeout(retry);
  source?.close();
  source = null;
  setAlive(false);
  retry = setTimeout(reopen, AGAIN_MS[Math.min(tries++, AGAIN_MS.length - 1)]);
}

/* Somebody's call had no answer: the line is no better. */
export function doubt() {
  if (alive) lost();
}

/* An event stream does not say why it was refused: the session does. Who is signed out meanwhile is shown the sign-in page. */
async function reopen() {
  try {
    await get('/session');
    open();
  } catch {
    if (!alive) lost();
  }
}

/* --- what comes --- */

function takeRow(row) {
  let s = streams.get(row.uid);
  if (!s) {
    s = { uid: row.uid, name: '', state: 'connecting', history: new Float32Array(HISTORY), samples: 0 };
    streams.set(row.uid, s);
  }
  Object.assign(s, row);
  s.camera = s.camera_uid ?? s.camera ?? '';
  if (row.name !== undefined || row.uid !== undefined) s.label = s.name || s.uid;
}

/* One sample of every stream a second: what did not change goes on as it was. */
function sample() {
  if (!alive) return;
  for (const s of streams.values()) {
    s.history[s.samples % HISTORY] = s.state === 'active' ? s.bitrate ?? 0 : 0;
    s.samples++;
  }
}

function onStreams({ all = false, rows = [], gone = [] }) {
  const before = streams.size;
  if (all) {
    const there = new Set(rows.map((r) => r.uid));
    for (const uid of streams.keys()) if (!there.has(uid)) streams.delete(uid);
  }
  for (const row of rows) takeRow(row);
  for (const uid of gone) streams.delete(uid);
  tell('streams', { all: all || gone.length > 0 || streams.size !== before, uids: rows.map((r) => r.uid) });
}

function onServer(said) {
  server = { ...server, ...said };
  tell('server', server);
}

const handlers = {
  streams: onStreams,
  server: onServer,
  notice: (said) => tell('notice', said),
  stream: (said) => tell('stream', said),
  ping: ({ t }) => {
    const off = t - Date.now() / 1000;
    skew = Math.abs(off) < 1 ? 0 : off;
  },
};

/* --- the line --- */

function open() {
  const topics = ['streams', 'server', 'notices', ...(detail ? [`stream:${detail}`] : [])];
  clearTimeout(watchdog);
  source?.close();
  source = new EventSource(`${base}/events/stream?topics=${encodeURIComponent(topics.join(','))}`);
  watchdog = setTimeout(lost, SILENT_MS);
  source.onopen = heard;
  source.onerror = lost;
  for (const [name, run] of Object.entries(handlers)) {
    source.addEventListener(name, ({ data }) => {
      heard();
      run(JSON.parse(data));
    });
  }
}

export function start() {
  open();
  sampler = setInterval(sample, SAMPLE_MS);
  window.addEventListener('online', () => alive || lost());
  window.addEventListener('offline', () => lost());
  window.addEventListener('pagehide', () => source?.close());
}

export function stop() {
  clearInterval(sampler);
  clearTimeout(watchdog);
  clearTimeout(retry);
  source?.close();
  source = null;
}

/* Counters of one stream, once a second, while its page is open; null: of none. */
export function watch(uid) {
  if (detail === uid) return;
  detail = uid;
  if (source) open();
}
