/* The player page: /<uid>/embed.html, live and archive. ?from=<unix seconds> begins in the archive, ?proto=mse, ll-hls or hls
 * takes that road of live and no other, ?token= goes with every request. */
import { clockText, inputText, inputTime, lengthText, momentText, sameDay } from './format.js';
import { Source } from './source.js';
import { Timeline } from './timeline.js';

const STATE_MS = 5000;
const RANGES_MS = 10000;
const TICK_MS = 250;
const STEP = 10;
const NEAR_LIVE = 8; /* s: what is not yet in the archive */
const STILL_MS = 3000; /* a picture of live that stands so long is not live */

const $ = (id) => document.getElementById(id);
const video = $('video');
const unix = () => Date.now() / 1000 + skew;
let smaller = false; /* the camera's other stream is shown, for its codec */
let skew = 0; /* the server's clock minus ours */
let info = { tracks: [] };
let ranges = [];
const shown = { time: null, since: Date.now() }; /* the moment on the screen, and since when it is that one */
let source;
let timeline;
const asked = new URLSearchParams(location.search);
const token = asked.get('token');
const named = (url) => (token ? `${url}${url.includes('?') ? '&' : '?'}token=${encodeURIComponent(token)}` : url);
const ROADS = { mse: 'WebSocket', 'll-hls': 'low-latency HLS', hls: 'HLS' };

/* --- what is said over the picture --- */

function notice(title, text = '', actions = []) {
  $('notice').hidden = !title;
  $('notice-title').textContent = title;
  $('notice-text').textContent = text;
  $('notice-text').hidden = !text;
  $('notice-actions').replaceChildren(...actions);
  if (title) $('spinner').hidden = true;
}

function action(text, run) {
  const button = document.createElement('button');
  button.type = 'button';
  button.textContent = text;
  button.addEventListener('click', run);
  return button;
}

function link(text, href) {
  const a = document.createElement('a');
  a.textContent = text;
  a.href = href;
  return a;
}

function explainFailure({ status, text, nearest, archive }) {
  const actions = [];
  if (nearest) actions.push(action(`Go to ${momentText(nearest, unix())}`, () => seek(nearest)));
  if (archive) actions.push(action('Live', goLive));
  if (status === 403) notice('Not allowed', text, actions);
  else if (archive && status === 404) notice('Nothing was recorded then', '', actions);
  else if (status === 404) notice('No such stream', text);
  else notice(archive ? 'The archive cannot be read now' : 'No picture', text || 'The server does not answer. Trying again …', actions);
}

/* The picture stands still because the camera is away. */
function explainStall() {
  const still = source?.mode === 'live' && video.readyState < HTMLMediaElement.HAVE_FUTURE_DATA;
  if (still && $('notice').hidden && info.state !== 'active')
    notice('No picture', `The camera is ${info.state}${info.reason ? `: ${info.reason}` : ''}`);
}

/* Does this browser lack the codec of the picture? */
function lacking() {
  const track = info.tracks.find((t) => t.kind === 'video');
  return track?.mime && !source.canPlay(track.mime) ? track : null;
}

/* The camera's smaller stream may have one that it knows: low-latency HLS offers both. */
async function findSmaller() {
  if (!lacking() || !source.Hls) return;
  try {
    const master = await (await fetch(named('index.ll.m3u8'))).text();
    smaller = [...master.matchAll(/CODECS="([^"]+)"/g)].some(([, codecs]) => source.canPlay(codecs));
  } catch {
    smaller = false;
  }
  if (smaller) source.roads = ['ll-hls'];
}

/* H.265 in a browser that has none: say so, and offer what other players can open. */
function playable(live) {
  const track = lacking();
  if (!track || (live && smaller)) return true;
  source.stop();
  notice(
    `This browser cannot play ${track.codec === 'H265' ? 'H.265' : track.codec}`,
    'The stream is fine: open the MP4 in a player that has this codec, or use a browser that has it.',
    [link('Open MP4', named('live.mp4')), link('HLS playlist', named('index.m3u8'))],
  );
  return false;
}

/* --- moving about --- */

function goLive() {
  notice('');
  if (playable(true)) source.live();
}

function seek(t) {
  notice('');
  if (unix() - t < NEAR_LIVE) goLive();
  else if (!playable(false)) return;
  else source.archive(t);
  timeline.show(t);
}

const here = () => source.time ?? unix();
const togglePlay = () => (video.paused ? source.play() : video.pause());

