/* What stands around every page: navigation, who is signed in, the state of the line to the server, messages, dialogs. */
import { button, el, icon, iconButton, newId, say } from './dom.js';
import { menu } from './menu.js';
import { may, me, signOut } from './session.js';
import { language, languages, setLanguage, t, word } from './text.js';

const TOAST_MS = 6000;
const UNDO_MS = 12000;

const $ = (id) => document.getElementById(id);

/* --- title and navigation --- */

export function setTitle(text) {
  document.title = `${text} · ${document.documentElement.dataset.site}`;
}

export function markNav(name) {
  for (const a of document.querySelectorAll('[data-nav]')) {
    if (a.dataset.nav === name) a.setAttribute('aria-current', 'page');
    else a.removeAttribute('aria-current');
  }
}

/* The words of the template, which has none of its own. */
export function translate(root = document) {
  for (const e of root.querySelectorAll('[data-t]')) e.textContent = t(e.dataset.t);
  for (const e of root.querySelectorAll('[data-t-label]')) {
    e.setAttribute('aria-label', t(e.dataset.tLabel));
    e.title = t(e.dataset.tLabel);
  }
  for (const e of root.querySelectorAll('[data-icon]')) if (!e.querySelector('svg')) e.prepend(icon(e.dataset.icon));
}

/* --- theme --- */

const dark = matchMedia('(prefers-color-scheme: dark)');
export const isDark = () => (document.documentElement.dataset.theme ?? (dark.matches ? 'dark' : 'light')) === 'dark';
const themeBus = new EventTarget();
dark.addEventListener('change', () => themeBus.dispatchEvent(new Event('change')));
export function onTheme(run) {
  themeBus.addEventListener('change', run);
  return () => themeBus.removeEventListener('change', run);
}

function setTheme(name) {
  if (name) document.documentElement.dataset.theme = name;
  else delete document.documentElement.dataset.theme;
  try {
    if (name) localStorage.setItem('cpanel.theme', name);
    else localStorage.removeItem('cpanel.theme');
  } catch { /* private window */ }
  themeBus.dispatchEvent(new Event('change'));
}

/* --- who --- */

async function leave() {
  await signOut();
  location.reload();
}

function openUserMenu(e) {
  const theme = document.documentElement.dataset.theme ?? '';
  menu(e.currentTarget, [
    { head: me.user, text: word('role', me.role) },
    { title: t('theme.title') },
    ...[['', 'theme.system'], ['light', 'theme.light'], ['dark', 'theme.dark']].map(([name, text]) => ({ text: t(text), on: theme === name, run: () => setTheme(name) })),
    { title: t('language.title') },
    ...Object.entries(languages).map(([name, text]) => ({ text, on: language === name, run: () => setLanguage(name) })),
    ...(me.auth === 'basic' ? [] : [{ line: true }, { text: t('password.change'), icon: 'key', run: async () => (await import('./passwords.js')).changeOwn() }, { text: t('session.out'), icon: 'out', run: leave }]),
  ]);
}

export function showFrame(who) {
  translate();
  $('header').hidden = false;
  document.body.dataset.role = who.role;
  for (const a of document.querySelectorAll('[data-nav="server"]')) a.hidden = !may('operate');
  $('user').replaceChildren(icon('user'), el('span.user-name', {}, who.user));
  $('user').setAttribute('aria-label', who.user);
  $('user').addEventListener('click', openUserMenu);
  $('banner').hidden = !who.banner;
  say($('banner-text'), who.secure ? who.banner ?? '' : t('session.insecure'));
}

/* --- the line to the server --- */

export function frameState(alive) {
  document.body.dataset.line = alive ? 'alive' : 'dead';
  say($('line-text'), t(alive ? 'line.alive' : 'line.dead'));
  $('dead').hidden = alive;
  say($('dead-text'), t('line.dead_text'));
}

/* --- messages --- */

export function toast(text, { kind = '', undo } = {}) {
  const box = el(`div.toast${kind && `.${kind}`}`, { role: kind === 'bad' ? 'alert' : 'status' }, el('span', {}, text));
  const gone = () => box.remove();
  let timer = setTimeout(gone, undo ? UNDO_MS : TOAST_MS);
  if (undo)
    box.append(button(t('undo'), async () => {
      gone();
      try {
        await undo();
        toast(t('undone'));
      } catch (e) {
        toast(e.message, { kind: 'bad' });
      }
    }, { kind: 'link', icon: 'undo' }));
  box.append(iconButton('close', t('close'), gone));
  box.addEventListener('pointerenter', () => clearTimeout(timer));
  box.addEventListener('pointerleave', () => { timer = setTimeout(gone, TOAST_MS); });
  $('toasts').append(box);
  return gone;
}

/* Runs something that the server may refuse; the refusal is shown. */
export async function attempt(run, done) {
  try {
    const got = await run();
    if (done) toast(done);
    return got ?? true;
  } catch (e) {
    if (e.name !== 'AbortError') toast(e.message, { kind: 'bad' });
    return null;
  }
}

export function showPageError(root, title, e) {
  root.replaceChildren(el('div.empty', { role: 'alert' }, icon('warn'), el('h1', {}, title), el('p', {}, e.message),
    button(t('again'), () => location.reload(), { kind: 'primary' })));
}

/* --- dialogs --- */

/* A window over the page; { close, leave, box }. It closes by Escape and by its button; what is below cannot be reached meanwhile.
 * mayClose: asked before, but not by close(); resolves to whether it may. */
export function dialog(title, content, { wide = false, foot = [], onclose, mayClose } = {}) {
  const head = el('h2', {}, title);
  const close = () => { box.close(); gone(); };
  const leave = async () => { if (!mayClose || (await mayClose())) close(); };
  const box = el(`dialog.dialog${wide ? '.wide' : ''}`, { 'aria-label': title },
    el('header', {}, head, iconButton('close', t('close'), leave)), el('div.dialog-body', {}, content), foot.length ? el('footer', {}, ...foot) : null);
  /* Once; the event comes a task after the box was shut, what was held in it ends with it. */
  const gone = () => {
    if (!box.isConnected) return;
    box.remove();
    onclose?.();
  };
  box.addEventListener('close', gone);
  box.addEventListener('cancel', (e) => {
    if (e.target !== box || !mayClose) return;
    e.preventDefault();
    leave();
  });
  document.body.append(box);
  box.showModal();
  return { box, leave, close };
}

/* A form in a dialog: Enter and its second button run it. */
export function formDialog(title, fields, yes, run, more = {}) {
  const id = newId('form');
  const form = el('form.stack', { id, novalidate: true, onsubmit: (e) => { e.preventDefault(); run(d); } }, ...fields);
  const d = dialog(title, form, { foot: [button(t('cancel'), () => d.leave()), el('button.button.primary', { type: 'submit', form: id }, yes)], ...more });
  form.querySelector('input:not([disabled]), select')?.focus();
  return d;
}

/* Resolves to true when it was meant. */
export function confirm(title, text, yes, { kind = 'danger' } = {}) {
  return new Promise((resolve) => {
    let meant = false;
    const d = dialog(title, el('p', {}, text), {
      foot: [button(t('cancel'), () => d.close()), button(yes, () => { meant = true; d.close(); }, { kind, autofocus: true })],
      onclose: () => resolve(meant),
    });
  });
}
