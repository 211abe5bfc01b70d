// Separates recordings on the device: the audio goes to a worker of this page, and nowhere else.
// README says how the page uses it; what is computed is that of cse/ondevice/onnx_extractor.py with a separator.

/**
 * Load an exported separator (`cse export browser`).
 *
 * @param {object} options
 * @param {string|URL} options.modelUrl Of the `.onnx` file.
 * @param {string|URL} options.runtimeUrl Of onnxruntime-web's module; its `.wasm` file is beside it.
 * @param {(progress: {part: "runtime"|"model", loadedBytes: number}) => void} [options.onProgress]
 * @returns {Promise<Separator>}
 * @throws {Error} A file cannot be fetched, or is none of `cse export`.
 */
export async function loadSeparator({ modelUrl, runtimeUrl, onProgress }) {
  const link = new WorkerLink(
    new Worker(new URL("./ondevice_worker.js", import.meta.url), { type: "module" }),
  );
  try {
    const urls = { modelUrl: absolute(modelUrl), runtimeUrl: absolute(runtimeUrl) };
    return new Separator(link, await link.ask("load", urls, { onProgress }));
  } catch (error) {
    link.close();
    throw error;
  }
}

/** A loaded model. `sampleRateHz` is that of waveforms in and out, `talkers` how many voices there are at most. */
class Separator {
  #link;

  constructor(link, description) {
    this.#link = link;
    this.name = description.name;
    this.sampleRateHz = description.sample_rate;
    this.talkers = description.talkers;
  }

  /**
   * Take a recording of any length apart.
   *
   * @param {Float32Array} waveform Mono, at `sampleRateHz`; is not changed.
   * @param {object} [options]
   * @param {(progress: {doneSamples: number, totalSamples: number}) => void} [options.onProgress]
   * @param {AbortSignal} [options.signal] Ends the waiting at once, and the work before its next window.
   * @returns {Promise<{voices: Float32Array[], isRecording: boolean}>} A voice for each talker who was found, at its
   *   level in the recording; `isRecording` where there is only one, who is the recording itself.
   */
  async separate(waveform, { onProgress, signal } = {}) {
    if (!(waveform instanceof Float32Array) || waveform.length === 0) {
      throw new TypeError("got no samples, expected a Float32Array of one channel");
    }
    const copy = waveform.slice(); // which the worker may keep
    return this.#link.ask("separate", { waveform: copy }, { onProgress, signal, transfer: [copy.buffer] });
  }

  /** End the worker and free its memory. */
  close() {
    this.#link.close();
  }
}

/** Requests to a worker and their answers, by number. */
class WorkerLink {
  #worker;
  #waiting = new Map();
  #last = 0;

  constructor(worker) {
    this.#worker = worker;
    worker.onmessage = ({ data }) => this.#receive(data);
    worker.onerror = (event) => {
      event.preventDefault();
      this.#failAll(new Error(`the worker ended: ${event.message || "it could not be loaded"}`));
    };
  }

  ask(task, content, { onProgress, signal, transfer = [] } = {}) {
    return new Promise((resolve, reject) => {
      signal?.throwIfAborted();
      const id = ++this.#last;
      const settle = (how) => (value) => {
        signal?.removeEventListener("abort", stop);
        this.#waiting.delete(id);
        how(value);
      };
      const stop = () => {
        this.#worker.postMessage({ task: "stop", id }); // which it may see only after its present window
        settle(reject)(signal.reason);
      };
      signal?.addEventListener("abort", stop);
      this.#waiting.set(id, { resolve: settle(resolve), reject: settle(reject), onProgress });
      this.#worker.postMessage({ task, id, ...content }, transfer);
    });
  }

  close() {
    this.#worker.terminate();
    this.#failAll(new DOMException("the model was closed", "AbortError"));
  }

  #receive({ id, progress, result, error }) {
    const asked = this.#waiting.get(id);
    if (progress) asked?.onProgress?.(progress);
    else if (error) asked?.reject(new Error(error.message)); // nobody waits any more for what was stopped
    else asked?.resolve(result);
  }

  #failAll(error) {
    for (const { reject } of [...this.#waiting.values()]) reject(error);
  }
}

function absolute(url) {
  return new URL(url, document.baseURI).href;
}