function step(seconds) {
  if (!$('archive').hidden) seek(Math.min(here() + seconds, unix()));
}

function toggleFull() {
  if (document.fullscreenElement) document.exitFullscreen();
  else if ($('player').requestFullscreen) $('player').requestFullscreen();
  else video.webkitEnterFullscreen?.();
}

/* --- what the page shows --- */

function factsText() {
  const parts = [];
  for (const t of info.tracks) {
    if (t.kind === 'data') continue;
    const codec = t.codec.replace('H26', 'H.26');
    const size = t.kind === 'video' && t.width ? ` ${t.width}×${t.height}` : '';
    parts.push(codec + size + (t.mime ? '' : ' (not in browsers)'));
  }
  if (smaller) parts.push('shown: the smaller stream');
  if (info.bitrate) parts.push(`${(info.bitrate / 1e6).toFixed(1)} Mbit/s`);
  if (info.record === 'on') parts.push('recording');
  if (info.record === 'paused') parts.push('recording paused');
  return parts.join(' · ');
}

function showInfo() {
  const name = info.name || info.uid || '';
  document.title = name || 'Player';
  $('name').textContent = name;
  $('state').textContent = info.state ?? '';
  $('state').dataset.state = info.state ?? '';
  $('state').title = info.reason ?? '';
  $('facts').textContent = factsText();
}

function showTime() {
  const t = source.time;
  const now = unix();
  timeline.setTimes(now, t);
  $('clock').textContent = t === null ? '' : momentText(t, now);
  $('clock').dateTime = t === null ? '' : new Date(t * 1000).toISOString();
  $('play').dataset.playing = String(!video.paused);
  $('play').setAttribute('aria-label', video.paused ? 'Play' : 'Pause');
  $('mute').dataset.muted = String(video.muted);
  $('mute').setAttribute('aria-label', video.muted ? 'Unmute' : 'Mute');
  $('span').textContent = timeline.spanText;
  showLate(source.mode === 'live' && t !== null ? `${Math.max(now - t, 0).toFixed(1)} s` : '');
  if (t !== shown.time || (video.paused && !isEmpty())) Object.assign(shown, { time: t, since: Date.now() });
  showBadge();
  source.pace();
}

const isEmpty = () => video.readyState < HTMLMediaElement.HAVE_CURRENT_DATA;

/* Live is said of a picture that moves; not of a page without one, paused or not. */
function isStill() {
  return source.mode === 'live' && ((info.state && info.state !== 'active') || Date.now() - shown.since > STILL_MS);
}

function showBadge() {
  const empty = isEmpty();
  const mode = source.mode === 'archive' ? 'archive' : video.paused && !empty ? 'paused' : isStill() ? 'still' : 'live';
  $('badge').dataset.mode = mode;
  $('badge').textContent = { archive: 'ARCHIVE', paused: 'PAUSED', still: empty ? '' : 'LAST PICTURE', live: 'LIVE' }[mode];
}

/* How far behind now the picture is, as far as the camera's clock is known. */
function showLate(text) {
  $('late').textContent = text && `${text} ${isStill() ? 'old' : 'late'}`;
  $('live').title = text ? `Live, ${text} late by ${ROADS[source.road]} (L)` : 'Live (L)';
}

function showMode(mode) {
  $('live').setAttribute('aria-pressed', String(mode === 'live'));
  shown.since = Date.now();
  if (source) showBadge();
  $('rate-label').hidden = mode === 'live';
  if (mode === 'live') $('rate').value = '1';
}

function rangeItem(r) {
  const li = document.createElement('li');
  const button = action('', () => seek(r.from));
  const when = document.createElement('span');
  const length = document.createElement('span');
  const end = sameDay(r.from, r.to) ? clockText(r.to) : momentText(r.to, unix());
  when.textContent = `${momentText(r.from, unix())} – ${end}`;
  length.textContent = lengthText(r.to - r.from);
  button.append(when, length);
  li.append(button);
  return li;
}

function showRanges() {
  const total = ranges.reduce((sum, r) => sum + r.to - r.from, 0);
  $('archive').hidden = ranges.length === 0 && !info.archive;
  $('ranges-title').textContent = ranges.length ? `Recorded: ${lengthText(total)}` : 'Nothing recorded in this time';
  $('ranges').replaceChildren(...ranges.toReversed().slice(0, 200).map(rangeItem));
  for (const id of ['back', 'forward']) $(id).disabled = $('archive').hidden;
  timeline.setRanges(ranges);
}

