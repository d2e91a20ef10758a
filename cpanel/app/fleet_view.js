/* Which cameras are shown, in which order and groups. Nothing of the document is here. */
import { isDown, notRecording, recordText, stateText } from './states.js';
import { compare, t, word } from './text.js';

/* What a chip counts and shows. */
export const kinds = {
  all: () => true,
  active: (s) => s.state === 'active',
  down: isDown,
  unsteady: (s) => s.state === 'connecting' || s.state === 'stale',
  idle: (s) => s.state === 'idle',
  disabled: (s) => s.state === 'disabled',
  unrecorded: notRecording,
  watched: (s) => s.viewers > 0,
};

/* Those that want somebody first. */
const URGENCY = { down: 0, invalid: 0, stale: 1, connecting: 2, active: 3, idle: 4, disabled: 5 };
const byName = (a, b) => compare(a.label, b.label) || compare(a.uid, b.uid);
export const orders = {
  name: byName,
  state: (a, b) => (URGENCY[a.state] ?? 3) - (URGENCY[b.state] ?? 3) || byName(a, b),
  since: (a, b) => (b.since ?? 0) - (a.since ?? 0) || byName(a, b),
  bitrate: (a, b) => (b.bitrate ?? 0) - (a.bitrate ?? 0) || byName(a, b),
  viewers: (a, b) => (b.viewers ?? 0) - (a.viewers ?? 0) || byName(a, b),
};
export const steady = ['name']; /* orders that a new sample does not change */

export const groupings = {
  none: null,
  state: (s) => stateText(s),
  camera: (s) => s.camera || t('group.alone'),
  prefix: (s) => s.label.match(/^[\p{L}\p{N}]+/u)?.[0] ?? '–',
  record: (s) => recordText(s),
  storage: (s) => s.storage || '–',
  codec: (s) => s.codec || t('group.unknown'),
  access: (s) => word('access', s.access),
};

/* Every word must be found somewhere. */
function matcher(text) {
  const words = text.toLowerCase().split(/\s+/).filter(Boolean);
  if (words.length === 0) return null;
  return (s) => {
    const where = `${s.uid} ${s.name ?? ''} ${s.camera ?? ''} ${s.reason ?? ''} ${s.state} ${s.codec ?? ''}`.toLowerCase();
    return words.every((w) => where.includes(w));
  };
}

/* view: { kind, text, order, group, folded: Set }. { items: streams and groups in their order, streams } */
export function arrange(all, view) {
  const test = matcher(view.text);
  const kind = kinds[view.kind] ?? kinds.all;
  const found = [];
  for (const s of all) if (kind(s) && (!test || test(s))) found.push(s);
  found.sort(orders[view.order] ?? orders.name);
  const groupOf = groupings[view.group];
  if (!groupOf) return { items: found, streams: found };
  const groups = new Map();
  for (const s of found) {
    const title = groupOf(s);
    if (!groups.has(title)) groups.set(title, []);
    groups.get(title).push(s);
  }
  const items = [];
  for (const title of [...groups.keys()].sort(compare)) {
    const inside = groups.get(title);
    const folded = view.folded.has(title);
    items.push({ group: true, key: title, title, n: inside.length, folded });
    if (!folded) items.push(...inside);
  }
  return { items, streams: found };
}

export function counts(all) {
  const n = Object.fromEntries(Object.keys(kinds).map((k) => [k, 0]));
  for (const s of all) for (const k in kinds) if (kinds[k](s)) n[k]++;
  return n;
}
