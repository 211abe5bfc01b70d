// A recording that is chosen, dropped or spoken into the microphone, and shown at once.

import { acceptDrops, element, say } from "./dom.js";
import { Player } from "./player.js";
import { Recorder } from "./recorder.js";
import { analyse, loudestDb } from "./spectrogram.js";
import { RATE_HZ, decode, wavFile } from "./sound.js";
import { errorInWords, clock } from "./words.js";

export class VoiceInput {
  file = null; // as it is sent
  samples = null; // as it is drawn; null where the browser cannot decode it
  spectrogram = null;
  referenceDb = null;
  playable = null;

  #player = null;
  #recorder = new Recorder();
  #latest = 0;

  /** @param parts the elements {area, record, input, meter, error, holder}, `name`, and `onChange` */
  constructor(parts) {
    this.parts = parts;
    acceptDrops(parts.area, (file) => this.take(file));
    parts.input.addEventListener("change", () => {
      if (parts.input.files[0]) this.take(parts.input.files[0]);
      parts.input.value = ""; // the same file again is a change too
    });
    parts.record.addEventListener("click", () => this.#record());
  }

  /** Use a file; null takes it away. */
  async take(file) {
    const turn = ++this.#latest;
    say(this.parts.error, null);
    const samples = file && (await decode(file));
    const playable = samples && file.type === "audio/webm" ? wavFile(await decode(file, 48000), 48000, "recording") : file;
    if (turn !== this.#latest) return; // another one came meanwhile
    Object.assign(this, { file, samples, playable, spectrogram: null, referenceDb: null });
    if (samples) {
      this.spectrogram = analyse(samples, RATE_HZ);
      this.referenceDb = loudestDb(this.spectrogram);
    }
    this.#show();
    this.parts.onChange(this);
  }

  #show() {
    const { holder, name } = this.parts;
    this.#player?.close();
    this.#player = null;
    if (!this.file) return holder.replaceChildren();
    this.#player = new Player({ name, file: this.playable, samples: this.samples, referenceDb: this.referenceDb, spectrogram: this.spectrogram });
    const length = this.samples ? `, ${(this.samples.length / RATE_HZ).toFixed(1)} s` : "";
    const remove = element("button", { type: "button", class: "small", "aria-label": `Remove ${name}`, click: () => this.#remove() }, "Remove");
    holder.replaceChildren(element("p", { class: "chosen" }, element("span", {}, `${this.file.name}${length}`), remove), this.#player.element);
  }

  #remove() {
    this.take(null);
    this.parts.record.focus();
  }

  async #record() {
    const { record, meter, error, name } = this.parts;
    say(error, null);
    try {
      if (this.#recorder.running) {
        const file = await this.#recorder.stop("recording");
        this.#idle();
        await this.take(file);
        return;
      }
      record.disabled = true; // the browser may be asking for permission
      await this.#recorder.start((passed, level) => {
        record.textContent = `Stop (${clock(passed)})`;
        meter.value = level;
      });
      record.textContent = "Stop (0:00)";
      record.classList.add("on");
      record.setAttribute("aria-label", `Stop recording ${name}`);
      meter.hidden = false;
    } catch (problem) {
      this.#idle();
      say(error, errorInWords(problem));
    } finally {
      record.disabled = false;
    }
    record.focus();
  }

  #idle() {
    const { record, meter } = this.parts;
    record.textContent = "Record";
    record.classList.remove("on");
    record.removeAttribute("aria-label");
    meter.hidden = true;
  }
}
