/* Cameras move to other nodes, with their archive (docs/cluster.md): which nodes can take them, how far it is, and the way back.
 * Where it was asked for is where it is known: the rows come with the server's in the feed. */
import { get, post, streamPath } from './api.js';
import { button, el, field, mark, say, select } from './dom.js';
import * as feed from './feed.js';
import { each } from './fleet_actions.js';
import { attempt, dialog, formDialog, toast } from './frame.js';
import { isOver, moveOf, moves, moveTone, nodesOf, nodeTone, whyNot } from './nodes.js';
import { facts, table } from './table.js';
import { bits, bytes, duration, fullText, momentText, t, word } from './text.js';

const PHASES = ['spread', 'take', 'fill', 'settle', 'free', 'done'];
const RATE_S = 20; /* the rate is that of so long */

const order = (nodes) => nodes.join(', ');

const labelOf = (uid) => feed.streams.get(uid)?.label ?? uid;

/* What is left, where it is known: of all that the new node fetches from others. */
export function leftText(m, rate) {
  if (m.left === undefined || m.left === null || m.left === 0) return '';
  const size = m.left_bytes ? `, ${bytes(m.left_bytes)}` : '';
  return t('move.left', { n: m.left }) + size + (rate > 0 ? ` · ${bits(rate)}${t('unit.per_s')}` : '');
}

/* --- where to --- */

const body = (nodes, keep) => ({ primary: String(nodes[0]), secondary: nodes.slice(1), keep });

async function begin(uids, nodes, keep) {
  if (uids.length === 1) {
    const row = await post(streamPath(uids[0], '/transfer'), body(nodes, keep));
    openProgress(row);
    return;
  }
  const done = await each(uids, (uid) => post(streamPath(uid, '/transfer'), body(nodes, keep)));
  toast(t('move.begun', { n: done.length }));
}

/* now: the order of today, of one camera; [] of many. */
function nodeChoice(nodes, now, wanted) {
  const primary = (n) => el('input', { type: 'radio', name: 'primary', value: String(n.node), required: true, disabled: Boolean(whyNot(n)), checked: n.node === wanted[0], 'aria-label': t('move.primary_of', { n: n.node }) });
  const backup = (n) => el('input', { type: 'checkbox', name: 'secondary', value: String(n.node), disabled: Boolean(whyNot(n)) && !now.includes(n.node), checked: wanted.indexOf(n.node) > 0, 'aria-label': t('move.backup_of', { n: n.node }) });
  const place = (n) => { const at = now.indexOf(n.node); return at < 0 ? '' : at === 0 ? t('move.is_first') : t('move.is_backup'); };
  return table([
    { title: t('cluster.node'), cell: (n) => [el('strong', {}, String(n.node)), ` ${n.host ?? ''}`, n.self ? ` (${t('cluster.this')})` : ''] },
    { title: t('move.primary'), cell: primary },
    { title: t('move.backup'), cell: backup },
    { title: t('process.state'), cell: (n) => el('div.inline.wrap', {}, el('span.pill', { 'data-tone': nodeTone(n) }, word('node_state', n.state)), el('span.soft', {}, whyNot(n) ? t('move.cannot', { why: whyNot(n) }) : place(n))) },
  ], nodes);
}

function nodesOfForm(form) {
  const data = new FormData(form);
  const first = data.get('primary');
  return first ? [first, ...data.getAll('secondary').filter((n) => n !== first)].map(Number) : [];
}

/* uids: of cameras; wanted: nodes that are chosen at first, in their order. */
export async function openMove(uids, wanted) {
  const got = await attempt(() => Promise.all([get('/cluster'), get('/cluster/streams')]));
  if (!got) return;
  const [{ nodes }, { items }] = got;
  const orders = new Map(items.map((s) => [s.uid, s.nodes]));
  const movable = uids.filter((uid) => orders.get(uid)?.length > 0);
  const title = uids.length === 1 ? t('move.title', { name: labelOf(uids[0]) }) : t('move.title_many', { n: uids.length });
  if (movable.length === 0) {
    dialog(title, el('p.notice.warn', {}, t('move.no_order', { n: uids.length })));
    return;
  }
  const now = movable.length === 1 ? orders.get(movable[0]) : [];
  const keep = select([['keep', t('move.keep')], ['free', t('move.free')]], 'keep', { name: 'keep' });
  const wrong = el('p.notice.bad', { role: 'alert', hidden: true });
  const refused = (text) => { wrong.hidden = false; say(wrong, text); };
  const fields = [
    el('p', {}, t('move.text')),
    movable.length < uids.length ? el('p.notice.warn', {}, t('move.some_no_order', { n: uids.length - movable.length })) : null,
    nodeChoice(nodesOf(nodes), now, wanted ?? now),
    field(t('move.copies'), keep),
    wrong,
  ];
  formDialog(title, fields.filter(Boolean), t('move.do'), async (d) => {
    const chosen = nodesOfForm(d.box.querySelector('form'));
    if (chosen.length === 0) return refused(t('move.choose'));
    try {
      await begin(movable, chosen, keep.value === 'keep');
      d.close();
    } catch (e) {
      refused(e.message);
    }
    return undefined;
  }, { wide: true });
}

