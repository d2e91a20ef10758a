/* Plots over time, drawn by uPlot in the page's colours; the library is loaded when the first one is needed. */
import { el } from './dom.js';
import { onTheme } from './frame.js';
import { clockText, language, minuteText, momentText } from './text.js';

let library = null;
const load = () => (library ??= import('../lib/uPlot.esm.js').then((m) => m.default));

const COLOURS = ['--accent', '--event', '--good-dot', '--guard'];
const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

/* series: [{ label }]; value: a number as text; most: upper end of the scale, where there is one. { set(data), close() } */
export async function plotOf(box, { series, height = 150, value, most, legend = series.length > 1 }) {
  const UPlot = await load();
  let data = [[], ...series.map(() => [])];
  let plot = null;

  const axis = (more) => ({ stroke: css('--soft'), grid: { stroke: css('--edge'), width: 1 }, ticks: { show: false }, font: `11px ${getComputedStyle(document.body).fontFamily}`, ...more });
  function build() {
    plot?.destroy();
    plot = new UPlot({
      width: Math.max(box.clientWidth, 120), height, padding: [8, 8, 0, 0], cursor: { drag: { x: false, y: false }, points: { size: 6 } }, legend: { show: false },
      scales: { y: { range: (_, low, high) => [0, most ?? Math.max(high * 1.1, 1)] } },
      axes: [axis({ size: 26, space: 70, values: (_, ticks) => ticks.map((at) => (ticks.length > 1 && ticks[1] - ticks[0] < 60 ? clockText(at) : minuteText(at))) }), axis({ size: 74, space: 34, values: (_, ticks) => ticks.map(value) })],
      series: [{}, ...series.map((s, i) => ({ label: s.label, stroke: css(COLOURS[i]), fill: i === 0 ? `${css(COLOURS[0])}22` : undefined, width: 1.5, points: { show: false }, spanGaps: false }))],
      hooks: { setCursor: [({ cursor }) => tell(cursor.idx)] },
    }, data, box);
  }

  const said = el('p.plot-said.num', { 'aria-live': 'off' });
  function tell(at) {
    const last = data[0].length - 1;
    const i = at ?? last;
    if (i < 0) return;
    said.replaceChildren(el('span.soft', {}, at === null || at === undefined ? '' : momentText(data[0][i])),
      ...series.map((s, n) => el('span.plot-key', { 'data-n': String(n) }, legend ? `${s.label} ` : '', el('b', {}, data[n + 1][i] === null || data[n + 1][i] === undefined ? '–' : value(data[n + 1][i])))));
  }

  box.lang = language;
  box.before(said);
  build();
  const stop = onTheme(build);
  const sizes = new ResizeObserver(() => plot.setSize({ width: Math.max(box.clientWidth, 120), height }));
  sizes.observe(box);
  return {
    set(next) {
      data = next;
      plot.setData(data);
      tell(plot.cursor.idx);
    },
    close() {
      stop();
      sizes.disconnect();
      plot.destroy();
      said.remove();
    },
  };
}
