/* A link for somebody without an account: a token of one camera, for a while, for live or for a stretch of the archive. */
import { get, post } from './api.js';
import { button, copy, el, field, select } from './dom.js';
import { attempt, dialog, toast } from './frame.js';
import { fullText, inputText, inputTime, t } from './text.js';

const HOUR = 3600;
const TERMS = [HOUR, 8 * HOUR, 24 * HOUR, 7 * 24 * HOUR, 30 * 24 * HOUR];

/* Where viewers come in: the viewers' listener where its address is known, else where this page came from. */
async function viewersOrigin() {
  try {
    const { web, tls } = await get('/server');
    if (web?.length) return `${tls ? 'https' : 'http'}://${location.hostname}:${web[0].port}${(web[0].base ?? '').replace(/\/+$/, '')}`;
  } catch { /* the address can be edited */ }
  return location.origin;
}

/* stretch: { from, to } of the archive, to null: no end; or null: live. */
export async function openShare(uid, stretch) {
  const origin = el('input.mono', { value: await viewersOrigin(), name: 'origin' });
  const term = select(TERMS.map((s) => [String(s), t(`share.term.${s}`)]), String(24 * HOUR), { name: 'term' });
  const what = select([['live', t('share.live')], ['dvr', t('share.dvr')], ['both', t('share.both')]], stretch ? 'dvr' : 'live', { name: 'what', onchange: () => show() });
  const from = el('input', { type: 'datetime-local', step: '1', value: stretch?.from ? inputText(stretch.from) : '' });
  const to = el('input', { type: 'datetime-local', step: '1', value: stretch?.to ? inputText(stretch.to) : '' });
  const who = el('input', { name: 'user', maxlength: '64', placeholder: t('share.user_example') });
  const times = el('div.form.whole', {}, field(t('cut.from'), from), field(t('cut.to'), to));
  const result = el('div.whole', { 'aria-live': 'polite' });
  const show = () => { times.hidden = what.value === 'live'; };

  async function make() {
    const asked = { uid, user: who.value.trim(), duration: Number(term.value), ops: { live: ['live'], dvr: ['dvr', 'copy'], both: ['live', 'dvr', 'copy'] }[what.value] };
    if (what.value !== 'live' && from.value) asked.from = inputTime(from.value);
    if (what.value !== 'live' && to.value) asked.to = inputTime(to.value);
    const said = await attempt(() => post('/tokens', asked));
    if (!said) return;
    const url = new URL(`${origin.value.replace(/\/+$/, '')}/${encodeURIComponent(uid)}/embed.html`);
    url.searchParams.set('token', said.token);
    if (asked.from) url.searchParams.set('from', asked.from);
    const link = el('input.mono', { value: url.href, readOnly: true, 'aria-label': t('share.link'), onfocus: () => link.select() });
    result.replaceChildren(el('p.notice.good', {}, t('share.until', { at: fullText(said.expires ?? Date.now() / 1000 + asked.duration) })),
      el('div.inline', {}, link, button(t('copy'), () => copy(link.value).then(() => toast(t('copied'))), { icon: 'copy', kind: 'primary' })));
    link.focus();
  }

  const d = dialog(t('share.title'), el('div.form', {}, field(t('share.what'), what), field(t('share.term'), term), times, field(t('share.user'), who, { help: t('share.user_help') }), field(t('share.origin'), origin), result),
    { wide: true, foot: [button(t('close'), () => d.close()), button(t('share.make'), make, { kind: 'primary', icon: 'link' })] });
  show();
}
