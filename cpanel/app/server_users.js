/* Accounts: who may sign in, as what, and which cameras they see. */
import { get, put, remove } from './api.js';
import { button, el, field, select } from './dom.js';
import { attempt, confirm, dialog } from './frame.js';
import { me } from './session.js';
import { loaded, table } from './table.js';
import { t, word } from './text.js';

const ROLES = ['guest', 'user', 'admin', 'root'];

function openUser(user, done) {
  const name = el('input', { name: 'name', value: user?.name ?? '', disabled: Boolean(user), maxlength: '64', autocomplete: 'off', required: true });
  const role = select(ROLES.map((r) => [r, word('role', r)]), user?.role ?? 'user', { name: 'role' });
  const password = el('input', { name: 'password', type: 'password', autocomplete: 'new-password', maxlength: '512', placeholder: user ? t('users.keep') : '' });
  const cameras = el('textarea.mono', { name: 'cameras', rows: '3', placeholder: 'gate, yard-*' });
  cameras.value = (user?.cameras ?? []).join(', ');
  const fields = [field(t('users.name'), name, { name: 'name' }), field(t('users.role'), role, { name: 'role' }), field(t('signin.password'), password, { name: 'password', help: t('users.password_help') }), field(t('users.cameras'), cameras, { name: 'cameras', help: t('users.cameras_help') })];
  const wrong = el('p.notice.bad.whole', { hidden: true, role: 'alert' });
  const d = dialog(user ? user.name : t('users.add'), el('div.form', {}, ...fields, wrong), { foot: [button(t('cancel'), () => d.close()), button(t('save'), async () => {
    const list = cameras.value.split(/[\s,]+/).filter(Boolean);
    const asked = { role: role.value, cameras: list.length ? list : null };
    if (password.value) asked.password = password.value;
    try {
      await put(`/users/${encodeURIComponent(name.value.trim())}`, asked);
      d.close();
      done();
    } catch (e) {
      for (const f of fields) f.wrong(e.errors.find((x) => x.field === f.field)?.detail ?? '');
      wrong.textContent = e.message;
      wrong.hidden = e.errors.length > 0;
    }
  }, { kind: 'primary' })] });
}

export function show(root) {
  const drop = async (u) => { if (await confirm(t('users.remove'), t('users.remove_text', { name: u.name }), t('users.remove')) && await attempt(() => remove(`/users/${encodeURIComponent(u.name)}`), t('users.removed'))) card.load(); };
  const card = loaded(async () => {
    const { items } = await get('/users');
    return table([
      { title: t('users.name'), cell: (u) => el('strong', {}, u.name) },
      { title: t('users.role'), cell: (u) => word('role', u.role) },
      { title: t('users.cameras'), cell: (u) => (u.cameras ? u.cameras.join(', ') : t('users.all')) },
      { title: t('users.kept'), cell: (u) => word('password', u.password ?? u.kind ?? '') },
      { title: '', right: true, cell: (u) => el('div.inline', {}, button(t('action.edit'), () => openUser(u, () => card.load()), { kind: 'small' }), u.name === me.user ? null : button(t('users.remove'), () => drop(u), { kind: 'small' })) },
    ], items, { none: t('users.none') });
  }, { title: t('server.users'), tools: [button(t('users.add'), () => openUser(null, () => card.load()), { kind: 'primary', icon: 'plus' })] });
  root.append(card.element);
}
