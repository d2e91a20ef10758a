/* The wall: live tiles side by side. A tile takes the camera's sub stream where there is one, is fed only while it is on the
 * screen, and falls back to pictures where this browser has not the codec. */
import { Socket } from '../player/socket.js';
import { get, mediaPath, put, remove } from './api.js';
import { button, el, field, icon, iconButton, mark, say, select } from './dom.js';
import * as feed from './feed.js';
import { attempt, confirm, dialog, formDialog, setTitle, toast } from './frame.js';
import { menu } from './menu.js';
import { cameraPath, keepQuery } from './router.js';
import { may } from './session.js';
import { reasonOf, stateText, toneOf } from './states.js';
import { compare, t } from './text.js';

const TILES_MOST = 64;
const AGAIN_MS = 3000;
const PACE_MS = 100; /* frames of a tile may come so late: two thirds of what a wall costs the server are wake-ups (docs/decisions/041) */
const LEAST = 0.25; /* s behind the newest frame, then */
const PICTURE_MS = 2000; /* of a camera whose codec the browser has not */
const COLUMNS = [1, 2, 3, 4, 5, 6, 8];

/* The stream that a tile of this camera shows: the sub stream of the same camera, if there is one that works. */
function tileStream(uid) {
  const s = feed.streams.get(uid);
  if (!s?.camera || s.profile === 'sub') return uid;
  for (const x of feed.streams.values()) if (x.camera === s.camera && x.profile === 'sub' && x.enabled !== false && x.state !== 'down') return x.uid;
  return uid;
}

class Tile {
  constructor(uid, wall) {
    Object.assign(this, { uid, wall, seen: false, socket: null });
    this.video = el('video', { playsInline: true, muted: true, autoplay: true, tabindex: '-1' });
    this.img = el('img', { alt: '', hidden: true });
    this.name = el('a.tile-name', { href: cameraPath(uid) });
    this.pill = el('span.pill');
    this.note = el('p.tile-note');
    this.element = el('li.tile', { 'data-uid': uid, draggable: 'true' }, this.video, this.img, el('div.tile-foot', {}, this.name, this.pill, el('span.grow'), iconButton('more', t('fleet.actions', { name: uid }), (e) => this.menu(e.currentTarget), { 'aria-haspopup': 'menu' })), this.note);
    this.element.addEventListener('dragstart', (e) => e.dataTransfer.setData('text/plain', uid));
    this.element.addEventListener('dragover', (e) => e.preventDefault());
    this.element.addEventListener('drop', (e) => { e.preventDefault(); wall.move(e.dataTransfer.getData('text/plain'), uid); });
    this.video.addEventListener('playing', () => { mark(this.element, 'playing', 'true'); this.show(); });
    this.show();
  }

  menu(anchor) {
    const { wall } = this;
    const at = wall.uids.indexOf(this.uid);
    menu(anchor, [
      at > 0 && { text: t('wall.left'), icon: 'left', run: () => wall.move(this.uid, wall.uids[at - 1]) },
      at < wall.uids.length - 1 && { text: t('wall.right'), icon: 'right', run: () => wall.move(this.uid, wall.uids[at + 1]) },
      { text: t('player.full'), icon: 'full', run: () => this.element.requestFullscreen?.() },
      { text: t('wall.drop'), icon: 'close', run: () => wall.drop(this.uid) },
    ].filter(Boolean));
  }

  /* On the screen or not; a page that nobody sees counts as not. */
  look(seen) {
    this.seen = seen;
    const wanted = seen && !document.hidden;
    if (wanted && !this.socket && !this.retry && !this.pictures) this.open();
    else if (!wanted) this.stop();
  }

