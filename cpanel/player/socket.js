/* Live over a WebSocket (mse_ld; docs/reference/http.md) into Media Source Extensions: a buffer for each track, played a
 * fraction of a second behind what has come. Times on the video element begin near 0. */

const Mse = window.ManagedMediaSource ?? window.MediaSource;
const TRACK_AT = 47; /* where a fragment says what it is of */
const TIME_AT = 72;
const WALL_AT = 92;
const TICK_MS = 100;
const LEAST = 0.12; /* s behind the newest frame that came; more where the network or the camera is uneven ... */
const MOST = 2; /* ... up to this */
const JUMP = 1.5; /* s further behind than wanted: not caught up with, left out */
const FASTEST = 1.15;
const KEEP = 20; /* s that stay behind the picture */
const HIDDEN_MS = 15000; /* a page that nobody sees */
const CALM_MS = 20000; /* without a wait: a little nearer to the newest frame */

export class Socket {
  /* on: {opened(), failed({codec}), closed()}. failed: it never played, another way is needed. least: s behind the newest frame. */
  constructor(video, url, on, { least = LEAST } = {}) {
    Object.assign(this, { video, on, url, least });
    this.buffers = new Map();
    this.behind = least;
    this.calm = Date.now();
    this.media = false; /* something has come */
    this.ears = { waiting: () => this.waited(), pause: () => this.rest(true), play: () => this.rest(false) };
    for (const [name, ear] of Object.entries(this.ears)) video.addEventListener(name, ear);
    this.hidden = () => {
      clearTimeout(this.unseen);
      if (document.hidden) this.unseen = setTimeout(() => this.rest(true), HIDDEN_MS);
      else if (!video.paused) this.rest(false);
    };
    document.addEventListener('visibilitychange', this.hidden);
    this.hidden();
    this.connect();
  }

  static get usable() { return Boolean(Mse && window.WebSocket); }

  connect() {
    const url = new URL(this.url, location.href);
    url.protocol = url.protocol.replace('http', 'ws');
    this.socket = new WebSocket(url);
    this.socket.binaryType = 'arraybuffer';
    this.socket.onmessage = ({ data }) => (typeof data === 'string' ? this.told(JSON.parse(data)) : this.fragment(data));
    this.socket.onclose = () => this.lost();
    this.timer = setInterval(() => this.tick(), TICK_MS);
  }

  say(text) {
    if (this.socket.readyState === WebSocket.OPEN) this.socket.send(text);
  }

  /* Nobody looks: nothing needs to be sent. Behind it, it is live again. */
  rest(on) {
    if (this.resting === on || !this.media) return;
    this.resting = on;
    this.say(on ? 'pause' : 'resume');
  }

  close() {
    clearInterval(this.timer);
    clearTimeout(this.unseen);
    for (const [name, ear] of Object.entries(this.ears)) this.video.removeEventListener(name, ear);
    document.removeEventListener('visibilitychange', this.hidden);
    this.socket.onmessage = this.socket.onclose = null;
    this.socket.close();
    this.drop();
  }

  drop() {
    if (!this.object) return;
    URL.revokeObjectURL(this.object);
    this.object = this.source = null;
    this.buffers.clear();
    this.video.removeAttribute('src');
    this.video.load();
  }

  lost() {
    const played = this.media;
    this.close();
    played ? this.on.closed() : this.on.failed({});
  }

  /* --- tracks --- */

  told(message) {
    if (message.type !== 'mse_init_segment') return;
    const tracks = message.tracks.filter((t) => Mse.isTypeSupported(t.mime));
    const lacking = message.tracks.find((t) => t.content === 'video' && !tracks.includes(t));
    if (lacking || tracks.length === 0) {
      this.close();
      this.on.failed({ codec: (lacking ?? message.tracks[0])?.mime });
      return;
    }
    this.scale = new Map(tracks.map((t) => [t.id, t.timescale]));
    const same = this.source && tracks.length === this.buffers.size && tracks.every((t) => this.buffers.get(t.id)?.content === t.content);
    same ? this.begin(tracks) : this.build(tracks);
  }

