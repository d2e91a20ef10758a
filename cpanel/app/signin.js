/* The sign-in page. */
import { button, el, field } from './dom.js';
import { setTitle, translate } from './frame.js';
import { asked, signIn } from './session.js';
import { duration, language, languages, setLanguage, t } from './text.js';

const REASONS = { 401: 'signin.wrong', 403: 'signin.refused', 0: 'error.network' };

/* What the server says of who may try from here. */
function noteOf(said) {
  if (said?.code === 'not-from-here') return el('p.notice.bad', { role: 'alert' }, t('signin.refused'));
  if (said?.code === 'no-account') return el('p.notice.bad', { role: 'alert' }, t('signin.no_account'));
  return location.protocol === 'https:' ? null : el('p.notice.warn', {}, t('session.insecure'));
}

export function showSignIn(root, enter) {
  translate();
  document.body.dataset.page = 'signin';
  document.getElementById('header').hidden = true;
  setTitle(t('signin.title'));
  const user = el('input', { name: 'user', autocomplete: 'username', required: true, autocapitalize: 'none', spellcheck: 'false', maxlength: '64' });
  const password = el('input', { name: 'password', type: 'password', autocomplete: 'current-password', required: true, maxlength: '512' });
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

  const tongues = Object.entries(languages).map(([name, text]) => button(text, () => setLanguage(name), { kind: 'link', lang: name, 'aria-pressed': String(name === language) }));
  root.replaceChildren(el('form.signin', { onsubmit: send, method: 'post' },
    el('div.signin-mark', { 'aria-hidden': 'true' }), el('h1', {}, document.documentElement.dataset.site), el('p.soft', {}, t('signin.lead')),
    noteOf(asked), wrong, field(t('signin.user'), user), field(t('signin.password'), password), submit, el('p.tongues', {}, ...tongues)));
  user.focus();
}
