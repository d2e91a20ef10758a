/* The time line: what was recorded, where the player is, and a way to go elsewhere. A tap or click plays there,
 * dragging moves the line, the wheel and + and - zoom. Drawn on a canvas in the page's colours. */
import * as format from './format.js';

const SPANS = [600, 1800, 3600, 3 * 3600, 6 * 3600, 12 * 3600, 86400, 3 * 86400, 7 * 86400, 30 * 86400];
const TICKS = [60, 300, 600, 1800, 3600, 3 * 3600, 6 * 3600, 12 * 3600, 86400, 2 * 86400, 7 * 86400, 30 * 86400, 91 * 86400];
const TICK_PX = 74; /* labels need so much room */
const DRAG_PX = 6; /* less is a tap */
const FUTURE = 0.06; /* of the span, right of now */

export class Timeline {
  /* texts: times as people read them, as format.js has them; spans: the steps of the zoom, seconds. */
  constructor(canvas, tip, { onSeek, onView, spans = SPANS, texts = format }) {
    Object.assign(this, { canvas, tip, onSeek, onView, spans, texts });
    this.ranges = [];
    this.zoom = 3;
    this.cursor = null;
    this.now = Date.now() / 1000;
    this.stick = true; /* the right edge goes with the time */
    this.end = this.now + this.span * FUTURE;
    this.pointers = new Map();
    this.listen();
    new ResizeObserver(() => this.draw()).observe(canvas);
    matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => this.draw());
  }

  get span() { return this.spans[this.zoom]; }
  get start() { return this.end - this.span; }

  setRanges(ranges) {
    this.ranges = ranges;
    this.draw();
  }

  setTimes(now, cursor) {
    const left = this.cursor !== null && this.cursor <= this.end && cursor > this.end;
    this.now = now;
    this.cursor = cursor;
    if (this.stick) this.end = now + this.span * FUTURE;
    else if (left) this.place(cursor + this.span / 2); /* what is played stays in view */
    this.describe();
    this.draw();
  }

  setZoom(zoom, around = this.cursor ?? this.now) {
    zoom = Math.min(Math.max(zoom, 0), this.spans.length - 1);
    const part = (this.end - around) / this.span;
    this.zoom = zoom;
    this.place(around + part * this.span);
  }

  /* Where little was recorded, less time fills the line. */
  fit() {
    const oldest = this.ranges[0]?.from;
    if (!oldest) return;
    const zoom = this.spans.findIndex((s) => s * (1 - FUTURE) > this.now - oldest);
    if (zoom >= 0 && zoom < this.zoom) this.setZoom(zoom);
  }

  move(parts) { this.place(this.end + parts * this.span); }

  /* Brings a moment into view. */
  show(t) {
    if (t < this.start || t > this.end) this.place(t + this.span / 2);
  }

  place(end) {
    const latest = this.now + this.span * FUTURE;
    this.stick = end >= latest - 1;
    this.end = Math.min(end, latest);
    this.onView();
    this.draw();
  }

  at(x) { return this.start + (x / this.canvas.clientWidth) * this.span; }
  x(t) { return ((t - this.start) / this.span) * this.canvas.clientWidth; }

  /* --- input --- */

  listen() {
    const c = this.canvas;
    c.addEventListener('pointerdown', (e) => this.down(e));
    c.addEventListener('pointermove', (e) => this.moved(e));
    c.addEventListener('pointerup', (e) => this.up(e));
    c.addEventListener('pointercancel', (e) => this.pointers.delete(e.pointerId));
    c.addEventListener('pointerleave', () => { this.tip.hidden = true; });
    c.addEventListener('wheel', (e) => {
      e.preventDefault();
      if (Math.abs(e.deltaX) > Math.abs(e.deltaY)) this.place(this.end + (e.deltaX / c.clientWidth) * this.span);
      else this.setZoom(this.zoom + Math.sign(e.deltaY), this.at(e.offsetX));
    }, { passive: false });
    c.addEventListener('keydown', (e) => this.key(e));
  }

  down(e) {
    if (e.button !== 0) return;
    this.canvas.setPointerCapture(e.pointerId);
    this.pointers.set(e.pointerId, { x: e.offsetX, from: e.offsetX, end: this.end, dragged: false });
  }

  moved(e) {
    const p = this.pointers.get(e.pointerId);
    this.hint(e.offsetX);
    if (!p) return;
    p.x = e.offsetX;
    if (Math.abs(p.x - p.from) > DRAG_PX) p.dragged = true;
    if (this.pointers.size === 2) this.pinch();
    else if (p.dragged) this.place(p.end - ((p.x - p.from) / this.canvas.clientWidth) * this.span);
  }

  up(e) {
    const p = this.pointers.get(e.pointerId);
    this.pointers.delete(e.pointerId);
    this.pinched = undefined;
    if (p && !p.dragged) this.onSeek(Math.min(this.at(e.offsetX), this.now));
  }

  pinch() {
    const [a, b] = [...this.pointers.values()];
    const gap = Math.abs(a.x - b.x);
    a.dragged = b.dragged = true;
    this.pinched ??= gap;
    if (gap > this.pinched * 1.4 || gap < this.pinched / 1.4) {
      this.setZoom(this.zoom + (gap > this.pinched ? -1 : 1), this.at((a.x + b.x) / 2));
      this.pinched = gap;
    }
  }

  key(e) {
    const step = { ArrowLeft: -10, ArrowRight: 10, PageUp: -600, PageDown: 600 }[e.key];
    const here = this.cursor ?? this.now;
    if (step) this.onSeek(Math.min(here + step, this.now));
    else if (e.key === 'Home' && this.ranges.length) this.onSeek(this.ranges[0].from);
    else if (e.key === 'End') this.onSeek(this.now);
    else return;
    e.preventDefault();
    e.stopPropagation();
  }

  hint(x) {
    const t = this.at(x);
    this.tip.hidden = t > this.now;
    this.tip.textContent = this.texts.momentText(t, this.now);
    this.tip.style.left = `${Math.min(Math.max(x, 50), this.canvas.clientWidth - 50)}px`;
  }

  describe() {
    const c = this.canvas;
    const here = Math.round(this.cursor ?? this.now);
    c.setAttribute('aria-valuemin', Math.round(this.ranges[0]?.from ?? this.start));
    c.setAttribute('aria-valuemax', Math.round(this.now));
    c.setAttribute('aria-valuenow', here);
    c.setAttribute('aria-valuetext', this.texts.momentText(here, this.now));
  }

  /* --- picture --- */

  draw() {
    const c = this.canvas;
    const ratio = window.devicePixelRatio || 1;
    const [w, h] = [c.clientWidth, c.clientHeight];
    if (w === 0) return;
    if (c.width !== Math.round(w * ratio)) c.width = Math.round(w * ratio);
    if (c.height !== Math.round(h * ratio)) c.height = Math.round(h * ratio);
    const g = c.getContext('2d');
    const css = getComputedStyle(c);
    const colour = (name) => css.getPropertyValue(`--${name}`).trim();
    g.setTransform(ratio, 0, 0, ratio, 0, 0);
    g.clearRect(0, 0, w, h);
    g.fillStyle = colour('lane');
    g.fillRect(0, 20, w, h - 20);
    g.fillStyle = colour('rec');
    for (const r of this.ranges) {
      const from = Math.max(this.x(r.from), 0);
      const to = Math.min(this.x(r.to), w);
      if (to > 0 && from < w) g.fillRect(from, 20, Math.max(to - from, 1), h - 20);
    }
    this.drawMore(g, w, h, colour);
    this.drawTicks(g, w, h, colour);
    this.drawMark(g, h, this.now, colour('live'), 1.5);
    if (this.cursor !== null) this.drawCursor(g, w, h, colour('ink'));
  }

  /* For who shows more than what was recorded. */
  drawMore() {}

  drawTicks(g, w, h, colour) {
    const step = TICKS.find((s) => (s / this.span) * w >= TICK_PX) ?? TICKS[TICKS.length - 1];
    const zone = new Date(this.start * 1000).getTimezoneOffset() * 60;
    g.font = `11px ${getComputedStyle(document.body).fontFamily}`;
    g.textAlign = 'center';
    g.textBaseline = 'middle';
    for (let t = Math.ceil((this.start - zone) / step) * step + zone; t < this.end; t += step) {
      const x = this.x(t);
      const midnight = (t - zone) % 86400 === 0;
      g.fillStyle = colour('edge');
      g.fillRect(Math.round(x), 20, 1, h - 20);
      g.fillStyle = midnight ? colour('ink') : colour('soft');
      if (x > 24 && x < w - 24) g.fillText(midnight ? this.texts.dayText(t) : this.texts.hourText(t), x, 9);
    }
  }

  drawMark(g, h, t, fill, width) {
    const x = this.x(t);
    g.fillStyle = fill;
    g.fillRect(x - width / 2, 20, width, h - 20);
  }

  drawCursor(g, w, h, fill) {
    const x = this.x(this.cursor);
    if (x < -5 || x > w + 5) return;
    this.drawMark(g, h, this.cursor, fill, 2);
    g.beginPath();
    g.moveTo(x - 6, 18);
    g.lineTo(x + 6, 18);
    g.lineTo(x, 26);
    g.fill();
  }

  get spanText() { return this.texts.lengthText(this.span); }
  get hereText() { return this.texts.clockText(this.cursor ?? this.now); }
}