  open() {
    this.stream = tileStream(this.uid);
    const s = feed.streams.get(this.stream);
    if (!s || s.state === 'disabled') return;
    if (!Socket.usable) {
      this.showPictures();
      return;
    }
    this.socket = new Socket(this.video, mediaPath(this.stream, `mse_ld?pace=${PACE_MS}`), {
      opened: () => this.video.play().catch(() => {}),
      failed: ({ codec }) => { this.socket = null; codec ? this.showPictures(codec) : this.later(); },
      closed: () => { this.socket = null; this.later(); },
    }, { least: LEAST });
  }

  later() {
    mark(this.element, 'playing', 'false');
    this.show();
    this.retry = setTimeout(() => { this.retry = 0; this.look(this.seen); }, AGAIN_MS);
  }

  showPictures(codec) {
    const next = () => { this.img.src = mediaPath(this.stream, `preview.jpg?width=480&t=${Math.floor(Date.now() / 1000)}`); };
    this.img.onload = () => { this.img.hidden = false; mark(this.element, 'playing', 'true'); };
    say(this.note, codec ? t('wall.pictures') : '');
    this.pictures = setInterval(next, PICTURE_MS);
    next();
  }

  stop() {
    clearTimeout(this.retry);
    clearInterval(this.pictures);
    this.socket?.close();
    this.socket = null;
    this.retry = this.pictures = 0;
    mark(this.element, 'playing', 'false');
  }

  show() {
    const s = feed.streams.get(this.uid);
    say(this.name, s?.label ?? this.uid);
    say(this.pill, s ? stateText(s) : t('wall.gone'));
    mark(this.pill, 'tone', s ? toneOf(s) : 'bad');
    this.pill.hidden = s?.state === 'active';
    if (!this.pictures) say(this.note, s ? reasonOf(s) || (this.element.dataset.playing === 'true' ? '' : t('loading')) : '');
  }
}

class Wall {
  constructor(root) {
    const asked = new URLSearchParams(location.search);
    this.uids = (asked.get('cameras') ?? '').split(',').filter(Boolean).slice(0, TILES_MOST);
    this.columns = COLUMNS.includes(Number(asked.get('columns'))) ? Number(asked.get('columns')) : 0;
    this.layout = asked.get('layout') ?? '';
    this.shared = false;
    this.tiles = new Map();
    this.eyes = new IntersectionObserver((entries) => { for (const e of entries) this.tiles.get(e.target.dataset.uid)?.look(e.isIntersecting); }, { rootMargin: '40px' });
    this.build(root);
    this.stops = [feed.on('streams', (said) => this.changed(said))];
    this.hidden = () => { for (const tile of this.tiles.values()) tile.look(tile.seen); };
    document.addEventListener('visibilitychange', this.hidden);
    if (feed.streams.size) this.begin();
  }

  close() {
    for (const stop of this.stops) stop();
    document.removeEventListener('visibilitychange', this.hidden);
    this.eyes.disconnect();
    for (const tile of this.tiles.values()) tile.stop();
  }

  build(root) {
    setTitle(t('nav.wall'));
    mark(root, 'page', 'wall');
    this.grid = el('ul.wall', { 'aria-label': t('nav.wall') });
    this.none = el('div.empty', { hidden: true }, icon('wall'), el('h2', {}, t('wall.empty')), el('p', {}, t('wall.empty_text')), button(t('wall.choose'), () => this.choose(), { kind: 'primary', icon: 'plus' }));
    this.column = select([['0', t('wall.fit')], ...COLUMNS.map((n) => [String(n), t('wall.columns', { n })])], String(this.columns), { 'aria-label': t('wall.columns_label'), title: t('wall.columns_label'), onchange: () => { this.columns = Number(this.column.value); this.arrange(); } });
    this.saved = el('button.button', { type: 'button', 'aria-haspopup': 'menu', onclick: (e) => this.openLayouts(e.currentTarget) });
    root.append(el('div.wall-head', {}, el('h1', {}, t('nav.wall')), this.saved, el('span.grow'), this.column, button(t('wall.choose'), () => this.choose(), { icon: 'plus' }), iconButton('full', t('player.full'), () => this.grid.requestFullscreen?.())), this.grid, this.none);
    this.showLayout();
  }

