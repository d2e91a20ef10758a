/* Facts with their names; a list of things as a table that is loaded whole, with a note while it is and where there is nothing. */
import { button, el } from './dom.js';
import { t } from './text.js';

/* rows: [[text, value], ...]; what is not known is left out. */
export function facts(rows) {
  return el('dl.facts', {}, ...rows.filter(([, value]) => value !== '' && value !== null && value !== undefined && value !== '–').flatMap(([name, value]) => [el('dt', {}, name), el('dd', {}, value)]));
}

/* columns: [{ title, cell(item) -> element or text, right }]. On a phone each item is a card, so the roles of a table are said. */
export function table(columns, items, { none, row } = {}) {
  if (items.length === 0) return el('p.soft.table-none', {}, none ?? t('list.none'));
  const right = (c) => (c.right ? '.right' : '');
  const head = (c) => el(`th${right(c)}`, { scope: 'col', role: 'columnheader' }, c.title || el('span.sr', {}, t('head.actions')));
  const line = (item) => el('tr', { role: 'row', ...row?.(item) }, ...columns.map((c) => el(`td${right(c)}`, { role: 'cell', 'data-label': c.title }, el('div.cell-in', {}, c.cell(item) ?? ''))));
  return el('div.table-wrap', {}, el('table.table.cards', { role: 'table' }, el('thead', { role: 'rowgroup' }, el('tr', { role: 'row' }, ...columns.map(head))), el('tbody', { role: 'rowgroup' }, ...items.map(line))));
}

/* A card whose content is loaded, and can be loaded anew. { element, load } */
export function loaded(load, { title, tools = [] } = {}) {
  const body = el('div.card-body', { 'aria-live': 'polite' });
  const element = el('section.card', { 'aria-label': title }, title || tools.length ? el('header', {}, el('h2', {}, title ?? ''), el('span.grow'), ...tools) : null, body);
  const again = async () => {
    if (!body.children.length) body.replaceChildren(el('p.inline.soft', {}, el('span.spin'), t('loading')));
    try {
      body.replaceChildren(...[await load()].flat());
    } catch (e) {
      body.replaceChildren(el('p.notice.bad', { role: 'alert' }, e.message), el('p.table-again', {}, button(t('again'), again, { icon: 'restart' })));
    }
  };
  again();
  return { element, load: again };
}
