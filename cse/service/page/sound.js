// From encoded audio to samples and back: what the browser can decode, as mono at one rate.

export const RATE_HZ = 16000;
const MOST_S = 900; // decoded samples stay in memory

/** Samples at 16 kHz, mono; null where the browser cannot decode this kind (the service may well). */
export async function decode(blob, rateHz = RATE_HZ) {
  try {
    const buffer = await new OfflineAudioContext(1, 1, rateHz).decodeAudioData(await blob.arrayBuffer());
    return buffer.duration > MOST_S ? null : mono(buffer);
  } catch {
    return null;
  }
}

function mono(buffer) {
  const samples = new Float32Array(buffer.length);
  for (let channel = 0; channel < buffer.numberOfChannels; channel++) {
    const one = buffer.getChannelData(channel);
    for (let n = 0; n < one.length; n++) samples[n] += one[n] / buffer.numberOfChannels;
  }
  return samples;
}

/** Samples as a WAV file of 16 bits. */
export function wavFile(samples, rateHz, name) {
  const view = new DataView(new ArrayBuffer(44 + 2 * samples.length));
  const text = (at, words) => [...words].forEach((letter, n) => view.setUint8(at + n, letter.charCodeAt(0)));
  text(0, "RIFF");
  view.setUint32(4, 36 + 2 * samples.length, true);
  text(8, "WAVEfmt ");
  view.setUint32(16, 16, true);
  view.setUint16(20, 1, true); // PCM
  view.setUint16(22, 1, true); // one channel
  view.setUint32(24, rateHz, true);
  view.setUint32(28, 2 * rateHz, true);
  view.setUint16(32, 2, true);
  view.setUint16(34, 16, true);
  text(36, "data");
  view.setUint32(40, 2 * samples.length, true);
  samples.forEach((value, n) => view.setInt16(44 + 2 * n, Math.round(32767 * Math.min(1, Math.max(-1, value))), true));
  return new File([view.buffer], `${name}.wav`, { type: "audio/wav" });
}
