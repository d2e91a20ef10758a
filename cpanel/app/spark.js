/* A line of the last samples of a camera's bitrate. */
import { HISTORY } from './feed.js';

const EACH = 5; /* samples between two drawings: a sample is a pixel */

export function spark(canvas, s, colour) {
  if (s.samples - canvas.drawn < (s.samples < HISTORY / 4 ? 1 : EACH) && canvas.colour === colour) return;
  [canvas.drawn, canvas.colour] = [s.samples, colour];
  const ratio = Math.min(window.devicePixelRatio || 1, 2);
  const [w, h] = [84, 26];
  if (canvas.width !== w * ratio) [canvas.width, canvas.height] = [w * ratio, h * ratio];
  const g = canvas.getContext('2d');
  g.setTransform(ratio, 0, 0, ratio, 0, 0);
  g.clearRect(0, 0, w, h);
  const n = Math.min(s.samples, HISTORY);
  if (n < 2) return;
  const value = (i) => s.history[(s.samples - n + i) % HISTORY];
  let most = 1;
  for (let i = 0; i < n; i++) most = Math.max(most, value(i));
  const x = (i) => w - ((n - 1 - i) / (HISTORY - 1)) * w;
  const y = (i) => h - 2 - (value(i) / most) * (h - 5);
  g.beginPath();
  g.moveTo(x(0), y(0));
  for (let i = 1; i < n; i++) g.lineTo(x(i), y(i));
  g.strokeStyle = colour;
  g.lineWidth = 1.5;
  g.lineJoin = 'round';
  g.stroke();
  g.lineTo(w, h);
  g.lineTo(x(0), h);
  g.globalAlpha = 0.13;
  g.fillStyle = colour;
  g.fill();
  g.globalAlpha = 1;
}
