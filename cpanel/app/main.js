/* The panel: who is there, the frame, and the page that the URL names. */
import { onSignedOut, onSilent, onUnsure } from './api.js';
import * as feed from './feed.js';
import { showFrame, frameState, showPageError } from './frame.js';
import { go, route, start as startRouter } from './router.js';
import { me, resume } from './session.js';
import { t } from './text.js';

const root = document.getElementById('page');

async function enter() {
  showFrame(me);
  feed.start();
  feed.on('alive', frameState);
  startRouter(root);
}

async function leave() {
  feed.stop();
  const { showSignIn } = await import('./signin.js');
  showSignIn(root, enter);
}

async function start() {
  onSignedOut(() => { if (me) location.reload(); });
  onSilent(feed.doubt);
  onUnsure(async () => (await import('./passwords.js')).showAgain());
  try {
    if (await resume()) await enter();
    else await leave();
  } catch (e) {
    showPageError(root, t('error.start'), e);
  }
}

document.addEventListener('click', (e) => {
  const a = e.target.closest('a[href]');
  if (!a || a.target || a.hasAttribute('download') || e.button || e.ctrlKey || e.metaKey || e.shiftKey) return;
  const url = new URL(a.href);
  if (url.origin !== location.origin || !route(url)) return;
  e.preventDefault();
  go(url.pathname + url.search);
});

start();
