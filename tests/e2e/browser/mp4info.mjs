/* What mp4box.js says of the file named by the argument: {progressive, duration, tracks: [{codec, samples, keys}]}. */
import { createFile } from 'mp4box';
import { readFileSync } from 'node:fs';

const file = createFile();
let told = null;
let failure = null;

file.onReady = (info) => { told = info; };
file.onError = (e) => { failure = String(e); };
const bytes = readFileSync(process.argv[2]);
const buffer = bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length);
buffer.fileStart = 0;
file.appendBuffer(buffer);
file.flush();
if (failure || !told) throw new Error(failure ?? 'no moov');
console.log(JSON.stringify({
  progressive: told.isProgressive,
  duration: told.duration / told.timescale,
  tracks: told.tracks.map((t) => ({ codec: t.codec, samples: t.nb_samples, keys: file.getTrackSamplesInfo(t.id).filter((s) => s.is_sync).length })),
}));
