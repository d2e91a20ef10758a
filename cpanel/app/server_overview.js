/* Processor, memory, network, disks, processes: now by the feed, and of the last day as plots. */
import { get } from './api.js';
import { el, icon, mark, say } from './dom.js';
import * as feed from './feed.js';
import { plotOf } from './plot.js';
import { counts } from './fleet_view.js';
import { nodesOf, nodeTone } from './nodes.js';
import { may, me } from './session.js';
import { bits, bytes, duration, fullText, number, percent, shortText, t, word } from './text.js';

const LIVE_S = 2 * 3600; /* of samples of the feed that are kept behind the day's */
const SOON_S = 3 * 86400; /* a disk that is full so soon is worth a colour */

const PLOTS = [
  { name: 'cpu', series: ['cpu'], value: (v) => percent(v), most: 1 },
  { name: 'memory', series: ['memory'], value: (v) => bytes(v) },
  { name: 'network', series: ['net_in', 'net_out'], value: (v) => `${bits(v)}${t('unit.per_s')}` },
  { name: 'disk', series: ['disk_write'], value: (v) => `${bits(v)}${t('unit.per_s')}` },
  { name: 'viewers', series: ['viewers', 'active'], value: (v) => number(v) },
];
const COLUMNS = ['at', 'cpu', 'memory', 'net_in', 'net_out', 'disk_write', 'viewers', 'active'];

/* One sample in the history's columns, of what the feed says of the server. */
export function sampleOf(server) {
  const s = server.server;
  return [Math.round(feed.now()), s.cpu?.usage, s.memory && s.memory.total - s.memory.available, s.network?.in, s.network?.out, sum(server.storages, 'rate_bps'), s.viewers, s.streams?.active].map((v) => (v === undefined ? null : v));
}
const sum = (list, key) => (list?.some((x) => x[key] !== undefined) ? list.reduce((all, x) => all + (x[key] ?? 0), 0) : null);

class Overview {
  constructor(root) {
    this.root = root;
    this.data = COLUMNS.map(() => []);
    this.plots = [];
    this.build();
    this.stops = [feed.on('server', () => this.sampled()), feed.on('streams', () => document.hidden || this.showStreams())];
    this.start();
  }

  close() {
    this.closed = true;
    for (const stop of this.stops) stop();
    for (const plot of this.plots) plot.close();
  }

  build() {
    const tile = (name, sign) => {
      const value = el('strong.tile-value.num', {}, '–');
      const more = el('span.soft.num');
      const e = el('div.card.fact', {}, icon(sign), el('span.soft', {}, t(`server.${name}`)), value, more);
      return { e, value, more };
    };
    this.tiles = { cpu: tile('cpu', 'gear'), memory: tile('memory', 'server'), network: tile('network', 'wall'), streams: tile('streams', 'camera'), viewers: tile('viewers', 'eye'), uptime: tile('uptime', 'power') };
    this.boxes = PLOTS.map((p) => el('div.plot-box', { 'data-plot': p.name }));
    this.disks = el('div.disks');
    this.processes = el('tbody');
    const heads = ['name', 'state', 'pid', 'cpu', 'memory', 'restarts'];
    this.nodes = el('div.card-body');
    this.root.append(el('div.tiles', {}, ...Object.values(this.tiles).map((x) => x.e)),
      el('h2.section', {}, t('server.day')), el('div.plots', {}, ...PLOTS.map((p, i) => el('section.card', { 'aria-label': t(`server.${p.name}`) }, el('header', {}, el('h3', {}, t(`server.${p.name}`))), el('div.card-body', {}, this.boxes[i])))),
      el('h2.section', {}, t('server.disks')), this.disks,
      el('h2.section', {}, t('server.processes')), el('div.card.table-wrap', {}, el('table.table', {}, el('thead', {}, el('tr', {}, ...heads.map((h, i) => el(`th${i > 1 ? '.right' : ''}`, {}, t(`process.${h}`))))), this.processes)),
      el('h2.section', {}, t('server.cluster')), el('section.card', {}, this.nodes));
  }

  async start() {
    const [server, history, cluster] = await Promise.all([get('/server').catch(() => null), get('/server/history').catch(() => null), get('/cluster').catch(() => null)]);
    if (this.closed) return;
    const at = COLUMNS.map((name) => (history?.columns ?? COLUMNS).indexOf(name));
    for (const row of history?.items ?? []) this.add(at.map((i) => row[i]));
    if (server) this.showServer(server);
    get('/storages').then(({ items }) => this.closed || this.showDisks(items), () => {});
    if (cluster) this.showCluster(cluster.enabled ? nodesOf(cluster.nodes) : null);
    this.plots = await Promise.all(PLOTS.map((p, i) => plotOf(this.boxes[i], { series: p.series.map((s) => ({ label: t(`series.${s}`) })), value: p.value, most: p.most })));
    if (this.closed) for (const plot of this.plots) plot.close();
    else this.draw();
    if (feed.server) this.sampled();
  }

  add(row) {
    if (row[0] <= (this.data[0].at(-1) ?? 0)) return;
    COLUMNS.forEach((_, i) => this.data[i].push(row[i] ?? null));
    while (this.data[0].length > 1440 + LIVE_S / 2) for (const list of this.data) list.shift();
  }

  draw() {
    this.plots.forEach((plot, i) => plot.set([this.data[0], ...PLOTS[i].series.map((s) => this.data[COLUMNS.indexOf(s)])]));
  }

  sampled() {
    this.add(sampleOf(feed.server));
    if (document.hidden) return;
    this.draw();
    this.showServer({ ...feed.server.server, processes: feed.server.processes });
    this.showDisks(feed.server.storages.map(storageOf));
    this.showCluster(feed.server.cluster?.length ? nodesOf(feed.server.cluster) : null);
    this.showStreams();
  }

