/* The server's settings: every key of media-server.ini, what it means, its default and limits, and when a change is taken. */
import { get } from './api.js';
import { calm, el } from './dom.js';
import { loaded, table } from './table.js';
import { bytes, duration, t, word } from './text.js';

const TONES = { live: 'good', restart: 'bad' };

/* Limits of durations are microseconds, of sizes bytes. */
const SHOWN = { duration: (v) => duration(v / 1e6), size: bytes, 'size or %': bytes };

function limits(key) {
  const shown = SHOWN[key.kind] ?? String;
  return [key.words?.join(', ') ?? '', key.min ? `≥ ${shown(key.min)}` : '', key.max ? `≤ ${shown(key.max)}` : '', key.unit ?? ''].filter(Boolean).join(' ');
}

function section(name, keys) {
  return el('section.stack', { 'aria-label': name }, el('h3.mono', {}, `[${name}]`), table([
    { title: t('settings.key'), cell: (k) => el('code.mono', {}, k.key) },
    { title: t('settings.default'), cell: (k) => el('span.mono', {}, String(k.default ?? '')) },
    { title: t('settings.limits'), cell: (k) => el('span.soft', {}, limits(k)) },
    { title: t('settings.help'), cell: (k) => [k.help, k.accepted].filter(Boolean).join(' ') },
    { title: t('settings.taken'), cell: (k) => el('span.pill', { 'data-tone': TONES[k.reload] ?? 'warn' }, word('reload', k.reload)) },
  ], keys));
}

export function show(root) {
  const search = el('input', { type: 'search', placeholder: t('settings.search'), 'aria-label': t('settings.search'), oninput: calm(150, () => card.load()) });
  let items = null;
  const card = loaded(async () => {
    items ??= (await get('/config/keys')).items;
    const text = search.value.toLowerCase();
    const groups = new Map();
    for (const key of items) {
      if (!`${key.key} ${key.help}`.toLowerCase().includes(text)) continue;
      const name = key.scope === 'stream' ? `streams/<uid>` : key.section;
      if (!groups.has(name)) groups.set(name, []);
      groups.get(name).push(key);
    }
    return el('div.stack.settings', {}, el('p.notice', {}, t('settings.where')), ...[...groups].map(([name, keys]) => section(name, keys)));
  }, { title: t('server.settings'), tools: [search] });
  root.append(card.element);
}
