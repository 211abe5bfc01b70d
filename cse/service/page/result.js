// What was found: how sure it is, the voice beside the recording, every candidate, and which messages decided.

import { audioFile } from "./api.js";
import { element } from "./dom.js";
import { Player } from "./player.js";
import { legend } from "./spectrogram.js";
import { decode } from "./sound.js";
import { likelihood, percent, plural } from "./words.js";

const MOST_BARS = 12;

export class Result {
  #holder;
  #players = [];

  constructor(holder) {
    this.#holder = holder;
  }

  /** Forget what is shown. */
  clear() {
    for (const player of this.#players) player.close();
    this.#players = [];
    this.#holder.replaceChildren();
  }

  /**
   * Show what came back.
   * @param answer of POST /v1/audio/extractions
   * @param note the recording, a VoiceInput
   * @param turns what was sent before it
   */
  async show(answer, note, turns) {
    this.clear();
    const chosen = chosenOf(answer);
    const estimate = await this.#player("the extracted voice", audioFile(answer.audio, "voice"), note);
    const voices = [];
    for (const [index, candidate] of answer.candidates.entries()) {
      voices.push(await this.#voice(candidate, index, index === chosen, answer, note));
    }
    const mixture = this.#mixture(note);
    const sure = isSure(answer);
    this.#holder.replaceChildren(
      verdict(answer, turns.length),
      element("div", { class: "columns" },
        element("section", { class: "card" }, element("h3", {}, "The recording"), mixture.element),
        element("section", { class: "card best" }, element("h3", {}, sure ? "The extracted voice" : "My best guess"), estimate.element,
          saving(estimate, `voice.${answer.audio.format}`))),
      legend(),
      element("section", { class: "card" }, element("h3", {}, plural(answer.candidates.length, "voice was heard", "voices were heard")), element("div", { class: "voices" }, ...voices)),
      ...(answer.turn_attribution ? [decided(answer.turn_attribution, turns)] : []),
      facts(answer),
    );
  }

  /**
   * Show voices that this browser has separated: nothing has compared them with the chat.
   * @param {{voices: File[], seconds: number}} separated
   * @param note the recording, a VoiceInput
   */
  async showSeparated({ voices, seconds }, note) {
    this.clear();
    const mixture = this.#mixture(note);
    const cards = [];
    for (const [index, file] of voices.entries()) {
      const player = await this.#player(`voice ${index + 1}`, file, note);
      cards.push(element("article", { class: "voice", "aria-label": `voice ${index + 1}` },
        element("h4", {}, `Voice ${index + 1}`), player.element, saving(player, file.name)));
    }
    this.#holder.replaceChildren(
      element("div", { class: "verdict" },
        element("p", { class: "headline", id: "headline" }, `${plural(voices.length, "voice")}, separated in this browser`),
        element("p", {}, "The recording has not left this device. Which voice continues the chat only the service can tell; listen for yourself.")),
      element("section", { class: "card" }, element("h3", {}, "The recording"), mixture.element),
      legend(),
      element("section", { class: "card" }, element("h3", {}, plural(voices.length, "voice was heard", "voices were heard")), element("div", { class: "voices" }, ...cards)),
      element("p", { class: "hint" }, `${seconds.toFixed(1)} s of work in this browser.`),
    );
  }

  #mixture(note) {
    return this.#own(new Player({
      name: "the recording", file: note.playable, samples: note.samples, referenceDb: note.referenceDb, spectrogram: note.spectrogram,
    }));
  }

  async #voice(candidate, index, isChosen, answer, note) {
    const name = `voice ${index + 1}`;
    const player = candidate.audio ? await this.#player(name, audioFile(candidate.audio, `voice${index + 1}`), note) : null;
    return element("article", { class: isChosen ? "voice chosen" : "voice", "aria-label": isChosen ? `${name}, the chosen one` : name },
      element("h4", {}, `Voice ${index + 1}`, isChosen ? element("span", { class: "tag" }, isSure(answer) ? "chosen" : "best guess") : null),
      probabilityBar(candidate.probability, `continues the chat: ${likelihood(candidate.probability)}`),
      element("blockquote", {}, candidate.transcript ?? "(not transcribed)"),
      player?.element);
  }

  async #player(name, file, note) {
    const samples = await decode(file);
    return this.#own(new Player({ name, file, samples, referenceDb: note.referenceDb }));
  }

  #own(player) {
    this.#players.push(player);
    return player;
  }
}

