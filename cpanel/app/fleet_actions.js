/* What can be done with one camera, or with many at once, and how it is undone. */
import { call, post, put, streamPath } from './api.js';
import { streams } from './feed.js';
import { attempt, confirm, toast } from './frame.js';
import { mayMove } from './nodes.js';
import { t } from './text.js';

const AT_ONCE = 6;
const CHANGED_AT_ONCE = 1000; /* streams that one PUT /streams takes (lua/modules/api/v3/edits.lua) */
const PATIENCE_MS = 120000; /* with a server that takes so many calls a second and no more (api-rate) */

const pauseFor = (seconds) => new Promise((go) => setTimeout(go, seconds * 1000));

/* run(uid) for each; throws the first refusal when none went through. Returns those that did. */
export async function each(uids, run) {
  const rest = [...uids];
  const done = [];
  const until = Date.now() + PATIENCE_MS;
  let refusal = null;
  const worker = async () => {
    for (let uid = rest.shift(); uid !== undefined; uid = rest.shift()) {
      try {
        await run(uid);
        done.push(uid);
      } catch (e) {
        if (e.status === 429 && e.retry > 0 && Date.now() < until) {
          rest.push(uid);
          await pauseFor(e.retry);
        } else {
          refusal ??= e;
        }
      }
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
  if (refusal && done.length === 0) throw refusal;
  if (refusal) toast(t('bulk.part', { n: uids.length - done.length, why: refusal.message }), { kind: 'bad' });
  return done;
}

const undoRevision = (revision) => post(`/revisions/${encodeURIComponent(revision)}/undo`);

/* As many as one call takes are all done or none, and are a revision; the newest is undone first. What a refused call and
 * those behind it would have changed stays as it is. */
async function change(uids, item, text) {
  const revisions = [];
  let done = 0;
  let refusal = null;
  while (done < uids.length && !refusal) {
    const some = uids.slice(done, done + CHANGED_AT_ONCE);
    try {
      const { revision } = await put('/streams', { items: some.map((uid) => ({ uid, ...item })) });
      if (revision) revisions.unshift(revision);
      done += some.length;
    } catch (e) {
      refusal = e;
    }
  }
  const undo = async () => {
    while (revisions.length > 0) {
      await undoRevision(revisions[0]);
      revisions.shift();
    }
  };
  if (done > 0) toast(t(text, { n: done }), revisions.length > 0 ? { undo } : {});
  if (refusal) toast(done > 0 ? t('bulk.part', { n: uids.length - done, why: refusal.message }) : refusal.message, { kind: 'bad' });
}

export async function restart(uids) {
  const done = await attempt(() => each(uids, (uid) => post(streamPath(uid, '/restart'))));
  if (done) toast(t('bulk.restarted', { n: done.length }));
}

export function enable(uids, on) {
  const wanted = uids.filter((uid) => streams.get(uid)?.enabled !== on);
  return change(wanted.length ? wanted : uids, { mode: 'merge', config: { 'stream-enable': on ? 'true' : 'false' } }, on ? 'bulk.enabled' : 'bulk.disabled');
}

export async function pause(uids, on) {
  const set = (list, paused) => each(list, (uid) => put(streamPath(uid, '/pause'), { paused }));
  const wanted = uids.filter((uid) => (streams.get(uid)?.record === 'paused') !== on);
  const done = await attempt(() => set(wanted.length ? wanted : uids, on));
  if (done) toast(t(on ? 'bulk.paused' : 'bulk.resumed', { n: done.length }), { undo: () => set(done, !on) });
}

export async function removeCameras(uids) {
  const names = uids.slice(0, 3).map((uid) => streams.get(uid)?.label ?? uid).join(', ');
  if (!(await confirm(t('remove.title', { n: uids.length }), t('remove.text', { n: uids.length, names }), t('remove.do')))) return false;
  await change(uids, { mode: 'delete' }, 'bulk.removed');
  return true;
}

export async function move(uids) {
  const m = await import('./transfer.js');
  return uids.length === 1 ? m.openFor(uids[0]) : m.openMove(uids);
}

export const record = (uid, on) => attempt(() => call('PUT', streamPath(uid, '/record'), { on }));

/* The entries of a menu for these cameras. */
export function actionsFor(uids, { edit, open } = {}) {
  const rows = uids.map((uid) => streams.get(uid)).filter(Boolean);
  const some = (test) => rows.some(test);
  return [
    open && { text: t('action.open'), icon: 'eye', run: open },
    edit && { text: t('action.edit'), icon: 'edit', run: edit },
    { text: t('action.restart'), icon: 'restart', run: () => restart(uids) },
    some((s) => s.record !== 'off' && s.record !== 'paused') && { text: t('action.pause'), icon: 'pause', run: () => pause(uids, true) },
    some((s) => s.record === 'paused') && { text: t('action.resume'), icon: 'record', run: () => pause(uids, false) },
    some((s) => s.enabled === false) && { text: t('action.enable'), icon: 'power', run: () => enable(uids, true) },
    some((s) => s.enabled !== false) && { text: t('action.disable'), icon: 'power', run: () => enable(uids, false) },
    mayMove() && { text: t('action.move'), icon: 'move', run: () => move(uids) },
    { line: true },
    { text: t('action.remove'), icon: 'trash', danger: true, run: () => removeCameras(uids) },
  ].filter(Boolean);
}
