/* One camera in the fleet's list. */
import { el, icon, iconButton, mark, say } from './dom.js';
import { now } from './feed.js';
import { picture } from './pictures.js';
import { cameraPath } from './router.js';
import { may } from './session.js';
import { spark } from './spark.js';
import { pictureFacts, reasonOf, recordText, recordTone, stateText, toneOf } from './states.js';
import { bits, duration, fullText, number, t } from './text.js';

const cell = (name, ...inside) => el(`div.cell.${name}`, { role: 'gridcell' }, ...inside);
let colour = '#888';

/* The sparklines' colour is the page's; asked once, since asking costs a layout. */
export function readColours() {
  colour = getComputedStyle(document.documentElement).getPropertyValue('--accent').trim();
}

/* on: { select(uid, checked, range), menu(anchor, stream) } */
export function makeRow(s, on) {
  const part = {
    check: el('input', { type: 'checkbox', 'aria-label': t('fleet.select', { name: s.label }), onclick: (e) => on.select(s.uid, e.currentTarget.checked, e.shiftKey) }),
    img: el('img', { alt: '', hidden: true, decoding: 'async' }),
    name: el('a.cam-name', { href: cameraPath(s.uid) }),
    facts: el('span.cam-facts'),
    state: el('span.pill'),
    since: el('span.since'),
    reason: el('span.reason'),
    line: el('canvas.spark', { 'aria-hidden': 'true' }),
    bitrate: el('span.num'),
    viewers: el('span.num'),
    record: el('span.pill'),
  };
  const more = iconButton('more', t('fleet.actions', { name: s.label }), (e) => on.menu(e.currentTarget, row.item), { 'aria-haspopup': 'menu' });
  const shot = el('a.shot', { href: cameraPath(s.uid), tabindex: '-1', 'aria-hidden': 'true' }, icon('camera'), part.img);
  const row = el('div.row', { role: 'row', 'data-uid': s.uid },
    cell('c-check', may('operate') ? part.check : null), cell('c-shot', shot), cell('c-name', part.name, part.facts), cell('c-state', el('span.state-line', {}, part.state, part.since), part.reason),
    cell('c-rate', part.line, part.bitrate), cell('c-viewers', icon('eye'), part.viewers), cell('c-record', part.record), cell('c-more', may('operate') ? more : null));
  row.parts = part;
  return row;
}

export function fillRow(row, s, { selected }) {
  const p = row.parts;
  const since = s.since ? duration(now() - s.since) : '';
  row.item = s;
  if (p.check.checked !== selected) p.check.checked = selected;
  mark(row, 'selected', String(selected));
  mark(row, 'state', s.state);
  say(p.name, s.label);
  say(p.facts, [s.name ? s.uid : '', s.profile === 'sub' ? t('fleet.sub') : '', pictureFacts(s)].filter(Boolean).join(' · '));
  say(p.state, stateText(s));
  mark(p.state, 'tone', toneOf(s));
  say(p.since, since);
  if (p.at !== s.since) p.since.title = fullText(s.since);
  p.at = s.since;
  const why = reasonOf(s);
  say(p.reason, why);
  if (p.reason.title !== why) p.reason.title = why;
  say(p.bitrate, s.state === 'active' ? `${bits(s.bitrate ?? 0)}${t('unit.per_s')}` : '');
  say(p.viewers, number(s.viewers ?? 0));
  mark(p.viewers, 'none', String(!s.viewers));
  say(p.record, recordText(s));
  mark(p.record, 'tone', recordTone(s));
  spark(p.line, s, colour);
  if (s.state !== 'disabled' && s.enabled !== false) picture(p.img, s.uid);
  else p.img.hidden = true;
}

export function makeGroup(group, on) {
  const count = el('span.soft.num');
  const name = el('button.group-name', { type: 'button', onclick: () => on.fold(row.item.key) }, icon('right'), el('span'), count);
  const row = el('div.row.group', { role: 'row' }, el('div.cell', { role: 'gridcell' }, name));
  row.parts = { name, count };
  return row;
}

export function fillGroup(row, group) {
  row.item = group;
  say(row.parts.name.children[1], group.title);
  say(row.parts.count, number(group.n));
  row.parts.name.setAttribute('aria-expanded', String(!group.folded));
}
