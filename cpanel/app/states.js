/* What the states of streams and of their recording mean to people: a tone, a word, and whether somebody should look. */
import { t, word } from './text.js';

const TONES = { active: 'good', connecting: 'warn', stale: 'warn', idle: '', down: 'bad', invalid: 'bad', disabled: '' };
const RECORD_TONES = { on: 'live', waiting: 'warn', paused: 'warn', failed: 'bad', stopped: 'bad', armed: '', off: '' };

export const toneOf = (s) => TONES[s.state] ?? '';
export const stateText = (s) => word('state', s.state);
export const recordTone = (s) => RECORD_TONES[s.record] ?? '';
export const recordText = (s) => word('record', s.record ?? 'off');

/* It should be recorded, and is not. */
export const notRecording = (s) => s.enabled !== false && ['waiting', 'failed', 'stopped', 'paused'].includes(s.record);
export const isDown = (s) => s.state === 'down' || s.state === 'invalid';

/* In one line why it is as it is; '' where there is nothing to say. */
export function reasonOf(s) {
  if (s.state !== 'active' && s.reason) return s.reason;
  if (notRecording(s)) return s.record_reason ? t('record.because', { why: s.record_reason }) : '';
  return '';
}

const CODECS = { h264: 'H.264', h265: 'H.265', hevc: 'H.265', aac: 'AAC', pcma: 'G.711', pcmu: 'G.711', g711: 'G.711', opus: 'Opus' };
export const codecName = (codec) => CODECS[String(codec ?? '').toLowerCase()] ?? codec ?? '';
export const pictureFacts = (s) => [codecName(s.codec), s.width ? `${s.width}×${s.height}` : '', codecName(s.audio)].filter(Boolean).join(' · ');
