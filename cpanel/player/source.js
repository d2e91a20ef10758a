/* Where the picture comes from: live by the quickest road that works here, or the archive from a moment on. Roads of live:
 * the WebSocket, low-latency HLS, HLS. hls.js where the browser has Media Source Extensions, the browser's own HLS
 * otherwise. Times are unix seconds. */
import { Socket } from './socket.js';

const ARCHIVE_PART = 3600; /* of the archive at a time; the next part follows by itself, the last one grows into the present */
const RETRY_MS = 3000;
const RECOVER_MOST = 3; /* times in RECOVER_MS: then it will not play */
const RECOVER_MS = 30000;
const LIVE_EDGE = 30; /* so near to now the archive hands over to live */
const AGAIN_MS = 800; /* a socket that has played and was closed ... */
const AGAIN_MOST = 6; /* ... is opened again so often, before another road is taken */
const ABOUT_THE_STREAM = [403, 404, 415, 503]; /* answers that no other road would change */

const hlsConfig = {
  enableWorker: false, /* fragments are MP4 already: nothing to repackage */
  lowLatencyMode: false,
  liveSyncDurationCount: 2,
  liveMaxLatencyDurationCount: 6,
  backBufferLength: 60,
  startFragPrefetch: true,
};
/* How far behind says the playlist (PART-HOLD-BACK). */
const lowConfig = {
  enableWorker: false,
  lowLatencyMode: true,
  backBufferLength: 20,
  maxLiveSyncPlaybackRate: 1.1,
  capLevelToPlayerSize: true, /* of a camera's main and sub stream the one that this page is large enough for ... */
  abrEwmaDefaultEstimate: 8e6, /* ... from the start on, where nothing was measured yet */
};

export class Source {
  /* on: {playing(), waiting(), failed({title, text, nearest}), mode(mode)}; only: the name of a road, for those who want no
   * other; token: goes with every request; base: where the stream's URLs begin, "" beside the page. */
  constructor(video, Hls, on, { only, token, base = '' } = {}) {
    Object.assign(this, { video, on, token, base, mode: 'live' });
    this.Hls = Hls?.isSupported() ? Hls : null;
    this.native = !this.Hls && video.canPlayType('application/vnd.apple.mpegurl') !== '';
    this.hls = this.socket = null;
    this.roads = this.usable().filter((name) => !only || name === only);
    if (this.roads.length === 0) this.roads = ['hls'];
    this.at = 0;
    this.retry = 0;
    this.recovered = [];
    video.addEventListener('ended', () => this.partEnded());
    video.addEventListener('playing', () => this.on.playing());
    video.addEventListener('waiting', () => this.on.waiting());
  }

  usable() {
    return [...(Socket.usable ? ['mse'] : []), ...(this.Hls ? ['ll-hls'] : []), 'hls'];
  }

  /* The road in use. */
  get road() { return this.mode === 'live' ? this.roads[this.at] : 'hls'; }

  canPlay(mime) {
    const type = `video/mp4; codecs="${mime}"`;
    if (this.Hls || Socket.usable) return (window.ManagedMediaSource ?? window.MediaSource).isTypeSupported(type);
    return this.video.canPlayType(type) !== '';
  }

  live() {
    this.setMode('live');
    this.at = this.worked = 0;
    this.recovered = [];
    this.openRoad();
  }

  openRoad() {
    if (this.road === 'mse') this.openSocket();
    else this.open(this.road === 'll-hls' ? 'index.ll.m3u8' : 'index.m3u8', null);
    if (this.mode === 'live') this.again = () => this.live();
  }

  /* false: there is none. */
  nextRoad() {
    if (this.at + 1 >= this.roads.length) return false;
    this.at += 1;
    this.openRoad();
    return true;
  }

  /* From that moment on, whole seconds; what is loaded already is used. */
  archive(t) {
    if (this.mode === 'archive' && this.seekLoaded(t)) return;
    this.setMode('archive');
    this.recovered = [];
    this.from = Math.floor(t);
    const grows = Date.now() / 1000 - this.from < ARCHIVE_PART;
    this.open(`archive-${this.from}-${grows ? 'now' : ARCHIVE_PART}.m3u8`, t);
  }

  setMode(mode) {
    this.mode = mode;
    if (mode === 'live') this.video.playbackRate = 1;
    this.on.mode(mode);
  }

  stop() {
    clearTimeout(this.retry);
    this.hls?.destroy();
    this.socket?.close();
    this.hls = this.socket = null;
    this.video.playbackRate = 1;
  }

  named(url) {
    return this.base + (this.token ? `${url}?token=${encodeURIComponent(this.token)}` : url);
  }

  openSocket() {
    this.stop();
    this.on.waiting();
    performance.mark('asked');
    this.socket = new Socket(this.video, this.named('mse_ld'), {
      opened: () => this.play(),
      failed: ({ codec }) => this.socketGone(!codec && this.worked-- > 0),
      closed: () => { this.worked = AGAIN_MOST; this.socketGone(true); },
    });
  }

