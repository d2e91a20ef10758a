/* Adding a camera and changing one: fields of its ini, checked by the server while they are filled in, and a probe of the
 * URL before anything is stored. */
import { call, get, patch, post, streamPath } from './api.js';
import { button, calm, el, field, icon, select } from './dom.js';
import { dialog, toast } from './frame.js';
import { probeResult } from './probe.js';
import { t } from './text.js';
import { hold, mayLeave } from './unsaved.js';

const CHECK_MS = 500;

/* key of the ini, how it is asked for. words: choices; the first one is the server's default and is not stored. */
const FIELDS = [
  { key: 'stream-name', whole: true },
  { key: 'stream-url', whole: true, placeholder: 'rtsp://user:password@192.168.1.20:554/stream1', mono: true },
  { key: 'stream-enable', words: ['true', 'on-demand', 'false'] },
  { key: 'dvr-mode', words: ['off', 'continuous', 'event', 'schedule', 'ondemand'] },
  { key: 'dvr-duration', placeholder: '10d' },
  { key: 'dvr-archive', storages: true },
  { key: 'stream-access', words: ['public', 'protected', 'private', 'none'] },
  { key: 'stream-whitelist', placeholder: '10.0.0.0/8', when: ['stream-access', 'protected'] },
  { key: 'dvr-schedule', placeholder: 'mon-fri 08:00-18:00', when: ['dvr-mode', 'schedule'] },
  { key: 'stream-tracks', words: ['video, audio', 'video', 'video, audio, data', 'audio'], more: true },
  { key: 'stream-transport', words: ['auto', 'tcp', 'udp'], more: true },
  { key: 'camera-uid', more: true },
  { key: 'stream-profile', words: ['main', 'sub'], more: true },
  { key: 'stream-limit', placeholder: '0', more: true },
  { key: 'dvr-capacity', placeholder: '0', more: true },
];

class Form {
  constructor(uid, before, storages) {
    Object.assign(this, { uid, config: before?.config ?? {}, etag: before?.etag });
    this.implied = before?.dvr_mode ? { 'dvr-mode': before.dvr_mode } : {}; /* by older keys: dvr-enable, dvr-ondemand */
    this.fields = new Map();
    this.uidField = el('input', { name: 'uid', value: uid ?? '', maxlength: '36', pattern: '[A-Za-z0-9._\\-]{1,36}', required: true, autocapitalize: 'none', spellcheck: 'false', disabled: uid !== null });
    this.inputs = new Map(FIELDS.map((f) => [f.key, this.input(f, storages)]));
    this.check = calm(CHECK_MS, () => this.validate());
    this.build();
  }

  stored(key) { return this.config[key] ?? this.implied[key] ?? ''; }

  input(f, storages) {
    const value = this.stored(f.key);
    if (f.words || f.storages) {
      const words = f.storages ? ['', ...storages.map((s) => s.name)] : f.words;
      const list = words.includes(value) || value === '' ? words : [...words, value];
      return select(list.map((w) => [w, w === '' ? t('form.default') : f.storages ? w : t(`form.${f.key}.${w}`)]), value || words[0], { name: f.key });
    }
    return el(`input${f.mono ? '.mono' : ''}`, { name: f.key, value, placeholder: f.placeholder ?? '', autocapitalize: 'none', autocomplete: 'off', spellcheck: 'false' });
  }

  place(f) {
    const help = t(`form.${f.key}.help`);
    const input = this.inputs.get(f.key);
    const probe = f.key === 'stream-url' ? (this.probeButton = button(t('probe.do'), () => this.probe(), { icon: 'doctor' })) : null;
    const e = field(t(`form.${f.key}`), probe ? [input, probe] : input, { help: help === `form.${f.key}.help` ? '' : help, name: f.key });
    if (f.whole) e.classList.add('whole');
    this.fields.set(f.key, e);
    return e;
  }

