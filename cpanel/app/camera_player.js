/* The picture of the camera's page: live and archive by the player's own modules, speed, single frames, snapshots, and what to
 * do where this browser cannot show it. */
import { Source } from '../player/source.js';
import { mediaPath } from './api.js';
import { button, el, icon, iconButton, mark, say, save, select } from './dom.js';
import { now, streams } from './feed.js';
import { cameraPath } from './router.js';
import { codecName, isDown, stateText } from './states.js';
import { momentText, number, t } from './text.js';

const TICK_MS = 250;
const STEP_S = 10;
const NEAR_LIVE = 8; /* s: what is not yet in the archive */
const SPEEDS = [0.25, 0.5, 1, 2, 4, 8];
const ROADS = { mse: 'WebSocket', 'll-hls': 'LL-HLS', hls: 'HLS' };

const Mse = window.ManagedMediaSource ?? window.MediaSource;

export class CameraPlayer {
  /* on: { time(t), mode(mode) } */
  constructor(uid, on) {
    Object.assign(this, { uid, on, fps: 25, tracks: [] });
    this.base = mediaPath(uid, '');
    this.build();
    this.timer = setInterval(() => this.tick(), TICK_MS);
  }

  build() {
    this.video = el('video', { playsInline: true, muted: true, autoplay: true, tabindex: '-1', 'aria-label': t('camera.picture') });
    this.badge = el('div.badge', { 'aria-hidden': 'true' });
    this.spinner = el('div.stage-spin', { 'aria-hidden': 'true', hidden: true });
    this.note = el('div.stage-note', { role: 'alert', hidden: true });
    this.clock = el('time.stage-clock.num');
    this.late = el('span.soft.num.stage-late');
    this.stage = el('div.stage', {}, this.video, this.badge, this.spinner, this.note);
    this.playButton = iconButton('play', t('player.play'), () => this.toggle());
    this.liveButton = button(t('player.live'), () => this.goLive(), { kind: 'live-button', title: `${t('player.live')} (L)` });
    this.soundButton = iconButton('silent', t('player.unmute'), () => this.sound());
    this.speed = select(SPEEDS.map((s) => [String(s), `${number(s)}×`]), '1', { 'aria-label': t('player.speed'), title: t('player.speed'), onchange: () => { this.video.playbackRate = Number(this.speed.value); } });
    this.bar = el('div.stage-bar', { role: 'toolbar', 'aria-label': t('player.label') }, iconButton('back', `${t('player.frame_back')} (,)`, () => this.frame(-1)), this.playButton, iconButton('frame', `${t('player.frame')} (.)`, () => this.frame(1)),
      this.liveButton, this.clock, this.late, el('span.grow'), this.speed, iconButton('camera', `${t('player.snapshot')} (S)`, () => this.snapshot()), this.soundButton, iconButton('full', `${t('player.full')} (F)`, () => this.full()));
    this.element = el('div.stage-box', {}, this.stage, this.bar);
    this.video.addEventListener('click', () => this.toggle());
    for (const name of ['play', 'pause', 'volumechange']) this.video.addEventListener(name, () => this.tick());
  }

  async start(from) {
    const Hls = await import('../lib/hls.light.min.mjs').then((m) => m.default, () => null);
    if (this.closed) return;
    this.source = new Source(this.video, Hls, {
      playing: () => { this.spinner.hidden = true; this.say(null); },
      waiting: () => { this.spinner.hidden = !this.note.hidden; },
      blocked: () => { this.spinner.hidden = true; this.say(t('player.blocked'), '', [button(t('player.play'), () => { this.say(null); this.source.play(); }, { kind: 'primary' })]); },
      failed: (why) => this.failed(why),
      mode: (mode) => this.showMode(mode),
    }, { base: this.base });
    from ? this.seek(from) : this.goLive();
  }

  close() {
    this.closed = true;
    clearInterval(this.timer);
    this.source?.stop();
    this.video.removeAttribute('src');
    this.video.load();
  }

  /* --- what is said over the picture --- */

  say(title, text = '', actions = []) {
    this.note.hidden = title === null;
    this.note.replaceChildren(...(title === null ? [] : [el('strong', {}, title), text ? el('p', {}, text) : '', el('div.inline', {}, ...actions)]));
    if (title !== null) this.spinner.hidden = true;
  }

  failed({ status, text, nearest, archive }) {
    const actions = [];
    if (nearest) actions.push(button(t('player.nearest', { at: momentText(nearest, now()) }), () => this.seek(nearest), { kind: 'primary' }));
    if (archive) actions.push(button(t('player.live'), () => this.goLive()));
    const s = streams.get(this.uid);
    if (status === 403 || status === 401) this.say(t('player.refused'), text, actions);
    else if (archive && status === 404) this.say(t('player.not_recorded'), '', actions);
    else if (s && s.state !== 'active') this.say(stateText(s), s.reason || text, actions);
    else this.say(t('player.no_picture'), text || t('player.trying'), actions);
  }

