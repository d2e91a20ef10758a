/* Pages by their URL below the panel's base; each is a module that is loaded when it is first opened. */
import { el } from './dom.js';
import { markNav, setTitle, showPageError } from './frame.js';
import { may } from './session.js';
import { t } from './text.js';
import { mayLeave, unsaved } from './unsaved.js';

export const home = document.documentElement.dataset.base ?? '/cpanel';

const pages = [
  { path: /^\/(?:fleet)?$/, nav: 'fleet', load: () => import('./fleet.js') },
  { path: /^\/camera\/([^/]+)$/, nav: 'fleet', load: () => import('./camera.js') },
  { path: /^\/wall$/, nav: 'wall', load: () => import('./wall.js') },
  { path: /^\/server(?:\/([a-z]+))?$/, nav: 'server', right: 'operate', load: () => import('./server.js') },
];

let root = null;
let leave = null; /* of the page that is shown */
let turn = 0;
let shown = ''; /* the URL of that page */

export function route(url) {
  if (url.pathname !== home && !url.pathname.startsWith(`${home}/`)) return null;
  const path = url.pathname.slice(home.length) || '/';
  for (const page of pages) {
    const found = path.match(page.path);
    if (found && (!page.right || may(page.right))) return { page, args: found.slice(1).map((a) => a && decodeURIComponent(a)) };
  }
  return null;
}

async function show() {
  const mine = ++turn;
  shown = location.href;
  const found = route(new URL(location.href));
  leave?.();
  leave = null;
  root.replaceChildren();
  root.removeAttribute('aria-busy');
  if (!found) {
    setTitle(t('error.page'));
    markNav('');
    root.append(el('div.empty', {}, el('h1', {}, t('error.page')), el('p', {}, el('a', { href: home }, t('nav.fleet')))));
    return;
  }
  markNav(found.page.nav);
  root.setAttribute('aria-busy', 'true');
  try {
    const page = await found.page.load();
    if (mine !== turn) return;
    leave = page.show(root, ...found.args) ?? null;
  } catch (e) {
    if (mine === turn) showPageError(root, t('error.load'), e);
  }
  root.removeAttribute('aria-busy');
}

/* By the browser's arrows the URL has changed already: who stays gets it back. */
async function back() {
  if (!unsaved()) {
    show();
    return;
  }
  const wanted = location.href;
  history.pushState(null, '', shown);
  if (await mayLeave()) go(wanted, { sure: true });
}

export async function go(path, { replace = false, sure = false } = {}) {
  if (!sure && !(await mayLeave())) return;
  if (replace) history.replaceState(null, '', path);
  else history.pushState(null, '', path);
  show();
  window.scrollTo(0, 0);
  root.focus({ preventScroll: true });
}

/* The arguments of the URL without showing the page anew; empty ones are left out. */
export function keepQuery(values) {
  const query = new URLSearchParams();
  for (const [key, value] of Object.entries(values)) if (value) query.set(key, value);
  const text = query.toString();
  history.replaceState(null, '', location.pathname + (text ? `?${text}` : ''));
  shown = location.href;
}

export const cameraPath = (uid, query = '') => `${home}/camera/${encodeURIComponent(uid)}${query}`;

export function start(element) {
  root = element;
  window.addEventListener('popstate', back);
  show();
}