/** The candidate that the estimate is: the likeliest. */
function chosenOf({ candidates }) {
  return candidates.reduce((best, { probability }, index) => (probability > candidates[best].probability ? index : best), 0);
}

const isSure = ({ abstained, target_present: present }) => present && !abstained;

function verdict(answer, turns) {
  const { probability, target_present: present, talkers } = answer;
  const sure = isSure(answer);
  const words = likelihood(probability);
  const headline = sure ? `${words[0].toUpperCase()}${words.slice(1)} the voice that continues this chat` : "I am not sure";
  const why = !present
    ? `${talkers === 1 ? "The voice does not seem" : `None of the ${talkers} voices seems`} to continue this conversation.`
    : `I hear ${plural(talkers, "voice")}, and would rather not guess which one is meant.`;
  const help = turns < 3 ? "More of what was written before would help, or a sample of the voice." : "A sample of the voice would help.";
  return element("div", { class: sure ? "verdict" : "verdict unsure" },
    element("p", { class: "headline", id: "headline" }, headline),
    probabilityBar(probability, "probability that this is the voice"),
    sure ? null : element("p", {}, `${why} ${help} Below is my best guess; listen for yourself.`));
}

function probabilityBar(probability, label) {
  const fill = element("span", { class: "fill" });
  fill.style.width = `${100 * Math.min(1, Math.max(0, probability))}%`;
  return element("div", { class: "probability" },
    element("span", { class: "bar", "aria-hidden": "true" }, fill),
    element("span", { class: "number" }, percent(probability)), element("span", { class: "label" }, label));
}

/** Bars from the middle: to the right what spoke for the chosen voice, to the left what spoke against it. */
function decided(values, turns) {
  const all = turns.map((turn, index) => ({ turn, value: values[index] ?? 0 }));
  const shown = all.slice(-MOST_BARS);
  const largest = Math.max(1e-9, ...all.map(({ value }) => Math.abs(value)));
  const rows = shown.map(({ turn, value }) => {
    const fill = element("span", { class: value < 0 ? "fill against" : "fill" });
    fill.style.width = `${(50 * Math.abs(value)) / largest}%`;
    return element("tr", {},
      element("th", { scope: "row" }, turn.speaker ? element("b", {}, `${turn.speaker} `) : null, turn.text),
      element("td", { class: "amount" }, element("div", {},
        element("span", { class: "bar two", "aria-hidden": "true" }, fill), element("span", { class: "number" }, signed(value)))));
  });
  return element("section", { class: "card" },
    element("h3", {}, "Which messages decided"),
    element("p", { class: "hint" }, "How much each message spoke for the chosen voice (to the right) or against it, in log-odds."),
    all.length > shown.length ? element("p", { class: "hint" }, `The last ${shown.length} of ${all.length}.`) : null,
    element("table", { class: "decided" }, element("tbody", {}, ...rows)));
}

const signed = (value) => `${value < 0 ? "−" : "+"}${Math.abs(value).toFixed(2)}`;

function saving(player, name) {
  return element("p", {}, element("a", { class: "button", href: player.url, download: name }, "Save the voice"));
}

function facts({ model, duration_s: durationS, real_time_factor: factor, context_turns: turns, warnings }) {
  const line = `${model}: ${durationS.toFixed(1)} s of audio in ${(factor * durationS).toFixed(1)} s, with ${plural(turns, "message")} of context.`;
  return element("div", { class: "facts" }, element("p", { class: "hint" }, line),
    warnings.length ? element("ul", { class: "warnings" }, ...warnings.map((warning) => element("li", {}, warning))) : null);
}
