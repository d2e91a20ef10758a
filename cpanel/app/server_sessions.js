/* Who watches now. */
import { get, remove } from './api.js';
import { button, el, iconButton } from './dom.js';
import * as feed from './feed.js';
import { attempt } from './frame.js';
import { cameraPath } from './router.js';
import { loaded, table } from './table.js';
import { duration, t, word } from './text.js';

const AGAIN_MS = 5000; /* without any change of the numbers that the feed tells */

export function show(root) {
  const search = el('input', { type: 'search', placeholder: t('sessions.search'), 'aria-label': t('sessions.search'), oninput: () => card.load() });
  const list = async () => {
    const text = search.value.toLowerCase();
    const items = (await get('/sessions')).items.filter((s) => `${s.uid} ${s.user ?? ''} ${s.address} ${s.agent ?? ''}`.toLowerCase().includes(text));
    return table([
      { title: t('head.camera'), cell: (s) => el('a', { href: cameraPath(s.uid) }, feed.streams.get(s.uid)?.label ?? s.uid) },
      { title: t('sessions.road'), cell: (s) => [s.roads ?? ''].flat().map((r) => word('road', r)).join(', ') },
      { title: t('sessions.user'), cell: (s) => s.user || '–' },
      { title: t('sessions.address'), cell: (s) => el('span.mono', {}, s.address) },
      { title: t('sessions.agent'), cell: (s) => el('span.soft', {}, s.agent ?? '') },
      { title: t('sessions.since'), right: true, cell: (s) => duration(feed.now() - s.since) },
      { title: '', right: true, cell: (s) => button(t('sessions.end'), async () => { if (await attempt(() => remove(`/sessions/${encodeURIComponent(s.id)}`), t('sessions.ended'))) card.load(); }, { kind: 'small' }) },
    ], items, { none: t('sessions.none') });
  };
  const card = loaded(list, { title: t('server.sessions'), tools: [search, iconButton('restart', t('refresh'), () => card.load())] });
  root.append(card.element);
  const counts = () => [...feed.streams.values()].filter((s) => s.viewers).map((s) => `${s.uid} ${s.viewers}`).join();
  let was = counts();
  let loadedAt = Date.now();
  /* Whoever leaves as another comes changes no number: the list is asked for now and then, but for under somebody's keys. */
  return feed.on('streams', () => {
    const is = counts();
    const used = document.activeElement !== search && card.element.contains(document.activeElement);
    if (is === was && (document.hidden || used || Date.now() - loadedAt < AGAIN_MS)) return;
    was = is;
    loadedAt = Date.now();
    card.load();
  });
}
