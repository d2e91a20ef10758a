/* Tokens that were made and still count, and making one; the keys that sign them. */
import { get, post, remove } from './api.js';
import { button, copy, el, field, iconButton, select } from './dom.js';
import { attempt, confirm, dialog, toast } from './frame.js';
import { may, me } from './session.js';
import { loaded, table } from './table.js';
import { fullText, inputTime, t, word } from './text.js';

const OPS = ['live', 'dvr', 'copy', 'publish', 'api'];
const HOUR = 3600;
const TERMS = [HOUR, 24 * HOUR, 7 * 24 * HOUR, 30 * 24 * HOUR, 365 * 24 * HOUR, 0];
const KEY_TONES = { signs: 'good', good: 'good', later: 'warn', over: '' };

const path = (id) => `/tokens/${encodeURIComponent(id)}`;

/* Resolves to whether it was taken back. */
export async function takeBack(token) {
  if (!(await confirm(t('tokens.revoke'), t('tokens.revoke_text', { name: token.user || token.note || token.id }), t('tokens.revoke')))) return false;
  return (await attempt(() => remove(path(token.id)), t('tokens.revoked'))) !== null;
}

/* What a token is still good for, in words; its tone. */
export function termOf(token, now = Date.now() / 1000) {
  if (token.revoked) return { text: t('tokens.is_revoked'), tone: 'bad' };
  if (token.until && token.until < now) return { text: t('tokens.is_over'), tone: '' };
  return { text: token.until ? t('tokens.until', { at: fullText(token.until) }) : t('share.term.0'), tone: 'good' };
}

export const stretchOf = (token) => (token.from || token.to ? `${token.from ? fullText(token.from) : '…'} – ${token.to ? fullText(token.to) : '…'}` : '');

/* Texts to copy, shown once: [label, text], ... */
export function onceShown(said, ...texts) {
  const line = ([label, value]) => {
    const text = el('input.mono', { value, readOnly: true, onfocus: () => text.select() });
    return field(label, [text, button(t('copy'), () => copy(value).then(() => toast(t('copied'))), { icon: 'copy', kind: 'primary' })]);
  };
  return [el('p.notice.good', {}, said), ...texts.map(line)];
}

function openMake(done) {
  const input = (name, more = {}) => el('input', { name, autocomplete: 'off', spellcheck: 'false', ...more });
  const [user, uids, from, to] = [input('user', { maxlength: '64' }), input('uids', { placeholder: 'yard, gate-*' }), input('from', { type: 'datetime-local', step: '1' }), input('to', { type: 'datetime-local', step: '1' })];
  const term = select(TERMS.map((s) => [String(s), t(`share.term.${s}`)]), String(24 * HOUR), { name: 'duration' });
  const note = input('note', { maxlength: '200' });
  const ops = OPS.filter((op) => op !== 'api' || may('server')).map((op) => el('input', { type: 'checkbox', name: op, checked: op === 'live' }));
  const wrong = el('p.notice.bad.whole', { hidden: true, role: 'alert' });
  const result = el('div.whole.stack', { 'aria-live': 'polite' });
  const time = (e) => (e.value ? inputTime(e.value) : undefined);

  async function make(e) {
    e.preventDefault();
    const asked = { user: user.value.trim(), ops: ops.filter((o) => o.checked).map((o) => o.name), duration: Number(term.value), from: time(from), to: time(to), note: note.value.trim() || undefined };
    const list = uids.value.split(/[\s,]+/).filter(Boolean);
    if (list.length > 0) asked.uids = list;
    try {
      const { token } = await post('/tokens', asked);
      wrong.hidden = true;
      result.replaceChildren(...onceShown(t('tokens.once'), [t('tokens.token'), token]));
      done();
    } catch (error) {
      wrong.textContent = error.message;
      wrong.hidden = false;
    }
  }
  const form = el('form.form', { id: 'token-form', onsubmit: make }, field(t('tokens.user'), user, { help: t('share.user_help') }), field(t('tokens.uid'), uids, { help: t('tokens.uid_help') }), field(t('share.term'), term), field(t('tokens.note'), note),
    el('fieldset.whole', {}, el('legend', {}, t('tokens.ops')), el('div.inline.wrap', {}, ...ops.map((box) => el('label.check', {}, box, t(`ops.${box.name}`))))), field(t('tokens.from'), from, { help: t('tokens.window_help') }), field(t('tokens.to'), to), wrong, result);
  const d = dialog(t('tokens.make'), form, { wide: true, foot: [button(t('close'), () => d.close()), el('button.button.primary', { type: 'submit', form: 'token-form' }, t('tokens.make'))] });
  user.focus();
}

