/* Who is signed in, and what they may. Roles: guest and user look, admin operates cameras, root the server too. */
import { get, post, remove, setCsrf } from './api.js';

export let me = null;

const RIGHTS = { guest: ['view'], user: ['view', 'archive'], admin: ['view', 'archive', 'operate', 'configure'], root: ['view', 'archive', 'operate', 'configure', 'server'] };

export const may = (right) => Boolean(me && (RIGHTS[me.role] ?? []).includes(right));

function take(said) {
  me = said;
  setCsrf(said.csrf);
  return me;
}

/* null: nobody is; `asked` is then what the server says of signing in. */
export let asked = null;
export async function resume() {
  try {
    return take(await get('/session', {}, { quiet: true }));
  } catch (e) {
    asked = e.said ?? null;
    if (e.status === 401 || e.status === 403) return null;
    throw e;
  }
}

export const signIn = async (user, password) => take(await post('/session', { user, password }, { quiet: true }));

export async function signOut() {
  await remove('/session', { quiet: true }).catch(() => {});
  me = null;
  setCsrf(null);
}
