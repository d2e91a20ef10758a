/* The cluster as this node sees it: the other nodes, live by the feed, and which of them records what. */
import { get, put } from './api.js';
import { button, calm, el, say, select } from './dom.js';
import * as feed from './feed.js';
import { attempt, confirm } from './frame.js';
import { flagsOf, moves, nodesOf, nodeTone } from './nodes.js';
import { cameraPath } from './router.js';
import { may } from './session.js';
import { loaded, table } from './table.js';
import { bytes, compare, duration, number, t, word } from './text.js';
import { moveTable } from './transfer.js';

const SHOWN_MOST = 300;
const AGAIN_MS = 700; /* behind a notice of the cluster, or another state of a node or of a stream */
const RUN_TONES = { ready: 'good', begins: 'warn', unwell: 'bad' };

const seconds = (s) => `${s > 0 ? '+' : ''}${number(Math.round(s * 1000) / 1000)}\u00a0${t('unit.s')}`;

/* What this node copies from it. */
function fillText(n) {
  if (n.self || n.fill_left === undefined) return '–';
  return [n.fill_left > 0 ? `${t('cluster.fill_text', { n: n.fill_left })}, ${bytes(n.fill_left_bytes)}` : '0', n.fill_failed > 0 ? t('cluster.fill_failed', { n: n.fill_failed }) : ''].filter(Boolean).join(' · ');
}

function nodeTable(nodes) {
  return table([
    { title: t('cluster.node'), cell: (n) => [el('strong', {}, String(n.node)), n.self ? ` (${t('cluster.this')})` : ''] },
    { title: t('cluster.host'), cell: (n) => el('span.mono', {}, [n.host, n.address].filter(Boolean).join(' · ')) },
    { title: t('process.state'), cell: (n) => el('div.inline.wrap', {}, el('span.pill', { 'data-tone': nodeTone(n) }, word('node_state', n.state)), el('span.soft', {}, [flagsOf(n), n.self || n.channel !== false ? '' : n.channel_why || t('node.no_channel')].filter(Boolean).join(' · '))) },
    { title: t('cluster.since'), right: true, cell: (n) => duration(feed.now() - n.since) },
    { title: t('cluster.heard'), right: true, cell: (n) => (n.self ? '–' : n.heard === undefined ? t('cluster.never') : t('cluster.ago', { time: n.heard < 1 ? `${number(Math.round(n.heard * 1000))}\u00a0${t('unit.ms')}` : duration(n.heard) })) },
    { title: t('cluster.ways'), right: true, cell: (n) => n.paths ?? '–' },
    { title: t('cluster.clock'), right: true, cell: (n) => (n.clock === undefined ? '–' : seconds(n.clock)) },
    { title: t('cluster.streams'), right: true, cell: (n) => (n.streams === undefined ? '–' : number(n.streams)) },
    { title: t('cluster.fill'), right: true, cell: fillText },
    { title: t('cluster.flaps'), right: true, cell: (n) => (n.self ? '–' : number(n.flaps ?? 0)) },
  ], nodes);
}

/* Whom to look at first: nobody records it, it is not well where it is, it is not where its order says. */
const misplaced = (s) => s.nodes.length > 0 && (s.runs.length === 0 || s.runs.some((r) => r.how !== 'ready') || s.runs[0].node !== s.nodes[0]);

function runsCell(s) {
  if (s.nodes.length === 0) return el('span.soft', {}, t('cluster.itself'));
  if (s.runs.length === 0) return el('span.pill', { 'data-tone': feed.streams.get(s.uid)?.enabled === false ? '' : 'warn' }, t('cluster.nobody'));
  return el('div.inline.wrap', {}, ...s.runs.map((r) => el('span.pill', { 'data-tone': RUN_TONES[r.how] }, [String(r.node), r.how === 'ready' ? '' : word('cluster', r.how)].filter(Boolean).join(': '))));
}

class ClusterPage {
  constructor(root) {
    this.root = root;
    this.drained = false;
    this.build();
    this.again = calm(AGAIN_MS, () => { this.old = document.hidden; if (!this.old) this.streams.load(); });
    const seen = () => { if (this.old && !document.hidden) this.again(); };
    document.addEventListener('visibilitychange', seen);
    this.recorded = new Map();
    this.stops = [feed.on('server', (s) => this.showNodes(s.cluster ?? [])), feed.on('notice', (n) => n.event.startsWith('server:') && this.again()), feed.on('streams', (said) => this.changed(said)), () => document.removeEventListener('visibilitychange', seen)];
    this.start();
  }

  close() { for (const stop of this.stops) stop(); }

