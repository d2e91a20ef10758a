/* The player's time line with what an operator needs besides: events, locks, a stretch to cut, dragging the cursor, months. */
import { Timeline } from '../player/timeline.js';
import * as words from './text.js';

const DAY = 86400;
const SPANS = [120, 600, 1800, 3600, 3 * 3600, 6 * 3600, 12 * 3600, DAY, 3 * DAY, 7 * DAY, 14 * DAY, 30 * DAY, 91 * DAY, 183 * DAY, 366 * DAY];
const STRIP = 22; /* px below the lane, for events and locks */
const GRIP_PX = 9; /* so near to a mark it is meant */

const texts = { ...words, hourText: words.minuteText, lengthText: words.duration };

export class CameraLine extends Timeline {
  /* on: { onSeek(t), onView(), onScrub(t) while the cursor is dragged, onCut({ from, to }) } */
  constructor(canvas, tip, on) {
    super(canvas, tip, { ...on, spans: SPANS, texts });
    Object.assign(this, { onScrub: on.onScrub, onCut: on.onCut, events: [], locks: [], cut: null, grip: null });
    this.zoom = SPANS.indexOf(6 * 3600);
    this.end = this.now + this.span * 0.06;
  }

  setMarks(events, locks) {
    Object.assign(this, { events, locks });
    this.draw();
  }

  setCut(cut) {
    this.cut = cut;
    this.draw();
  }

  /* --- what can be dragged --- */

  gripAt(x) {
    const near = (t) => t !== null && t !== undefined && Math.abs(this.x(t) - x) <= GRIP_PX;
    if (this.cut && near(this.cut.from)) return 'from';
    if (this.cut && near(this.cut.to)) return 'to';
    return near(this.cursor) ? 'cursor' : null;
  }

  down(e) {
    this.grip = e.button === 0 ? this.gripAt(e.offsetX) : null;
    if (!this.grip) {
      super.down(e);
      return;
    }
    this.canvas.setPointerCapture(e.pointerId);
    this.scrub = null;
  }

  moved(e) {
    if (!this.grip) {
      super.moved(e);
      this.canvas.style.cursor = this.pointers.size ? 'grabbing' : this.gripAt(e.offsetX) ? 'ew-resize' : '';
      return;
    }
    const t = Math.min(this.at(e.offsetX), this.now);
    this.hint(e.offsetX);
    if (this.grip === 'cursor') {
      this.scrub = t;
      this.onScrub(t);
    } else if (this.grip === 'from') {
      this.onCut({ from: Math.min(t, this.cut.to - 1), to: this.cut.to });
    } else {
      this.onCut({ from: this.cut.from, to: Math.max(t, this.cut.from + 1) });
    }
    this.draw();
  }

  up(e) {
    if (!this.grip) {
      super.up(e);
      return;
    }
    const at = this.scrub;
    this.grip = this.scrub = null;
    if (at !== null) this.onSeek(at);
    this.draw();
  }

  hint(x) {
    super.hint(x);
    const t = this.at(x);
    const slack = (this.span / this.canvas.clientWidth) * 6;
    const near = this.events.find((e) => t > e.from - slack && t < (e.to ?? e.from) + slack) ?? this.locks.find((l) => t > l.from && t < l.to);
    if (near?.text) this.tip.textContent += ` · ${near.text}`;
  }

  /* --- picture --- */

  drawMore(g, w, h, colour) {
    const top = h - STRIP;
    g.fillStyle = colour('card');
    g.fillRect(0, top, w, STRIP);
    for (const l of this.locks) this.bar(g, l, w, top + 3, 4, colour('guard'));
    for (const e of this.events) {
      this.bar(g, e, w, top + 10, 9, colour('event'), 0.3);
      const x = this.x(e.from);
      if (x < -4 || x > w + 4) continue;
      g.fillStyle = colour('event');
      g.beginPath();
      g.moveTo(x, top + 9);
      g.lineTo(x + 5, top + 14.5);
      g.lineTo(x, top + 20);
      g.lineTo(x - 5, top + 14.5);
      g.fill();
    }
    if (this.cut) this.drawCut(g, w, top, colour('accent'));
  }

  bar(g, { from, to }, w, y, height, fill, alpha = 1) {
    const a = Math.max(this.x(from), 0);
    const b = Math.min(this.x(to ?? from), w);
    if (b < 0 || a > w) return;
    g.globalAlpha = alpha;
    g.fillStyle = fill;
    g.fillRect(a, y, Math.max(b - a, 2), height);
    g.globalAlpha = 1;
  }

  drawCut(g, w, top, fill) {
    this.bar(g, this.cut, w, 20, top - 20, fill, 0.28);
    g.fillStyle = fill;
    for (const t of [this.cut.from, this.cut.to]) {
      const x = this.x(t);
      g.fillRect(x - 1.5, 16, 3, top - 16);
      g.beginPath();
      g.arc(x, 16, 5, 0, 7);
      g.fill();
    }
  }

  drawCursor(g, w, h, fill) {
    if (this.scrub !== null && this.scrub !== undefined) this.drawMark(g, h, this.scrub, fill, 3);
    super.drawCursor(g, w, h, fill);
  }
}
