// Elements without markup in strings: what people wrote is only ever text.

export const byId = (id) => document.getElementById(id);

/** Make an element: element("p", {class: "hint"}, "words", anotherElement). Functions are listeners. */
export function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (typeof value === "function") made.addEventListener(key, value);
    else if (value === true) made.setAttribute(key, "");
    else if (value !== false && value !== null && value !== undefined) made.setAttribute(key, value);
  }
  made.append(...children.filter((child) => child !== null && child !== undefined));
  return made;
}

/** Show a line, or hide its element where there is none. */
export function say(target, words) {
  target.textContent = words ?? "";
  if (target.getAttribute("role") === "alert") target.hidden = !words;
}

/** Let files be dropped onto a part of the page. */
export function acceptDrops(area, take) {
  const over = (event) => {
    if (![...event.dataTransfer.types].includes("Files")) return;
    event.preventDefault();
    area.classList.toggle("over", event.type !== "dragleave");
  };
  area.addEventListener("dragenter", over);
  area.addEventListener("dragover", over);
  area.addEventListener("dragleave", over);
  area.addEventListener("drop", (event) => {
    area.classList.remove("over");
    const file = event.dataTransfer.files[0];
    if (!file) return;
    event.preventDefault();
    take(file);
  });
}
