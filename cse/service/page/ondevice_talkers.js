// Who of a separator's outputs is somebody, and who is who from window to window, by the thresholds of the model; see
// cse/models/levels.py, found_talkers.py and talker_tracks.py.

/** Numbers of the outputs of each talker who is heard; outputs that are nearly the same are one talker. */
export function foundTalkers(estimates, thresholds) {
  const levels = speechLevels(estimates, thresholds);
  const loudest = Math.max(...levels);
  const least = loudest * 10 ** (-thresholds.silent_below_db / 10);
  let talking = [...levels.keys()].filter((output) => levels[output] >= least && levels[output] > 0);
  if (talking.length === 0) talking = [levels.indexOf(loudest)];
  const talkers = [];
  for (const output of talking) {
    const same = talkers.find(
      ([first]) => correlation(estimates[first], estimates[output]) > thresholds.same_correlation,
    );
    if (same) same.push(output);
    else talkers.push([output]);
  }
  return talkers;
}

/** The voice of one talker, who may have been taken apart. */
export function joined(estimates, outputs) {
  const [first, ...others] = outputs.map((output) => estimates[output]);
  return others.reduce((voice, other) => voice.map((sample, index) => sample + other[index]), first);
}

/**
 * For each talker of the windows so far, which of the next window's estimates it is.
 *
 * @param {Float32Array[]} tail The end of the window before, of each talker.
 * @param {Float32Array[]} estimates Of the next window, which begins with the same stretch.
 * @param {number} loudest Level of the loudest talker in windows that were ordered before.
 * @returns {{order: number[], loudest: number}}
 */
export function orderOfTalkers(tail, estimates, loudest, thresholds) {
  const now = Math.max(loudest, ...speechLevels(estimates, thresholds));
  const heads = estimates.map((estimate) => estimate.subarray(0, tail[0].length));
  const quietest = Math.sqrt(now * 10 ** (-thresholds.compared_above_db / 10) * tail[0].length);
  const floor = Math.max(quietest, 1e-12);
  const [before, after] = [tail, heads].map((part) =>
    part.map((one) => Math.max(Math.sqrt(product(one, one)), floor)),
  );
  const largest = Math.max(...before, ...after);
  const scores = tail.map((one, talker) =>
    heads.map((other, index) => {
      const norms = before[talker] * after[index];
      return (product(one, other) / norms) * (Math.sqrt(norms) / largest);
    }),
  );
  const total = (order) => order.reduce((sum, index, talker) => sum + scores[talker][index], 0);
  let best = [];
  let highest = -Infinity;
  for (const order of permutations([...tail.keys()])) {
    if (total(order) > highest) [best, highest] = [order, total(order)];
  }
  return { order: best, loudest: now };
}

/** Power that each voice exceeds for half a second, or for a share of a long recording. */
function speechLevels(voices, { frame_samples, speech_frames, speech_share, short_share }) {
  return voices.map((voice) => {
    const powers = framePowers(voice, frame_samples).sort();
    const count = powers.length;
    const rank = Math.max(
      Math.ceil(speech_share * count),
      Math.min(speech_frames, Math.ceil(short_share * count)),
    );
    return powers[count - rank];
  });
}

/** Mean squares; what is left over at the end is a frame only if it is the only one. */
function framePowers(voice, size) {
  const count = Math.floor(voice.length / size);
  if (count === 0) return Float32Array.of(product(voice, voice) / voice.length);
  return Float32Array.from({ length: count }, (_, frame) => {
    const samples = voice.subarray(frame * size, (frame + 1) * size);
    return product(samples, samples) / size;
  });
}

export function product(one, other) {
  let sum = 0;
  for (let index = 0; index < one.length; index++) sum += one[index] * other[index];
  return sum;
}

function correlation(one, other) {
  const norms = [one, other].map((voice) => Math.max(Math.sqrt(product(voice, voice)), 1e-12));
  return product(one, other) / (norms[0] * norms[1]);
}

function* permutations(items) {
  if (items.length === 0) yield [];
  for (const [index, first] of items.entries()) {
    for (const rest of permutations(items.toSpliced(index, 1))) yield [first, ...rest];
  }
}
