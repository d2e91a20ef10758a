/* Tokens: keys of the API and grants of viewers, which count until they end or are revoked. */
import { get, post, remove } from './api.js';
import { button, copy, el, field, select } from './dom.js';
import { attempt, confirm, dialog, toast } from './frame.js';
import { loaded, table } from './table.js';
import { fullText, inputTime, t } from './text.js';

const OPS = ['live', 'dvr', 'copy', 'publish', 'api'];
const HOUR = 3600;

function openMake(done) {
  const user = el('input', { name: 'user', maxlength: '64' });
  const uid = el('input', { name: 'uid', placeholder: '*' });
  const term = select([HOUR, 24 * HOUR, 7 * 24 * HOUR, 30 * 24 * HOUR, 365 * 24 * HOUR, 0].map((s) => [String(s), t(`share.term.${s}`)]), String(24 * HOUR), { name: 'duration' });
  const address = el('input', { name: 'address', placeholder: '10.0.0.0/8' });
  const from = el('input', { type: 'datetime-local', step: '1', name: 'from' });
  const to = el('input', { type: 'datetime-local', step: '1', name: 'to' });
  const ops = OPS.map((op) => el('input', { type: 'checkbox', name: op, checked: op === 'live' }));
  const result = el('div.whole', { 'aria-live': 'polite' });
  const wrong = el('p.notice.bad.whole', { hidden: true, role: 'alert' });
  const d = dialog(t('tokens.make'), el('div.form', {}, field(t('tokens.user'), user), field(t('tokens.uid'), uid, { help: t('tokens.uid_help') }), field(t('share.term'), term), field(t('tokens.address'), address), field(t('cut.from'), from), field(t('cut.to'), to),
    el('fieldset.whole', {}, el('legend', {}, t('tokens.ops')), el('div.inline.wrap', {}, ...ops.map((box) => el('label.check', {}, box, t(`ops.${box.name}`))))), wrong, result), { wide: true, onclose: done, foot: [button(t('close'), () => d.close()), button(t('tokens.make'), async () => {
    const asked = { user: user.value.trim(), ops: ops.filter((o) => o.checked).map((o) => o.name), duration: Number(term.value) };
    for (const [name, input] of [['uid', uid], ['address', address]]) if (input.value.trim()) asked[name] = input.value.trim();
    for (const [name, input] of [['from', from], ['to', to]]) if (input.value) asked[name] = inputTime(input.value);
    try {
      const said = await post('/tokens', asked);
      wrong.hidden = true;
      const text = el('input.mono', { value: said.token, readOnly: true, 'aria-label': t('tokens.token') });
      result.replaceChildren(el('p.notice.good', {}, t('tokens.once')), el('div.inline', {}, text, button(t('copy'), () => copy(said.token).then(() => toast(t('copied'))), { icon: 'copy', kind: 'primary' })));
    } catch (e) {
      wrong.textContent = e.message;
      wrong.hidden = false;
    }
  }, { kind: 'primary', icon: 'key' })] });
}

export function show(root) {
  const revoke = async (item) => {
    const id = item.id ?? item.jti ?? item.name;
    if (await confirm(t('tokens.revoke'), t('tokens.revoke_text', { name: item.user || id }), t('tokens.revoke')) && await attempt(() => remove(`/tokens/${encodeURIComponent(id)}`), t('tokens.revoked'))) card.load();
  };
  const card = loaded(async () => {
    const { items } = await get('/tokens');
    return table([
      { title: t('tokens.id'), cell: (k) => el('span.mono', {}, k.id ?? k.jti ?? k.name ?? '') },
      { title: t('tokens.user'), cell: (k) => k.user ?? k.kind ?? '' },
      { title: t('tokens.uid'), cell: (k) => [k.uid ?? k.streams ?? ''].flat().join(', ') },
      { title: t('tokens.ops'), cell: (k) => [k.ops ?? ''].flat().map((o) => (o ? t(`ops.${o}`) : '')).join(', ') },
      { title: t('tokens.made'), cell: (k) => fullText(k.made ?? k.created ?? k.at) },
      { title: t('tokens.until'), cell: (k) => (k.expires ?? k.until ? fullText(k.expires ?? k.until) : t('tokens.forever')) },
      { title: '', right: true, cell: (k) => (k.revoked ? el('span.pill', { 'data-tone': 'bad' }, t('tokens.is_revoked')) : button(t('tokens.revoke'), () => revoke(k), { kind: 'small' })) },
    ], items, { none: t('tokens.none') });
  }, { title: t('server.tokens'), tools: [button(t('tokens.make'), () => openMake(() => card.load()), { kind: 'primary', icon: 'plus' })] });
  root.append(card.element);
}
