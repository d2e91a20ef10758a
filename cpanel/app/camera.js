/* One camera: its picture live and from the archive, and everything that is known of it. */
import { get, streamPath } from './api.js';
import { button, calm, el, icon, iconButton, mark, say } from './dom.js';
import * as feed from './feed.js';
import { CameraArchive } from './camera_archive.js';
import { NowPanel, countersPanel, historyPanel, logPanel, noticeLine, setupPanel, tracksPanel } from './camera_panels.js';
import { CameraPlayer } from './camera_player.js';
import { actionsFor, move } from './fleet_actions.js';
import { setTitle, toast } from './frame.js';
import { menu } from './menu.js';
import { isOver, mayMove, moves } from './nodes.js';
import { plotOf } from './plot.js';
import { cameraPath, home } from './router.js';
import { may } from './session.js';
import { reasonOf, stateText, toneOf } from './states.js';
import { bits, t } from './text.js';

const AGES_MS = 1000;
const DETAIL_MS = 800; /* behind a change of state the details are asked for anew */
const PLOT_S = 300;
const NOTICES = 30;

/* The API's detail of a stream: tracks are those that came, not those that are asked for. */
function detailOf(d) {
  const tracks = Array.isArray(d.media) ? d.media : Array.isArray(d.tracks) ? d.tracks : [];
  const gop = d.gop ?? { frames: d.gop_frames, seconds: d.gop_seconds };
  const fps = gop.seconds > 0 ? Math.round((gop.frames / gop.seconds) * 100) / 100 : undefined;
  return { ...d, gop, tracks: tracks.map((x) => (x.kind === 'video' ? { fps, ...x } : x)) };
}

class Camera {
  constructor(root, uid) {
    Object.assign(this, { root, uid, detail: {}, counters: null, tab: 'now', rates: [[], []] });
    const from = Number(new URLSearchParams(location.search).get('from')) || null;
    this.player = new CameraPlayer(uid, { time: (at) => this.archive?.setTime(at), mode: () => {} });
    this.build();
    this.reload = calm(DETAIL_MS, () => this.load());
    feed.watch(uid);
    this.stops = [
      feed.on('streams', ({ all, uids }) => { if (all || uids.includes(uid)) this.showRow(); }),
      feed.on('stream', (said) => { if (said.uid === uid) this.counted(said); }),
      feed.on('notice', (n) => this.noticed(n)),
      feed.on('server', () => this.showMove()),
      feed.on('alive', (alive) => alive && this.load()),
    ];
    this.keys = (e) => this.key(e);
    document.addEventListener('keydown', this.keys);
    this.ages = setInterval(() => document.hidden || this.showNow(), AGES_MS);
    this.showRow();
    this.load();
    this.player.start(from);
  }

  close() {
    clearInterval(this.ages);
    document.removeEventListener('keydown', this.keys);
    for (const stop of this.stops) stop();
    feed.watch(null);
    this.plot?.close();
    this.archive?.close();
    this.player.close();
    this.closed = true;
  }

  /* --- the page --- */

