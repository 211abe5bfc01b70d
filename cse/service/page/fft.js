// The discrete Fourier transform of real samples, by the radix-2 algorithm of Cooley and Tukey (1965).

/** Makes a function from `size` samples (a power of 2) to the powers of size/2 + 1 frequencies. */
export function powerSpectrum(size) {
  const bits = Math.log2(size);
  if (!Number.isInteger(bits)) throw new RangeError(`got a size of ${size}, expected a power of 2`);
  const reversed = Uint32Array.from({ length: size }, (_, index) => reverse(index, bits));
  const cosines = Float64Array.from({ length: size / 2 }, (_, k) => Math.cos((2 * Math.PI * k) / size));
  const sines = Float64Array.from({ length: size / 2 }, (_, k) => -Math.sin((2 * Math.PI * k) / size));
  const real = new Float64Array(size);
  const imaginary = new Float64Array(size);
  return (samples) => {
    for (let index = 0; index < size; index++) real[index] = samples[reversed[index]];
    imaginary.fill(0);
    for (let half = 1; half < size; half *= 2) butterflies(real, imaginary, half, cosines, sines);
    return Float64Array.from({ length: size / 2 + 1 }, (_, k) => real[k] ** 2 + imaginary[k] ** 2);
  };
}

function butterflies(real, imaginary, half, cosines, sines) {
  const size = real.length;
  const step = size / (2 * half);
  for (let start = 0; start < size; start += 2 * half) {
    for (let offset = 0; offset < half; offset++) {
      const even = start + offset;
      const odd = even + half;
      const cosine = cosines[offset * step];
      const sine = sines[offset * step];
      const turnedReal = real[odd] * cosine - imaginary[odd] * sine;
      const turnedImaginary = real[odd] * sine + imaginary[odd] * cosine;
      real[odd] = real[even] - turnedReal;
      imaginary[odd] = imaginary[even] - turnedImaginary;
      real[even] += turnedReal;
      imaginary[even] += turnedImaginary;
    }
  }
}

function reverse(index, bits) {
  let result = 0;
  for (let bit = 0; bit < bits; bit++) result |= ((index >> bit) & 1) << (bits - 1 - bit);
  return result >>> 0;
}
