/* A list of actions below the button that opened it; by arrows, Home, End, Escape, Tab. */
import { el, icon } from './dom.js';

let open = null;

export function closeMenu() {
  open?.();
}

/* items: { text, icon, run, on (one of several), danger } | { title } | { head, text } | { line: true } */
export function menu(anchor, items) {
  closeMenu();
  const list = el('div.menu', { role: 'menu' });
  const choices = [];
  for (const item of items) {
    if (item.line) list.append(el('hr', { role: 'separator' }));
    else if (item.head) list.append(el('div.menu-head', { role: 'presentation' }, el('strong', {}, item.head), el('span', {}, item.text)));
    else if (item.title) list.append(el('div.menu-title', { role: 'presentation' }, item.title));
    else choices.push(list.appendChild(choice(item)));
  }

  function choice(item) {
    const role = item.on === undefined ? 'menuitem' : 'menuitemradio';
    return el(`button${item.danger ? '.danger' : ''}`, {
      type: 'button', role, tabindex: '-1', 'aria-checked': item.on === undefined ? undefined : String(item.on),
      onclick: () => { close(true); item.run(); },
    }, item.icon ? icon(item.icon) : el('span.tick', { 'aria-hidden': 'true' }, item.on ? '✓' : ''), item.text);
  }

  function close(back) {
    if (open !== closeThis) return;
    open = null;
    list.remove();
    anchor.setAttribute('aria-expanded', 'false');
    document.removeEventListener('pointerdown', outside, true);
    window.removeEventListener('resize', closeThis);
    if (back) anchor.focus();
  }
  const closeThis = () => close(false);
  const outside = (e) => { if (!list.contains(e.target) && !anchor.contains(e.target)) closeThis(); };

  list.addEventListener('keydown', (e) => {
    const at = choices.indexOf(document.activeElement);
    const to = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: choices.length - 1 }[e.key];
    if (to !== undefined) choices[(to + choices.length) % choices.length].focus();
    else if (e.key === 'Escape') close(true);
    else if (e.key === 'Tab') closeThis();
    if (to !== undefined || e.key === 'Escape') {
      e.preventDefault();
      e.stopPropagation();
    }
  });

  /* In a dialog the menu belongs to it: everything else is out of reach. */
  (anchor.closest('dialog') ?? document.body).append(list);
  place(list, anchor);
  anchor.setAttribute('aria-haspopup', 'menu');
  anchor.setAttribute('aria-expanded', 'true');
  open = closeThis;
  document.addEventListener('pointerdown', outside, true);
  window.addEventListener('resize', closeThis);
  choices[0]?.focus();
}

function place(list, anchor) {
  const a = anchor.getBoundingClientRect();
  const { offsetWidth: w, offsetHeight: h } = list;
  const left = Math.max(8, Math.min(a.right - w, innerWidth - w - 8));
  const below = a.bottom + 4 + h < innerHeight || a.top < h + 8;
  list.style.left = `${left}px`;
  list.style.top = `${below ? Math.min(a.bottom + 4, Math.max(8, innerHeight - h - 8)) : a.top - h - 4}px`;
}
