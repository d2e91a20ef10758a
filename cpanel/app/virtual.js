/* A list of any length in the page's own scroll: only what is seen, and a little around it, is in the document. Rows belong to
 * their item, so that the focus, a menu or a picture stays with the camera it was for. */

const AROUND_PX = 400;

export class VirtualList {
  /* keyOf(item), heightOf(item), make(item) -> element, fill(element, item). holder: an element of its own. */
  constructor(holder, { keyOf, heightOf, make, fill }) {
    Object.assign(this, { holder, keyOf, heightOf, make, fill });
    this.items = [];
    this.tops = [0];
    this.rows = new Map();
    this.look = () => {
      this.frame ||= requestAnimationFrame(() => {
        this.frame = 0;
        this.update();
      });
    };
    window.addEventListener('scroll', this.look, { passive: true });
    this.sizes = new ResizeObserver(() => this.look());
    this.sizes.observe(document.documentElement);
  }

  close() {
    window.removeEventListener('scroll', this.look);
    this.sizes.disconnect();
    cancelAnimationFrame(this.frame);
  }

  set(items) {
    this.items = items;
    this.measure();
    this.update(true);
  }

  /* Heights have changed: another width of the window. */
  measure() {
    this.tops = new Array(this.items.length + 1);
    this.tops[0] = 0;
    for (let i = 0; i < this.items.length; i++) this.tops[i + 1] = this.tops[i] + this.heightOf(this.items[i]);
    this.holder.style.height = `${this.tops[this.items.length]}px`;
  }

  /* The number of the item at that height. */
  at(y) {
    let low = 0;
    let high = this.items.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.tops[middle + 1] <= y) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  update(all = false) {
    const top = -this.holder.getBoundingClientRect().top;
    const first = this.at(Math.max(0, top - AROUND_PX));
    const last = Math.min(this.items.length, this.at(top + innerHeight + AROUND_PX) + 1);
    if (!all && first === this.first && last === this.last) return;
    [this.first, this.last] = [first, last];
    const wanted = new Set();
    for (let i = first; i < last; i++) {
      const item = this.items[i];
      const key = this.keyOf(item);
      wanted.add(key);
      let row = this.rows.get(key);
      if (!row) {
        row = this.make(item);
        this.rows.set(key, row);
        this.holder.append(row);
      }
      row.style.transform = `translateY(${this.tops[i]}px)`;
      row.setAttribute('aria-rowindex', i + 2);
      this.fill(row, item);
    }
    for (const [key, row] of this.rows) {
      if (wanted.has(key) || (row.contains(document.activeElement) && this.index(key) >= 0)) continue;
      row.remove();
      this.rows.delete(key);
    }
  }

  index(key) { return this.items.findIndex((item) => this.keyOf(item) === key); }

  /* Fills those rows that are there, of these keys; all: without them. */
  refresh(keys) {
    if (!keys) {
      for (let i = this.first; i < this.last; i++) this.fill(this.rows.get(this.keyOf(this.items[i])), this.items[i]);
      return;
    }
    for (const key of keys) {
      const row = this.rows.get(key);
      if (row) this.fill(row, row.item);
    }
  }

  /* Brings an item into view and gives back its row. */
  reach(key) {
    const i = this.index(key);
    if (i < 0) return null;
    const top = this.holder.getBoundingClientRect().top + window.scrollY;
    const [from, to] = [top + this.tops[i], top + this.tops[i + 1]];
    if (from < window.scrollY + 120) window.scrollTo(0, from - 120);
    else if (to > window.scrollY + innerHeight - 90) window.scrollTo(0, to - innerHeight + 90);
    this.update();
    return this.rows.get(key);
  }
}
