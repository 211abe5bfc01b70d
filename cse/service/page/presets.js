// Examples: recordings and chats that lie beside this page. What comes out of them is worked out by the service each time.

import { element } from "./dom.js";

const FOLDER = new URL("presets/", import.meta.url);

/** Show the list; `use` gets {recording, chat, enrollment} as files, null where an example has none. */
export async function offerPresets(list, use, fail) {
  const presets = await (await fetch(new URL("presets.json", FOLDER))).json();
  list.replaceChildren(...presets.map((preset) => element("li", {}, button(preset, use, fail))));
}

function button(preset, use, fail) {
  const start = async () => {
    try {
      await use({
        recording: await file(preset.recording), chat: await file(preset.chat), enrollment: await file(preset.enrollment),
      });
    } catch (error) {
      fail(error);
    }
  };
  return element("button", { type: "button", class: "preset", click: start }, element("b", {}, preset.title), element("span", {}, preset.about));
}

async function file(name) {
  if (!name) return null;
  const blob = await (await fetch(new URL(name, FOLDER))).blob();
  return new File([blob], name, { type: blob.type.split(";")[0] });
}
