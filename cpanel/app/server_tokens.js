/* Making a token: a key of the API, or a grant for viewers. The server keeps no list of them: each carries what it allows. */
import { post } from './api.js';
import { button, copy, el, field, select } from './dom.js';
import { toast } from './frame.js';
import { t } from './text.js';

const OPS = ['live', 'dvr', 'copy', 'publish', 'api'];
const HOUR = 3600;
const TERMS = [HOUR, 24 * HOUR, 7 * 24 * HOUR, 30 * 24 * HOUR, 365 * 24 * HOUR, 0];

export function show(root) {
  const user = el('input', { name: 'user', maxlength: '64', autocomplete: 'off' });
  const uid = el('input', { name: 'uid', autocomplete: 'off', spellcheck: 'false' });
  const term = select(TERMS.map((s) => [String(s), t(`share.term.${s}`)]), String(24 * HOUR), { name: 'duration' });
  const ops = OPS.map((op) => el('input', { type: 'checkbox', name: op, checked: op === 'live' }));
  const wrong = el('p.notice.bad.whole', { hidden: true, role: 'alert' });
  const result = el('div.whole.stack', { 'aria-live': 'polite' });

  async function make(e) {
    e.preventDefault();
    const asked = { user: user.value.trim(), ops: ops.filter((o) => o.checked).map((o) => o.name), duration: Number(term.value) };
    if (uid.value.trim()) asked.uid = uid.value.trim();
    try {
      const { token } = await post('/tokens', asked);
      const text = el('input.mono', { value: token, readOnly: true, 'aria-label': t('tokens.token') });
      wrong.hidden = true;
      result.replaceChildren(el('p.notice.good', {}, t('tokens.once')), el('div.inline', {}, text, button(t('copy'), () => copy(token).then(() => toast(t('copied'))), { icon: 'copy', kind: 'primary' })));
    } catch (error) {
      wrong.textContent = error.message;
      wrong.hidden = false;
    }
  }

  root.append(el('section.card', { 'aria-label': t('server.tokens') }, el('header', {}, el('h2', {}, t('tokens.make'))), el('form.card-body.form', { onsubmit: make }, el('p.soft.whole', {}, t('tokens.lead')), field(t('tokens.user'), user), field(t('tokens.uid'), uid, { help: t('tokens.uid_help') }), field(t('share.term'), term),
    el('fieldset', {}, el('legend', {}, t('tokens.ops')), el('div.inline.wrap', {}, ...ops.map((box) => el('label.check', {}, box, t(`ops.${box.name}`))))), wrong, result, el('div.whole', {}, el('button.button.primary', { type: 'submit' }, t('tokens.make'))))));
}