  build() {
    this.title = el('h1');
    this.pill = el('span.pill');
    this.why = el('span.soft.camera-why');
    this.sub = el('span.camera-others');
    this.mover = button(t('action.move'), () => move([this.uid]), { icon: 'move' });
    const acts = el('div.inline', {}, this.mover, may('operate') ? button(t('doctor.do'), () => this.doctor(), { icon: 'doctor' }) : null,
      may('operate') ? button(t('action.restart'), () => this.act('restart'), { icon: 'restart' }) : null,
      may('operate') ? iconButton('more', t('fleet.actions', { name: this.uid }), (e) => menu(e.currentTarget, actionsFor([this.uid], { edit: may('configure') ? () => this.edit() : null })), { 'aria-haspopup': 'menu' }) : null);
    this.head = el('div.camera-head', {}, el('a.icon-button', { href: home, 'aria-label': t('camera.back'), title: t('camera.back') }, icon('left')), this.title, this.pill, this.why, this.sub, el('span.grow'), acts);
    this.now = new NowPanel();
    this.plotBox = el('div.plot-box');
    this.notices = el('ul.lines');
    this.tabs = Object.fromEntries([['now'], ['tracks'], ['history'], ['marks', 'archive'], ['setup', 'configure'], ['log', 'operate']].filter(([, right]) => !right || may(right))
      .map(([name]) => [name, el('button', { type: 'button', role: 'tab', id: `tab-${name}`, 'aria-controls': 'tab-panel', onclick: () => this.choose(name) }, t(`camera.${name}`))]));
    this.tabList = el('div.tabs', { role: 'tablist', 'aria-label': t('camera.details'), onkeydown: (e) => this.tabKey(e) }, ...Object.values(this.tabs));
    this.panel = el('div.tab-panel', { role: 'tabpanel', id: 'tab-panel', tabindex: '0' });
    this.left = el('div.camera-left', {}, this.player.element);
    if (may('archive')) {
      this.archive = new CameraArchive(this.uid, { seek: (at) => this.player.seek(at) });
      this.archive.onMarks = () => this.tab === 'marks' && this.showTab();
      this.left.append(this.archive.element);
    }
    this.root.append(this.head, el('div.camera', {}, this.left, el('aside.card.side', { 'aria-label': t('camera.details') }, this.tabList, this.panel)));
    mark(this.root, 'page', 'camera');
    this.showMove();
    this.choose('now');
  }

  /* Where there is another node; while it is on its way the button says so. */
  showMove() {
    const on = moves().some((m) => m.uid === this.uid && !isOver(m));
    this.mover.hidden = !mayMove();
    say(this.mover.lastChild, t(on ? 'move.under_way' : 'action.move'));
    this.mover.setAttribute('aria-pressed', String(on));
  }

  async load() {
    try {
      this.detail = detailOf(await get(streamPath(this.uid)));
    } catch (e) {
      if (e.status === 404 && !feed.streams.has(this.uid)) this.missing(e);
      return;
    }
    if (this.closed) return;
    this.player.setTracks(this.detail.tracks ?? []);
    this.showNow();
    if (this.tab !== 'now' && this.tab !== 'log') this.showTab();
  }

  missing(e) {
    this.close();
    this.root.replaceChildren(el('div.empty', { role: 'alert' }, icon('camera'), el('h1', {}, t('camera.missing')), el('p', {}, e.message), el('a.button', { href: home }, t('nav.fleet'))));
  }

  get row() { return feed.streams.get(this.uid) ?? { uid: this.uid, label: this.uid, state: 'connecting' }; }

  showRow() {
    const s = this.row;
    setTitle(s.label ?? s.uid);
    say(this.title, s.label ?? s.uid);
    say(this.pill, stateText(s));
    mark(this.pill, 'tone', toneOf(s));
    say(this.why, reasonOf(s));
    const others = s.camera ? [...feed.streams.values()].filter((x) => x.camera === s.camera && x.uid !== s.uid) : [];
    const key = others.map((x) => x.uid).join();
    if (this.sub.key !== key) this.sub.replaceChildren(...others.map((x) => el('a.chip', { href: cameraPath(x.uid) }, t('camera.other', { name: x.profile === 'sub' ? t('fleet.sub') : x.label }))));
    this.sub.key = key;
    if (this.state !== undefined && (this.state !== s.state || this.recorded !== s.record)) {
      this.player.stateChanged(s);
      this.archive?.load();
      this.reload();
    }
    [this.state, this.recorded] = [s.state, s.record];
    this.showNow();
  }

  showNow() {
    if (this.tab === 'now') this.now.show(this.row, this.detail, this.counters);
  }

  counted(said) {
    this.counters = said;
    const [times, values] = this.rates;
    times.push(Math.round(feed.now()));
    values.push(said.bitrate ?? this.row.bitrate ?? null);
    if (times.length > PLOT_S) for (const list of this.rates) list.shift();
    if (this.tab !== 'now' || document.hidden) return;
    this.showNow();
    this.plot?.set(this.rates);
  }

