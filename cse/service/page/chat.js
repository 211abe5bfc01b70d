// A conversation that is pasted, chosen or dropped, shown as the service understands it, with the place of the voice note.

import { acceptDrops, byId, element, say } from "./dom.js";
import { Turns } from "./turns.js";
import { errorInWords, understood } from "./words.js";

const PAUSE_MS = 400; // after the last key
const LONGEST_TEXT_BYTES = 50_000;
const END = "end"; // of the chat, instead of a voice note in it

export class Chat {
  #api;
  #file = null; // an export, instead of what stands in the field
  #placeholder; // says which file is meant
  #recordingName = null;
  #turns;
  #preview = null;
  #stop = null;
  #timer = null;
  #done = Promise.resolve();

  constructor(api) {
    this.#api = api;
    this.#turns = new Turns(byId("turns"));
    this.text = byId("chat-text");
    const example = this.text.placeholder;
    this.#placeholder = () => (this.text.placeholder = this.#file ? `(the file ${this.#file.name})` : example);
    this.text.addEventListener("input", () => {
      this.#file = null;
      this.#placeholder();
      clearTimeout(this.#timer);
      this.#timer = setTimeout(() => this.#read({}), PAUSE_MS);
    });
    const input = byId("chat-file");
    input.addEventListener("change", () => {
      if (input.files[0]) this.take(input.files[0]);
      input.value = "";
    });
    acceptDrops(byId("chat"), (file) => this.take(file));
    byId("chat-name").addEventListener("change", () => this.#read({ chat: byId("chat-name").value }));
    byId("chat-note").addEventListener("change", () => this.#read({ chat: byId("chat-name").value, note: byId("chat-note").value }));
    byId("target").addEventListener("change", () => this.#turns.show({ target: this.target }));
  }

  /** The messages before the note, as the service understood them. */
  get turns() {
    return this.#turns.before;
  }

  /** Who is speaking, or "". */
  get target() {
    return byId("which-person").hidden ? "" : byId("target").value;
  }

  /** Resolves when everything that was entered has been read. */
  async settled() {
    if (this.#timer) {
      clearTimeout(this.#timer);
      this.#read({});
    }
    await this.#done;
  }

  /** Use an export; null takes it away. A short text can be edited. */
  async take(file) {
    const text = file && (await shortText(file));
    this.#file = text === null ? file : null;
    this.text.value = text ?? "";
    this.#placeholder();
    await this.#read({});
  }

  /** The recording has this name now: it may be in the chat. */
  setRecordingName(name) {
    if (name === this.#recordingName) return;
    this.#recordingName = name;
    const inExport = this.#preview && !["text", "turns"].includes(this.#preview.format);
    if (inExport) this.#read({ chat: byId("chat-name").value });
  }

  #read(place) {
    this.#timer = null;
    this.#stop?.abort();
    this.#stop = new AbortController();
    this.#done = this.#fetch(place, this.#stop.signal);
    return this.#done;
  }

  async #fetch({ chat, note }, signal) {
    const history = this.#file ?? this.text.value.trim();
    say(byId("chat-error"), null);
    if (!history) return this.#show(null);
    say(byId("understood"), "Reading…");
    const place = note === END ? {} : note ? { at: note } : { fileName: this.#recordingName };
    try {
      const preview = await this.#api.preview({ history, chat, ...place }, signal);
      if (!signal.aborted) this.#show(preview);
    } catch (error) {
      if (error.name === "AbortError") return;
      this.#show(null);
      say(byId("chat-error"), errorInWords(error));
    }
  }

  #show(preview) {
    this.#preview = preview;
    const context = preview?.context;
    const turns = context?.turns ?? [];
    if (!preview) say(byId("understood"), "");
    else if (!context) say(byId("understood"), `This export holds ${preview.chats.length + preview.more_chats} chats. Which one is it?`);
    else say(byId("understood"), understood(preview, turns.length));
    this.#offerChats(preview);
    this.#offerNotes(preview);
    this.#offerPeople(context);
    this.#turns.show({ turns, place: turns.length, target: this.target, note: Boolean(context) });
  }

  #offerChats(preview) {
    const select = byId("chat-name");
    const before = select.value;
    const chats = preview?.chats ?? [];
    const several = chats.length > 1;
    byId("which-chat").hidden = !several;
    select.replaceChildren(
      element("option", { value: "" }, "Choose a chat"),
      ...chats.map(({ id, name, messages }) => element("option", { value: id ?? name ?? "" }, `${name ?? id} (${messages})`)),
    );
    if (several) select.value = chats.some(({ id, name }) => (id ?? name) === before) ? before : "";
  }

  #offerNotes(preview) {
    const context = preview?.context;
    const wanted = byId("chat-name").value;
    const chat = preview?.chats.find(({ id, name }) => preview.chats.length === 1 || (id ?? name) === wanted);
    const notes = context ? [...(chat?.voice_notes ?? [])] : [];
    if (context?.note && !notes.some((note) => key(note) === key(context.note))) notes.push(context.note);
    byId("which-note").hidden = !notes.length;
    byId("chat-note").replaceChildren(
      ...notes.map((note) => element("option", { value: key(note) }, [note.sender, note.attachment ?? "voice note", shortTime(note.time)].filter(Boolean).join(", "))),
      element("option", { value: END }, "none of these: after the last message"),
    );
    byId("chat-note").value = context?.note ? key(context.note) : END;
  }

  #offerPeople(context) {
    const people = new Set((context?.turns ?? []).map((turn) => turn.speaker).filter(Boolean));
    if (context?.target) people.add(context.target);
    byId("which-person").hidden = people.size === 0;
    byId("target").replaceChildren(
      element("option", { value: "" }, "I do not know"),
      ...[...people].map((person) => element("option", { value: person }, person)),
    );
    byId("target").value = context?.target ?? "";
  }
}

/** The words of a file that fits into the field; null for others. */
async function shortText(file) {
  if (file.size > LONGEST_TEXT_BYTES) return null;
  try {
    const text = new TextDecoder("utf-8", { fatal: true }).decode(await file.arrayBuffer());
    return text.includes("\0") ? null : text.trimEnd();
  } catch {
    return null; // a ZIP, or text of another encoding: the service knows more of them
  }
}

const key = (note) => note.id ?? note.attachment ?? note.time ?? "";
const shortTime = (time) => time?.replace("T", " ").slice(0, 16);