  /* The first look at a wall without cameras: those that work, as many as fit a screen. */
  async begin() {
    this.begun = true;
    if (this.uids.length === 0 && this.layout && (await this.recall(this.layout))) return;
    if (this.uids.length === 0) this.uids = [...feed.streams.values()].filter((s) => s.state === 'active' && s.profile !== 'sub').sort((a, b) => compare(a.label, b.label)).slice(0, 9).map((s) => s.uid);
    this.column.value = String(this.columns);
    this.arrange();
  }

  changed({ all, uids }) {
    if (!this.begun) {
      this.begin();
      return;
    }
    for (const uid of all ? this.tiles.keys() : uids) {
      const tile = this.tiles.get(uid);
      if (!tile) continue;
      tile.show();
      if (!tile.socket && !tile.retry && !tile.pictures && tile.seen) tile.look(true);
    }
  }

  arrange() {
    for (const [uid, tile] of this.tiles) {
      if (this.uids.includes(uid)) continue;
      tile.stop();
      this.eyes.unobserve(tile.element);
      tile.element.remove();
      this.tiles.delete(uid);
    }
    for (const uid of this.uids) {
      let tile = this.tiles.get(uid);
      if (!tile) {
        tile = new Tile(uid, this);
        this.tiles.set(uid, tile);
        this.eyes.observe(tile.element);
      }
      if (this.grid.children[this.uids.indexOf(uid)] !== tile.element) this.grid.insertBefore(tile.element, this.grid.children[this.uids.indexOf(uid)] ?? null);
    }
    mark(this.grid, 'columns', String(this.columns || this.fit()));
    this.none.hidden = this.uids.length > 0;
    keepQuery({ layout: this.layout, cameras: this.uids.join(), columns: this.columns ? String(this.columns) : '' });
  }

  /* As many columns as make the tiles largest on this screen. */
  fit() {
    const n = Math.max(this.uids.length, 1);
    const [w, h] = [this.grid.clientWidth || innerWidth, innerHeight - this.grid.getBoundingClientRect().top - 12];
    const width = (columns) => Math.min(w / columns, (h / Math.ceil(n / columns)) * (16 / 9));
    return COLUMNS.reduce((best, c) => (width(c) > width(best) ? c : best), 1);
  }

  move(uid, before) {
    const from = this.uids.indexOf(uid);
    const to = this.uids.indexOf(before);
    if (from < 0 || to < 0 || from === to) return;
    this.uids.splice(to, 0, ...this.uids.splice(from, 1));
    this.arrange();
  }

  drop(uid) {
    this.uids = this.uids.filter((u) => u !== uid);
    this.arrange();
  }

  choose() {
    const chosen = new Set(this.uids);
    const filter = el('input', { type: 'search', placeholder: t('fleet.search'), 'aria-label': t('fleet.search'), oninput: () => list() });
    const box = el('ul.choose');
    const count = el('span.soft.grow');
    const list = () => {
      const text = filter.value.toLowerCase();
      const found = [...feed.streams.values()].filter((s) => `${s.label} ${s.uid}`.toLowerCase().includes(text)).sort((a, b) => compare(a.label, b.label)).slice(0, 300);
      say(count, t('wall.chosen', { n: chosen.size }));
      box.replaceChildren(...found.map((s) => el('li', {}, el('label.check', {}, el('input', { type: 'checkbox', checked: chosen.has(s.uid), onchange: (e) => { e.target.checked ? chosen.add(s.uid) : chosen.delete(s.uid); say(count, t('wall.chosen', { n: chosen.size })); } }),
        el('span.grow', {}, s.label), el('span.pill', { 'data-tone': toneOf(s) }, stateText(s))))));
    };
    const d = dialog(t('wall.choose'), [filter, box], { foot: [count, button(t('cancel'), () => d.close()), button(t('wall.show'), () => {
      this.uids = [...this.uids.filter((u) => chosen.has(u)), ...[...chosen].filter((u) => !this.uids.includes(u))].slice(0, TILES_MOST);
      d.close();
      this.arrange();
    }, { kind: 'primary' })] });
    list();
  }

