/* Who watches now. */
import { get, remove } from './api.js';
import { button, el, iconButton } from './dom.js';
import * as feed from './feed.js';
import { attempt } from './frame.js';
import { cameraPath } from './router.js';
import { loaded, table } from './table.js';
import { duration, t, word } from './text.js';

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
  let viewers = -1; /* the list follows the number of viewers, which the feed tells */
  const total = () => [...feed.streams.values()].reduce((n, s) => n + (s.viewers ?? 0), 0);
  return feed.on('streams', () => {
    const n = total();
    if (n !== viewers && viewers >= 0) card.load();
    viewers = n;
  });
}
