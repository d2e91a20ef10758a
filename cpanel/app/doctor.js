/* "Why is it black?": the server looks at every step from the name of the camera to the disk; this browser adds whether it has
 * the codec. What comes out is a list to read and a text to paste. */
import { post, streamPath } from './api.js';
import { button, copy, el, icon } from './dom.js';
import { dialog, toast } from './frame.js';
import { checkList } from './probe.js';
import { codecName } from './states.js';
import { t } from './text.js';

const Mse = window.ManagedMediaSource ?? window.MediaSource;

function browserCheck(tracks) {
  const track = tracks.find((x) => x.kind === 'video');
  if (!track?.mime) return { name: 'browser', result: 'unknown', text: t('doctor.no_codec') };
  const type = `video/mp4; codecs="${track.mime}"`;
  const plays = Mse ? Mse.isTypeSupported(type) : document.createElement('video').canPlayType(type) !== '';
  return { name: 'browser', result: plays ? 'ok' : 'fault', text: t(plays ? 'doctor.browser_plays' : 'doctor.browser_lacks', { codec: `${codecName(track.codec)} (${track.mime})` }) };
}

export function openDoctor(uid, tracks) {
  const body = el('div.doctor', { 'aria-live': 'polite' });
  let text = '';
  const paste = button(t('doctor.copy'), () => copy(text).then(() => toast(t('copied'))), { kind: 'primary', icon: 'copy', disabled: true });
  const again = button(t('again'), () => run(), { icon: 'restart' });
  const d = dialog(t('doctor.title', { name: uid }), body, { wide: true, foot: [again, paste, button(t('close'), () => d.close())] });

  async function run() {
    again.disabled = paste.disabled = true;
    body.replaceChildren(el('p.notice.inline', {}, el('span.spin'), t('doctor.running')));
    try {
      const said = await post(streamPath(uid, '/diagnosis'));
      const browser = browserCheck(tracks);
      const verdict = said.verdict === 'ok' && browser.result === 'fault' ? 'fault' : said.verdict;
      text = `${said.text.trimEnd()}\nbrowser   ${browser.result}   ${browser.text}\n${navigator.userAgent}\n`;
      body.replaceChildren(el(`p.notice.inline.${{ ok: 'good', warning: 'warn', fault: 'bad' }[verdict] ?? 'warn'}`, {}, icon(verdict === 'ok' ? 'check' : 'warn'), t(`doctor.${verdict}`)),
        checkList([...said.checks, browser]), el('details', {}, el('summary', {}, t('doctor.text')), el('pre.code', { tabindex: '0' }, text)));
      paste.disabled = false;
    } catch (e) {
      body.replaceChildren(el('p.notice.bad', {}, e.message));
    }
    again.disabled = false;
  }
  run();
}
