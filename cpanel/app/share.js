/* A link for somebody without an account: a token of one camera, for a while, for live, for live and archive, or for a stretch
 * of the archive; and the links that were given. */
import { get, mediaPath, post } from './api.js';
import { button, el, field, icon, select } from './dom.js';
import * as feed from './feed.js';
import { dialog } from './frame.js';
import { onceShown, stretchOf, takeBack, termOf } from './server_tokens.js';
import { loaded } from './table.js';
import { fullText, inputText, inputTime, t, word } from './text.js';

const HOUR = 3600;
const TERMS = [HOUR, 8 * HOUR, 24 * HOUR, 7 * 24 * HOUR, 30 * 24 * HOUR];

/* A link of the server's at the address that was asked for, if any. */
function linkAt(origin, link, from) {
  const url = new URL(link);
  if (from) url.searchParams.set('from', Math.floor(from));
  return origin ? new URL(origin.replace(/\/+$/, '') + url.pathname + url.search).href : url.href;
}

/* What a link shows, as the token's ops. A stretch is of the archive alone, and of nothing else of it. */
const OPS = { live: ['live'], both: ['live', 'dvr', 'copy'], stretch: ['dvr', 'copy'] };

/* cut: { from, to } that is marked on the time line, or null; at: where the archive is looked at, or null. */
export function openShare(uid, { cut, at }) {
  const origin = el('input.mono', { name: 'origin', placeholder: 'https://video.example.com' });
  const term = select(TERMS.map((s) => [String(s), t(`share.term.${s}`)]), String(24 * HOUR), { name: 'term' });
  const what = select(Object.keys(OPS).map((name) => [name, t(`share.${name}`)]), cut ? 'stretch' : at ? 'both' : 'live', { name: 'what', onchange: () => showEdges() });
  const who = el('input', { name: 'user', maxlength: '64', placeholder: t('share.user_example') });
  const edge = (name, value) => el('input', { type: 'datetime-local', step: '1', name, value: inputText(value) });
  const now = feed.now();
  const from = edge('from', cut?.from ?? (at ?? now) - HOUR / 2);
  const to = edge('to', cut?.to ?? Math.min((at ?? now) + HOUR / 2, now));
  const edges = el('div.form.whole', {}, field(t('cut.from'), from), field(t('cut.to'), to));
  const wrong = el('p.notice.bad.whole', { role: 'alert', hidden: true });
  const result = el('div.whole.stack', { 'aria-live': 'polite' });
  const showEdges = () => { edges.hidden = what.value !== 'stretch'; };

  async function make() {
    const asked = { uid, user: who.value.trim(), duration: Number(term.value), ops: OPS[what.value] };
    if (what.value === 'stretch') Object.assign(asked, { from: inputTime(from.value), to: inputTime(to.value) });
    wrong.hidden = true;
    try {
      const said = await post('/tokens', asked);
      const page = linkAt(origin.value.trim(), said.links?.page ?? `${location.origin}${mediaPath(uid, `embed.html?token=${said.token}`)}`, what.value === 'both' ? at : null);
      const file = said.links?.mp4 ? [[t('share.file'), linkAt(origin.value.trim(), said.links.mp4)]] : [];
      result.replaceChildren(...onceShown(t('share.until', { at: fullText(said.until ?? now + asked.duration) }), [t('share.link'), page], ...file));
      result.querySelector('input').focus();
      links.load();
    } catch (e) {
      wrong.textContent = e.message;
      wrong.hidden = false;
    }
  }

  /* Links of this camera alone that count still. */
  const links = loaded(async () => {
    const items = (await get('/tokens')).items.filter((k) => k.uids?.length === 1 && k.uids[0] === uid && termOf(k).tone === 'good');
    if (items.length === 0) return el('p.soft', {}, t('share.none'));
    return el('ul.lines', {}, ...items.map((k) => el('li', {}, icon('link'), el('strong', {}, k.user || '–'), el('span.soft.grow', {}, [stretchOf(k) || k.ops.map((op) => word('ops', op)).join(', '), termOf(k).text].join(' · ')),
      button(t('tokens.revoke'), async () => { if (await takeBack(k)) links.load(); }, { kind: 'link' }))));
  }, { title: t('share.given') });
  links.element.classList.add('whole');
  showEdges();
  const d = dialog(t('share.title'), el('div.form', {}, field(t('share.what'), what), field(t('share.term'), term), edges, field(t('share.user'), who, { help: t('share.user_help') }), field(t('share.origin'), origin, { help: t('share.origin_help') }), wrong, result, links.element),
    { wide: true, foot: [button(t('close'), () => d.close()), button(t('share.make'), make, { kind: 'primary', icon: 'link' })] });
}
