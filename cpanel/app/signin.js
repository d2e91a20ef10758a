/* The sign-in page; and the first account's, where there is none. */
import { post } from './api.js';
import { button, el, field } from './dom.js';
import { setTitle, translate } from './frame.js';
import { newPassword } from './passwords.js';
import { asked, signIn } from './session.js';
import { duration, language, languages, setLanguage, t } from './text.js';

const REASONS = { 401: 'signin.wrong', 403: 'signin.refused', 0: 'error.network' };

/* What the server says of who may try from here. */
function noteOf(said) {
  if (said?.code === 'not-from-here') return el('p.notice.bad', { role: 'alert' }, t('signin.refused'));
  return location.protocol === 'https:' ? null : el('p.notice.warn', {}, t('session.insecure'));
}

const input = (name, more) => el('input', { name, required: true, autocapitalize: 'none', spellcheck: 'false', ...more });

function tongues() {
  return el('p.tongues', {}, ...Object.entries(languages).map(([name, text]) => button(text, () => setLanguage(name), { kind: 'link', lang: name, 'aria-pressed': String(name === language) })));
}

/* The first account: who can read the server's log knows the secret. */
function showSetUp(root) {
  const secret = field(t('first.secret'), input('secret', { autocomplete: 'off' }), { help: t('first.secret_help') });
  const user = field(t('signin.user'), input('user', { autocomplete: 'username', maxlength: '49', value: 'root' }));
  const fresh = newPassword();
  const wrong = el('p.notice.bad', { role: 'alert', hidden: true });
  const valueOf = (f) => f.querySelector('input').value.trim();
  const submit = el('button.button.primary.big', { type: 'submit' }, t('first.do'));

  async function send(e) {
    e.preventDefault();
    const password = fresh.value();
    if (password === null) return;
    submit.disabled = true;
    try {
      await post('/setup', { secret: valueOf(secret), user: valueOf(user), password }, { quiet: true });
      await signIn(valueOf(user), password);
      location.reload();
    } catch (error) {
      wrong.textContent = error.status === 429 ? t('signin.throttled', { time: error.retry ? duration(error.retry) : '' }) : error.message;
      wrong.hidden = false;
    }
    submit.disabled = false;
  }

  root.replaceChildren(el('form.signin', { onsubmit: send, method: 'post' }, el('div.signin-mark', { 'aria-hidden': 'true' }), el('h1', {}, document.documentElement.dataset.site),
    el('p.soft', {}, t('first.lead')), noteOf({}), wrong, secret, user, ...fresh.fields, submit, tongues()));
  secret.querySelector('input').focus();
}

export function showSignIn(root, enter) {
  translate();
  document.body.dataset.page = 'signin';
  document.getElementById('header').hidden = true;
  setTitle(t('signin.title'));
  if (asked?.code === 'no-account') {
    showSetUp(root);
    return;
  }
  const user = input('user', { autocomplete: 'username', maxlength: '64' });
  const password = input('password', { type: 'password', autocomplete: 'current-password', maxlength: '512' });
  const wrong = el('p.notice.bad', { role: 'alert', hidden: true });
  const submit = el('button.button.primary.big', { type: 'submit' }, t('signin.do'));

  async function send(e) {
    e.preventDefault();
    submit.disabled = true;
    wrong.hidden = true;
    try {
      await signIn(user.value, password.value);
      delete document.body.dataset.page;
      root.replaceChildren();
      await enter();
    } catch (error) {
      wrong.textContent = error.status === 429 ? t('signin.throttled', { time: error.retry ? duration(error.retry) : '' }) : t(REASONS[error.status] ?? 'signin.failed', { why: error.message });
      wrong.hidden = false;
      password.select();
    }
    submit.disabled = false;
  }

  root.replaceChildren(el('form.signin', { onsubmit: send, method: 'post' },
    el('div.signin-mark', { 'aria-hidden': 'true' }), el('h1', {}, document.documentElement.dataset.site), el('p.soft', {}, t('signin.lead')),
    noteOf(asked), wrong, field(t('signin.user'), user), field(t('signin.password'), password), submit, tongues()));
  user.focus();
}
