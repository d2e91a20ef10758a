/* Elements. Text of cameras and people only ever becomes a text node: nothing here takes markup. */
import { icons } from './icons.js';

const SVG = 'http://www.w3.org/2000/svg';

/* el('div.card', { hidden: true, onclick, 'aria-label': t }, child, 'text', null) */
export function el(what, attributes = {}, ...children) {
  const [name, ...classes] = what.split('.');
  const e = document.createElement(name || 'div');
  if (classes.length) e.className = classes.join(' ');
  for (const [key, value] of Object.entries(attributes)) set(e, key, value);
  e.append(...children.flat().filter((c) => c !== null && c !== undefined && c !== false));
  return e;
}

function set(e, key, value) {
  if (value === undefined || value === null || value === false) return;
  if (key.startsWith('on')) e.addEventListener(key.slice(2), value);
  else if (key in e && !key.includes('-') && typeof value !== 'string') e[key] = value;
  else if (key === 'value') e.value = value;
  else e.setAttribute(key, value === true ? '' : value);
}

export function icon(name) {
  const svg = document.createElementNS(SVG, 'svg');
  const path = document.createElementNS(SVG, 'path');
  svg.setAttribute('viewBox', '0 0 24 24');
  svg.setAttribute('class', 'icon');
  svg.setAttribute('aria-hidden', 'true');
  path.setAttribute('d', icons[name]);
  svg.append(path);
  return svg;
}

/* A button that shows an icon only; its label is its tooltip too. */
export function iconButton(name, label, onclick, more = {}) {
  return el('button.icon-button', { type: 'button', 'aria-label': label, title: label, onclick, ...more }, icon(name));
}

export function button(text, onclick, { kind = '', icon: sign, ...more } = {}) {
  return el(`button.button${kind && `.${kind}`}`, { type: 'button', onclick, ...more }, sign ? icon(sign) : null, text);
}

/* Writes only what has changed: layout is not touched by a value that stays. */
export function say(e, text) {
  if (e.textContent !== text) e.textContent = text;
}

export function mark(e, name, value) {
  if (e.dataset[name] !== value) e.dataset[name] = value;
}

let ids = 0;
export const newId = (of = 'x') => `${of}-${++ids}`;

/* A field with its label, its help and the place of its mistake. input: an element, or an array of those in one line. */
export function field(label, input, { help, name } = {}) {
  const main = Array.isArray(input) ? input[0] : input;
  main.id ||= newId('field');
  const wrong = el('p.wrong', { id: `${main.id}-wrong`, hidden: true });
  const helps = help ? el('p.help', { id: `${main.id}-help` }, help) : null;
  main.setAttribute('aria-describedby', `${main.id}-wrong${help ? ` ${main.id}-help` : ''}`);
  const e = el('div.field', {}, el('label', { for: main.id }, label), Array.isArray(input) ? el('div.inline', {}, ...input) : input, wrong, helps);
  e.field = name ?? main.name;
  e.wrong = (text) => {
    wrong.hidden = !text;
    wrong.textContent = text ?? '';
    main.setAttribute('aria-invalid', String(Boolean(text)));
  };
  return e;
}

/* options: [[value, text], ...] */
export function select(options, value, attributes = {}) {
  const e = el('select', attributes, ...options.map(([v, text]) => el('option', { value: v }, text)));
  e.value = value;
  return e;
}

/* Runs at most once a `ms`, and once after the last call. */
export function calm(ms, run) {
  let timer = 0;
  return (...args) => {
    clearTimeout(timer);
    timer = setTimeout(() => run(...args), ms);
  };
}

export function save(name, url) {
  const a = el('a', { href: url, download: name });
  document.body.append(a);
  a.click();
  a.remove();
}

export async function copy(text) {
  if (navigator.clipboard && window.isSecureContext) return navigator.clipboard.writeText(text);
  const area = el('textarea.offscreen', { value: text, 'aria-hidden': 'true' }); /* without TLS there is no clipboard */
  (document.querySelector('dialog[open]') ?? document.body).append(area);
  area.select();
  document.execCommand('copy');
  area.remove();
}
