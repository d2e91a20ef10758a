/* Pictures of cameras, a few at a time: each costs the server a decoded frame. A picture is kept for as long as it is young. */
import { mediaPath } from './api.js';

const AT_ONCE = 3;
const YOUNG_MS = 30000;
const REFUSED_MS = 60000; /* a camera without a picture is not asked again so soon */

const kept = new Map(); /* uid -> { url, until } */
const waiting = new Map(); /* img -> uid */
const asked = new Map(); /* uid -> those that wait for the picture that is being fetched */

function show(img, url) {
  img.src = url;
  img.hidden = false;
}

function next() {
  if (asked.size >= AT_ONCE || document.hidden) return;
  for (const [img, uid] of waiting) {
    waiting.delete(img);
    if (!img.isConnected || img.dataset.uid !== uid) continue;
    load(img, uid);
    if (asked.size >= AT_ONCE) return;
  }
}

function load(img, uid) {
  if (asked.has(uid)) {
    asked.get(uid).add(img);
    return;
  }
  const url = mediaPath(uid, `preview.jpg?width=192&t=${Math.floor(Date.now() / 1000)}`);
  const probe = new Image();
  const done = (ok) => {
    const imgs = asked.get(uid);
    asked.delete(uid);
    kept.set(uid, { url: ok ? url : null, until: Date.now() + (ok ? YOUNG_MS : REFUSED_MS) });
    if (ok) for (const each of imgs) if (each.dataset.uid === uid) show(each, url);
    next();
  };
  asked.set(uid, new Set([img]));
  probe.onload = () => done(true);
  probe.onerror = () => done(false);
  probe.src = url;
}

/* The picture of that camera into img; img is hidden until there is one. */
export function picture(img, uid) {
  const have = kept.get(uid);
  if (img.dataset.uid !== uid) {
    img.dataset.uid = uid;
    img.hidden = !have?.url;
    if (have?.url) show(img, have.url);
  }
  if (have && have.until > Date.now()) return;
  waiting.set(img, uid);
  next();
}

document.addEventListener('visibilitychange', next);
