/* What a probe of a camera found, and the steps of a connection. */
import { el, icon } from './dom.js';
import { codecName } from './states.js';
import { bits, duration, number, t, word } from './text.js';

const SIGNS = { ok: ['check', 'good'], warning: ['warn', 'warn'], fault: ['close', 'bad'], unknown: ['minus', ''] };

/* items: { name, result: ok|warning|fault|unknown, text, seconds } */
export function checkList(items, kind = 'check') {
  return el('ul.checks', {}, ...items.map((c) => {
    const [sign, tone] = SIGNS[c.result] ?? SIGNS.unknown;
    const time = c.seconds !== undefined && c.seconds !== null ? el('span.soft.num', {}, c.seconds < 1 ? `${number(Math.round(c.seconds * 1000))} ${t('unit.ms')}` : duration(c.seconds)) : null;
    return el('li', { 'data-tone': tone }, icon(sign), el('strong', {}, word(kind, c.name)), el('span.grow', {}, c.text ?? ''), time);
  }));
}

export const stepList = (steps) => checkList(steps.map((s) => ({ ...s, result: s.ok === true ? 'ok' : s.ok === false ? 'fault' : 'unknown' })), 'step');

export function trackText(track) {
  return [codecName(track.codec), track.width ? `${track.width}×${track.height}` : '', track.fps ? `${number(track.fps)} ${t('unit.fps')}` : '', track.clock_rate && track.kind === 'audio' ? `${number(track.clock_rate / 1000)} ${t('unit.kHz')}` : '']
    .filter(Boolean).join(' · ');
}

export function probeResult(said) {
  const facts = [...(said.tracks ?? []).map((track) => [word('track', track.kind), trackText(track)]), ['bitrate', said.bitrate ? bits(said.bitrate) + t('unit.per_s') : ''],
    ['gop', said.gop?.frames ? t('probe.gop_text', { n: said.gop.frames, time: number(said.gop.seconds ?? 0) }) : ''], ['losses', said.losses ? number(said.losses) : '']];
  return el('div.probe', {}, el(`p.notice.inline.${said.ok ? 'good' : 'bad'}`, {}, icon(said.ok ? 'check' : 'warn'), said.ok ? t('probe.ok') : said.reason || t('probe.failed')), stepList(said.steps ?? []),
    el('dl.facts', {}, ...facts.filter(([, text]) => text).flatMap(([name, text]) => [el('dt', {}, word('probe', name)), el('dd', {}, text)])));
}
