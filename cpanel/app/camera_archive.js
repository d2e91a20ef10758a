/* Below the picture: the time line with what was recorded, events and locks; cutting, locking, sharing. */
import { all, get, mediaPath, post, remove, streamPath } from './api.js';
import { button, calm, el, field, icon, iconButton, save, say } from './dom.js';
import * as feed from './feed.js';
import { calendar } from './calendar.js';
import { CameraLine } from './camera_line.js';
import { attempt, dialog, onTheme, toast } from './frame.js';
import { may } from './session.js';
import { bytes, duration, fullText, inputText, inputTime, momentText, t } from './text.js';

const VIEW_MS = 250; /* the line has stood so long: what it shows is loaded */
const GROWS_S = 30; /* a stretch that ended so long ago goes on while recording does */
const CUT_S = 60;
const EVENTS_MOST = 500;

export class CameraArchive {
  /* on: { seek(t) } */
  constructor(uid, on) {
    Object.assign(this, { uid, on, ranges: [], events: [], locks: [], missing: [], lost: [], cut: null, at: null });
    this.build();
    const view = calm(VIEW_MS, () => this.load());
    this.line = new CameraLine(this.canvas, this.tip, { onSeek: (at) => on.seek(at), onView: () => { this.showSpan(); view(); }, onScrub: (at) => this.preview(at), onCut: (cut) => this.setCut(cut) });
    this.stopTheme = onTheme(() => this.line.draw());
    this.showSpan();
    this.load().then(() => { this.line.fit(); this.showSpan(); });
  }

  close() {
    this.stopTheme();
    this.closed = true;
  }

  build() {
    this.canvas = el('canvas.line-canvas', { tabindex: '0', role: 'slider', 'aria-label': t('line.label'), 'aria-valuemin': '0', 'aria-valuemax': '0', 'aria-valuenow': '0' });
    this.tip = el('output.tip', { hidden: true });
    this.thumb = el('img.thumb', { alt: '', hidden: true });
    this.span = el('output.span.num');
    this.note = el('span.soft');
    this.cutBar = el('div.cut-bar', { hidden: true });
    this.jump = el('input', { type: 'datetime-local', step: '1', 'aria-label': t('line.go'), title: t('line.go'), onchange: () => { const at = inputTime(this.jump.value); if (at) this.on.seek(Math.min(at, feed.now())); } });
    const tools = el('div.line-tools', {}, iconButton('calendar', t('calendar.title'), (e) => this.openCalendar(e.currentTarget)), this.jump,
      may('archive') ? button(t('cut.title'), () => this.toggleCut(), { icon: 'scissors', kind: 'small' }) : null, may('archive') ? button(t('share.title'), () => this.share(), { icon: 'link', kind: 'small' }) : null, this.note,
      el('div.line-zoom', {}, iconButton('left', t('line.earlier'), () => this.line.move(-0.5)), iconButton('minus', t('line.more'), () => this.line.setZoom(this.line.zoom + 1)), this.span,
        iconButton('plus', t('line.less'), () => this.line.setZoom(this.line.zoom - 1)), iconButton('right', t('line.later'), () => this.line.move(0.5))));
    const legend = el('div.legend', { 'aria-hidden': 'true' }, ...['rec', 'event', 'guard'].map((name) => el(`span.key.${name}`, {}, t(`line.${name}`))));
    this.element = el('section.card.archive', { 'aria-label': t('line.title') }, el('div.line-box', {}, this.canvas, this.tip, this.thumb), tools, this.cutBar, legend);
  }

  /* --- what was recorded --- */

  async load() {
    const from = Math.floor(this.line.start - this.line.span * 0.5);
    const to = Math.ceil(this.line.end);
    const ask = (what) => get(streamPath(this.uid, what), { from, to, limit: what === '/ranges' ? undefined : EVENTS_MOST }).catch(() => null);
    const said = await Promise.all([ask('/ranges'), ask('/events'), ask('/locks')]);
    if (this.closed) return;
    const [ranges, events, locks] = said.map((x) => x?.items);
    this.lost = ['ranges', 'events', 'locks'].filter((_, i) => said[i] === null);
    this.missing = [...new Set(said.flatMap((x) => x?.missing ?? []))].sort((a, b) => a - b);
    if (ranges) this.ranges = ranges.map((r) => ({ from: r.from, to: r.to ?? r.from + r.duration })).sort((a, b) => a.from - b.from);
    if (events) this.events = events.map((e) => ({ ...e, from: e.from ?? e.start ?? e.at, to: e.to ?? e.end ?? undefined, text: e.kind })).filter((e) => e.from);
    if (locks) this.locks = locks.map((l) => ({ ...l, text: l.note }));
    this.show();
  }