  /* Tracks that come or go need another source: the kinds of buffers stay what they were. */
  build(tracks) {
    this.drop();
    this.origin = null;
    this.source = new Mse();
    this.early = []; /* fragments that come before it is open */
    if (window.ManagedMediaSource) this.video.disableRemotePlayback = true;
    this.source.addEventListener('sourceopen', () => {
      for (const t of tracks) this.buffers.set(t.id, this.addBuffer(t));
      this.begin(tracks);
      for (const data of this.early.splice(0)) this.fragment(data);
    }, { once: true });
    this.object = URL.createObjectURL(this.source);
    this.video.src = this.object;
    this.on.opened();
  }

  addBuffer(track) {
    const buffer = this.source.addSourceBuffer(track.mime);
    const b = { buffer, content: track.content, mime: track.mime, queue: [] };
    buffer.addEventListener('updateend', () => this.feed(b));
    return b;
  }

  begin(tracks) {
    for (const t of tracks) {
      const b = this.buffers.get(t.id);
      b.queue.push({ mime: t.mime, data: Uint8Array.from(atob(t.payload), (c) => c.charCodeAt(0)) });
      this.feed(b);
    }
  }

  /* --- media --- */

  fragment(data) {
    const view = new DataView(data);
    const id = view.getUint8(TRACK_AT);
    const b = this.buffers.get(id);
    if (!b) {
      if (this.source?.readyState === 'closed') this.early.push(data);
      return;
    }
    const at = Number(view.getBigUint64(TIME_AT)) / this.scale.get(id);
    this.origin ??= Math.floor(at);
    if (b.content === 'video' || this.buffers.size === 1)
      this.wall = view.getUint32(WALL_AT) + view.getUint32(WALL_AT + 4) / 1e6 - at + this.origin;
    this.media = true;
    b.queue.push({ data: new Uint8Array(data) });
    this.feed(b);
  }

  /* Everything that waits, as one piece; an init segment by itself. */
  feed(b) {
    if (b.buffer.updating || b.queue.length === 0 || this.source?.readyState !== 'open') return;
    try {
      if (b.queue[0].mime) this.append(b, b.queue.shift());
      else this.append(b, { data: joined(b.queue.splice(0, b.queue.findIndex((q) => q.mime) + 1 || b.queue.length)) });
    } catch (e) {
      if (e.name === 'QuotaExceededError') this.trim(b, 1);
      else this.lost();
    }
  }

  append(b, { mime, data }) {
    if (mime && mime !== b.mime) {
      b.buffer.changeType(mime);
      b.mime = mime;
    }
    if (!mime && b.buffer.timestampOffset !== -this.origin) b.buffer.timestampOffset = -this.origin;
    b.buffer.appendBuffer(data);
  }

  trim(b, keep) {
    const end = this.video.currentTime - keep;
    const { buffered } = b.buffer;
    if (!b.buffer.updating && buffered.length > 0 && buffered.start(0) < end - keep) b.buffer.remove(0, end);
  }

  /* --- where the picture is --- */

  /* Wall clock of the picture, unix seconds; null: not known yet. */
  get time() {
    return this.wall === undefined ? null : this.wall + this.video.currentTime;
  }

  get ahead() {
    const { buffered, currentTime } = this.video;
    return buffered.length > 0 ? buffered.end(buffered.length - 1) - currentTime : 0;
  }

  /* The picture had to wait: further behind from now on. */
  waited() {
    if (!this.media || this.resting || this.video.seeking || this.video.paused) return;
    this.behind = Math.min(this.behind * 1.5, MOST);
    this.calm = Date.now();
  }

  tick() {
    const { video } = this;
    const { buffered } = video;
    if (buffered.length === 0 || video.paused) return;
    if (Date.now() - this.calm > CALM_MS) {
      this.behind = Math.max(this.behind * 0.8, this.least);
      this.calm = Date.now();
    }
    const start = buffered.start(buffered.length - 1);
    if (video.currentTime < start || this.ahead > this.behind + JUMP) {
      video.currentTime = Math.max(start, video.currentTime + this.ahead - this.behind);
    } else {
      const more = this.ahead - this.behind;
      video.playbackRate = more > 0.05 ? Math.min(1 + more, FASTEST) : more < -this.behind / 2 ? 0.95 : 1;
    }
    for (const b of this.buffers.values()) this.trim(b, KEEP);
  }
}

function joined(pieces) {
  if (pieces.length === 1) return pieces[0].data;
  const whole = new Uint8Array(pieces.reduce((n, p) => n + p.data.length, 0));
  let at = 0;
  for (const p of pieces) {
    whole.set(p.data, at);
    at += p.data.length;
  }
  return whole;
}
