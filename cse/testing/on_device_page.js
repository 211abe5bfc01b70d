// Functions for on_device_page.py, with samples as text.

import { loadSeparator } from "/page/ondevice.js";
import * as talkers from "/page/ondevice_talkers.js";

const numbers = ({ samples }) =>
  new Float32Array(Uint8Array.from(atob(samples), (one) => one.charCodeAt(0)).buffer);
const text = (samples) => {
  const bytes = new Uint8Array(samples.buffer, samples.byteOffset, samples.byteLength);
  let all = "";
  for (let at = 0; at < bytes.length; at += 8192) all += String.fromCharCode(...bytes.subarray(at, at + 8192));
  return btoa(all);
};
const outcome = (promise) => promise.then(() => "finished", (error) => error.name);
let separator;

window.load = async (modelUrl, runtimeUrl) => {
  separator?.close();
  separator = undefined;
  const bytes = {};
  const onProgress = ({ part, loadedBytes }) => (bytes[part] = loadedBytes);
  separator = await loadSeparator({ modelUrl, runtimeUrl, onProgress });
  return { ...separator, bytes };
};

window.loadError = (...urls) => load(...urls).then(() => "loaded", (error) => error.message);

window.separate = async (mixture) => {
  const [waveform, done] = [numbers(mixture), []];
  let ticks = 0; // of a clock of this page, while its worker is at work
  const timer = setInterval(() => ticks++, 20);
  const started = performance.now();
  const onProgress = ({ doneSamples }) => done.push(doneSamples);
  const { voices, isRecording } = await separator.separate(waveform, { onProgress });
  clearInterval(timer);
  const seconds = (performance.now() - started) / 1000;
  const kept = text(waveform) === mixture.samples;
  return { voices: voices.map(text), isRecording, done, ticks, seconds, kept };
};

window.stop = async (mixture) => {
  const controller = new AbortController();
  const { signal } = controller;
  const stopped = outcome(separator.separate(numbers(mixture), { signal }));
  controller.abort();
  const next = await outcome(separator.separate(numbers(mixture)));
  return [await stopped, next, await outcome(separator.separate(numbers(mixture), { signal }))];
};

window.close_meanwhile = (mixture) => {
  const working = outcome(separator.separate(numbers(mixture)));
  separator.close();
  return working;
};

window.give = (what) => outcome(separator.separate(what));
window.found = (voices, thresholds) => talkers.foundTalkers(voices.map(numbers), thresholds);
window.ordered = (tail, estimates, thresholds) =>
  talkers.orderOfTalkers(tail.map(numbers), estimates.map(numbers), 0, thresholds);
window.ready = true;