  show() {
    const total = this.ranges.reduce((sum, r) => sum + Math.max(0, Math.min(r.to, this.line.end) - Math.max(r.from, this.line.start)), 0);
    this.line.setRanges(this.ranges);
    this.line.setMarks(this.events, this.locks);
    const notes = [total > 0 ? t('line.total', { time: duration(total) }) : t('line.nothing'), ...this.lost.map((what) => t(`line.lost.${what}`))];
    if (this.missing.length > 0) notes.push(t('line.missing', { nodes: this.missing.join(', ') }));
    say(this.note, notes.join(' · '));
    this.onMarks?.(this.events, this.locks);
  }

  showSpan() { say(this.span, duration(this.line.span)); }

  /* Recording goes on: what is recorded now is as long as the time that passes. */
  setTime(at) {
    const now = feed.now();
    const last = this.ranges.at(-1);
    if (last && now - last.to < GROWS_S && feed.streams.get(this.uid)?.record === 'on') last.to = now - 1;
    this.at = at;
    this.line.setTimes(now, at);
    if (document.activeElement !== this.jump && at !== null) this.jump.value = inputText(at);
  }

  /* While the cursor is dragged: what was seen there, as far as the server can say it in time. */
  preview(at) {
    this.thumb.hidden = false;
    this.thumb.style.left = `${Math.max(84, Math.min(this.line.x(at), this.canvas.clientWidth - 84))}px`;
    this.showThumb ??= calm(120, (when) => { this.thumb.src = mediaPath(this.uid, `${Math.floor(when)}-preview.jpg?width=192`); });
    this.showThumb(at);
    clearTimeout(this.thumbGone);
    this.thumbGone = setTimeout(() => { this.thumb.hidden = true; }, 1500);
  }

  openCalendar(anchor) {
    const d = dialog(t('calendar.title'), calendar(this.at ?? feed.now(), {
      load: (from, to) => all(streamPath(this.uid, '/ranges'), { from: Math.floor(from), to: Math.ceil(to), limit: undefined }),
      pick: (from, to) => {
        d.close();
        this.line.zoom = this.line.spans.indexOf(86400);
        this.line.place(to - from > 3600 ? Math.max(to, from + 86400 * 0.9) : to + 1800);
        this.on.seek(from);
        anchor.focus();
      },
    }));
  }

  /* --- a stretch --- */

  toggleCut() {
    if (this.cut) {
      this.setCut(null);
      return;
    }
    const at = Math.min(this.at ?? feed.now(), feed.now() - 10);
    this.setCut({ from: Math.floor(at - CUT_S / 2), to: Math.ceil(Math.min(at + CUT_S / 2, feed.now() - 2)) });
  }

  cutEdge(which) {
    const at = Math.round(this.at ?? feed.now());
    const cut = this.cut ?? { from: at - CUT_S, to: at + CUT_S };
    this.setCut(which === 'from' ? { from: at, to: Math.max(cut.to, at + 1) } : { from: Math.min(cut.from, at - 1), to: at });
  }

  setCut(cut) {
    this.cut = cut && { from: Math.floor(cut.from), to: Math.ceil(cut.to) };
    this.line.setCut(this.cut);
    this.cutBar.hidden = !cut;
    if (!cut) return;
    if (!this.cutFields) this.buildCut();
    const { from, to, about } = this.cutFields;
    if (document.activeElement !== from) from.value = inputText(this.cut.from);
    if (document.activeElement !== to) to.value = inputText(this.cut.to);
    const seconds = this.cut.to - this.cut.from;
    const rate = feed.streams.get(this.uid)?.bitrate;
    say(about, rate ? t('cut.about', { time: duration(seconds), size: bytes((rate / 8) * seconds) }) : duration(seconds));
  }

