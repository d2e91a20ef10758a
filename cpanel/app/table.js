/* A list of things as a table that is loaded whole, with a note while it is and where there is nothing. */
import { el } from './dom.js';
import { t } from './text.js';

/* columns: [{ title, cell(item) -> element or text, right }]. */
export function table(columns, items, { none, row } = {}) {
  if (items.length === 0) return el('p.soft.table-none', {}, none ?? t('list.none'));
  return el('div.table-wrap', {}, el('table.table', {}, el('thead', {}, el('tr', {}, ...columns.map((c) => el(`th${c.right ? '.right' : ''}`, { scope: 'col' }, c.title || el('span.sr', {}, t('head.actions')))))),
    el('tbody', {}, ...items.map((item) => el('tr', row?.(item) ?? {}, ...columns.map((c) => el(`td${c.right ? '.right' : ''}`, {}, c.cell(item) ?? '')))))));
}

/* A card whose content is loaded, and can be loaded anew. { element, load } */
export function loaded(load, { title, tools = [] } = {}) {
  const body = el('div.card-body', { 'aria-live': 'polite' });
  const element = el('section.card', { 'aria-label': title }, title || tools.length ? el('header', {}, el('h2', {}, title ?? ''), el('span.grow'), ...tools) : null, body);
  const again = async () => {
    if (!body.children.length) body.replaceChildren(el('p.inline.soft', {}, el('span.spin'), t('loading')));
    try {
      body.replaceChildren(await load());
    } catch (e) {
      body.replaceChildren(el('p.notice.bad', {}, e.message));
    }
  };
  again();
  return { element, load: again };
}
