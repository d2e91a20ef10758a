/* Calls of /api/v3/. Refusals are problem+json (RFC 9457): `detail` is a sentence for people, `errors` names fields. */
import { t } from './text.js';

export const base = document.documentElement.dataset.api ?? '/api/v3';
let csrf = null;
let whenOut = () => {};
let whenSilent = () => {};
let whenUnsure = async () => false;

export class Problem extends Error {
  /* retry: seconds after which it may be tried again, where the server says so. */
  constructor(status, said = {}, retry = 0) {
    super(said.detail || said.title || t(status === 0 ? 'error.network' : 'error.status', { n: status }));
    Object.assign(this, { status, code: said.code, errors: said.errors ?? [], said, retry });
  }
}

export function onSignedOut(run) { whenOut = run; }
/* No call comes through any more. */
export function onSilent(run) { whenSilent = run; }
export function setCsrf(value) { csrf = value; }

async function bodyOf(answer) {
  if (answer.status === 204) return null;
  const text = await answer.text();
  try {
    return JSON.parse(text);
  } catch {
    return answer.ok ? text : { detail: text.trim() };
  }
}

/* A call wants the own password shown again first; run resolves to whether it was. */
export function onUnsure(run) { whenUnsure = run; }

/* call('PATCH', '/streams/x', { ... }, { etag, query: { validate: true }, quiet: true }). quiet: a 401 is the caller's business. */
export async function call(method, path, body, { etag, query, quiet, signal } = {}) {
  const url = new URL(base + path, location.origin);
  for (const [key, value] of Object.entries(query ?? {})) if (value !== undefined && value !== null && value !== '') url.searchParams.set(key, value);
  const headers = { Accept: 'application/json' };
  if (body !== undefined) headers['Content-Type'] = 'application/json';
  if (csrf && method !== 'GET') headers['X-CSRF-Token'] = csrf;
  if (etag) headers['If-Match'] = etag;
  let answer;
  try {
    answer = await fetch(url, { method, headers, body: body === undefined ? undefined : JSON.stringify(body), cache: 'no-store', signal });
  } catch (e) {
    if (e.name === 'AbortError') throw e;
    whenSilent();
    throw new Problem(0);
  }
  const said = await bodyOf(answer);
  if (answer.status === 401 && !quiet) whenOut();
  if (answer.status === 403 && said?.code === 'confirm' && (await whenUnsure())) return call(method, path, body, { etag, query, quiet, signal });
  if (!answer.ok) throw new Problem(answer.status, said ?? {}, Number(answer.headers.get('Retry-After')) || 0);
  if (said && typeof said === 'object') Object.defineProperty(said, 'etag', { value: answer.headers.get('ETag'), configurable: true, writable: true });
  return said;
}

export const get = (path, query, more) => call('GET', path, undefined, { query, ...more });
export const post = (path, body = {}, more) => call('POST', path, body, more);
export const put = (path, body = {}, more) => call('PUT', path, body, more);
export const patch = (path, body, more) => call('PATCH', path, body, more);
export const remove = (path, more) => call('DELETE', path, undefined, more);

/* Every page of a list. */
export async function all(path, query = {}) {
  const items = [];
  for (let cursor; ;) {
    const page = await get(path, { limit: 1000, ...query, cursor });
    items.push(...page.items);
    cursor = page.next;
    if (!cursor || page.items.length === 0) return items;
  }
}

export const streamPath = (uid, rest = '') => `/streams/${encodeURIComponent(uid)}${rest}`;
/* Pictures and playlists of a stream, beside the panel on the same listener. */
export const mediaPath = (uid, rest) => `/${encodeURIComponent(uid)}/${rest}`;
