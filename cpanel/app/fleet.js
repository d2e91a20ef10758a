/* The fleet: every camera in a list that stays smooth with thousands of them. */
import { button, calm, el, icon, iconButton, mark, say, select } from './dom.js';
import * as feed from './feed.js';
import { actionsFor, enable, move, pause, removeCameras, restart } from './fleet_actions.js';
import { fillGroup, fillRow, makeGroup, makeRow, readColours } from './fleet_row.js';
import { arrange, counts, groupings, kinds, orders, steady } from './fleet_view.js';
import { onTheme, setTitle } from './frame.js';
import { menu } from './menu.js';
import { mayMove } from './nodes.js';
import { cameraPath, go, keepQuery } from './router.js';
import { may } from './session.js';
import { number, t } from './text.js';
import { VirtualList } from './virtual.js';

const SHOW_MS = 1000; /* values of rows are written as often at most */
const AGES_MS = 10000; /* "since" grows */
const TONES = { down: 'bad', unsteady: 'warn', unrecorded: 'bad', active: 'good' };
const SHY = ['unsteady', 'idle', 'disabled', 'unrecorded', 'watched', 'down']; /* chips that are there when they count something */

const narrow = matchMedia('(max-width: 720px)');
const openForm = async (uid) => (await import('./camera_form.js')).openForm(uid);

class Fleet {
  constructor(root) {
    const asked = new URLSearchParams(location.search);
    this.view = {
      kind: kinds[asked.get('show')] ? asked.get('show') : 'all', text: asked.get('q') ?? '', order: orders[asked.get('sort')] ? asked.get('sort') : 'name',
      group: asked.get('group') in groupings ? asked.get('group') : 'none', folded: new Set(),
    };
    this.selected = new Set();
    this.build(root);
    this.list = new VirtualList(this.holder, {
      keyOf: (item) => (item.group ? `\n${item.key}` : item.uid),
      heightOf: (item) => (item.group ? 38 : narrow.matches ? 92 : 58),
      make: (item) => (item.group ? makeGroup(item, { fold: (key) => this.fold(key) }) : makeRow(item, this.rowEvents())),
      fill: (row, item) => (item.group ? fillGroup(row, item) : fillRow(row, item, { selected: this.selected.has(item.uid) })),
    });
    this.stops = [
      feed.on('streams', (said) => this.changed(said)),
      feed.on('alive', (alive) => alive && this.arrange()),
      onTheme(() => { readColours(); this.list.refresh(); }),
    ];
    const width = () => { this.list.measure(); this.list.update(true); };
    narrow.addEventListener('change', width);
    this.stops.push(() => narrow.removeEventListener('change', width));
    this.ages = setInterval(() => document.hidden || this.list.refresh(), AGES_MS);
    readColours();
    this.arrange();
  }

  close() {
    clearInterval(this.ages);
    clearTimeout(this.later);
    for (const stop of this.stops) stop();
    this.list.close();
    this.bulk.remove();
  }

  /* --- the page --- */

