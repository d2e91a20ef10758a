/* Words, numbers and times as the chosen language has them. The strings of a language are one file: ../text/<language>.js. */

export const languages = { en: 'English', ru: 'Русский' };
export const language = document.documentElement.lang in languages ? document.documentElement.lang : 'en';

const { default: strings } = await import(`../text/${language}.js`);
const plural = new Intl.PluralRules(language);

/* t('fleet.selected', { n: 3 }). A string with forms ({ one, few, many, other }) goes by n; {name} is replaced. */
export function t(key, values = {}) {
  let text = strings[key];
  if (typeof text === 'object') text = text[plural.select(values.n)] ?? text.other;
  if (text === undefined) return key;
  return text.replace(/\{(\w+)\}/g, (_, name) => (typeof values[name] === 'number' ? number(values[name]) : values[name] ?? ''));
}

/* A word of the server's own, such as a state: as it is where there is no translation. */
export function word(kind, value) {
  return strings[`${kind}.${value}`] ?? String(value ?? '');
}

export function setLanguage(name) {
  try { localStorage.setItem('cpanel.language', name); } catch { /* private window */ }
  location.reload();
}

const whole = new Intl.NumberFormat(language, { maximumFractionDigits: 0 });
const tenth = new Intl.NumberFormat(language, { maximumFractionDigits: 1 });
export const number = (n) => (Math.abs(n) >= 100 || Number.isInteger(n) ? whole : tenth).format(n);
export const percent = (part) => `${number(Math.round(part * 1000) / 10)} %`;

function scaled(n, step, units) {
  let at = 0;
  while (n >= step * 0.9995 && at < units.length - 1) {
    n /= step;
    at++;
  }
  return `${at === 0 ? whole.format(n) : (n < 99.95 ? tenth : whole).format(n)}\u00a0${t(`unit.${units[at]}`)}`;
}
const known = (n) => n !== null && n !== undefined && Number.isFinite(n);
export const bytes = (n) => (known(n) ? scaled(n, 1024, ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB']) : '–');
export const bits = (n) => (known(n) ? scaled(n, 1000, ['bit', 'kbit', 'Mbit', 'Gbit']) : '–');

/* 93784 s: "1 d 2 h"; two units at most. */
export function duration(s) {
  if (!known(s)) return '–';
  s = Math.max(0, Math.round(s));
  const units = [[86400, 'd'], [3600, 'h'], [60, 'min'], [1, 's']];
  const at = units.findIndex(([length]) => s >= length);
  if (at < 0) return `0\u00a0${t('unit.s')}`;
  const parts = [];
  for (const [length, name] of units.slice(at, at + 2)) {
    const n = Math.floor(s / length);
    if (n > 0) parts.push(`${n}\u00a0${t(`unit.${name}`)}`);
    s -= n * length;
  }
  return parts.join(' ');
}

const date = (at) => new Date(at * 1000);
const shapes = {
  clock: { hour: '2-digit', minute: '2-digit', second: '2-digit', hourCycle: 'h23' },
  minute: { hour: '2-digit', minute: '2-digit', hourCycle: 'h23' },
  day: { weekday: 'short', day: 'numeric', month: 'short' },
  short: { day: 'numeric', month: 'short' },
  month: { month: 'long', year: 'numeric' },
  full: { day: 'numeric', month: 'short', year: 'numeric', hour: '2-digit', minute: '2-digit', second: '2-digit', hourCycle: 'h23' },
};
const formats = Object.fromEntries(Object.entries(shapes).map(([name, shape]) => [name, new Intl.DateTimeFormat(language, shape)]));
export const clockText = (at) => formats.clock.format(date(at));
export const minuteText = (at) => formats.minute.format(date(at));
export const dayText = (at) => formats.day.format(date(at));
export const shortText = (at) => formats.short.format(date(at));
export const monthText = (at) => formats.month.format(date(at));
export const fullText = (at) => (at ? formats.full.format(date(at)) : '–');
export const sameDay = (a, b) => date(a).toDateString() === date(b).toDateString();
export const momentText = (at, now = Date.now() / 1000) => (sameDay(at, now) ? clockText(at) : `${dayText(at)}, ${clockText(at)}`);

/* For <input type=datetime-local>, which knows no zone. */
export function inputText(at) {
  const d = date(at);
  return new Date(d.getTime() - d.getTimezoneOffset() * 60000).toISOString().slice(0, 19);
}
export const inputTime = (text) => Math.floor(new Date(text).getTime() / 1000);

const collator = new Intl.Collator(language, { numeric: true, sensitivity: 'base' });
export const compare = (a, b) => collator.compare(a, b);
