// Spectrograms on one scale of dB: what a voice sounds like, to look at. Time goes right, frequency up.

import { powerSpectrum } from "./fft.js";
import { element } from "./dom.js";

export const RANGE_DB = 70; // below the loudest moment of the recording; what is softer is dark
const WINDOW = 512; // samples: 32 ms at 16 kHz
const HOP = 128;
const MOST_COLUMNS = 1200;
const COLOURS = [[5, 6, 20], [40, 17, 89], [104, 28, 129], [173, 47, 122], [233, 85, 98], [254, 156, 107], [252, 253, 191]];

/** Powers over time and frequency: {columns: [Float32Array in dB], durationS, highestHz}. */
export function analyse(samples, sampleRateHz) {
  const power = powerSpectrum(WINDOW);
  const hann = Float64Array.from({ length: WINDOW }, (_, n) => 0.5 - 0.5 * Math.cos((2 * Math.PI * (n + 0.5)) / WINDOW));
  const hop = Math.max(HOP, Math.ceil(samples.length / MOST_COLUMNS));
  const frame = new Float64Array(WINDOW);
  const columns = [];
  for (let centre = 0; centre < Math.max(1, samples.length); centre += hop) {
    for (let n = 0; n < WINDOW; n++) frame[n] = hann[n] * (samples[centre - WINDOW / 2 + n] ?? 0);
    columns.push(Float32Array.from(power(frame), (value) => 10 * Math.log10(value + 1e-12)));
  }
  return { columns, durationS: samples.length / sampleRateHz, highestHz: sampleRateHz / 2 };
}

/** The loudest point, which is 0 dB for everything that is compared with it. */
export function loudestDb({ columns }) {
  let loudest = -Infinity;
  for (const column of columns) for (const value of column) if (value > loudest) loudest = value;
  return loudest;
}

/** Draw onto a canvas; `referenceDb` is the brightest colour. */
export function draw(canvas, { columns }, referenceDb) {
  const heights = columns[0].length;
  canvas.width = columns.length;
  canvas.height = heights;
  const context = canvas.getContext("2d");
  const image = context.createImageData(columns.length, heights);
  columns.forEach((column, x) => {
    for (let k = 0; k < heights; k++) {
      paint(image.data, 4 * ((heights - 1 - k) * columns.length + x), 1 + (column[k] - referenceDb) / RANGE_DB);
    }
  });
  context.putImageData(image, 0, 0);
}

/** The scale beside the spectrograms. */
export function legend() {
  const width = 256;
  const canvas = element("canvas", { width, height: 1, "aria-hidden": "true" });
  const context = canvas.getContext("2d");
  const image = context.createImageData(width, 1);
  for (let x = 0; x < width; x++) paint(image.data, 4 * x, x / (width - 1));
  context.putImageData(image, 0, 0);
  return element("figure", { class: "legend" },
    element("span", {}, `−${RANGE_DB} dB`), canvas, element("span", {}, "0 dB"),
    element("figcaption", {}, "one scale for all; 0 dB is the loudest point of the recording; 0 to 8 kHz, upwards"));
}

function paint(pixels, at, level) {
  const place = Math.min(1, Math.max(0, level)) * (COLOURS.length - 1);
  const low = Math.min(COLOURS.length - 2, Math.floor(place));
  for (let channel = 0; channel < 3; channel++) {
    pixels[at + channel] = COLOURS[low][channel] + (place - low) * (COLOURS[low + 1][channel] - COLOURS[low][channel]);
  }
  pixels[at + 3] = 255;
}
