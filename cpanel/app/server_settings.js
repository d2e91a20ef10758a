/* The server's settings: every key with what it means, checked before it is stored. */
import { get, patch } from './api.js';
import { button, el, field, select } from './dom.js';
import { attempt, dialog, toast } from './frame.js';
import { loaded } from './table.js';
import { t, word } from './text.js';

const choices = { bool: ['true', 'false'] };

function inputOf(key, value) {
  const words = key.words ?? choices[key.kind];
  if (words?.length && key.kind !== 'set') return select([['', t('settings.default', { value: String(key.default ?? '') })], ...words.map((w) => [w, w])], value);
  return el('input.mono', { value, placeholder: String(key.default ?? ''), autocomplete: 'off', spellcheck: 'false' });
}

const limits = (key) => [key.min !== undefined && key.min !== null ? `≥ ${key.min}` : '', key.max ? `≤ ${key.max}` : '', key.unit ?? ''].filter(Boolean).join(' ');

export function show(root) {
  let etag = null;
  let inputs = [];
  const search = el('input', { type: 'search', placeholder: t('settings.search'), 'aria-label': t('settings.search'), oninput: () => filter() });
  const save = button(t('save'), () => store(), { kind: 'primary', disabled: true });

  function filter() {
    const text = search.value.toLowerCase();
    for (const i of inputs) i.field.hidden = !`${i.name} ${i.key.help ?? ''}`.toLowerCase().includes(text);
    for (const s of root.querySelectorAll('.settings fieldset')) s.hidden = ![...s.querySelectorAll('.field')].some((f) => !f.hidden);
  }

  function changes() {
    const out = {};
    for (const { section, name, input, before } of inputs) if (input.value.trim() !== before) (out[section] ??= {})[name] = input.value.trim() === '' ? null : input.value.trim();
    return out;
  }

  const changed = () => { save.disabled = Object.keys(changes()).length === 0; };

  function tell(e) {
    for (const i of inputs) i.field.wrong('');
    for (const { field: name, detail } of e.errors) inputs.find((i) => name === `${i.section}/${i.name}` || name === i.name)?.field.wrong(detail);
    if (e.errors.length === 0) toast(e.message, { kind: 'bad' });
    root.querySelector('[aria-invalid="true"]')?.focus();
  }

  /* What it will do is said first: which processes start anew. */
  async function store() {
    const wanted = changes();
    let said;
    try {
      said = await patch('/config', wanted, { etag, query: { validate: true } });
    } catch (e) {
      tell(e);
      return;
    }
    const touched = inputs.filter(({ section, name }) => wanted[section] && name in wanted[section]);
    const d = dialog(t('settings.confirm'), [el('ul.lines', {}, ...touched.map((i) => el('li', {}, el('code.mono', {}, i.name), el('span', {}, `${i.before || '–'} → ${i.input.value.trim() || '–'}`), el('span.pill', { 'data-tone': i.key.reload === 'live' ? 'good' : 'warn' }, word('reload', i.key.reload))))),
      ...(said?.remarks ?? []).map((r) => el('p.notice.warn', {}, r.text ?? r.detail ?? String(r)))], { wide: true, foot: [button(t('cancel'), () => d.close()), button(t('save'), async () => {
      d.close();
      if (await attempt(() => patch('/config', wanted, { etag }), t('settings.saved'))) card.load();
    }, { kind: 'primary' })] });
  }

  const card = loaded(async () => {
    const [{ items }, config] = await Promise.all([get('/config/keys'), get('/config')]);
    const groups = new Map();
    etag = config.etag ?? null;
    inputs = [];
    for (const key of items.filter((k) => k.scope === 'server')) {
      const section = key.section;
      const before = String(config.sections?.[section]?.[key.key] ?? '');
      const input = inputOf(key, before);
      const f = field(key.key, input, { help: [key.help, limits(key), key.accepted].filter(Boolean).join(' · ') });
      inputs.push({ section, name: key.key, key, input, before, field: f });
      if (!groups.has(section)) groups.set(section, []);
      groups.get(section).push(f);
    }
    save.disabled = true;
    return el('form.settings.stack', { oninput: changed, onsubmit: (e) => { e.preventDefault(); store(); } }, el('p.soft.mono', {}, config.file ?? ''), ...[...groups].map(([section, fields]) => el('fieldset', {}, el('legend', {}, `[${section}]`), el('div.form', {}, ...fields))));
  }, { title: t('server.settings'), tools: [search, save] });
  root.append(card.element);
}
