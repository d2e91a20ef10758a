/* What was typed and not yet saved: whoever holds such says so here, and nobody leaves without being asked. */
import { confirm } from './frame.js';
import { t } from './text.js';

const holders = new Set();

/* isDirty() -> bool. Returns how to take it back. */
export function hold(isDirty) {
  holders.add(isDirty);
  return () => holders.delete(isDirty);
}

export const unsaved = () => [...holders].some((isDirty) => isDirty());

/* Resolves to true where nothing would be lost, or it was meant. */
export async function mayLeave(isDirty = unsaved) {
  return !isDirty() || confirm(t('unsaved.title'), t('unsaved.text'), t('unsaved.leave'));
}

window.addEventListener('beforeunload', (e) => { if (unsaved()) e.preventDefault(); });