  build(root) {
    setTitle(t('nav.fleet'));
    this.chips = Object.fromEntries(Object.keys(kinds).map((kind) => [kind, this.chip(kind)]));
    this.search = el('input', { type: 'search', value: this.view.text, placeholder: t('fleet.search'), 'aria-label': t('fleet.search'), autocomplete: 'off', spellcheck: 'false' });
    this.search.addEventListener('input', calm(120, () => this.choose({ text: this.search.value })));
    const order = select(Object.keys(orders).map((o) => [o, t(`sort.${o}`)]), this.view.order, { 'aria-label': t('fleet.sort'), title: t('fleet.sort'), onchange: (e) => this.choose({ order: e.target.value }) });
    const group = select(Object.keys(groupings).map((g) => [g, t(`group.${g}`)]), this.view.group, { 'aria-label': t('fleet.group'), title: t('fleet.group'), onchange: (e) => this.choose({ group: e.target.value }) });
    this.choosing = may('operate') ? button(t('fleet.choose'), () => this.setChoosing(this.grid.dataset.choosing !== 'true'), { icon: 'check', kind: 'choose-button', 'aria-pressed': 'false' }) : null;
    const add = may('configure') ? button(t('fleet.add'), () => openForm(null), { kind: 'primary', icon: 'plus' }) : null;
    this.every = el('input', { type: 'checkbox', 'aria-label': t('fleet.select_all'), onclick: () => this.selectAll(this.every.checked) });
    const heads = [['c-check', may('operate') ? this.every : el('span.sr', {}, t('fleet.select_all'))], ['c-shot', el('span.sr', {}, t('head.picture'))], ['c-name', t('head.camera')], ['c-state', t('head.state')],
      ['c-rate', t('head.bitrate')], ['c-viewers', t('head.viewers')], ['c-record', t('head.record')], ['c-more', el('span.sr', {}, t('head.actions'))]];
    this.holder = el('div.rows', { role: 'rowgroup' });
    this.grid = el('div.grid', { role: 'grid', 'aria-label': t('nav.fleet'), 'aria-multiselectable': 'true' },
      el('div', { role: 'rowgroup' }, el('div.row.heads', { role: 'row', 'aria-rowindex': '1' }, ...heads.map(([name, what]) => el(`div.cell.${name}`, { role: 'columnheader' }, what)))), this.holder);
    this.none = el('div.empty', { hidden: true });
    this.bulk = this.bulkBar();
    root.append(el('h1.sr', {}, t('nav.fleet')),
      el('div.fleet-head', {}, el('div.chips', { role: 'group', 'aria-label': t('fleet.filter') }, ...Object.values(this.chips)), el('div.fleet-tools', {}, el('div.search', {}, icon('search'), this.search), group, order, this.choosing, add)),
      this.grid, this.none);
    document.body.append(this.bulk);
    this.grid.addEventListener('keydown', (e) => this.key(e));
  }

  chip(kind) {
    const n = el('b', {}, '0');
    const chip = el('button.chip', { type: 'button', 'aria-pressed': 'false', onclick: () => this.choose({ kind: this.view.kind === kind ? 'all' : kind }) }, t(`show.${kind}`), n);
    chip.n = n;
    if (TONES[kind]) chip.dataset.tone = TONES[kind];
    return chip;
  }

  /* On a phone there is room for boxes to tick only while cameras are chosen. */
  setChoosing(on) {
    mark(this.grid, 'choosing', String(on));
    this.choosing?.setAttribute('aria-pressed', String(on));
    if (!on) this.clearSelection();
  }

  bulkBar() {
    this.bulkText = el('strong.num');
    this.everyBelow = el('input', { type: 'checkbox', onclick: () => this.selectAll(this.everyBelow.checked) });
    const act = (key, sign, run, kind) => button(t(key), () => run([...this.selected]), { icon: sign, kind: kind ?? '' });
    this.mover = act('action.move', 'move', move);
    return el('div.bulk', { role: 'toolbar', 'aria-label': t('bulk.label'), hidden: true }, el('span.bulk-head', {}, el('label.bulk-all', {}, this.everyBelow, t('fleet.select_all')), this.bulkText), act('action.restart', 'restart', restart), act('action.enable', 'power', (u) => enable(u, true)),
      act('action.disable', 'power', (u) => enable(u, false)), act('action.pause', 'pause', (u) => pause(u, true)), act('action.resume', 'record', (u) => pause(u, false)), this.mover,
      act('action.remove', 'trash', async (u) => { if (await removeCameras(u)) this.clearSelection(); }, 'danger'), iconButton('close', t('bulk.clear'), () => this.setChoosing(false)));
  }

  rowEvents() {
    return {
      select: (uid, on, range) => this.select(uid, on, range),
      menu: (anchor, s) => menu(anchor, actionsFor([s.uid], { open: () => go(cameraPath(s.uid)), edit: may('configure') ? () => openForm(s.uid) : null })),
    };
  }

  /* --- what is shown --- */

  choose(what) {
    Object.assign(this.view, what);
    const { kind, text, order, group } = this.view;
    keepQuery({ show: kind === 'all' ? '' : kind, q: text, sort: order === 'name' ? '' : order, group: group === 'none' ? '' : group });
    this.arrange();
  }

  fold(key) {
    const { folded } = this.view;
    if (!folded.delete(key)) folded.add(key);
    this.arrange();
  }

  arrange() {
    const got = arrange(feed.streams.values(), this.view);
    this.shown = got.streams;
    this.list.set(got.items);
    this.grid.setAttribute('aria-rowcount', got.items.length + 1);
    this.showCounts();
    this.showNone();
    this.showSelection();
  }

