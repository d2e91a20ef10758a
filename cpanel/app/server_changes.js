/* Revisions of the configuration: who changed what, and the way back. */
import { get, post } from './api.js';
import { button, calm, el } from './dom.js';
import * as feed from './feed.js';
import { attempt, confirm, dialog } from './frame.js';
import { loaded, table } from './table.js';
import { fullText, t, word } from './text.js';

const AGAIN_MS = 200;

async function open(r) {
  const whole = await attempt(() => get(`/revisions/${encodeURIComponent(r.id)}`));
  if (!whole) return;
  const parts = (whole.changes ?? []).map((c) => el('section.stack', {}, el('h3', {}, `${word('change', c.what)} ${c.uid}`), el('div.diff', {}, el('pre.code', { tabindex: '0', 'aria-label': t('changes.before') }, c.before ?? '–'), el('pre.code', { tabindex: '0', 'aria-label': t('changes.after') }, c.after ?? '–'))));
  dialog(`${t('server.changes')}: ${fullText(r.at)}`, parts.length ? parts : el('p.soft', {}, t('list.none')), { wide: true });
}

export function show(root) {
  const run = (r, what) => async () => {
    if (what === 'restore' && !(await confirm(t('changes.restore'), t('changes.restore_text', { at: fullText(r.at) }), t('changes.restore'), { kind: 'primary' }))) return;
    if (await attempt(() => post(`/revisions/${encodeURIComponent(r.id)}/${what}`), t('undone'))) card.load();
  };
  const card = loaded(async () => {
    const { items } = await get('/revisions', { limit: 200 });
    return table([
      { title: t('changes.at'), cell: (r) => el('button.text-button', { type: 'button', onclick: () => open(r) }, fullText(r.at)) },
      { title: t('changes.by'), cell: (r) => r.by ?? '' },
      { title: t('changes.what'), cell: (r) => r.text || t('changes.n', { n: r.changes ?? 0 }) },
      { title: '', right: true, cell: (r) => el('div.inline', {}, button(t('undo'), run(r, 'undo'), { kind: 'small', icon: 'undo' }), button(t('changes.restore'), run(r, 'restore'), { kind: 'small' })) },
    ], items, { none: t('changes.none') });
  }, { title: t('server.changes') });
  root.append(card.element);
  /* Who is held to some cameras hears of those. */
  const again = calm(AGAIN_MS, () => card.load());
  const stops = [feed.onCount('revision_last', again), feed.on('notice', (n) => n.event === 'stream:edit' && again())];
  return () => { for (const stop of stops) stop(); };
}
