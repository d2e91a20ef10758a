/* A month of days; those with footage are marked. */
import { el, iconButton, say } from './dom.js';
import { now } from './feed.js';
import { language, monthText, t } from './text.js';

const monthStart = (at, by = 0) => {
  const d = new Date(at * 1000);
  return new Date(d.getFullYear(), d.getMonth() + by, 1).getTime() / 1000;
};
const FIRST_DAY = language === 'ru' ? 1 : new Intl.Locale(navigator.language).weekInfo?.firstDay ?? 1;

/* load(from, to) -> ranges; pick(from, to): a day was chosen. Returns the element. */
export function calendar(at, { load, pick }) {
  const title = el('h3');
  const days = el('div.days', { role: 'group' });
  const weekday = new Intl.DateTimeFormat(language, { weekday: 'short' });
  const full = new Intl.DateTimeFormat(language, { day: 'numeric', month: 'long' });
  const heads = Array.from({ length: 7 }, (_, i) => el('span.soft', { 'aria-hidden': 'true' }, weekday.format(new Date(2024, 0, FIRST_DAY + i))));
  let month = monthStart(at);

  async function showMonth(by) {
    month = monthStart(month, by);
    const [from, to] = [month, monthStart(month, 1)];
    say(title, monthText(from));
    days.replaceChildren(...heads, ...cells(from, to, []));
    const mine = month;
    const ranges = await load(from, Math.min(to, now())).catch(() => []);
    if (mine === month) days.replaceChildren(...heads, ...cells(from, to, ranges));
  }

  function cells(from, to, ranges) {
    const first = new Date(from * 1000);
    const out = Array.from({ length: (first.getDay() - FIRST_DAY + 7) % 7 }, () => el('span'));
    for (let d = 1; ; d++) {
      const start = new Date(first.getFullYear(), first.getMonth(), d).getTime() / 1000;
      const end = new Date(first.getFullYear(), first.getMonth(), d + 1).getTime() / 1000;
      if (start >= to) return out;
      const inside = ranges.filter((r) => r.from < end && r.to > start);
      const covered = inside.reduce((sum, r) => sum + Math.min(r.to, end) - Math.max(r.from, start), 0) / (Math.min(end, now()) - start || 1);
      out.push(el('button.day', {
        type: 'button', disabled: inside.length === 0, 'data-full': String(covered > 0.98), 'data-some': String(inside.length > 0), onclick: () => pick(Math.max(start, inside[0].from), Math.min(end, now())),
        'aria-label': `${full.format(start * 1000)}: ${t(inside.length === 0 ? 'calendar.none' : covered > 0.98 ? 'calendar.full' : 'calendar.part')}`,
      }, String(d)));
    }
  }

  showMonth(0);
  return el('div.calendar', {}, el('div.inline', {}, iconButton('left', t('calendar.before'), () => showMonth(-1)), title, iconButton('right', t('calendar.after'), () => showMonth(1))), days);
}
