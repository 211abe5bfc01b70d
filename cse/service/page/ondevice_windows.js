// Separating recordings of any length, as cse/models/overlapping_windows.py does and explains.

import { orderOfTalkers, product } from "./ondevice_talkers.js";

/**
 * Separate window by window; talkers are followed from one window to the next.
 *
 * @param {(mixture: Float32Array) => Promise<Float32Array[]>} run The network: estimates of any level.
 * @param {Float32Array} mixture
 * @param {object} description Of the model: `sample_rate`, `window_s`, `overlap_s`, `peak`, `thresholds`.
 * @param {(doneSamples: number) => Promise<void>} between Is called before every window; what it throws ends the work.
 * @returns {Promise<Float32Array[]>} As long as the mixture, at their level in it.
 */
export async function separateWindows(run, mixture, description, between) {
  const window = roundHalfEven(description.window_s * description.sample_rate);
  const overlap = roundHalfEven(description.overlap_s * description.sample_rate);
  let result = [];
  let loudest = 0;
  for (const [start, end] of windows(mixture.length, window, overlap)) {
    await between(start === 0 ? 0 : start + overlap);
    const piece = mixture.subarray(start, end);
    let estimates = levelled(await run(atTrainingLevel(piece, description.peak)), piece);
    if (start === 0) {
      result = estimates.map(() => new Float32Array(mixture.length));
    } else {
      const tail = result.map((talker) => talker.subarray(start, start + overlap));
      const found = orderOfTalkers(tail, estimates, loudest, description.thresholds);
      loudest = found.loudest;
      estimates = found.order.map((index) => estimates[index]);
      estimates.forEach((estimate, talker) => fadeIn(estimate, tail[talker]));
    }
    result.forEach((talker, index) => talker.set(estimates[index], start));
  }
  return result;
}

/** First sample and end of each window: as few as there can be, as equal as they can be. */
function windows(samples, window, overlap) {
  if (samples <= window) return [[0, samples]];
  const count = Math.ceil((samples - overlap) / (window - overlap));
  const starts = Array.from({ length: count + 1 }, (_, index) =>
    roundHalfEven((index * (samples - overlap)) / count),
  );
  return starts.slice(1).map((following, index) => [starts[index], following + overlap]);
}

/** As Python rounds, so that windows are the same to the sample. */
function roundHalfEven(value) {
  const below = Math.floor(value);
  if (value - below !== 0.5) return Math.round(value);
  return below % 2 === 0 ? below : below + 1;
}

function atTrainingLevel(mixture, peak) {
  let sum = 0;
  for (const sample of mixture) sum += sample;
  const mean = sum / mixture.length;
  let largest = 1e-6;
  for (const sample of mixture) largest = Math.max(largest, Math.abs(sample - mean));
  return mixture.map((sample) => (sample - mean) * (peak / largest));
}

/** Give each estimate its level in the mixture: the gains whose sum comes nearest to the mixture (least squares). */
function levelled(estimates, mixture) {
  const norms = estimates.map((estimate) => Math.max(Math.sqrt(product(estimate, estimate)), 1e-12));
  const among = estimates.map((one, row) =>
    estimates.map((other, column) => {
      const ridge = row === column ? 1e-6 : 0; // for estimates that are silent or all the same
      return product(one, other) / (norms[row] * norms[column]) + ridge;
    }),
  );
  const withMixture = estimates.map((estimate, row) => product(estimate, mixture) / norms[row]);
  const gains = notNegative(among, withMixture);
  return estimates.map((estimate, row) => {
    const scale = gains[row] / norms[row];
    return estimate.map((sample) => sample * scale);
  });
}

/** The gains of least squares, or where one of them is negative, the best without some of the estimates. */
function notNegative(among, withMixture) {
  const everybody = solved(among, withMixture);
  if (everybody.every((gain) => gain >= 0)) return everybody;
  let best = everybody.map(() => 0);
  let explained = 0;
  for (let chosen = 1; chosen < 2 ** among.length - 1; chosen++) {
    const some = [...among.keys()].filter((index) => chosen & (1 << index));
    const gains = solved(
      some.map((row) => some.map((column) => among[row][column])),
      some.map((row) => withMixture[row]),
    );
    const power = gains.reduce((sum, gain, place) => sum + gain * withMixture[some[place]], 0);
    if (gains.every((gain) => gain >= 0) && power > explained) {
      explained = power;
      best = best.map((_, index) => (some.includes(index) ? gains[some.indexOf(index)] : 0));
    }
  }
  return best;
}

/** x of matrix · x = values, by Gauss's elimination; the matrix is symmetric and positive definite. */
function solved(matrix, values) {
  const rows = matrix.map((row, index) => [...row, values[index]]);
  for (let pivot = 0; pivot < rows.length; pivot++) {
    for (let row = pivot + 1; row < rows.length; row++) {
      const factor = rows[row][pivot] / rows[pivot][pivot];
      for (let column = pivot; column < rows[row].length; column++) {
        rows[row][column] -= factor * rows[pivot][column];
      }
    }
  }
  const found = new Array(rows.length);
  for (let row = rows.length - 1; row >= 0; row--) {
    let rest = rows[row][rows.length];
    for (let column = row + 1; column < rows.length; column++) rest -= rows[row][column] * found[column];
    found[row] = rest / rows[row][row];
  }
  return found;
}

function fadeIn(estimate, tail) {
  const last = Math.max(tail.length - 1, 1);
  for (let index = 0; index < tail.length; index++) {
    const share = index / last;
    estimate[index] = (1 - share) * tail[index] + share * estimate[index];
  }
}
