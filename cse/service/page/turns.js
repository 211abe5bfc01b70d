// Messages as bubbles, with the voice note among them, which can be moved: what follows it is not sent.

import { element } from "./dom.js";
import { plural } from "./words.js";

const SHOWN = 8; // before the note, until asked for more
const SHOWN_AFTER = 3;
const HUES = 6; // in the style sheet

export class Turns {
  #holder;
  #state = { turns: [], place: 0, target: "", note: false, all: false };

  constructor(holder) {
    this.#holder = holder;
  }

  /** What the voice note continues. */
  get before() {
    return this.#state.turns.slice(0, this.#state.place);
  }

  /** Change some of {turns, place, target, note} and draw. */
  show(change) {
    if (change.turns) this.#state.all = false;
    Object.assign(this.#state, change);
    this.#draw();
  }

  #draw() {
    const { turns, place, target, note, all } = this.#state;
    if (!note) return this.#holder.replaceChildren();
    const people = [...new Set(turns.map((turn) => turn.speaker))];
    const first = all ? 0 : Math.max(0, place - SHOWN);
    const last = all ? turns.length : Math.min(turns.length, place + SHOWN_AFTER);
    const items = turns.slice(first, last).map((turn, index) => bubble(turn, { people, target, after: first + index >= place }));
    items.splice(place - first, 0, this.#marker());
    const list = element("ol", { class: "turns", "aria-label": "The chat, as it is understood" }, ...items);
    this.#holder.replaceChildren(...[this.#more(first, turns.length - last), list].filter(Boolean));
  }

  #marker() {
    const { turns, place, target } = this.#state;
    const move = (by, words) =>
      element("button", {
        type: "button", class: "small", "data-by": by, "aria-label": words, title: words,
        disabled: place + by < 0 || place + by > turns.length, click: () => this.#move(by),
      }, by < 0 ? "↑" : "↓");
    return element("li", { class: "turn own marker" },
      element("span", { class: "wave", "aria-hidden": "true" }),
      element("span", {}, target ? `${target}’s voice note` : "The voice note"),
      move(-1, "Move the voice note one message up"), move(1, "Move the voice note one message down"));
  }

  #move(by) {
    this.show({ place: this.#state.place + by });
    const buttons = [...this.#holder.querySelectorAll(".marker button")];
    (buttons.find((button) => Number(button.dataset.by) === by && !button.disabled) ?? buttons.find((button) => !button.disabled))?.focus();
  }

  #more(earlier, later) {
    if (earlier + later === 0) return null;
    const all = () => {
      this.#state.all = true;
      this.#draw();
    };
    return element("button", { type: "button", class: "small", click: all }, `Show ${plural(earlier + later, "more message")}`);
  }
}

function bubble({ speaker, text, time }, { people, target, after }) {
  const own = speaker !== null && speaker === target;
  const kind = `turn hue${people.indexOf(speaker) % HUES}${own ? " own" : ""}${after ? " after" : ""}`;
  return element("li", { class: kind, "aria-label": after ? "Not sent, after the voice note" : null },
    speaker ? element("b", {}, speaker) : null, element("span", {}, text),
    time ? element("time", {}, time.replace("T", " ").slice(0, 16)) : null);
}
