// What the page says about errors, numbers and what was left out. The lines of the service itself follow the summary.

const ERRORS = {
  unauthorized: "The service asks for an API key. Enter it, and try again.",
  forbidden: "The service does not take requests of this page under this address.",
  body_too_large: "This is too large for the service. Export the chat without media, or send a shorter recording.",
  audio_too_long: "This recording is too long for the service.",
  invalid_audio: "This recording cannot be read: it is damaged, silent, or no audio that is known here.",
  unsupported_format: "The service cannot read recordings of this kind.",
  invalid_history: "This conversation cannot be read.",
  missing_cue: "Something has to say which voice is meant: the chat before the recording, or a sample of the voice.",
  busy: "The service has too much to do at the moment.",
  shutting_down: "The service is about to be restarted.",
  time_limit: "This took too long and was stopped. A shorter recording may work.",
  upload_timeout: "Sending took too long. Is the connection slow?",
  worker_died: "The work on this recording crashed. Please try again.",
  internal: "Something went wrong in the service. Please try again.",
  unreachable: "The service does not answer. Is it running, and are you online?",
  not_decodable: "This browser cannot decode the recording. The service may: switch off “in this browser”.",
  no_model: "The model could not be loaded into this browser.",
  no_recording: "First record a voice note, choose a file, or try an example.",
  no_microphone: "No microphone can be used: there is none, or this page may not.",
};

/** An error in words, for people. */
export function errorInWords(error) {
  const summary = ERRORS[error.code] ?? "This did not work.";
  const wait = error.retryAfterS ? ` Try again in ${error.retryAfterS} s.` : "";
  return summary + wait + (error.message ? ` (${error.message})` : "");
}

const LIKELIHOODS = [[0.95, "almost certainly"], [0.85, "very likely"], [0.65, "probably"], [0.5, "perhaps"]];

export function likelihood(probability) {
  return LIKELIHOODS.find(([limit]) => probability >= limit)?.[1] ?? "unlikely";
}

/** Never quite sure, in either way. */
export const percent = (probability) => `${Math.min(99, Math.max(1, Math.round(100 * probability)))} %`;

export const clock = (seconds) => `${Math.floor(seconds / 60)}:${String(Math.floor(seconds % 60)).padStart(2, "0")}`;

export const plural = (count, one, many = `${one}s`) => `${count.toLocaleString("en")} ${count === 1 ? one : many}`;

const FORMATS = {
  text: "plain text", turns: "a list of messages", whatsapp: "WhatsApp", telegram: "Telegram", "telegram-bot": "a Telegram bot",
  signal: "Signal", slack: "Slack", discord: "Discord", matrix: "Matrix",
};
const DROPPED = {
  system: ["line of the app", "lines of the app"],
  deleted: ["deleted message"],
  corrected: ["correction, taken in", "corrections, taken in"],
  voice: ["voice note", "voice notes"],
  audio: ["audio file"],
  image: ["picture"],
  video: ["video"],
  file: ["file"],
  other: ["message without words", "messages without words"],
  "after the note": ["message from the voice note on", "messages from the voice note on"],
  "too long ago": ["message of too long ago", "messages of too long ago"],
  "other chat": ["message of another chat", "messages of other chats"],
};

/** One line about what was understood of a conversation. */
export function understood(preview, turns) {
  const format = FORMATS[preview.format] ?? preview.format;
  const left = Object.entries(preview.context?.dropped ?? {}).map(([why, count]) => plural(count, ...(DROPPED[why] ?? [why])));
  const out = left.length ? ` Left out: ${left.join(", ")}.` : "";
  return `Read as ${format}: ${plural(turns, "message")}.${out}`;
}
