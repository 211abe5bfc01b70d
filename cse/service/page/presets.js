// Examples: recordings and chats that lie beside this page. What comes out of them is worked out by the service each time.

import { element } from "./dom.js";

const FOLDER = new URL("presets/", import.meta.url);

/** Show the list; `use` gets a function that fetches {recording, chat, enrollment}: files, null where there is none. */
export async function offerPresets(list, use) {
  const presets = await (await fetch(new URL("presets.json", FOLDER))).json();
  list.replaceChildren(...presets.map((preset) => element("li", {}, button(preset, use))));
}

function button({ title, about, recording, chat, enrollment }, use) {
  const load = async () => ({ recording: await file(recording), chat: await file(chat), enrollment: await file(enrollment) });
  return element("button", { type: "button", class: "preset", click: () => use(load) }, element("b", {}, title), element("span", {}, about));
}

async function file(name) {
  if (!name) return null;
  const blob = await (await fetch(new URL(name, FOLDER))).blob();
  return new File([blob], name, { type: blob.type.split(";")[0] });
}
