/* Times and sizes as people read them, in the browser's own time zone. Unix seconds everywhere. */

const clock = new Intl.DateTimeFormat(undefined, { hour: '2-digit', minute: '2-digit', second: '2-digit', hourCycle: 'h23' });
const day = new Intl.DateTimeFormat(undefined, { weekday: 'short', day: 'numeric', month: 'short' });
const hour = new Intl.DateTimeFormat(undefined, { hour: '2-digit', minute: '2-digit', hourCycle: 'h23' });

const date = (t) => new Date(t * 1000);
export const clockText = (t) => clock.format(date(t));
export const dayText = (t) => day.format(date(t));
export const hourText = (t) => hour.format(date(t));

export function sameDay(a, b) {
  return date(a).toDateString() === date(b).toDateString();
}

export function momentText(t, now) {
  return sameDay(t, now) ? clockText(t) : `${dayText(t)}, ${clockText(t)}`;
}

export function lengthText(s) {
  const h = Math.floor(s / 3600);
  const m = Math.floor((s % 3600) / 60);
  if (h >= 24) return `${Math.floor(h / 24)} d ${h % 24} h`;
  if (h > 0) return m > 0 ? `${h} h ${m} min` : `${h} h`;
  return m > 0 ? `${m} min` : `${Math.round(s)} s`;
}

/* For <input type=datetime-local>, which knows no zone. */
export function inputText(t) {
  const d = date(t);
  return date(t - d.getTimezoneOffset() * 60).toISOString().slice(0, 19);
}

export const inputTime = (text) => Math.floor(new Date(text).getTime() / 1000);