  noticed(n) {
    if (n.data?.uid !== this.uid) return;
    this.notices.prepend(noticeLine(n));
    while (this.notices.children.length > NOTICES) this.notices.lastChild.remove();
    if (n.event === 'camera:event') this.archive?.load();
  }

  /* --- tabs --- */

  choose(name) {
    this.tab = name;
    for (const [each, tab] of Object.entries(this.tabs)) {
      tab.setAttribute('aria-selected', String(each === name));
      tab.tabIndex = each === name ? 0 : -1;
    }
    this.panel.setAttribute('aria-labelledby', `tab-${name}`);
    this.plot?.close();
    this.plot = null;
    this.showTab();
  }

  tabKey(e) {
    const names = Object.keys(this.tabs);
    const by = { ArrowRight: 1, ArrowLeft: -1 }[e.key];
    if (!by) return;
    const name = names[(names.indexOf(this.tab) + by + names.length) % names.length];
    this.choose(name);
    this.tabs[name].focus();
    e.stopPropagation();
  }

  async showTab() {
    const { tab } = this;
    const makes = {
      now: () => this.nowTab(),
      tracks: () => el('div.stack', {}, tracksPanel(this.detail), el('h3', {}, t('counter.title')), countersPanel(this.detail)),
      history: () => el('div.stack', {}, historyPanel(this.detail), el('h3', {}, t('history.now')), this.notices.children.length ? this.notices : el('p.soft', {}, t('history.quiet'))),
      marks: () => el('div.stack', {}, el('h3', {}, t('lock.list')), this.archive.lockList(this.archive.locks), el('h3', {}, t('event.list')), this.archive.eventList(this.archive.events)),
      setup: () => setupPanel(this.row, this.detail),
      log: () => logPanel(this.uid).catch((e) => el('p.notice.bad', {}, e.message)),
    };
    const content = await makes[tab]();
    if (tab === this.tab && !this.closed) this.panel.replaceChildren(content);
  }

  nowTab() {
    this.plotBox.replaceChildren();
    plotOf(this.plotBox, { series: [{ label: t('now.bitrate') }], height: 130, value: (v) => bits(v) + t('unit.per_s') }).then((plot) => {
      if (this.tab !== 'now' || this.closed) plot.close();
      else this.plot = plot;
      plot.set(this.rates);
    });
    this.showNow();
    return el('div.stack', {}, this.now.element, this.plotBox);
  }

  /* --- actions --- */

  act(what) {
    const text = t(`action.${what}`);
    actionsFor([this.uid]).find((a) => a.text === text)?.run();
  }

  async edit() { (await import('./camera_form.js')).openForm(this.uid); }
  async doctor() { (await import('./doctor.js')).openDoctor(this.uid, this.detail.tracks ?? []); }

  key(e) {
    if (e.target.closest('input, select, textarea, dialog, .menu, [role=tab]') || e.ctrlKey || e.altKey || e.metaKey || document.querySelector('dialog[open]')) return;
    const { player, archive } = this;
    const on = e.target.closest('button, summary, a');
    const keys = {
      ' ': on ? null : () => player.toggle(), k: () => player.toggle(), l: () => player.goLive(), f: () => player.full(), m: () => player.sound(), s: () => player.snapshot(),
      ',': () => player.frame(-1), '.': () => player.frame(1), ArrowLeft: () => player.back(), ArrowRight: () => player.forward(),
      '+': () => archive?.line.setZoom(archive.line.zoom - 1), '-': () => archive?.line.setZoom(archive.line.zoom + 1), '[': () => archive?.cutEdge('from'), ']': () => archive?.cutEdge('to'),
      '?': () => toast(t('camera.keys')),
    };
    const run = keys[e.key.length === 1 ? e.key.toLowerCase() : e.key];
    if (!run) return;
    e.preventDefault();
    run();
  }
}

export function show(root, uid) {
  const camera = new Camera(root, uid);
  return () => camera.close();
}
