// The worker behind ondevice.js: onnxruntime-web, the model, and what is computed around it.

import { descriptionOf } from "./ondevice_file.js";
import { foundTalkers, joined } from "./ondevice_talkers.js";
import { separateWindows } from "./ondevice_windows.js";

const WASM = "ort-wasm-simd-threaded.wasm"; // the name that onnxruntime-web gives it
const stopped = new Set();
let loaded; // {run, description}
let last = Promise.resolve(); // a session runs one recording at a time

self.onmessage = ({ data: { task, id, ...content } }) => {
  if (task === "stop") {
    stopped.add(id);
    return;
  }
  last = last.then(() => answer(id, () => (task === "load" ? load(id, content) : separate(id, content))));
};

async function answer(id, work) {
  try {
    const result = await work();
    self.postMessage({ id, result }, result.voices?.map((voice) => voice.buffer) ?? []);
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error); // onnxruntime may throw numbers
    self.postMessage({ id, error: { message } });
  } finally {
    stopped.delete(id);
  }
}

async function load(id, { modelUrl, runtimeUrl }) {
  const report = (part) => (loadedBytes) => self.postMessage({ id, progress: { part, loadedBytes } });
  const model = await fetched(modelUrl, report("model"));
  const description = descriptionOf(model); // before the runtime, which is larger
  const runtime = await import(runtimeUrl);
  runtime.env.wasm.wasmBinary = await fetched(new URL(WASM, runtimeUrl), report("runtime"));
  if (!self.crossOriginIsolated) runtime.env.wasm.numThreads = 1; // more need memory that is shared
  const session = await runtime.InferenceSession.create(model, { executionProviders: ["wasm"] });
  const run = async (mixture) => {
    const input = new runtime.Tensor("float32", mixture, [1, mixture.length]);
    const { estimates } = await session.run({ mixture: input });
    const samples = estimates.dims[2];
    return Array.from({ length: estimates.dims[1] }, (_, talker) =>
      estimates.data.slice(talker * samples, (talker + 1) * samples),
    );
  };
  loaded = { run, description };
  return description;
}

async function separate(id, { waveform }) {
  const { run, description } = loaded;
  const estimates = await separateWindows(run, waveform, description, async (doneSamples) => {
    self.postMessage({ id, progress: { doneSamples, totalSamples: waveform.length } });
    await new Promise((resolve) => setTimeout(resolve)); // lets messages in
    if (stopped.has(id)) throw new Error("the separation was stopped before it was complete");
  });
  const talkers = foundTalkers(estimates, description.thresholds);
  if (talkers.length === 1) return { voices: [waveform], isRecording: true };
  return { voices: talkers.map((outputs) => joined(estimates, outputs)), isRecording: false };
}

async function fetched(url, onBytes) {
  const answer = await fetch(url);
  if (!answer.ok) throw new Error(`got status ${answer.status} for ${new URL(url).pathname}, expected the file`);
  const parts = [];
  let bytes = 0;
  for (const reader = answer.body.getReader(); ; ) {
    const { done, value } = await reader.read();
    if (done) break;
    parts.push(value);
    bytes += value.length;
    onBytes(bytes);
  }
  return new Uint8Array(await new Blob(parts).arrayBuffer());
}
