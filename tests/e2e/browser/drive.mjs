/* Drives the player page and the control panel in Chromium. Its argument is the browser. Each line read is a job,
 * {url, width, height, scheme, cookies, early, slow, steps, failed}, answered by one line {steps: [one result a step], failure, errors, requests}.
 * early: a script that each page runs before its own. slow: what the ms of deadlines are multiplied by. The browser is one and the same; each job has a context of its own, with no cookie, cache or storage of another's. Any certificate is taken.
 * Steps:
 *   {playing: ms}              waits for a picture; ms since the page first asked for one
 *   {watch: ms}                plays on; {seconds, frames, dropped, stalled} of that time
 *   {played: seconds, ms}      plays on until so much was shown; the same
 *   {shown: ms}                frames of clockwork.py that are shown in that time: [number, unix ms]
 *   {text: selector, has, ms}  waits until an element's visible text contains something
 *   {press: key}               a key on the page
 *   {go: unix}                 the date field and its button
 *   {seek: part}               a click on the time line at that part of its width
 *   {eval: expression}         its value
 *   {until: expression, ms}    waits until it is true
 *   {wait: ms}                 lets time pass
 *   {call: n}                  {call: n} is said, and a line waited for: whoever drives does something meanwhile
 *   {shot: path}               a picture of the page
 *   {size: [w, h], scheme}     another window
 *   {visit: url}               another page, in the same window
 *   {click: selector}          once it is there; {fill: [selector, text]}, {pick: [selector, value]} (of a list) alike
 *   {hover: selector}          the pointer rests there
 *   {count: selector, is, ms}  waits until so many are seen
 *   {cpu: ms}                  the share of a core that all processes of the browser take meanwhile
 *   {packed: true}             bytes of all bodies so far, as they came over the wire
 *   {axe: true}                serious faults of accessibility: [id, help, element]; {axe: [id, ...]} by these rules alone */
import { chromium } from 'playwright-core';
import { readdirSync, readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';

const axe = readFileSync(new URL('node_modules/axe-core/axe.min.js', import.meta.url), 'utf8');
const flags = ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
  '--disable-component-update', '--disable-sync', '--autoplay-policy=no-user-gesture-required'];
const browser = await chromium.launch({ executablePath: process.argv[2] ?? '/usr/bin/chromium', headless: true, args: flags });

const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]();

/* When the first frame was shown, and how many were. */
function countFrames() {
  window.shown = null;
  window.frames_shown = 0;
  document.addEventListener('DOMContentLoaded', () => {
    const video = document.querySelector('video');
    const count = (now) => {
      window.shown ??= now;
      window.frames_shown++;
      video.requestVideoFrameCallback(count);
    };
    video?.requestVideoFrameCallback(count);
  });
}

const quality = (page) => page.evaluate(() => {
  const v = document.querySelector('video');
  const q = v.getVideoPlaybackQuality();
  return { ms: performance.now(), at: v.currentTime, frames: q.totalVideoFrames, dropped: q.droppedVideoFrames };
});

/* ns of all processes below this one, by the kernel's scheduler. */
function cpuOfBrowser() {
  const parents = new Map();
  for (const pid of readdirSync('/proc').filter((name) => /^\d+$/.test(name))) {
    try {
      parents.set(pid, readFileSync(`/proc/${pid}/stat`, 'latin1').split(') ').pop().split(' ')[1]);
    } catch { /* it has ended */ }
  }
  const ours = (pid) => pid === String(process.pid) || (parents.has(pid) && ours(parents.get(pid)));
  let sum = 0;
  for (const pid of parents.keys()) {
    if (pid === String(process.pid) || !ours(pid)) continue;
    for (const task of readdirSync(`/proc/${pid}/task`)) sum += Number(readFileSync(`/proc/${pid}/task/${task}/schedstat`, 'utf8').split(' ')[0]);
  }
  return sum;
}

/* What is shown until enough(seconds of it, ms passed). Seconds that are jumped over are none of it: none is faster
 * than twice. Counters begin anew where the page takes another source. */
async function follow(page, enough) {
  const start = Date.now();
  const sum = { seconds: 0, frames: 0, dropped: 0, stalled: 0 };
  for (let last = await quality(page); !enough(sum.seconds, Date.now() - start);) {
    await page.waitForTimeout(250);
    const now = await quality(page);
    if (now.at <= last.at) sum.stalled += 250;
    sum.seconds += Math.min(Math.max(now.at - last.at, 0), (now.ms - last.ms) / 500);
    for (const what of ['frames', 'dropped']) sum[what] += now[what] < last[what] ? now[what] : now[what] - last[what];
    last = now;
  }
  return sum;
}

let slow = 1;
const late = (ms, usual = 10000) => (ms ?? usual) * slow;