  /* Who records what is asked anew when it may be another than it was. */
  changed({ all, uids }) {
    let other = all;
    for (const uid of uids) {
      const { state, record, reason } = feed.streams.get(uid);
      const is = `${state} ${record} ${reason}`;
      other ||= this.recorded.get(uid) !== is;
      this.recorded.set(uid, is);
    }
    if (other) this.again();
  }

  build() {
    this.drainButton = may('server') ? button(t('cluster.drain'), () => this.drain(), { icon: 'out', hidden: true }) : null;
    this.left = el('span.soft', { role: 'status' });
    this.nodes = el('div.card-body');
    this.moves = el('div.card-body');
    this.movesCard = el('section.card', { 'aria-label': t('cluster.moves'), hidden: true }, el('header', {}, el('h2', {}, t('cluster.moves'))), this.moves);
    this.search = el('input', { type: 'search', placeholder: t('fleet.search'), 'aria-label': t('fleet.search'), oninput: calm(150, () => this.streams.load()) });
    this.which = select([['', t('cluster.all')], ['odd', t('cluster.odd')], ['here', t('cluster.here')]], '', { 'aria-label': t('fleet.filter'), onchange: () => this.streams.load() });
    this.streams = loaded(() => this.streamTable(), { title: t('cluster.who'), tools: [this.which, this.search] });
    this.root.append(el('section.card', { 'aria-label': t('cluster.nodes') }, el('header', {}, el('h2', {}, t('cluster.nodes')), el('span.grow'), this.left, this.drainButton), this.nodes), this.movesCard, this.streams.element);
  }

  async start() {
    const said = await attempt(() => get('/cluster'));
    if (!said) return;
    this.streams.element.hidden = !said.enabled;
    if (said.enabled) this.showNodes(said.nodes);
    else this.nodes.replaceChildren(el('p.soft', {}, t('cluster.off', { n: feed.streams.size })), el('p.soft', {}, t('cluster.how')));
  }

  showNodes(rows) {
    if (rows.length === 0) return;
    const nodes = nodesOf(rows);
    const own = nodes.find((n) => n.self);
    this.drained = own?.drained === true;
    this.nodes.replaceChildren(nodeTable(nodes));
    const key = JSON.stringify(nodes.map((n) => [n.node, n.state, n.flags, n.streams]));
    if (this.nodesKey !== undefined && this.nodesKey !== key) this.again();
    this.nodesKey = key;
    this.showMoves();
    say(this.left, this.drained ? t('cluster.left', { n: own.left ?? 0 }) : '');
    if (!this.drainButton) return;
    this.drainButton.hidden = false;
    say(this.drainButton.lastChild, t(this.drained ? 'cluster.undrain' : 'cluster.drain'));
  }

  showMoves() {
    const list = moves().sort((a, b) => b.since - a.since);
    this.movesCard.hidden = list.length === 0;
    const key = JSON.stringify(list.map((m) => [m.uid, m.phase, m.text, m.left]));
    if (key === this.movesKey) return; /* its buttons keep the focus */
    this.movesKey = key;
    this.moves.replaceChildren(moveTable(list));
  }

  async streamTable() {
    const { items } = await get('/cluster/streams');
    const text = this.search.value.toLowerCase();
    const labelOf = (s) => feed.streams.get(s.uid)?.label ?? s.uid;
    const tests = { '': () => true, odd: misplaced, here: (s) => s.here };
    const found = items.filter((s) => tests[this.which.value](s) && `${labelOf(s)} ${s.uid} ${s.why}`.toLowerCase().includes(text)).sort((a, b) => compare(labelOf(a), labelOf(b)));
    return [
      table([
        { title: t('head.camera'), cell: (s) => el('a', { href: cameraPath(s.uid) }, labelOf(s)) },
        { title: t('cluster.order'), cell: (s) => s.nodes.map((n) => (n === 0 ? '?' : String(n))).join(', ') || t('cluster.every') },
        { title: t('cluster.runs'), cell: runsCell },
        { title: t('cluster.why'), cell: (s) => el('span.soft', {}, s.nodes.length === 0 ? '' : s.why) },
        { title: t('cluster.term'), right: true, cell: (s) => (s.nodes.length === 0 ? '' : number(s.term)) },
      ], found.slice(0, SHOWN_MOST)),
      found.length > SHOWN_MOST ? el('p.soft', {}, t('cluster.more', { n: found.length - SHOWN_MOST })) : '',
    ];
  }

  async drain() {
    const on = !this.drained;
    if (on && !(await confirm(t('cluster.drain'), t('cluster.drain_text'), t('cluster.drain'), { kind: 'primary' }))) return;
    await attempt(() => put('/cluster/drain', { drained: on }), t(on ? 'cluster.drained' : 'cluster.undrained'));
  }
}

export function show(root) {
  const page = new ClusterPage(root);
  return () => page.close();
}
