// A spectrogram that can be played: a button, a position, and the moment that is heard.

import { analyse, draw } from "./spectrogram.js";
import { RATE_HZ } from "./sound.js";
import { element } from "./dom.js";
import { clock } from "./words.js";

let playing = null; // one at a time, so that voices can be compared

export class Player {
  /**
   * @param {string} name what is heard, for labels
   * @param {Blob} file what is played
   * @param {Float32Array | null} samples what is drawn, at 16 kHz
   * @param {number | null} referenceDb the brightest colour; null is the loudest point of these samples
   */
  constructor({ name, file, samples, referenceDb, spectrogram }) {
    this.url = URL.createObjectURL(file);
    this.audio = element("audio", { src: this.url, preload: "auto", "aria-label": name });
    this.durationS = samples ? samples.length / RATE_HZ : null;
    this.button = element("button", { type: "button", class: "play", "aria-label": `Play ${name}`, click: () => this.toggle() });
    this.position = element("input", {
      type: "range", min: 0, max: 1000, value: 0, step: 5, "aria-label": `Position in ${name}`, input: () => this.#seek(),
    });
    this.time = element("span", { class: "time" });
    this.playhead = element("span", { class: "playhead" });
    const picture = element("div", { class: "picture" });
    if (samples) {
      const canvas = element("canvas", { role: "img", "aria-label": `Spectrogram of ${name}` });
      draw(canvas, spectrogram ?? analyse(samples, RATE_HZ), referenceDb);
      const axis = element("span", { class: "axis", "aria-hidden": "true" }, "8 kHz");
      picture.append(canvas, axis, this.playhead, this.position);
    } else {
      picture.append(element("p", { class: "hint" }, "This browser cannot show this kind of audio; the service may read it all the same."));
    }
    this.element = element("div", { class: "player" }, picture, element("div", { class: "controls" }, this.button, this.time), this.audio);
    this.#follow(name);
  }

  toggle() {
    if (!this.audio.paused) return this.audio.pause();
    if (playing && playing !== this) playing.audio.pause();
    playing = this;
    return this.audio.play();
  }

  /** Give the memory of the audio back. */
  close() {
    this.audio.pause();
    URL.revokeObjectURL(this.url);
    if (playing === this) playing = null;
  }

  #follow(name) {
    const show = () => this.#show();
    for (const event of ["timeupdate", "loadedmetadata", "seeked"]) this.audio.addEventListener(event, show);
    const moving = () => {
      this.#show();
      if (!this.audio.paused) requestAnimationFrame(moving);
    };
    this.audio.addEventListener("play", () => {
      this.button.setAttribute("aria-label", `Pause ${name}`);
      this.button.classList.add("on");
      moving();
    });
    this.audio.addEventListener("pause", () => {
      this.button.setAttribute("aria-label", `Play ${name}`);
      this.button.classList.remove("on");
    });
    show();
  }

  #seek() {
    this.audio.currentTime = (this.position.value / 1000) * this.#duration();
  }

  #show() {
    const duration = this.#duration();
    const share = duration ? Math.min(1, this.audio.currentTime / duration) : 0;
    this.position.value = Math.round(1000 * share);
    this.position.setAttribute("aria-valuetext", `${this.audio.currentTime.toFixed(1)} s of ${duration.toFixed(1)} s`);
    this.playhead.style.left = `${100 * share}%`;
    this.time.textContent = duration < 60
      ? `${this.audio.currentTime.toFixed(1)} / ${duration.toFixed(1)} s`
      : `${clock(this.audio.currentTime)} / ${clock(duration)}`;
  }

  #duration() {
    return this.durationS ?? (Number.isFinite(this.audio.duration) ? this.audio.duration : 0);
  }
}
