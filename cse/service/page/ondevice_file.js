// What an exported file says of itself, which onnxruntime-web does not give.

const FORMAT = 1;
const METADATA = 14; // the field of ONNX's ModelProto with key (1) and value (2)

/**
 * Read the description out of the bytes of an ONNX file.
 *
 * @param {Uint8Array} bytes
 * @returns {object} As cse/ondevice/description.py explains.
 * @throws {Error} It is no separator of `cse export`, or of another format.
 */
export function descriptionOf(bytes) {
  let text;
  try {
    for (const entry of fields(bytes, METADATA)) {
      const [[key], [value]] = [[...fields(entry, 1)], [...fields(entry, 2)]].map((found) => found.map(decoded));
      if (key === "cse") text = value;
    }
  } catch (error) {
    throw new Error(`got a damaged model file: ${error.message}`);
  }
  if (text === undefined) throw new Error("got a file without a description, expected one of cse export");
  const { format, ...description } = JSON.parse(text);
  if (format !== FORMAT || !Object.keys(description.thresholds ?? {}).length) {
    throw new Error("got a model of another version of cse, expected one of this; export it anew");
  }
  if (description.kind !== "separator") {
    throw new Error(`got an ${description.kind}, expected a separator: the page has no encoder of cues`);
  }
  return description;
}

function decoded(bytes) {
  return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
}

/** The contents of one field of a message in the form of Protocol Buffers, each as bytes. */
function* fields(bytes, wanted) {
  let at = 0;
  const number = () => {
    for (let value = 0, scale = 1; ; scale *= 128) {
      if (at >= bytes.length) throw new Error("it ends too early");
      const byte = bytes[at++];
      value += (byte & 127) * scale;
      if (byte < 128) return value;
    }
  };
  while (at < bytes.length) {
    const tag = number();
    const [field, form] = [Math.floor(tag / 8), tag % 8];
    if (form === 0) number();
    else if (form === 1) at += 8;
    else if (form === 5) at += 4;
    else if (form === 2) {
      const size = number();
      if (at + size > bytes.length) throw new Error("it ends too early");
      if (field === wanted) yield bytes.subarray(at, at + size);
      at += size;
    } else throw new Error(`it has a field of the unknown form ${form}`);
  }
}
