// The microphone as a file, in whatever kind this browser records.

import { ServiceError } from "./api.js";

const KINDS = ["audio/webm;codecs=opus", "audio/ogg;codecs=opus", "audio/mp4"];
const LONGEST_S = 600;

export class Recorder {
  #recorder = null;
  #context = null;
  #parts = [];

  get running() {
    return this.#recorder !== null;
  }

  /**
   * Start to record.
   * @param {(seconds: number, level: number) => void} onProgress ten times a second, level from 0 to 1
   * @throws {ServiceError} no_microphone
   */
  async start(onProgress) {
    const stream = await microphone();
    const mimeType = KINDS.find((kind) => MediaRecorder.isTypeSupported(kind));
    this.#parts = [];
    this.#recorder = new MediaRecorder(stream, mimeType ? { mimeType } : {});
    this.#recorder.ondataavailable = (event) => this.#parts.push(event.data);
    this.#recorder.start();
    this.#watch(stream, onProgress);
  }

  /** Stop, and return what was recorded. */
  async stop(name) {
    const recorder = this.#recorder;
    if (recorder.state !== "inactive") {
      await new Promise((resolve) => {
        recorder.addEventListener("stop", resolve, { once: true });
        recorder.stop();
      });
    }
    for (const track of recorder.stream.getTracks()) track.stop();
    await this.#context.close();
    this.#recorder = null;
    const type = recorder.mimeType.split(";")[0] || "audio/webm";
    return new File(this.#parts, `${name}.${type.split("/")[1]}`, { type });
  }

  #watch(stream, onProgress) {
    this.#context = new AudioContext();
    const analyser = this.#context.createAnalyser();
    this.#context.createMediaStreamSource(stream).connect(analyser);
    const samples = new Float32Array(analyser.fftSize);
    const started = performance.now();
    const recorder = this.#recorder;
    const timer = setInterval(() => {
      if (recorder.state === "inactive") return clearInterval(timer);
      analyser.getFloatTimeDomainData(samples);
      const loudest = samples.reduce((largest, value) => Math.max(largest, Math.abs(value)), 1e-4);
      const passed = (performance.now() - started) / 1000;
      onProgress(passed, Math.max(0, 1 + Math.log10(loudest) / 3)); // 60 dB
      if (passed > LONGEST_S) recorder.stop();
    }, 100);
  }
}

/** Without what browsers do for calls: they take the other voices for noise. */
async function microphone() {
  if (!navigator.mediaDevices?.getUserMedia) {
    throw new ServiceError("no_microphone", "browsers give it to pages by https or on localhost only");
  }
  try {
    const audio = { echoCancellation: false, noiseSuppression: false, autoGainControl: false };
    return await navigator.mediaDevices.getUserMedia({ audio });
  } catch {
    throw new ServiceError("no_microphone", "the browser did not give it to this page");
  }
}
