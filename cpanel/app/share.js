/* A link for somebody without an account: a token of one camera, for a while, for live, or for live and archive. */
import { get, post } from './api.js';
import { button, copy, el, field, select } from './dom.js';
import { attempt, dialog, toast } from './frame.js';
import { fullText, t } from './text.js';

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

/* stretch: { from } of the archive, where the link begins; null: live. */
export async function openShare(uid, stretch) {
  const origin = el('input.mono', { value: await viewersOrigin(), name: 'origin' });
  const term = select(TERMS.map((s) => [String(s), t(`share.term.${s}`)]), String(24 * HOUR), { name: 'term' });
  const what = select([['live', t('share.live')], ['both', t('share.both')]], stretch ? 'both' : 'live', { name: 'what' });
  const who = el('input', { name: 'user', maxlength: '64', placeholder: t('share.user_example') });
  const result = el('div.whole', { 'aria-live': 'polite' });

  async function make() {
    const asked = { uid, user: who.value.trim(), duration: Number(term.value), ops: what.value === 'live' ? ['live'] : ['live', 'dvr', 'copy'] };
    const said = await attempt(() => post('/tokens', asked));
    if (!said) return;
    const url = new URL(`${origin.value.replace(/\/+$/, '')}/${encodeURIComponent(uid)}/embed.html`);
    url.searchParams.set('token', said.token);
    if (stretch && what.value !== 'live') url.searchParams.set('from', stretch.from);
    const link = el('input.mono', { value: url.href, readOnly: true, 'aria-label': t('share.link'), onfocus: () => link.select() });
    result.replaceChildren(el('p.notice.good', {}, t('share.until', { at: fullText(Date.now() / 1000 + asked.duration) })),
      el('div.inline', {}, link, button(t('copy'), () => copy(link.value).then(() => toast(t('copied'))), { icon: 'copy', kind: 'primary' })));
    link.focus();
  }

  const d = dialog(t('share.title'), el('div.form', {}, field(t('share.what'), what), field(t('share.term'), term), field(t('share.user'), who, { help: t('share.user_help') }), field(t('share.origin'), origin), result),
    { wide: true, foot: [button(t('close'), () => d.close()), button(t('share.make'), make, { kind: 'primary', icon: 'link' })] });
}
