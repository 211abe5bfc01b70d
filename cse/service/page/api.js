// Talks to the service that this page comes from, and to nobody else.

/** What the service refuses, with its stable code. */
export class ServiceError extends Error {
  constructor(code, message, retryAfterS = null) {
    super(message);
    this.code = code;
    this.retryAfterS = retryAfterS;
  }
}

export class Api {
  /** @param {() => string} apiKey what to show, "" for nothing */
  constructor(apiKey) {
    this.apiKey = apiKey;
  }

  /** The model that is loaded. */
  async model() {
    return (await this.#send("v1/models", {})).data[0];
  }

  /** How a conversation is understood. */
  async preview({ history, fileName, at, chat }, signal) {
    const form = new FormData();
    form.append("history", history);
    append(form, { file_name: fileName, at, chat });
    return this.#send("v1/messages/preview", { method: "POST", body: form, signal });
  }

  /** The voice, the candidates, the probability. */
  async extract({ recording, turns, target, enrollment }, signal) {
    const form = new FormData();
    form.append("file", recording, recording.name);
    if (turns.length) form.append("messages", JSON.stringify(turns));
    if (enrollment) form.append("enrollment", enrollment, enrollment.name);
    append(form, { target, response_format: "json", candidate_audio: "true", on_absent: "best" });
    return this.#send("v1/audio/extractions", { method: "POST", body: form, signal });
  }

  async #send(path, options) {
    const key = this.apiKey();
    const headers = key ? { Authorization: `Bearer ${key}` } : {};
    let response;
    try {
      response = await fetch(path, { ...options, headers, cache: "no-store", credentials: "omit" });
    } catch (error) {
      if (error.name === "AbortError") throw error;
      throw new ServiceError("unreachable", "");
    }
    if (response.ok) return response.json();
    const { code, message } = await response.json().then((body) => body.error, () => ({ code: "internal", message: "" }));
    throw new ServiceError(code, message, Number(response.headers.get("Retry-After")) || null);
  }
}

function append(form, fields) {
  for (const [name, value] of Object.entries(fields)) if (value) form.append(name, value);
}

/** Bytes of an audio object of the service ({format, data}) as a file that can be played. */
export function audioFile({ format, data }, name) {
  const bytes = Uint8Array.from(atob(data), (character) => character.charCodeAt(0));
  return new File([bytes], `${name}.${format}`, { type: `audio/${format}` });
}
