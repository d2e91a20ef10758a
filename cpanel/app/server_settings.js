/* The server's settings: every key of media-server.ini with its value, what it means, and when a change is taken. What is typed is
 * judged by the server while it is typed, and stored only when it is saved, all of it or nothing. */
import { call, get, post } from './api.js';
import { button, calm, el, iconButton, newId, say } from './dom.js';
import { confirm, toast } from './frame.js';
import { loaded } from './table.js';
import { bytes, duration, t, word } from './text.js';
import { hold } from './unsaved.js';

const CHECK_MS = 500;
const TONES = { live: 'good', restart: 'bad' };
const BOOL = 'true, false';
const FREE = ['storages', 'nodes']; /* sections whose keys are names that a site gives */

/* Limits of durations are microseconds, of sizes bytes. */
const SHOWN = { duration: (v) => duration(v / 1e6), size: bytes, 'size or %': bytes };

function limits(key) {
  const shown = SHOWN[key.kind] ?? String;
  return [key.kind === 'words' ? key.words?.join(', ') ?? '' : '', key.min ? `≥ ${shown(key.min)}` : '', key.max ? `≤ ${shown(key.max)}` : '', key.unit ?? ''].filter(Boolean).join(' ');
}

const wordsOf = (key) => (key.kind === BOOL ? ['true', 'false'] : key.kind === 'word' ? key.words : null);
const textOf = (value) => (value === undefined || value === null ? '' : Array.isArray(value) ? value.join(', ') : String(value));

/* One key of one section: its control, and what is wrong with it. */
class Setting {
  constructor(section, key, value, page) {
    Object.assign(this, { section, key, page, stored: textOf(value) });
    this.name = `${section}/${key.key}`;
    this.input = this.control();
    this.input.addEventListener('input', () => this.changed());
    this.wrong = el('p.wrong', { id: newId('wrong'), hidden: true });
    this.input.setAttribute('aria-describedby', this.wrong.id);
    this.reset = iconButton('undo', t('settings.take_back', { name: key.key }), () => { this.input.value = this.stored; this.changed(); }, { hidden: true });
    this.element = el('li.setting', { 'data-name': this.name }, el('div.setting-name', {}, el('label.mono', { for: this.input.id }, key.key), key.reload ? el('span.pill', { 'data-tone': TONES[key.reload] ?? 'warn' }, word('reload', key.reload)) : null),
      el('div.setting-value', {}, el('div.inline', {}, this.input, this.reset), this.wrong), el('p.setting-help.soft', {}, [key.help, key.accepted, limits(key)].filter(Boolean).join(' ')));
  }

  control() {
    const { key, stored } = this;
    const more = { id: newId('key'), name: this.name, disabled: key.local === true, title: key.local ? t('settings.local') : undefined };
    const words = wordsOf(key);
    if (!words) return el('input.mono', { ...more, value: stored, placeholder: textOf(key.default), autocomplete: 'off', autocapitalize: 'none', spellcheck: 'false' });
    const list = stored === '' || words.includes(stored) ? words : [...words, stored];
    const e = el('select', more, el('option', { value: '' }, t('settings.default_is', { value: textOf(key.default) })), ...list.map((w) => el('option', { value: w }, w)));
    e.value = stored;
    return e;
  }

  get value() { return this.input.value.trim(); }
  get dirty() { return this.value !== this.stored; }

  changed() {
    this.element.dataset.dirty = String(this.dirty);
    this.reset.hidden = !this.dirty;
    this.page.changed();
  }

  tell(text) {
    this.wrong.hidden = !text;
    say(this.wrong, text ?? '');
    this.input.setAttribute('aria-invalid', String(Boolean(text)));
  }
}

class SettingsPage {
  constructor(root) {
    this.settings = [];
    this.search = el('input', { type: 'search', placeholder: t('settings.search'), 'aria-label': t('settings.search'), oninput: calm(150, () => this.filter()) });
    this.only = el('input', { type: 'checkbox', onchange: () => this.filter() });
    this.card = loaded(() => this.load(), { title: t('server.settings'), tools: [el('label.check', {}, this.only, t('settings.only_set')), this.search] });
    this.buildBar();
    root.append(this.card.element, this.bar);
    this.check = calm(CHECK_MS, () => this.judge());
    this.free = hold(() => this.dirty().length > 0);
  }

  close() {
    this.closed = true;
    this.free();
  }

  buildBar() {
    this.count = el('strong', { role: 'status' });
    this.remarks = el('div.save-remarks', { 'aria-live': 'polite' });
    this.saveButton = button(t('save'), () => this.save(), { kind: 'primary' });
    this.bar = el('div.save-bar', { hidden: true, role: 'region', 'aria-label': t('settings.unsaved') }, this.remarks, el('div.inline', {}, this.count, el('span.grow'), button(t('settings.discard'), () => this.discard()), this.saveButton));
  }

  dirty() { return this.settings.filter((s) => s.dirty); }

  /* --- the list --- */

  async load() {
    const [{ items }, config] = await Promise.all([get('/config/keys'), get('/config')]);
    const groups = this.groupsOf(items, config.sections ?? {});
    this.etag = config.etag;
    this.settings = [];
    const sections = [...groups].map(([name, rows]) => {
      const settings = rows.map(([key, value]) => new Setting(name, key, value, this));
      this.settings.push(...settings);
      return el('section.stack', { 'data-section': name, 'aria-label': name }, el('h3.mono', {}, `[${name}]`), el('ul.setting-list', {}, ...settings.map((s) => s.element)), FREE.includes(name) ? this.adder(name) : null);
    });
    this.changed();
    requestAnimationFrame(() => this.filter());
    return [el('div.stack.settings', {}, el('p.notice', {}, t('settings.where', { file: config.file ?? 'media-server.ini' })),
      config.pending?.length ? el('p.notice.warn', {}, t('settings.pending', { keys: config.pending.join(', ') })) : null, ...sections.filter(Boolean))];
  }

