// Separation in this browser, by a model that the service offers: the recording does not leave the device.

import { ServiceError } from "./api.js";
import { decode, wavFile } from "./sound.js";

export class InBrowser {
  #manifestUrl;
  #separator = null; // loaded once, when it is first needed

  /** @param {string} manifestUrl what the service says about the model */
  constructor(manifestUrl) {
    this.#manifestUrl = new URL(manifestUrl, document.baseURI);
  }

  /**
   * Take a recording apart.
   * @param {File} file any audio that this browser decodes
   * @param {(words: string) => void} onProgress
   * @param {AbortSignal} signal
   * @returns {Promise<{voices: File[], seconds: number}>} every talker; one voice is the recording itself
   */
  async separate(file, onProgress, signal) {
    const separator = await this.#load(onProgress);
    signal.throwIfAborted();
    const samples = await decode(file, separator.sampleRateHz);
    if (!samples?.length) throw new ServiceError("not_decodable", "");
    const started = performance.now();
    const report = ({ doneSamples, totalSamples }) => onProgress(`${Math.round((100 * doneSamples) / totalSamples)} % done`);
    const { voices } = await separator.separate(samples, { onProgress: report, signal });
    return {
      voices: voices.map((voice, index) => wavFile(voice, separator.sampleRateHz, `voice${index + 1}`)),
      seconds: (performance.now() - started) / 1000,
    };
  }

  async #load(onProgress) {
    if (this.#separator) return this.#separator;
    try {
      const { model, runtime } = await (await fetch(this.#manifestUrl)).json();
      const { loadSeparator } = await import("./ondevice.js");
      const report = ({ part, loadedBytes }) => onProgress(`${part}: ${(loadedBytes / 1e6).toFixed(1)} MB`);
      this.#separator = await loadSeparator({
        modelUrl: new URL(model.file, this.#manifestUrl), runtimeUrl: new URL(runtime.file, this.#manifestUrl), onProgress: report,
      });
    } catch (error) {
      throw new ServiceError("no_model", error.message);
    }
    return this.#separator;
  }
}