/* --- how far it is --- */

function steps(m) {
  const all = PHASES.filter((p) => p !== 'free' || !m.keep);
  const at = all.indexOf(m.phase);
  return el('ol.move-steps', {}, ...all.map((p, i) => el('li', { 'data-done': String(m.phase === 'done' || (at >= 0 && i < at)), 'aria-current': i === at && !isOver(m) ? 'step' : undefined }, t(`move.phase.${p}`))));
}

class Progress {
  constructor(row) {
    this.uid = row.uid;
    this.samples = [];
    this.state = el('span.pill');
    this.said = el('p', { role: 'status' });
    this.left = el('p.num.soft');
    this.steps = el('div');
    this.facts = el('div');
    this.again = button(t('move.again'), () => this.act(() => post(streamPath(this.uid, '/transfer'), body(this.row.to, this.row.keep))), { kind: 'primary', icon: 'restart', hidden: true });
    this.back = button(t('move.back'), () => { this.d.close(); openMove([this.uid], [...this.row.from, ...this.row.to.slice(1)]); }, { icon: 'undo', hidden: true });
    this.stop = feed.on('server', () => this.take(moves().find((m) => m.uid === this.uid)));
    this.d = dialog(t('move.of', { name: labelOf(this.uid) }), [el('div.inline.wrap', {}, this.state, this.left), this.said, this.steps, this.facts], { foot: [this.again, this.back, button(t('close'), () => this.d.close())], onclose: () => this.stop() });
    this.take(moveOf(row));
  }

  async act(run) {
    const row = await attempt(run);
    if (row) this.take(moveOf(row));
  }

  /* Bits a second that came within the last RATE_S. */
  rate(m) {
    const now = feed.now();
    if (m.phase !== 'fill' || !m.left_bytes) this.samples = [];
    else this.samples.push([now, m.left_bytes]);
    while (this.samples.length > 0 && now - this.samples[0][0] > RATE_S) this.samples.shift();
    const [from, to] = [this.samples[0], this.samples.at(-1)];
    return from && to[0] - from[0] >= 1 ? (Math.max(from[1] - to[1], 0) * 8) / (to[0] - from[0]) : 0;
  }

  take(m) {
    if (!m) return;
    this.row = m;
    say(this.state, word('moving', m.phase));
    mark(this.state, 'tone', moveTone(m));
    say(this.left, leftText(m, this.rate(m)));
    say(this.said, m.phase === 'done' ? t('move.done', { nodes: order(m.to) }) : m.text ?? '');
    this.steps.replaceChildren(steps(m));
    this.facts.replaceChildren(facts([[t('move.from'), order(m.from)], [t('move.to'), order(m.to)], [t('move.copies'), t(m.keep ? 'move.keep' : 'move.free')], [t('move.began'), fullText(m.began)], [t('move.by'), m.by], [t('move.since'), isOver(m) ? '' : duration(feed.now() - m.since)]]));
    this.again.hidden = m.phase !== 'failed';
    this.back.hidden = !isOver(m) || m.from.length === 0;
  }
}

export function openProgress(row) { return new Progress(row); }

/* How a stream's move stands: the window of what is under way, or where to choose. */
export function openFor(uid) {
  const m = moves().find((x) => x.uid === uid);
  if (m && !isOver(m)) openProgress(m);
  else openMove([uid]);
}

/* Those that are, or were a moment ago, on their way, for the cluster's page. */
export function moveTable(list) {
  return table([
    { title: t('head.camera'), cell: (m) => el('button.text-button', { type: 'button', onclick: () => openProgress(m) }, labelOf(m.uid)) },
    { title: t('process.state'), cell: (m) => el('span.pill', { 'data-tone': moveTone(m) }, word('moving', m.phase)) },
    { title: t('move.from'), cell: (m) => order(m.from) || '–' },
    { title: t('move.to'), cell: (m) => order(m.to) },
    { title: t('move.waits'), cell: (m) => el('span.soft', {}, isOver(m) ? (m.phase === 'failed' ? m.text : '') : [m.text, leftText(m)].filter(Boolean).join(' · ')) },
    { title: t('cluster.since'), right: true, cell: (m) => momentText(m.since) },
  ], list);
}