  build() {
    const uid = field(t('form.uid'), this.uidField, { help: this.uid === null ? t('form.uid.help') : '', name: 'uid' });
    uid.classList.add('whole');
    this.fields.set('uid', uid);
    this.probed = el('div.whole', { 'aria-live': 'polite' });
    this.remarks = el('div.whole', { role: 'status' });
    const first = FIELDS.filter((f) => !f.more).map((f) => this.place(f));
    first.splice(2, 0, this.probed);
    const more = el('details.whole', {}, el('summary', {}, t('form.more')), el('div.form', {}, ...FIELDS.filter((f) => f.more).map((f) => this.place(f))));
    this.form = el('form.form', { id: 'camera-form', novalidate: true, onsubmit: (e) => { e.preventDefault(); this.save(); }, oninput: () => this.changed() }, uid, ...first, more, this.remarks);
    this.saveButton = el('button.button.primary', { type: 'submit', form: 'camera-form' }, t('save'));
    const dirty = () => Object.keys(this.values()).length > 0 || (this.uid === null && this.uidField.value !== '');
    const free = hold(dirty);
    this.window = dialog(t(this.uid === null ? 'form.add' : 'form.edit', { name: this.uid ?? '' }), this.form,
      { wide: true, foot: [button(t('cancel'), () => this.window.leave()), this.saveButton], mayClose: () => mayLeave(dirty), onclose: free });
    this.showNeeded();
    (this.uid === null ? this.uidField : this.inputs.get('stream-name')).focus();
  }

  showNeeded() {
    for (const f of FIELDS)
      if (f.when) this.fields.get(f.key).hidden = this.inputs.get(f.when[0]).value !== f.when[1];
  }

  changed() {
    this.showNeeded();
    this.check();
  }

  /* What was changed: null takes a key away. */
  values() {
    const out = {};
    for (const f of FIELDS) {
      const value = this.inputs.get(f.key).value.trim();
      const before = this.stored(f.key);
      const wanted = f.words && value === f.words[0] && before === '' ? '' : value;
      if (wanted !== before) out[f.key] = wanted === '' ? null : wanted;
    }
    return out;
  }

  send(query) {
    const uid = this.uidField.value.trim();
    if (this.uid !== null) return patch(streamPath(uid), this.values(), { etag: this.etag, query });
    const config = Object.fromEntries(Object.entries(this.values()).filter(([, v]) => v !== null));
    return call('PUT', streamPath(uid), config, { query });
  }

  /* errors and remarks of the server, each at its field where it names one. */
  tell(list, rest = []) {
    for (const f of this.fields.values()) f.wrong('');
    const other = [];
    for (const { field: name, key, detail, text } of list) {
      const at = this.fields.get(name ?? key);
      if (at) at.wrong(detail ?? text);
      else other.push(detail ?? text);
    }
    this.remarks.replaceChildren(...other.map((text) => el('p.notice.bad', {}, text)), ...rest.map((text) => el('p.notice.warn', {}, text)));
  }

  refused(e) {
    this.tell(e.errors, e.errors.length ? [] : [e.message]);
  }

  ready() {
    return this.uidField.value.trim() !== '' && this.uidField.checkValidity();
  }

  async validate() {
    if (!this.ready() || this.saving) return;
    try {
      const said = await this.send({ validate: true });
      this.tell([], (said?.remarks ?? []).map((r) => r.text ?? r.detail ?? String(r)));
    } catch (e) {
      this.refused(e);
    }
  }

  async save() {
    if (!this.ready()) {
      this.fields.get('uid').wrong(t('form.uid.wrong'));
      this.uidField.focus();
      return;
    }
    this.saving = true;
    this.saveButton.disabled = true;
    try {
      const { revision } = (await this.send()) ?? {};
      this.window.close();
      toast(t(this.uid === null ? 'form.added' : 'form.changed', { name: this.uidField.value }), revision ? { undo: () => post(`/revisions/${encodeURIComponent(revision)}/undo`) } : {});
    } catch (e) {
      this.refused(e);
      if (e.status === 412) this.tell([], [t('form.stale')]);
      this.form.querySelector('[aria-invalid="true"]')?.focus();
    }
    this.saving = false;
    this.saveButton.disabled = false;
  }

  async probe() {
    const url = this.inputs.get('stream-url').value.trim();
    if (!url) return;
    this.probeButton.disabled = true;
    this.probed.replaceChildren(el('p.notice.inline', {}, el('span.spin'), t('probe.running')));
    try {
      this.probed.replaceChildren(probeResult(await post('/probe', { url, transport: this.inputs.get('stream-transport').value })));
    } catch (e) {
      this.probed.replaceChildren(el('p.notice.bad.inline', {}, icon('warn'), e.message));
    }
    this.probeButton.disabled = false;
  }
}

/* uid: null adds one. */
export async function openForm(uid) {
  try {
    const [before, storages] = await Promise.all([uid === null ? null : get(streamPath(uid)), get('/storages').catch(() => ({ items: [] }))]);
    return new Form(uid, before, storages.items);
  } catch (e) {
    toast(e.message, { kind: 'bad' });
    return null;
  }
}
