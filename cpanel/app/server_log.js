/* The newest lines of the log, by process or camera, with a filter. */
import { get, streamPath } from './api.js';
import { button, calm, copy, el, iconButton, select } from './dom.js';
import * as feed from './feed.js';
import { toast } from './frame.js';
import { loaded } from './table.js';
import { compare, t, word } from './text.js';

const PROCESSES = ['master', 'httpd', 'keeper', 'connector', 'courier'];
const LEVELS = ['', 'warn', 'error'];
const FOLLOW_MS = 1500; /* behind a notice of the feed the newest lines are asked for */

const levelOf = (line) => line.match(/\b(error|warn|note|info|debug)\b/i)?.[1].toLowerCase() ?? 'info';

export function show(root) {
  const process = select(PROCESSES.map((p) => [p, word('process', p)]), 'master', { 'aria-label': t('log.process'), onchange: () => card.load() });
  const uid = select([['', t('log.server')], ...[...feed.streams.values()].sort((a, b) => compare(a.label, b.label)).map((s) => [s.uid, s.label])], '', { 'aria-label': t('head.camera'), onchange: () => card.load() });
  const level = select(LEVELS.map((l) => [l, t(`log.level.${l || 'all'}`)]), '', { 'aria-label': t('log.level'), onchange: () => card.load() });
  const search = el('input', { type: 'search', placeholder: t('log.search'), 'aria-label': t('log.search'), oninput: calm(150, () => card.load()) });
  let text = '';
  const card = loaded(async () => {
    const { items } = await (uid.value ? get(streamPath(uid.value, '/logs'), { limit: 500 }) : get('/logs', { process: process.value, limit: 500 }));
    process.disabled = uid.value !== '';
    const wanted = search.value.toLowerCase();
    const lines = items.filter((l) => (!wanted || l.toLowerCase().includes(wanted)) && (level.value === '' || ['error', ...(level.value === 'warn' ? ['warn'] : [])].includes(levelOf(l))));
    text = lines.join('\n');
    return lines.length === 0 ? el('p.soft', {}, t('log.none')) : el('pre.code.log', { tabindex: '0' }, ...lines.map((l) => el('span.log-line', { 'data-level': levelOf(l) }, `${l}\n`)));
  }, { title: t('server.log'), tools: [process, uid, level, search, button(t('copy'), () => copy(text).then(() => toast(t('copied'))), { icon: 'copy' }), iconButton('restart', t('refresh'), () => card.load())] });
  card.element.classList.add('log-card');
  root.append(card.element);
  const follow = calm(FOLLOW_MS, () => document.hidden || card.load());
  return feed.on('notice', follow);
}