function tokenCard() {
  const search = el('input', { type: 'search', placeholder: t('tokens.search'), 'aria-label': t('tokens.search'), oninput: () => card.load() });
  const old = el('input', { type: 'checkbox', onchange: () => card.load() });
  const card = loaded(async () => {
    const text = search.value.toLowerCase();
    const { items } = await get('/tokens');
    const found = items.filter((k) => (old.checked || termOf(k).tone === 'good') && `${k.user} ${k.by} ${(k.uids ?? []).join(' ')} ${k.note ?? ''} ${k.id}`.toLowerCase().includes(text));
    return table([
      { title: t('tokens.user'), cell: (k) => [el('strong', {}, k.user || '–'), k.note ? el('p.soft', {}, k.note) : ''] },
      { title: t('tokens.uid'), cell: (k) => (k.uids?.length ? el('span.mono', {}, k.uids.join(', ')) : t('users.all')) },
      { title: t('tokens.ops'), cell: (k) => [k.ops.map((op) => word('ops', op)).join(', '), stretchOf(k) ? el('p.soft.num', {}, stretchOf(k)) : ''] },
      { title: t('tokens.term'), cell: (k) => { const term = termOf(k); return el('span.pill', { 'data-tone': term.tone }, term.text); } },
      { title: t('tokens.made'), cell: (k) => [el('span.num.nowrap', {}, fullText(k.made)), el('p.soft', {}, k.by ?? '')] },
      { title: '', right: true, cell: (k) => (termOf(k).tone === 'good' ? button(t('tokens.revoke'), async () => { if (await takeBack(k)) card.load(); }, { kind: 'small' }) : '') },
    ], found, { none: t('tokens.none') });
  }, { title: t('server.tokens'), tools: [el('label.check', {}, old, t('tokens.old')), search, button(t('tokens.make'), () => openMake(() => card.load()), { kind: 'primary', icon: 'plus' })] });
  return card;
}

function keyCard() {
  const rotate = async () => {
    if (!(await confirm(t('keys.rotate'), t('keys.rotate_text'), t('keys.rotate'), { kind: 'primary' }))) return;
    if (await attempt(() => post('/keys/rotate', {}), t('keys.rotated'))) card.load();
  };
  const end = async (k) => {
    if (!(await confirm(t('keys.end', { id: k.id }), t('keys.end_text'), t('keys.end_do')))) return;
    if (await attempt(async () => { await remove(`/keys/${encodeURIComponent(k.id)}`); return true; }, t('keys.ended'))) card.load();
  };
  const card = loaded(async () => {
    const { items } = await get('/keys');
    return table([
      { title: t('keys.id'), cell: (k) => el('span.mono', {}, k.id) },
      { title: t('keys.state'), cell: (k) => el('span.pill', { 'data-tone': KEY_TONES[k.state] ?? '' }, word('key_state', k.state)) },
      { title: t('keys.before'), cell: (k) => el('span.num', {}, fullText(k.not_before)) },
      { title: t('keys.after'), cell: (k) => el('span.num', {}, fullText(k.not_after)) },
      { title: t('keys.from'), cell: (k) => el('span.mono', {}, k.from) },
      { title: '', right: true, cell: (k) => (k.state === 'over' || k.state === 'signs' ? '' : button(t('keys.end_do'), () => end(k), { kind: 'small' })) },
    ], items, { none: t('keys.none') });
  }, { title: t('keys.title'), tools: [iconButton('restart', t('refresh'), () => card.load()), button(t('keys.rotate'), rotate, { icon: 'key' })] });
  return card;
}

export function show(root) {
  root.append(el('p.soft.lead', {}, t('tokens.lead', { name: me.user })), tokenCard().element);
  if (may('server')) root.append(keyCard().element);
}
