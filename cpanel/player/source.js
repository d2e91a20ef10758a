/* Where the picture comes from: live HLS, or the archive from a moment on. hls.js where the browser has Media Source
 * Extensions, the browser's own HLS otherwise. Times are unix seconds. */

const ARCHIVE_PART = 3600; /* of the archive at a time; the next part follows by itself, the last one grows into the present */
const RETRY_MS = 3000;
const RECOVER_MOST = 3; /* times in RECOVER_MS: then it will not play */
const RECOVER_MS = 30000;
const LIVE_EDGE = 30; /* so near to now the archive hands over to live */

const hlsConfig = {
  enableWorker: false, /* fragments are MP4 already: nothing to repackage */
  liveSyncDurationCount: 2,
  liveMaxLatencyDurationCount: 6,
  backBufferLength: 60,
  startFragPrefetch: true,
};

export class Source {
  /* on: {playing(), waiting(), failed({title, text, nearest}), mode(mode)} */
  constructor(video, Hls, on) {
    Object.assign(this, { video, on, mode: 'live' });
    this.Hls = Hls?.isSupported() ? Hls : null;
    this.native = !this.Hls && video.canPlayType('application/vnd.apple.mpegurl') !== '';
    this.hls = null;
    this.retry = 0;
    video.addEventListener('ended', () => this.partEnded());
    video.addEventListener('playing', () => this.on.playing());
    video.addEventListener('waiting', () => this.on.waiting());
  }

  canPlay(mime) {
    const type = `video/mp4; codecs="${mime}"`;
    if (this.Hls) return (window.ManagedMediaSource ?? window.MediaSource).isTypeSupported(type);
    return this.video.canPlayType(type) !== '';
  }

  live() {
    this.setMode('live');
    this.open('index.m3u8', null);
  }

  /* From that moment on, whole seconds; what is loaded already is used. */
  archive(t) {
    if (this.mode === 'archive' && this.seekLoaded(t)) return;
    this.setMode('archive');
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
    this.hls = null;
  }

  open(url, t) {
    this.stop();
    this.again = () => this.open(url, t);
    this.on.waiting();
    if (this.Hls) this.openHls(url, t);
    else this.openNative(url);
  }

  openNative(url) {
    this.video.src = this.native ? url : 'live.mp4';
    this.play();
  }

  openHls(url, t) {
    const { Events } = this.Hls;
    /* A playlist that grows is played from where it was asked for, not from its end. */
    const hls = new this.Hls(t === null ? hlsConfig : { ...hlsConfig, startPosition: 0, liveMaxLatencyDurationCount: Infinity });
    this.hls = hls;
    this.recovered = [];
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
    const at = this.hls?.playingDate;
    if (at) return at.getTime() / 1000;
    const start = this.video.getStartDate?.()?.getTime();
    return start ? start / 1000 + this.video.currentTime : null;
  }

  /* Live begins with what the server holds, a few seconds: a little slower until there is enough to play through. */
  pace() {
    const { buffered, currentTime, playbackRate } = this.video;
    if (this.mode !== 'live' || buffered.length === 0) return;
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

  /* Footage whose tracks are others than those it began with needs new buffers, once each time. */
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
      this.hls.recoverMediaError();
      return;
    }
    if (this.skipped(data)) return;
    const status = data.response?.code ?? 0;
    const xhr = data.networkDetails;
    const text = (xhr?.responseText ?? '').replace(/^\d+ [^:]*: /, '').trim();
    const nearest = Number(xhr?.getResponseHeader?.('X-Nearest-Recorded')) || null;
    this.on.failed({ status, text, nearest, archive: this.mode === 'archive' });
    this.stop();
    if (this.mode === 'live' || status >= 500 || status === 0) this.retry = setTimeout(this.again, RETRY_MS);
  }
}