  /* --- layouts, kept by the server: one's own, and those that all see; the URL of a wall is a layout too --- */

  showLayout() { this.saved.replaceChildren(icon('wall'), this.layout || t('wall.layouts')); }

  async take({ name, shared }) {
    const kept = await attempt(() => get(this.layoutPath(name, shared)));
    if (!kept) return;
    const { layout } = kept;
    const uids = Array.isArray(layout.uids) ? layout.uids.filter((uid) => typeof uid === 'string') : [];
    Object.assign(this, { layout: name, shared, uids: uids.slice(0, TILES_MOST), columns: COLUMNS.includes(layout.columns) ? layout.columns : 0 });
    this.column.value = String(this.columns);
    this.showLayout();
    this.arrange();
  }

  /* Of a URL that names a layout and no cameras. */
  async recall(name) {
    const { items } = (await attempt(() => get('/layouts'))) ?? { items: [] };
    const kept = items.find((l) => l.name === name && !l.shared) ?? items.find((l) => l.name === name);
    if (kept) await this.take(kept);
    return Boolean(kept);
  }

  async openLayouts(anchor) {
    const said = await attempt(() => get('/layouts'));
    if (!said) return;
    const entry = (l) => ({ text: l.name, on: l.name === this.layout && l.shared === this.shared, run: () => this.take(l) });
    const [own, all] = [false, true].map((shared) => said.items.filter((l) => l.shared === shared).sort((a, b) => compare(a.name, b.name)));
    const current = said.items.find((l) => l.name === this.layout && l.shared === this.shared);
    menu(anchor, [
      ...(own.length ? [{ title: t('wall.own') }, ...own.map(entry)] : []),
      ...(all.length ? [{ title: t('wall.shared') }, ...all.map(entry)] : []),
      ...(said.items.length ? [{ line: true }] : []),
      { text: t('wall.save'), icon: 'check', run: () => this.save() },
      ...(current && (!current.shared || may('configure')) ? [{ text: t('wall.forget', { name: this.layout }), icon: 'trash', danger: true, run: () => this.forget() }] : []),
    ]);
  }

  layoutPath(name, shared) { return `/layouts/${encodeURIComponent(name)}${shared ? '?shared=true' : ''}`; }

  save() {
    const name = el('input', { name: 'name', value: this.layout, maxlength: '60', required: true });
    const shared = el('input', { type: 'checkbox', name: 'shared', checked: this.shared === true });
    const at = field(t('wall.name'), name);
    formDialog(t('wall.save'), [at, may('configure') ? el('label.check', {}, shared, t('wall.share')) : null].filter(Boolean), t('save'), async (d) => {
      const text = name.value.trim();
      const forAll = may('configure') && shared.checked;
      at.wrong(text === '' || text.includes('/') ? t('wall.name_wrong') : '');
      if (text === '' || text.includes('/')) return;
      try {
        await put(this.layoutPath(text, forAll), { layout: { uids: this.uids, columns: this.columns } });
        Object.assign(this, { layout: text, shared: forAll });
        d.close();
        this.showLayout();
        this.arrange();
        toast(t('wall.saved', { name: text }));
      } catch (e) {
        at.wrong(e.message);
      }
    });
  }

  async forget() {
    if (!(await confirm(t('wall.forget', { name: this.layout }), t('wall.forget_text'), t('wall.forget_do')))) return;
    if (!(await attempt(() => remove(this.layoutPath(this.layout, this.shared))))) return;
    Object.assign(this, { layout: '', shared: false });
    this.showLayout();
    this.arrange();
  }
}

export function show(root) {
  const wall = new Wall(root);
  return () => wall.close();
}