  showCounts() {
    const n = counts(feed.streams.values());
    for (const [kind, chip] of Object.entries(this.chips)) {
      const on = this.view.kind === kind;
      say(chip.n, number(n[kind]));
      chip.setAttribute('aria-pressed', String(on));
      chip.hidden = SHY.includes(kind) && n[kind] === 0 && !on;
    }
  }

  showNone() {
    const empty = feed.streams.size === 0;
    this.none.hidden = this.shown.length > 0;
    this.grid.hidden = this.shown.length === 0;
    if (this.shown.length > 0) return;
    if (empty && feed.alive !== true) this.none.replaceChildren(el('div.spin'), el('p', {}, t('loading')));
    else if (empty) this.none.replaceChildren(icon('camera'), el('h2', {}, t('fleet.empty')), el('p', {}, t('fleet.empty_text')), ...(may('configure') ? [button(t('fleet.add'), () => openForm(null), { kind: 'primary', icon: 'plus' })] : []));
    else this.none.replaceChildren(icon('search'), el('h2', {}, t('fleet.nothing')), button(t('fleet.show_all'), () => { this.search.value = ''; this.choose({ kind: 'all', text: '' }); }));
  }

  /* New values: a page that nobody sees is written when it is seen again; order and filters follow states, not every sample. */
  changed({ all, uids }) {
    if (all || !steady.includes(this.view.order) || this.view.kind !== 'all' || this.view.group !== 'none') this.stale = true;
    for (const uid of uids) (this.fresh ??= new Set()).add(uid);
    this.later ??= setTimeout(() => this.flush(), all ? 0 : SHOW_MS / 4);
  }

  flush() {
    this.later = null;
    const fresh = this.fresh ?? new Set();
    this.fresh = null;
    if (this.stale || this.list.items.length === 0) {
      this.stale = false;
      this.arrange();
      return;
    }
    this.list.refresh(fresh.size < this.list.rows.size ? fresh : undefined);
    this.showCounts();
  }

  /* --- selection --- */

  select(uid, on, range) {
    const list = this.shown.map((s) => s.uid);
    const [a, b] = [list.indexOf(this.anchor), list.indexOf(uid)];
    const touched = range && a >= 0 ? list.slice(Math.min(a, b), Math.max(a, b) + 1) : [uid];
    for (const each of touched) on ? this.selected.add(each) : this.selected.delete(each);
    this.anchor = uid;
    this.showSelection();
    this.list.refresh();
  }

  selectAll(on) {
    this.selected = new Set(on ? this.shown.map((s) => s.uid) : []);
    this.showSelection();
    this.list.refresh();
  }

  clearSelection() { this.selectAll(false); }

  showSelection() {
    for (const uid of this.selected) if (!feed.streams.has(uid)) this.selected.delete(uid);
    const n = this.selected.size;
    this.bulk.hidden = n === 0;
    this.mover.hidden = !mayMove();
    say(this.bulkText, t('fleet.selected', { n }));
    for (const box of [this.every, this.everyBelow]) {
      box.checked = n > 0 && n === this.shown.length;
      box.indeterminate = n > 0 && n < this.shown.length;
    }
  }

  /* --- keys: arrows and Page keys go from camera to camera, Space selects, Enter opens (the link has the focus) --- */

  key(e) {
    const row = e.target.closest('.row');
    if (!row?.item || e.target.closest('.menu')) return;
    const list = this.list.items;
    const at = list.findIndex((i) => i === row.item || (i.uid && i.uid === row.item.uid));
    const page = Math.max(1, Math.floor(innerHeight / 70));
    const to = { ArrowDown: at + 1, ArrowUp: at - 1, PageDown: at + page, PageUp: at - page, Home: 0, End: list.length - 1 }[e.key];
    if (to !== undefined) {
      const next = list[Math.max(0, Math.min(to, list.length - 1))];
      this.list.reach(next.group ? `\n${next.key}` : next.uid)?.querySelector('a.cam-name, button')?.focus({ preventScroll: true });
      e.preventDefault();
    } else if (e.key === ' ' && row.item.uid && e.target.matches('a')) {
      this.select(row.item.uid, !this.selected.has(row.item.uid), e.shiftKey);
      e.preventDefault();
    }
  }
}

export function show(root) {
  const fleet = new Fleet(root);
  mark(root, 'page', 'fleet');
  return () => fleet.close();
}
