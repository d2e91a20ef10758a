/* Passwords: one's own shown again before something that weighs, one's own changed, another's set anew. */
import { put } from './api.js';
import { el, field } from './dom.js';
import { attempt, formDialog, toast } from './frame.js';
import { me } from './session.js';
import { t } from './text.js';

const SHORTEST = 8; /* bytes */

const input = (name, autocomplete) => el('input', { name, type: 'password', autocomplete, required: true, maxlength: '128' });

/* Resolves to whether the own password was shown. */
export function showAgain() {
  return new Promise((resolve) => {
    const password = input('password', 'current-password');
    const at = field(t('signin.password'), password);
    let shown = false;
    formDialog(t('confirm.title'), [el('p', {}, t('confirm.text', { name: me.user })), at], t('confirm.do'), async (d) => {
      try {
        await put('/session', { password: password.value }, { quiet: true });
        shown = true;
        d.close();
      } catch (e) {
        at.wrong(e.status === 403 ? t('confirm.wrong') : e.message);
        password.select();
      }
    }, { onclose: () => resolve(shown) });
  });
}

function twice() {
  const fields = [field(t('password.new'), input('new', 'new-password'), { help: t('password.help', { n: SHORTEST }) }), field(t('password.again'), input('again', 'new-password'))];
  const [first, second] = fields.map((f) => f.querySelector('input'));
  const value = () => {
    fields[0].wrong(new TextEncoder().encode(first.value).length < SHORTEST ? t('password.short', { n: SHORTEST }) : '');
    fields[1].wrong(first.value === second.value ? '' : t('password.differ'));
    return fields.some((f) => f.querySelector('[aria-invalid="true"]')) ? null : first.value;
  };
  return { fields, value, wrong: fields[0].wrong };
}

/* One's own. Every sign-in of this account ends with it. */
export function changeOwn() {
  const old = input('old', 'current-password');
  const at = field(t('password.old'), old);
  const fresh = twice();
  formDialog(t('password.change'), [el('p.soft', {}, t('password.ends')), at, ...fresh.fields], t('password.change'), async () => {
    const password = fresh.value();
    if (password === null) return;
    try {
      await put(`/users/${encodeURIComponent(me.user)}/password`, { password, old: old.value });
      location.reload();
    } catch (e) {
      (e.errors.length ? fresh : at).wrong(e.message);
    }
  });
}

/* Of another account. */
export function setPassword(name, done) {
  const fresh = twice();
  formDialog(t('password.of', { name }), [el('p.soft', {}, t('password.ends')), ...fresh.fields], t('save'), async (d) => {
    const password = fresh.value();
    if (password === null || !(await attempt(() => put(`/users/${encodeURIComponent(name)}/password`, { password })))) return;
    d.close();
    toast(t('password.set', { name }));
    done();
  });
}

export { twice as newPassword };