  buildCut() {
    const edge = (name) => el('input', { type: 'datetime-local', step: '1', 'aria-label': t(`cut.${name}`), onchange: (e) => { const at = inputTime(e.target.value); if (at) this.setCut({ ...this.cut, [name]: at }); } });
    const f = { from: edge('from'), to: edge('to'), about: el('span.soft.num') };
    f.get = button(t('cut.download'), () => this.download(), { kind: 'primary', icon: 'download' });
    this.cutFields = f;
    this.cutBar.append(icon('scissors'), f.from, el('span', {}, '–'), f.to, f.about, el('span.grow'), f.get, ...(may('operate') ? [button(t('lock.do'), () => this.lock(), { icon: 'lock' })] : []), iconButton('close', t('close'), () => this.setCut(null)));
  }

  /* The server says beforehand whether it is whole: a HEAD of the film. */
  async download() {
    const { from, to } = this.cut;
    const url = mediaPath(this.uid, `archive-${from}-${to - from}.mp4?audio=aac`);
    const head = await fetch(url, { method: 'HEAD' }).catch(() => null);
    if (!head?.ok) {
      toast(t(head?.status === 404 ? 'player.not_recorded' : head?.status === 413 ? 'cut.too_long' : 'cut.failed'), { kind: 'bad' });
      return;
    }
    const gaps = Number(head.headers.get('X-Archive-Gaps')) || 0;
    if (gaps > 0) toast(t('cut.gaps', { n: gaps, time: duration(Number(head.headers.get('X-Archive-Gap-Seconds')) || 0) }));
    save(`${this.uid}-${from}.mp4`, url);
    toast(t('cut.begun', { size: bytes(Number(head.headers.get('Content-Length'))) }));
  }

  async lock() {
    const { from, to } = this.cut;
    const note = el('input', { name: 'note', maxlength: '200', placeholder: t('lock.note_example') });
    const yes = button(t('lock.do'), async () => {
      if (!(await attempt(() => post(streamPath(this.uid, '/locks'), { from, to, note: note.value.trim() }), t('lock.done')))) return;
      d.close();
      this.load();
    }, { kind: 'primary', icon: 'lock' });
    const d = dialog(t('lock.title'), [el('p', {}, t('lock.text', { from: fullText(from), to: fullText(to) })), field(t('lock.note'), note)], { foot: [button(t('cancel'), () => d.close()), yes] });
  }

  async unlock(id) {
    if (await attempt(() => remove(streamPath(this.uid, `/locks/${encodeURIComponent(id)}`)), t('lock.released'))) this.load();
  }

  async share() {
    const { openShare } = await import('./share.js');
    openShare(this.uid, { cut: this.cut, at: this.at !== null && feed.now() - this.at > 60 ? this.at : null });
  }

  lockList(locks) {
    return locks.length === 0 ? el('p.soft', {}, t('lock.none')) : el('ul.lines', {}, ...locks.map((l) => el('li', {}, icon('lock'), el('button.text-button', { type: 'button', onclick: () => this.on.seek(l.from) }, `${momentText(l.from)} – ${momentText(l.to)}`),
      el('span.soft.grow', {}, l.note ?? ''), may('operate') && l.id !== undefined ? button(t('lock.release'), () => this.unlock(l.id), { kind: 'link' }) : null)));
  }

  eventList(events) {
    const newest = [...events].sort((a, b) => b.from - a.from).slice(0, 100);
    if (newest.length === 0) return el('p.soft', {}, t(this.lost.includes('events') ? 'line.lost.events' : 'event.none'));
    return el('ul.lines', {}, ...newest.map((e) => el('li', {}, icon('flag'), el('button.text-button', { type: 'button', onclick: () => this.on.seek(e.from - 2) }, momentText(e.from)),
      el('span.grow', {}, e.kind ?? ''), el('span.soft.num', {}, e.to ? duration(e.to - e.from) : ''))), events.length > 100 ? el('li.soft', {}, t('event.more', { n: events.length - 100 })) : null);
  }
}
