/* Beside the picture: what is known of the camera, and what happened to it. */
import { get, streamPath } from './api.js';
import { el, mark, say } from './dom.js';
import { now } from './feed.js';
import { stepList, trackText } from './probe.js';
import { recordText, recordTone, stateText, toneOf } from './states.js';
import { facts } from './table.js';
import { bits, bytes, clockText, duration, fullText, momentText, number, percent, t, word } from './text.js';

const per = (n) => (n === null || n === undefined ? '' : number(n));

/* Live values of the stream's row and counters: written each second, made once. */
export class NowPanel {
  constructor() {
    this.values = {};
    const rows = ['state', 'since', 'bitrate', 'viewers', 'record', 'lost', 'repairs', 'reconnects', 'gop', 'clock_offset', 'cpu', 'memory'];
    this.element = el('dl.facts', {}, ...rows.flatMap((name) => {
      this.values[name] = el('dd', {}, '–');
      return [el('dt', {}, t(`now.${name}`)), this.values[name]];
    }));
    this.state = el('span.pill');
    this.record = el('span.pill');
    this.values.state.replaceChildren(this.state);
    this.values.record.replaceChildren(this.record);
  }

  put(name, text) { say(this.values[name], text || '–'); }

  /* s: its row; d: the detail of the API; live: counters of the feed. */
  show(s, d, live) {
    const c = d?.counters ?? {};
    say(this.state, stateText(s));
    mark(this.state, 'tone', toneOf(s));
    say(this.record, recordText(s));
    mark(this.record, 'tone', recordTone(s));
    this.put('since', s.since ? duration(now() - s.since) : '');
    this.values.since.title = fullText(s.since);
    this.put('bitrate', s.state === 'active' ? bits(live?.bitrate ?? s.bitrate) + t('unit.per_s') : '');
    this.put('viewers', per(s.viewers));
    this.put('lost', per(live?.losses ?? c.lost ?? s.losses));
    this.put('repairs', per(live?.repairs ?? c.repairs ?? s.repairs));
    this.put('reconnects', per(live?.reconnects ?? s.reconnects));
    this.put('gop', d?.gop?.frames ? t('now.gop_text', { n: d.gop.frames, time: number(d.gop.seconds ?? 0) }) : '');
    this.put('clock_offset', d?.clock_offset === undefined || d.clock_offset === null ? '' : `${d.clock_offset > 0 ? '+' : ''}${number(Math.round(d.clock_offset * 100) / 100)} ${t('unit.s')}`);
    const cpu = live?.cpu ?? s.cpu ?? d?.cpu;
    this.put('cpu', cpu === undefined || cpu === null ? '' : percent(cpu));
    this.put('memory', bytes(live?.memory ?? s.memory ?? d?.memory));
  }
}

export function tracksPanel(d) {
  return el('div.stack', {}, ...(d.tracks ?? []).map((track) => facts([[word('track', track.kind), trackText(track)], [t('tracks.mime'), track.mime ? el('code.mono', {}, track.mime) : t('tracks.no_mime')], [t('tracks.clock'), track.clock_rate ? `${number(track.clock_rate)} Hz` : '']])),
    d.tracks?.length ? null : el('p.soft', {}, t('tracks.none')), d.sdp ? el('details', { open: true }, el('summary', {}, 'SDP'), el('pre.code', { tabindex: '0' }, d.sdp)) : null);
}

export function countersPanel(d) {
  const c = d.counters ?? {};
  const faults = Object.entries(c.faults ?? {}).filter(([, n]) => n > 0).map(([name, n]) => [name, number(n)]);
  const ends = Object.entries(c.ends ?? {}).filter(([, n]) => n > 0).map(([name, n]) => [word('cause', name), number(n)]);
  const shown = ['frames', 'packets', 'lost', 'reordered', 'damaged', 'dropped', 'repairs'].map((name) => [t(`counter.${name}`), per(c[name])]);
  return el('div.stack', {}, facts([...shown, [t('counter.bytes'), bytes(c.bytes)], [t('counter.recorded_bytes'), bytes(c.recorded_bytes)], [t('counter.recorded_seconds'), c.recorded_seconds ? duration(c.recorded_seconds) : '']]), faults.length ? el('h3', {}, t('counter.faults')) : null, faults.length ? facts(faults) : null, ends.length ? el('h3', {}, t('counter.ends')) : null, ends.length ? facts(ends) : null);
}

export function historyPanel(d) {
  const attempts = d.attempts ?? [];
  return el('div.stack', {}, d.steps?.length ? el('h3', {}, t('history.steps')) : null, d.steps?.length ? stepList(d.steps) : null, el('h3', {}, t('history.title')),
    attempts.length === 0 ? el('p.soft', {}, t('history.none')) : el('ul.lines', {}, ...attempts.map((a) => el('li', {}, el('span.num.nowrap', {}, momentText(a.ended ?? a.at)), a.cause ? el('span.pill', { 'data-tone': a.cause === 'closed' ? '' : 'bad' }, word('cause', a.cause)) : null, el('span.soft.grow', {}, a.text ?? '')))));
}

export function setupPanel(s, d) {
  const r = d.recording ?? {};
  return el('div.stack', {}, facts([[t('setup.source'), el('code.mono', {}, d.source ?? '')], [t('setup.file'), el('code.mono', {}, d.file ?? '')], [t('form.stream-access'), word('access', s.access)], [t('setup.storage'), d.storage], [t('form.dvr-mode'), d.dvr_mode ? word('dvr_mode', d.dvr_mode) : ''], [t('form.dvr-duration'), r.duration ? duration(r.duration) : ''],
    [t('setup.segment'), r.path ? `${r.path}, ${bytes(r.bytes)}` : ''], [t('setup.pid'), d.pid ? String(d.pid) : ''], [t('setup.restarts'), per(d.restarts)]]),
  el('h3', {}, t('setup.config')), el('pre.code', { tabindex: '0' }, Object.entries(d.config ?? {}).map(([k, v]) => `${k} = ${v}`).join('\n')));
}

export async function logPanel(uid) {
  const { items } = await get(streamPath(uid, '/logs'), { limit: 200 });
  return items.length === 0 ? el('p.soft', {}, t('log.none')) : el('pre.code.log', { tabindex: '0' }, items.join('\n'));
}

/* Notices of this camera that came while the page was open. */
export function noticeLine(n) {
  const data = n.data ?? {};
  return el('li', {}, el('span.num.nowrap', {}, clockText(n.t ?? now())), el('span', {}, word('notice', n.event)), el('span.soft.grow', {}, data.reason ?? data.state ?? data.kind ?? ''));
}
