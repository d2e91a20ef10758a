/* Who did what, as the master wrote it down. */
import { get } from './api.js';
import { el, iconButton } from './dom.js';
import * as feed from './feed.js';
import { loaded, table } from './table.js';
import { fullText, t, word } from './text.js';

export function show(root) {
  const search = el('input', { type: 'search', placeholder: t('audit.search'), 'aria-label': t('audit.search'), oninput: () => card.load() });
  const card = loaded(async () => {
    const { items } = await get('/audit', { limit: 500 });
    const text = search.value.toLowerCase();
    return table([
      { title: t('changes.at'), cell: (a) => el('span.nowrap.num', {}, fullText(a.at)) },
      { title: t('audit.who'), cell: (a) => `${a.who ?? ''} ${a.role ? `(${word('role', a.role)})` : ''}` },
      { title: t('audit.from'), cell: (a) => el('span.mono', {}, a.from ?? '') },
      { title: t('audit.what'), cell: (a) => el('span', {}, el('strong', {}, a.what ?? ''), ` ${a.on ?? ''} `, el('span.soft', {}, [a.args ?? ''].flat().join(' '))) },
      { title: t('audit.result'), cell: (a) => el('span.pill', { 'data-tone': a.result === 'done' ? 'good' : 'bad', title: a.text ?? '' }, word('result', a.result)) },
    ], items.filter((a) => JSON.stringify(a).toLowerCase().includes(text)), { none: t('audit.none') });
  }, { title: t('server.audit'), tools: [search, iconButton('restart', t('refresh'), () => card.load())] });
  root.append(card.element);
  return feed.onCount('audit_last', () => card.load());
}
