/* Who is signed in, and what they may (as lua/modules/api/v3/rights.lua). Roles: guests look at what is live, users at the archive too, admin operates cameras,
 * root the server too. What tells of every camera (whole) and the server are for nobody who is held to some cameras. */
import { get, post, remove, setCsrf } from './api.js';

export let me = null;

const OPERATOR = ['view', 'archive', 'operate', 'configure'];
const RIGHTS = { guest: ['view'], user: ['view', 'archive'], admin: [...OPERATOR, 'whole'], root: [...OPERATOR, 'whole', 'server'] };
const UNHELD = ['whole', 'server'];

export const may = (right) => Boolean(me && (RIGHTS[me.role] ?? []).includes(right) && !(me.cameras && UNHELD.includes(right)));

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
