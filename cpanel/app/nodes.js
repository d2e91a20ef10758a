/* Nodes of the cluster, and cameras on their way between them, as the feed has them and as the API has them: their states in
 * words, why a node takes no camera. */
import * as feed from './feed.js';
import { may } from './session.js';
import { t, word } from './text.js';

const TONES = { active: 'good', undefined: 'warn', pending: 'warn', warming: 'warn', unavailable: 'warn', invalid: 'bad', down: 'bad' };

/* A row of msctl's command in the words of the API. */
const nodeOf = (n) => (n.since_s === undefined ? n : {
  ...n, since: n.since_s, self: n.flags.includes('self'), drained: n.flags.includes('drained'), heard: n.heard_ms === undefined ? undefined : n.heard_ms / 1000, clock: n.clock_ms === undefined ? undefined : n.clock_ms / 1000,
});

export const nodesOf = (list) => list.map(nodeOf);
export const nodeTone = (n) => TONES[n.state] ?? '';
const flags = (n) => (n.flags ?? '').split(',').filter((f) => f && f !== 'self');
export const flagsOf = (n) => flags(n).map((f) => word('node_flag', f)).join(', ');

/* '' where it can be given a camera. */
export function whyNot(n) {
  if (n.state !== 'active' && n.state !== 'warming') return word('node_state', n.state);
  if (flags(n).length > 0) return flagsOf(n);
  if (!n.self && n.channel === false) return n.channel_why || t('node.no_channel');
  return '';
}

/* --- cameras on their way --- */

const numbers = (text) => (text.match(/\d+/g) ?? []).map(Number);
export const moveOf = (m) => (m.since_s === undefined ? m : { ...m, from: numbers(m.from), to: numbers(m.to), began: m.began_s, since: m.since_s });
export const moves = () => (feed.server?.transfers ?? []).map(moveOf);
export const isOver = (m) => m.phase === 'done' || m.phase === 'failed';
export const moveTone = (m) => ({ done: 'good', failed: 'bad' })[m.phase] ?? 'warn';
/* There is another node, and whoever looks may give it a camera. */
export const mayMove = () => may('server') && (feed.server?.cluster?.length ?? 0) > 1;