const actions = {
  async playing(page, { playing }) {
    await page.waitForFunction(() => window.shown !== null && document.querySelector('video').currentTime > 0, null, { timeout: late(playing) });
    return page.evaluate(() => {
      const [asked] = performance.getEntriesByName('asked');
      return { ms: window.shown - asked.startTime };
    });
  },
  watch: (page, { watch }) => follow(page, (seconds, ms) => ms >= watch),
  played: (page, { played, ms }) => follow(page, (seconds, passed) => {
    if (seconds < played && passed > late(ms, 30000)) throw new Error(`${seconds} s in ${passed} ms, not ${played}`);
    return seconds >= played;
  }),
  shown: (page, { shown }) => page.evaluate(([ms, bits, box]) => new Promise((done) => {
    const video = document.querySelector('video');
    const g = new OffscreenCanvas((bits + 2) * box, box).getContext('2d', { willReadFrequently: true });
    const seen = [];
    const until = performance.now() + ms;
    const look = (now, { expectedDisplayTime }) => {
      g.drawImage(video, 0, 0, g.canvas.width, box, 0, 0, g.canvas.width, box);
      const line = g.getImageData(0, box / 2, g.canvas.width, 1).data;
      const white = (b) => line[(b * box + box / 2) * 4] > 127;
      let n = 0;
      for (let b = 0; b < bits; b++) n += white(b) ? 2 ** b : 0;
      if (white(bits) && !white(bits + 1)) seen.push([n, performance.timeOrigin + expectedDisplayTime]);
      if (now < until) video.requestVideoFrameCallback(look);
      else done(seen);
    };
    video.requestVideoFrameCallback(look);
  }), [shown, 10, 48]),
  async text(page, { text, has, ms }) {
    await page.waitForFunction(([selector, part]) => {
      const e = document.querySelector(selector);
      return e && e.checkVisibility() && e.innerText.includes(part);
    }, [text, has], { timeout: late(ms) });
    return page.locator(text).innerText();
  },
  press: (page, { press }) => page.keyboard.press(press),
  async go(page, { go }) {
    await page.fill('#when', new Date(go * 1000).toISOString().slice(0, 19));
    await page.click('#goto button');
  },
  async seek(page, { seek }) {
    const box = await page.locator('#timeline').boundingBox();
    await page.mouse.click(box.x + box.width * seek, box.y + box.height * 0.7);
  },
  eval: (page, step) => page.evaluate(step.eval),
  async until(page, { until, ms }) { /* the page's policy forbids waitForFunction to make code of a text */
    for (const end = Date.now() + late(ms); !(await page.evaluate(until)); await page.waitForTimeout(100))
      if (Date.now() > end) throw new Error(`not within ${late(ms)} ms: ${until}`);
  },
  wait: (page, { wait }) => page.waitForTimeout(wait),
  async call(page, { call }) {
    console.log(JSON.stringify({ call }));
    await lines.next();
  },
  shot: (page, { shot, quality }) => page.screenshot(quality ? { path: shot, type: 'jpeg', quality } : { path: shot, fullPage: true }).then(() => null),
  visit: (page, { visit }) => page.goto(new URL(visit, page.url()).href).then(() => null),
  click: (page, { click, ms }) => page.locator(click).first().click({ timeout: late(ms) }),
  hover: (page, { hover }) => page.locator(hover).first().hover({ timeout: late() }),
  fill: (page, { fill }) => page.locator(fill[0]).first().fill(fill[1], { timeout: late() }),
  pick: (page, { pick }) => page.locator(pick[0]).first().selectOption(pick[1], { timeout: late() }).then(() => null),
  async count(page, { count, is, ms }) {
    for (const end = Date.now() + late(ms); ; await page.waitForTimeout(100)) {
      const n = await page.locator(count).filter({ visible: true }).count();
      if (n === is) return n;
      if (Date.now() > end) throw new Error(`${n} of ${count}, not ${is}`);
    }
  },
  async axe(page, { axe: rules }) {
    await page.evaluate(axe); /* a text given to the debugger: the page's policy is not asked */
    return page.evaluate(async (only) => {
      const { violations } = await window.axe.run(document, { resultTypes: ['violations'], ...only });
      return violations.filter((v) => ['serious', 'critical'].includes(v.impact)).flatMap((v) => v.nodes.map((n) => [v.id, v.help, n.html.slice(0, 200)]));
    }, Array.isArray(rules) ? { runOnly: rules } : {});
  },
  async cpu(page, { cpu }) {
    const [before, began] = [cpuOfBrowser(), process.hrtime.bigint()];
    await page.waitForTimeout(cpu);
    return (cpuOfBrowser() - before) / Number(process.hrtime.bigint() - began);
  },
  packed: (page) => page.evaluate(() => [...performance.getEntriesByType('navigation'), ...performance.getEntriesByType('resource')].reduce((sum, r) => sum + r.encodedBodySize, 0)),
  async size(page, { size, scheme }) {
    await page.setViewportSize({ width: size[0], height: size[1] });
    if (scheme) await page.emulateMedia({ colorScheme: scheme });
  },
};

async function run(job) {
  const context = await browser.newContext({ ignoreHTTPSErrors: true, viewport: { width: job.width ?? 1200, height: job.height ?? 900 }, colorScheme: job.scheme ?? 'light', timezoneId: 'UTC', locale: 'en-GB' });
  const [steps, errors, requests] = [[], [], []];
  slow = job.slow ?? 1;
  let failure = null;
  await context.addCookies(job.cookies ?? []);
  const page = await context.newPage();
  page.setDefaultTimeout(late(30000));
  page.on('console', (m) => { if (['error', 'warning'].includes(m.type())) errors.push(m.text()); });
  page.on('pageerror', (e) => errors.push(String(e)));
  page.on('request', (r) => requests.push(r.url()));
  await page.addInitScript(countFrames);
  if (job.early) await page.addInitScript({ content: job.early });
  try {
    await page.goto(job.url);
    for (const step of job.steps) {
      const name = Object.keys(actions).find((a) => a in step);
      steps.push(await actions[name](page, step) ?? null);
    }
  } catch (e) {
    failure = String(e);
    if (job.failed) await page.screenshot({ path: job.failed, fullPage: true }).catch(() => {});
    errors.push(await page.locator('body').innerText({ timeout: 3000 }).catch(String));
  }
  await context.close();
  return { steps, failure, errors, requests };
}

for (let line; !(line = await lines.next()).done;) console.log(JSON.stringify(await run(JSON.parse(line.value))));
await browser.close();