  put(name, value, more) {
    say(this.tiles[name].value, value);
    say(this.tiles[name].more, more ?? '');
  }

  showServer(s) {
    if (s.cpu) this.put('cpu', percent(s.cpu.usage ?? 0), t('server.cores', { n: s.cpu.cores ?? 0, load: Array.isArray(s.cpu.load) ? s.cpu.load.map((l) => number(Math.round(l * 10) / 10)).join(' ') : number(s.cpu.load ?? 0) }));
    if (s.memory) this.put('memory', bytes(s.memory.total - s.memory.available), t('server.memory_of', { total: bytes(s.memory.total), ours: bytes(s.memory.ours) }));
    if (s.network) this.put('network', `↓ ${bits(s.network.in)}${t('unit.per_s')}`, `↑ ${bits(s.network.out)}${t('unit.per_s')} · ${t('server.no_loopback')}`);
    this.put('viewers', number(s.viewers ?? 0), t('server.connections', { n: s.connections ?? 0 }));
    this.put('uptime', duration(s.uptime), s.version ? `${s.version} ${s.hostname ?? ''}` : '');
    if (s.processes) this.showProcesses(s.processes);
  }

  showStreams() {
    const n = counts(feed.streams.values());
    this.put('streams', t('server.streams_of', { n: n.active, total: n.all }), n.unrecorded ? t('server.unrecorded', { n: n.unrecorded }) : n.down ? t('server.down', { n: n.down }) : '');
    mark(this.tiles.streams.e, 'tone', n.unrecorded || n.down ? 'bad' : '');
  }

  showProcesses(list) {
    this.processes.replaceChildren(...list.map((p) => el('tr', {}, el('td', {}, el('strong', {}, word('process', p.name))), el('td', {}, el('span.pill', { 'data-tone': p.state === 'running' ? 'good' : 'warn' }, word('process_state', p.state ?? ''))),
      el('td.right', {}, p.pid ? String(p.pid) : '–'), el('td.right', {}, p.cpu === undefined || p.cpu === null ? '–' : percent(p.cpu)), el('td.right', {}, bytes(p.memory)), el('td.right', {}, number(p.restarts ?? 0)))));
  }

  showDisks(list) {
    this.disks.replaceChildren(...list.map((d) => {
      const used = d.total ? (d.total - d.free) / d.total : 0;
      const soon = d.full_on && d.full_on - feed.now() < SOON_S;
      const bad = (d.state ?? 'ok') !== 'ok';
      const tone = bad ? 'bad' : soon && !d.keeps ? 'warn' : '';
      const rows = [['free', t('disk.free_of', { free: bytes(d.free), total: bytes(d.total) })], ['footage', bytes(d.footage)], ['rate', d.rate ? `${bits(d.rate)}${t('unit.per_s')}` : ''], ['locked', d.locked ? bytes(d.locked) : ''], ['oldest', d.oldest ? `${shortText(d.oldest)} (${duration(feed.now() - d.oldest)})` : ''],
        ['keeps', d.keeps ? duration(d.keeps) : ''], ['full_on', d.full_on ? fullText(d.full_on) : ''], ['floor', d.floor ? bytes(d.floor) : '']];
      return el('section.card.disk', { 'data-tone': tone, 'aria-label': d.name }, el('header', {}, icon('disk'), el('h3', {}, d.name), el('span.grow'), el('span.pill', { 'data-tone': bad ? 'bad' : 'good' }, word('storage_state', d.state ?? 'ok'))),
        el('div.card-body.stack', {}, el('div.meter', { 'data-tone': tone, role: 'img', 'aria-label': t('disk.used', { part: percent(used) }) }, meterBar(used)), bad ? el('p.notice.bad', {}, t(`disk.is.${d.state}`, { n: d.error ?? 0 })) : null,
          el('dl.facts', {}, ...rows.filter(([, v]) => v && v !== '–').flatMap(([name, v]) => [el('dt', {}, t(`disk.${name}`)), el('dd', {}, v)])), el('p.mono.soft', {}, d.path ?? '')));
    }));
  }

  /* rows of the nodes; null: this node works alone. */
  showCluster(nodes) {
    const key = JSON.stringify(nodes?.map((n) => [n.node, n.state, n.streams, n.flags]) ?? feed.streams.size);
    if (this.clusterKey === key) return;
    this.clusterKey = key;
    const n = [...feed.streams.values()].filter((s) => s.record === 'on').length;
    this.nodes.replaceChildren(nodes === null ? el('p.soft', {}, t('cluster.off', { n })) : el('ul.lines', {}, ...nodes.map((x) => el('li', {}, el('strong', {}, `${t('cluster.node')} ${x.node}`), el('span.pill', { 'data-tone': nodeTone(x) }, word('node_state', x.state)),
      el('span.soft.grow', {}, x.host || (x.self ? t('cluster.this') : '')), el('span.soft.num', {}, x.streams === undefined ? '' : t('cluster.n_streams', { n: x.streams }))))));
  }
}

/* A row of the feed, which is the master's, as the API names its fields. */
function storageOf(d) {
  return { ...d, error: d.errno, rate: d.rate_bps, oldest: d.oldest_s, keeps: d.keeps_s, full_on: d.full_s };
}

function meterBar(part) {
  const bar = el('span');
  bar.style.width = `${Math.round(Math.min(Math.max(part, 0), 1) * 1000) / 10}%`;
  return bar;
}

/* The feed tells of the server only whoever sees every camera: nothing is shown that would stand still. */
export function show(root) {
  if (!may('whole')) {
    root.append(el('p.notice', {}, t('server.held', { cameras: me.cameras.join(', ') })));
    return null;
  }
  const overview = new Overview(root);
  return () => overview.close();
}
