/* The server: what it does, what it stands on, and what can be set. Each section is a module; those that nobody may see are
 * not offered. */
import { el, mark } from './dom.js';
import { setTitle, showPageError } from './frame.js';
import { home } from './router.js';
import { may } from './session.js';
import { t } from './text.js';

const sections = [
  { name: 'overview', right: 'operate', load: () => import('./server_overview.js') },
  { name: 'cluster', right: 'whole', load: () => import('./server_cluster.js') },
  { name: 'sessions', right: 'operate', load: () => import('./server_sessions.js') },
  { name: 'changes', right: 'configure', load: () => import('./server_changes.js') },
  { name: 'log', right: 'whole', load: () => import('./server_log.js') },
  { name: 'settings', right: 'server', load: () => import('./server_settings.js') },
  { name: 'users', right: 'server', load: () => import('./server_users.js') },
  { name: 'tokens', right: 'operate', load: () => import('./server_tokens.js') },
  { name: 'audit', right: 'server', load: () => import('./server_audit.js') },
];

export function show(root, name = 'overview') {
  const offered = sections.filter((s) => may(s.right));
  const section = offered.find((s) => s.name === name) ?? offered[0];
  const body = el('div.server-body', { 'aria-busy': 'true' });
  let leave = null;
  let gone = false;
  setTitle(t(`server.${section.name}`));
  mark(root, 'page', 'server');
  root.append(el('h1.sr', {}, t('nav.server')),
    el('nav.tabs.server-tabs', { 'aria-label': t('nav.server') }, ...offered.map((s) => el('a', { href: `${home}/server/${s.name}`, 'aria-current': s === section ? 'page' : undefined }, t(`server.${s.name}`)))), body);
  root.querySelector('.server-tabs [aria-current]').scrollIntoView({ inline: 'center', block: 'nearest' }); /* on a phone they are more than fit */
  section.load().then((m) => {
    body.removeAttribute('aria-busy');
    if (!gone) leave = m.show(body) ?? null;
  }).catch((e) => gone || showPageError(body, t('error.load'), e));
  return () => {
    gone = true;
    leave?.();
  };
}
