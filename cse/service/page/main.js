// The page: what is entered on the one side, what the service finds on the other.

import { Api, ServiceError } from "./api.js";
import { Chat } from "./chat.js";
import { byId, say } from "./dom.js";
import { InBrowser } from "./in_browser.js";
import { offerPresets } from "./presets.js";
import { Result } from "./result.js";
import { VoiceInput } from "./voice_input.js";
import { errorInWords } from "./words.js";

const api = new Api(() => byId("api-key").value.trim());
const chat = new Chat(api);
const result = new Result(byId("found"));
const note = new VoiceInput({
  area: byId("note"), record: byId("record"), input: byId("recording"), meter: byId("level"), error: byId("note-error"),
  holder: byId("mixture"), name: "the recording", onChange: ({ file }) => chat.setRecordingName(file?.name),
});
const sample = new VoiceInput({
  area: byId("sample"), record: byId("record-sample"), input: byId("enrollment"), meter: byId("sample-level"),
  error: byId("sample-error"), holder: byId("sample-player"), name: "the voice sample", onChange: () => {},
});
let inBrowser = null;
let stop = null;

async function extract() {
  stop?.abort();
  const signal = (stop = new AbortController()).signal;
  working(true);
  try {
    await chat.settled();
    if (!note.file) throw new ServiceError("no_recording", "");
    await (byId("in-browser").checked ? separateHere(signal) : extractThere(signal));
    byId("result").hidden = false;
    say(byId("status"), `Done: ${byId("headline").textContent}.`);
    byId("result-title").focus();
  } catch (error) {
    if (stop.signal !== signal) return; // something newer is going on
    say(byId("status"), error.name === "AbortError" ? "Cancelled." : "");
    if (error.name !== "AbortError") complain(error);
  } finally {
    if (stop?.signal === signal) working(false);
  }
}

async function extractThere(signal) {
  const turns = chat.turns;
  if (!turns.length && !sample.file) throw new ServiceError("missing_cue", "");
  const answer = await api.extract({ recording: note.file, turns, target: chat.target, enrollment: sample.file }, signal);
  await result.show(answer, note, turns);
}

async function separateHere(signal) {
  say(byId("status"), "This browser is taking the recording apart…");
  const separated = await inBrowser.separate(note.file, (words) => (byId("progress").textContent = words), signal);
  await result.showSeparated(separated, note);
}

let ticking = null;

function working(busy) {
  clearInterval(ticking);
  byId("extract").disabled = busy;
  byId("cancel").hidden = byId("working").hidden = !busy;
  byId("form").setAttribute("aria-busy", busy);
  byId("progress").textContent = "";
  if (!busy) return;
  const started = performance.now();
  const tick = () => (byId("elapsed").textContent = `${Math.round((performance.now() - started) / 1000)} s`);
  tick();
  ticking = setInterval(tick, 500);
  say(byId("error"), null);
  say(byId("status"), "The service is listening to the recording…");
}

let presetsUsed = 0;

async function usePreset(load) {
  const number = ++presetsUsed;
  const overtaken = () => number !== presetsUsed; // by another example that was chosen meanwhile
  stop?.abort();
  say(byId("status"), "Opening the example…");
  try {
    const { recording, chat: conversation, enrollment } = await load();
    if (overtaken()) return;
    await Promise.all([note.take(recording), sample.take(enrollment)]);
    byId("sample").open ||= Boolean(enrollment);
    if (overtaken()) return;
    await chat.take(conversation);
  } catch (error) {
    complain(new ServiceError("unreachable", error.message));
    return;
  }
  if (!overtaken()) await extract();
}

async function greet() {
  try {
    const model = await api.model();
    byId("service").prepend(`Model: ${model.id}. `);
    if (!model.on_device) return;
    inBrowser = new InBrowser(model.on_device);
    byId("on-device").hidden = false;
  } catch (error) {
    complain(error);
  }
}

function complain(error) {
  say(byId("error"), errorInWords(error));
  if (error.code !== "unauthorized") return;
  byId("access").hidden = false;
  byId("api-key").focus();
}

byId("form").addEventListener("submit", (event) => {
  event.preventDefault();
  extract();
});
byId("cancel").addEventListener("click", () => {
  stop?.abort();
  byId("extract").disabled = false;
  byId("extract").focus();
});
for (const type of ["dragover", "drop"]) {
  // a file beside the fields must not take the place of the page
  addEventListener(type, (event) => event.preventDefault());
}
offerPresets(byId("presets"), usePreset).catch((error) => complain(new ServiceError("unreachable", error.message)));
greet();