  socketGone(again) {
    this.socket = null;
    this.on.waiting();
    if (again) this.retry = setTimeout(() => this.openRoad(), AGAIN_MS);
    else if (!this.nextRoad()) this.againLater({ status: 0, text: '' });
  }

  open(url, t) {
    this.stop();
    this.again = () => this.open(url, t);
    this.on.waiting();
    performance.mark('asked');
    if (this.Hls) this.openHls(this.named(url), t);
    else this.openNative(url);
  }

  openNative(url) {
    this.video.src = this.named(this.native ? url : 'live.mp4');
    this.play();
  }

  openHls(url, t) {
    const { Events } = this.Hls;
    /* A playlist that grows is played from where it was asked for, not from its end. */
    const hls = new this.Hls(this.road === 'll-hls' ? lowConfig : t === null ? hlsConfig : { ...hlsConfig, startPosition: 0, liveMaxLatencyDurationCount: Infinity });
    this.hls = hls;
    if (t !== null)
      hls.once(Events.LEVEL_LOADED, () => this.video.addEventListener('loadedmetadata', () => this.seekLoaded(t), { once: true }));
    hls.on(Events.MANIFEST_PARSED, () => this.play());
    hls.on(Events.ERROR, (_, data) => data.fatal && this.failed(data));
    hls.loadSource(url);
    hls.attachMedia(this.video);
  }

  play() {
    this.video.play().catch((e) => { if (e.name === 'NotAllowedError') this.on.blocked(); });
  }

  /* true: the moment lies in what the playlist holds. */
  seekLoaded(t) {
    const list = this.hls?.latestLevelDetails?.fragments ?? this.hls?.levels[this.hls.currentLevel]?.details?.fragments ?? [];
    for (const f of list) {
      const from = f.programDateTime / 1000;
      if (!f.programDateTime || t < from - 0.5 || t >= from + f.duration) continue;
      this.video.currentTime = f.start + Math.max(t - from, 0);
      return true;
    }
    return false;
  }

  /* The moment on the screen; null: not known yet. */
  get time() {
    if (this.socket) return this.socket.time;
    const at = this.hls?.playingDate;
    if (at) return at.getTime() / 1000;
    const start = this.video.getStartDate?.()?.getTime();
    return start ? start / 1000 + this.video.currentTime : null;
  }

  /* Plain HLS begins with what the server holds, a few seconds: a little slower until there is enough to play through. */
  pace() {
    const { buffered, currentTime, playbackRate } = this.video;
    if (this.mode !== 'live' || this.road !== 'hls' || buffered.length === 0) return;
    const ahead = buffered.end(buffered.length - 1) - currentTime;
    const rate = ahead > 6 ? 1 : ahead < 2 ? 0.8 : ahead < 4 ? 0.9 : playbackRate;
    if (rate !== playbackRate) this.video.playbackRate = rate;
  }

  partEnded() {
    if (this.mode !== 'archive') return;
    const at = this.time ?? this.from + ARCHIVE_PART;
    if (Date.now() / 1000 - at < LIVE_EDGE) this.live();
    else this.archive(Math.max(at, this.from + 1) + 1);
  }

  /* Footage whose tracks are others than those it began with needs new buffers, once each time. Live begins anew: behind
   * recoverMediaError() hls.js (1.7) waits for ever for a playlist of low latency that it does not ask for. */
  mayRecover() {
    const now = Date.now();
    this.recovered = this.recovered.filter((t) => now - t < RECOVER_MS);
    return this.recovered.push(now) <= RECOVER_MOST;
  }

  /* A piece that is no longer there, or cannot be read: what comes behind it is played. */
  skipped({ details, frag }) {
    if (this.mode !== 'archive' || details !== this.Hls.ErrorDetails.FRAG_LOAD_ERROR || !frag?.programDateTime) return false;
    this.stop();
    this.archive(frag.programDateTime / 1000 + frag.duration + 1);
    return true;
  }

  failed(data) {
    const { ErrorTypes } = this.Hls;
    if (data.type === ErrorTypes.MEDIA_ERROR && this.mayRecover()) {
      if (this.mode === 'live') this.openRoad();
      else this.hls.recoverMediaError();
      return;
    }
    if (this.skipped(data)) return;
    const status = data.response?.code ?? 0;
    const xhr = data.networkDetails;
    const text = (xhr?.responseText ?? '').replace(/^\d+ [^:]*: /, '').trim();
    const nearest = Number(xhr?.getResponseHeader?.('X-Nearest-Recorded')) || null;
    if (this.mode === 'live' && !ABOUT_THE_STREAM.includes(status) && this.nextRoad()) return;
    this.againLater({ status, text, nearest, archive: this.mode === 'archive' });
  }

  againLater(why) {
    this.on.failed(why);
    this.stop();
    if (this.mode === 'live' || why.status >= 500 || why.status === 0) this.retry = setTimeout(this.again, RETRY_MS);
  }
}