/* --- asking the server --- */

async function getJson(url) {
  const answer = await fetch(named(url), { cache: 'no-store' });
  if (!answer.ok) throw Object.assign(new Error(await answer.text()), { status: answer.status });
  return answer.json();
}

async function loadInfo() {
  try {
    const before = Date.now() / 1000;
    info = await getJson('stream.json');
    skew = info.now - (before + Date.now() / 1000) / 2;
    if (Math.abs(skew) < 1) skew = 0;
    showInfo();
    explainStall();
  } catch (e) {
    if (e.status === 404 || e.status === 403) explainFailure({ status: e.status, text: e.message.replace(/^[^:]*: /, '') });
  }
}

async function loadRanges() {
  const from = Math.floor(timeline.start - timeline.span);
  const to = Math.ceil(timeline.end);
  try {
    const [status] = await getJson(`recording_status.json?from=${from}&to=${to}&request=ranges`);
    ranges = status.ranges.map((r) => ({ from: r.from, to: r.from + r.duration }));
  } catch {
    ranges = [];
  }
  showRanges();
}

/* --- start --- */

function listen() {
  const click = (id, run) => $(id).addEventListener('click', run);
  click('play', togglePlay);
  click('big', () => { $('big').hidden = true; source.play(); });
  click('back', () => step(-STEP));
  click('forward', () => step(STEP));
  click('live', goLive);
  click('mute', () => { video.muted = !video.muted; });
  click('full', toggleFull);
  click('zoom-in', () => timeline.setZoom(timeline.zoom - 1));
  click('zoom-out', () => timeline.setZoom(timeline.zoom + 1));
  click('earlier', () => timeline.move(-0.5));
  click('later', () => timeline.move(0.5));
  video.addEventListener('click', togglePlay);
  $('rate').addEventListener('change', () => { video.playbackRate = Number($('rate').value); });
  $('goto').addEventListener('submit', (e) => {
    e.preventDefault();
    seek(inputTime($('when').value));
  });
  document.addEventListener('keydown', keyDown);
}

function keyDown(e) {
  if (e.target.closest('input, select, textarea') || e.ctrlKey || e.altKey || e.metaKey) return;
  const onButton = e.target.closest('button, summary, a');
  const keys = {
    ' ': onButton ? null : togglePlay,
    k: togglePlay,
    l: goLive,
    f: toggleFull,
    m: () => { video.muted = !video.muted; },
    ArrowLeft: () => step(-STEP),
    ArrowRight: () => step(STEP),
    '+': () => timeline.setZoom(timeline.zoom - 1),
    '-': () => timeline.setZoom(timeline.zoom + 1),
  };
  const run = keys[e.key.length === 1 ? e.key.toLowerCase() : e.key];
  if (!run) return;
  e.preventDefault();
  run();
}

async function loadHls() {
  try {
    return (await import('../lib/hls.light.min.mjs')).default;
  } catch {
    return null; /* the browser's own HLS, or the endless MP4 */
  }
}

function watchPlayback() {
  return {
    playing() { $('spinner').hidden = true; $('big').hidden = true; notice(''); },
    waiting() { $('spinner').hidden = !$('notice').hidden; },
    blocked() { $('spinner').hidden = true; $('big').hidden = false; },
    failed: explainFailure,
    mode: showMode,
  };
}

async function start() {
  const [Hls] = await Promise.all([loadHls(), loadInfo()]);
  const from = Number(asked.get('from'));
  source = new Source(video, Hls, watchPlayback(), { only: asked.get('proto'), token });
  timeline = new Timeline($('timeline'), $('tip'), { onSeek: seek, onView: () => { clearTimeout(start.view); start.view = setTimeout(loadRanges, 300); } });
  listen();
  $('when').value = inputText(unix() - 600);
  showMode('live');
  await findSmaller();
  showInfo();
  if ($('notice').hidden) from ? seek(from) : goLive();
  for (const event of ['play', 'pause', 'volumechange']) video.addEventListener(event, showTime);
  setInterval(showTime, TICK_MS);
  showTime();
  await loadRanges();
  timeline.fit();
  setInterval(() => document.hidden || loadInfo(), STATE_MS);
  setInterval(() => document.hidden || loadRanges(), RANGES_MS);
}

start();