  /* name of the section -> [[key, value], ...]: all keys that there are, then what a site has named itself. */
  groupsOf(items, sections) {
    const groups = new Map();
    const put = (name, key, value) => groups.set(name, [...(groups.get(name) ?? []), [key, value]]);
    for (const key of items) if (key.scope === 'server') put(key.section, key, sections[key.section]?.[key.key]);
    for (const name of FREE) {
      groups.set(name, groups.get(name) ?? []);
      for (const [key, value] of Object.entries(sections[name] ?? {})) if (!groups.get(name).some(([k]) => k.key === key)) put(name, { key, kind: 'text', help: '' }, value);
    }
    const storageKeys = items.filter((key) => key.scope === 'storage');
    for (const name of Object.keys(sections)) if (/^storages\/./.test(name)) for (const key of storageKeys) put(name, key, sections[name][key.key]);
    return groups;
  }

  /* A new name in a section where names are a site's own. */
  adder(section) {
    const name = el('input.mono', { 'aria-label': t('settings.new_name', { section }), placeholder: t(`settings.name.${section}`), autocomplete: 'off', spellcheck: 'false', maxlength: '64' });
    const add = () => {
      const key = name.value.trim();
      if (!key || this.settings.some((s) => s.name === `${section}/${key}`)) return;
      const setting = new Setting(section, { key, kind: 'text', help: t(`settings.free.${section}`) }, '', this);
      this.settings.push(setting);
      name.closest('section').querySelector('.setting-list').append(setting.element);
      name.value = '';
      setting.input.focus();
    };
    return el('div.inline', {}, name, button(t('settings.add'), add, { icon: 'plus' }));
  }

  filter() {
    const text = this.search.value.toLowerCase();
    for (const s of this.settings)
      s.element.hidden = !s.dirty && ((this.only.checked && s.stored === '') || !`${s.name} ${s.key.help} ${s.stored}`.toLowerCase().includes(text));
    for (const section of this.card.element.querySelectorAll('[data-section]')) section.hidden = text !== '' && !section.querySelector('.setting:not([hidden])');
  }

  /* --- what was changed --- */

  changed() {
    const n = this.dirty().length;
    this.bar.hidden = n === 0;
    say(this.count, t('settings.changed', { n }));
    if (n > 0) this.check?.();
  }

  /* { section: { key: value } }; null takes a key away. */
  wanted() {
    const out = {};
    for (const s of this.dirty()) (out[s.section] ??= {})[s.key.key] = s.value === '' ? null : s.value;
    return out;
  }

  send(query) { return call('PATCH', '/config', this.wanted(), { etag: this.etag, query }); }

  tell(errors, remarks, said = '') {
    const by = new Map(errors.map((e) => [e.field.replace(/^\//, ''), e.detail]));
    for (const s of this.settings) s.tell(by.get(s.name));
    const loose = errors.filter((e) => !this.settings.some((s) => s.name === e.field.replace(/^\//, '')));
    this.remarks.replaceChildren(...[said, ...loose.map((e) => e.detail)].filter(Boolean).map((text) => el('p.notice.bad', {}, text)), ...remarks.map((r) => el('p.notice.warn', {}, r.text ?? r.detail ?? String(r))));
  }

  async judge() {
    if (this.closed || this.saving || this.dirty().length === 0) return;
    try {
      const said = await this.send({ validate: true });
      this.tell([], said.remarks ?? []);
      say(this.count, [t('settings.changed', { n: this.dirty().length }), this.effectOf(said)].filter(Boolean).join(': '));
    } catch (e) {
      this.refused(e);
    }
  }

  /* What taking it over costs. */
  effectOf(said) {
    return [said.restart?.length ? t('settings.restart', { keys: said.restart.join(', ') }) : '', said.httpd ? t('settings.httpd') : '', said.streams ? t('settings.streams', { n: said.streams }) : ''].filter(Boolean).join(' ');
  }

  refused(e) {
    this.tell(e.errors, [], e.status === 412 ? t('settings.stale') : e.errors.length ? '' : e.message);
    if (e.status === 412) this.remarks.append(button(t('settings.reload'), () => this.card.load(), { icon: 'restart' }));
  }

  async save() {
    this.saving = true;
    this.saveButton.disabled = true;
    try {
      const said = await this.send();
      toast([t('settings.saved'), this.effectOf(said)].filter(Boolean).join(' '), said.revision ? { undo: async () => { await post(`/revisions/${encodeURIComponent(said.revision)}/undo`); this.card.load(); } } : {});
      for (const s of this.settings) s.stored = s.value;
      await this.card.load();
    } catch (e) {
      this.refused(e);
      this.card.element.querySelector('[aria-invalid="true"]')?.focus();
    }
    this.saving = false;
    this.saveButton.disabled = false;
  }

  async discard() {
    if (!(await confirm(t('settings.discard'), t('unsaved.text'), t('settings.discard')))) return;
    for (const s of this.dirty()) {
      s.input.value = s.stored;
      s.changed();
      s.tell('');
    }
    this.tell([], []);
  }
}

export function show(root) {
  const page = new SettingsPage(root);
  return () => page.close();
}