  /* Which of the codecs this browser has not, and what can be done: another stream of the camera, a file for another player. */
  playable() {
    const track = this.tracks.find((x) => x.kind === 'video');
    const type = (mime) => `video/mp4; codecs="${mime}"`;
    if (!track?.mime || !Mse || Mse.isTypeSupported(type(track.mime))) return true;
    const s = streams.get(this.uid);
    const other = [...streams.values()].find((x) => x.uid !== this.uid && x.camera && x.camera === s?.camera && x.codec && codecName(x.codec) === 'H.264');
    const actions = [];
    if (other) actions.push(el('a.button.primary', { href: cameraPath(other.uid) }, t('player.other_stream', { name: other.label })));
    actions.push(el('a.button', { href: `${this.base}live.mp4`, target: '_blank', rel: 'noopener' }, t('player.open_mp4')));
    this.source.stop();
    this.say(t('player.codec', { codec: codecName(track.codec) }), t('player.codec_text'), actions);
    this.still();
    return false;
  }

  /* The server can decode what the browser cannot: a picture every few seconds is better than none. */
  still() {
    const img = el('img.stage-still', { alt: t('camera.picture'), src: `${this.base}preview.jpg?width=1280&t=${Math.floor(now())}` });
    this.stage.querySelector('.stage-still')?.remove();
    this.stage.prepend(img);
  }

  setTracks(tracks) {
    this.tracks = tracks;
    const track = tracks.find((x) => x.kind === 'video');
    if (track?.fps) this.fps = track.fps;
    if (this.source && this.source.time === null) this.playable();
  }

  /* The camera went or came back. */
  stateChanged(s) {
    if (this.source?.mode !== 'live') return;
    if (isDown(s) && this.video.readyState < HTMLMediaElement.HAVE_FUTURE_DATA) this.say(stateText(s), s.reason);
    else if (s.state === 'disabled') this.say(stateText(s), t('player.disabled'));
  }

  /* --- moving about --- */

  get time() { return this.source?.time ?? null; }
  get isLive() { return this.source?.mode === 'live'; }

  goLive() {
    this.say(null);
    if (this.playable()) this.source.live();
  }

  seek(at) {
    this.say(null);
    if (!this.playable()) return;
    if (now() - at < NEAR_LIVE) this.source.live();
    else this.source.archive(at);
  }

  step(seconds) { this.seek(Math.min((this.time ?? now()) + seconds, now())); }
  back() { this.step(-STEP_S); }
  forward() { this.step(STEP_S); }

  toggle() {
    if (this.video.paused) this.source?.play();
    else this.video.pause();
  }

  /* What is buffered is stepped through; a browser tells no frame's number, so its duration is taken. */
  frame(by) {
    this.video.pause();
    this.video.currentTime = Math.max(0, this.video.currentTime + by / this.fps);
  }

  sound() {
    this.video.muted = !this.video.muted;
  }

  full() {
    if (document.fullscreenElement) document.exitFullscreen();
    else if (this.element.requestFullscreen) this.element.requestFullscreen();
    else this.video.webkitEnterFullscreen?.();
  }

  snapshot() {
    const { videoWidth: width, videoHeight: height } = this.video;
    const name = `${this.uid}-${new Date((this.time ?? now()) * 1000).toISOString().slice(0, 19).replaceAll(':', '-')}.jpg`;
    if (width === 0) {
      save(name, `${this.base}preview.jpg`);
      return;
    }
    const canvas = new OffscreenCanvas(width, height);
    canvas.getContext('2d').drawImage(this.video, 0, 0);
    canvas.convertToBlob({ type: 'image/jpeg', quality: 0.92 }).then((blob) => {
      const url = URL.createObjectURL(blob);
      save(name, url);
      setTimeout(() => URL.revokeObjectURL(url), 10000);
    });
  }

  /* --- what is shown --- */

  showMode(mode) {
    mark(this.badge, 'mode', mode);
    say(this.badge, t(mode === 'live' ? 'player.live' : 'player.archive'));
    this.liveButton.setAttribute('aria-pressed', String(mode === 'live'));
    this.speed.hidden = mode === 'live';
    if (mode === 'live') this.speed.value = '1';
    this.on.mode(mode);
  }

  tick() {
    const { video, source } = this;
    const at = this.time;
    const running = !video.paused;
    if (this.running !== running) this.playButton.replaceChildren(icon(running ? 'pause' : 'play'));
    if (this.muted !== video.muted) this.soundButton.replaceChildren(icon(video.muted ? 'silent' : 'sound'));
    [this.running, this.muted] = [running, video.muted];
    this.playButton.setAttribute('aria-label', t(running ? 'player.pause' : 'player.play'));
    this.soundButton.setAttribute('aria-label', t(video.muted ? 'player.unmute' : 'player.mute'));
    say(this.clock, at === null ? '' : momentText(at, now()));
    this.clock.dateTime = at === null ? '' : new Date(at * 1000).toISOString();
    say(this.late, source?.mode === 'live' && at !== null ? t('player.late', { n: Math.round(Math.max(now() - at, 0) * 10) / 10, road: ROADS[source.road] }) : '');
    source?.pace();
    this.on.time(at);
  }
}
