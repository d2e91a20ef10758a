/* Accounts: who they are, what they may, which cameras they are for. */
import { get, put, remove } from './api.js';
import { button, el, field, iconButton, select } from './dom.js';
import * as feed from './feed.js';
import { attempt, confirm, formDialog, toast } from './frame.js';
import { menu } from './menu.js';
import { newPassword, setPassword } from './passwords.js';
import { me } from './session.js';
import { loaded, table } from './table.js';
import { t, word } from './text.js';
import { hold, mayLeave } from './unsaved.js';

const ROLES = ['guest', 'user', 'admin', 'root'];
const path = (name) => `/users/${encodeURIComponent(name)}`;
const listOf = (text) => text.split(/[\s,]+/).filter(Boolean);

/* u: a row, null for a new one. */
function openForm(u, done) {
  const name = el('input', { name: 'name', value: u?.name ?? '', maxlength: '49', pattern: '[A-Za-z0-9._\\-]+', autocapitalize: 'none', autocomplete: 'off', spellcheck: 'false', disabled: u !== null });
  const role = select(ROLES.map((r) => [r, `${word('role', r)}: ${t(`role_text.${r}`)}`]), u?.role ?? 'user', { name: 'role' });
  const cameras = el('textarea.mono', { name: 'cameras', rows: '3', spellcheck: 'false', placeholder: 'yard, gate-*' });
  cameras.value = (u?.cameras ?? []).join(', ');
  const fresh = u === null ? newPassword() : null;
  const fields = { name: field(t('users.name'), name, { help: u === null ? t('users.name_help') : '' }), role: field(t('users.role'), role), cameras: field(t('users.cameras'), cameras, { help: t('users.cameras_help') }) };
  const rest = el('p.notice.bad', { role: 'alert', hidden: true });
  const wanted = () => ({ role: role.value, cameras: cameras.value.trim() === '' ? null : listOf(cameras.value) });
  const before = JSON.stringify(wanted());
  const dirty = () => name.value !== (u?.name ?? '') || JSON.stringify(wanted()) !== before;
  const free = hold(dirty);

  async function save(d) {
    const password = fresh?.value();
    if (password === null) return;
    for (const f of Object.values(fields)) f.wrong('');
    try {
      await put(path(name.value.trim()), { ...wanted(), password });
      d.close();
      toast(t(u === null ? 'users.added' : 'users.changed', { name: name.value.trim() }));
      done();
    } catch (e) {
      const loose = e.errors.filter(({ field: at, detail }) => { fields[at]?.wrong(detail); return !fields[at]; });
      rest.hidden = e.errors.length > 0 && loose.length === 0;
      rest.textContent = loose.length > 0 ? loose.map((x) => x.detail).join(' ') : e.message;
    }
  }
  formDialog(t(u === null ? 'users.add' : 'users.edit', { name: u?.name ?? '' }), [fields.name, fields.role, fields.cameras, ...(fresh?.fields ?? []), rest], t('save'), save, { mayClose: () => mayLeave(dirty), onclose: free });
}

export function show(root) {
  const again = () => card.load();
  async function drop(u) {
    if (!(await confirm(t('users.remove', { name: u.name }), t('users.remove_text'), t('action.remove')))) return;
    if (await attempt(() => remove(path(u.name)), t('users.removed', { name: u.name }))) again();
  }
  const actions = (u) => [
    { text: t('action.edit'), icon: 'edit', run: () => openForm(u, again) },
    { text: t('users.password'), icon: 'key', run: () => setPassword(u.name, again) },
    { line: true },
    { text: t('action.remove'), icon: 'trash', danger: true, run: () => drop(u) },
  ];
  const card = loaded(async () => {
    const { items } = await get('/users');
    return table([
      { title: t('users.name'), cell: (u) => [el('strong', {}, u.name), u.name === me.user ? ` (${t('users.you')})` : ''] },
      { title: t('users.role'), cell: (u) => [word('role', u.role), el('span.soft.role-text', {}, t(`role_text.${u.role}`))] },
      { title: t('users.cameras'), cell: (u) => (u.cameras === null || u.cameras === undefined ? t('users.all') : el('span.mono', {}, u.cameras.join(', ') || '–')) },
      { title: t('users.kept'), cell: (u) => el('span.pill', { 'data-tone': u.kept === 'scrypt' ? 'good' : 'warn', title: t(`users.kept_text.${u.kept}`) }, word('users.kept', u.kept)) },
      { title: '', right: true, cell: (u) => iconButton('more', t('fleet.actions', { name: u.name }), (e) => menu(e.currentTarget, actions(u)), { 'aria-haspopup': 'menu' }) },
    ], items, { none: t('users.none') });
  }, { title: t('server.users'), tools: [button(t('users.add'), () => openForm(null, again), { kind: 'primary', icon: 'plus' })] });
  root.append(card.element);
  return feed.onCount('audit_last', () => card.load());
}
