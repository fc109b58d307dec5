/** Curves as columns, the form in which Plot draws hundreds of them fastest; and the ranges that show them. */

/** Curves [{x, y, low?, high?, colour}] -> one array for each channel; `z` numbers the curves. Unusable points are NaN. */
export function columns(curves, { xscale, yscale }) {
  const length = curves.reduce((sum, curve) => sum + curve.x.length, 0);
  const [x, y, low, high] = Array.from({ length: 4 }, () => new Float64Array(length));
  const z = new Int32Array(length);
  const stroke = new Array(length);
  const onX = usable(xscale);
  const onY = usable(yscale);
  let at = 0;
  curves.forEach((curve, index) => {
    for (let i = 0; i < curve.x.length; i++, at++) {
      x[at] = onX(curve.x[i]);
      y[at] = onY(curve.y[i]);
      low[at] = onY(curve.low?.[i]);
      high[at] = onY(curve.high?.[i]);
      z[at] = index;
      stroke[at] = curve.colour;
    }
  });
  return { length, x, y, low, high, z, stroke };
}

// a logarithmic scale cannot show zero and below
function usable(scale) {
  return (value) => (value === null || value === undefined || (scale === "log" && value <= 0) ? NaN : value);
}

/** [least, largest] of arrays, NaN aside; null when nothing is left. */
export function extent(arrays) {
  let [least, largest] = [Infinity, -Infinity];
  for (const array of arrays) {
    for (const value of array) {
      if (value < least) least = value;
      if (value > largest) largest = value;
    }
  }
  return least <= largest ? [least, largest] : null;
}

/**
 * The range of y: the means, and bands as far as they go beyond the means by at most half of the means' range.
 * With two seeds an interval can be ten times as wide as everything else; it would flatten every curve. So would the
 * first steps of a training: without `outliers` the range is that of most points, and of where each curve ends.
 */
export function rangeOfY(parts, scale, outliers = true) {
  const means = outliers ? extent(parts.map((part) => part.y)) : extentOfMost(parts);
  if (!means) return null;
  const bands = extent(parts.flatMap((part) => [part.low, part.high])) ?? means;
  const [to, from] = scale === "log" ? [Math.log10, (value) => 10 ** value] : [Number, Number];
  const [least, largest] = means.map(to);
  const room = (largest - least || Math.abs(largest) || 1) / 2;
  return padded([Math.max(to(bands[0]), least - room), Math.min(to(bands[1]), largest + room)], [least, largest]).map(
    from,
  );
}

const TAIL = 0.05; // of the points, at either end, as in TensorBoard's own charts

function extentOfMost(parts) {
  const points = Float64Array.from(parts.flatMap((part) => [...part.y]).filter(Number.isFinite)).sort();
  if (!points.length) return null;
  const rank = Math.floor(TAIL * (points.length - 1));
  return extent([[points[rank], points[points.length - 1 - rank]], ...parts.map(ends)]);
}

/** The last value of each curve. */
const ends = ({ y, z }) => Array.from(y).filter((_, i) => z[i] !== z[i + 1]);

function padded([low, high], [least, largest]) {
  const bottom = Math.min(low, least);
  const top = Math.max(high, largest);
  const margin = (top - bottom || Math.abs(top) || 1) * 0.03;
  return [bottom - margin, top + margin];
}

/**
 * The point nearest to (px, py) among curves [{x, y}] under two scales: {curve, index} or null beyond `reach` pixels.
 * Along x only the points beside px matter: curves are sorted by x.
 */
export function nearest(curves, scaleX, scaleY, px, py, reach = 40) {
  let best = { distance: reach, curve: null, index: -1 };
  const wanted = scaleX.invert(px);
  for (const curve of curves) {
    const right = globalThis.d3.bisectLeft(curve.x, wanted);
    for (const index of [right - 1, right]) {
      const value = curve.y[index];
      if (value === undefined || value === null) continue;
      const distance = Math.hypot(scaleX.apply(curve.x[index]) - px, scaleY.apply(value) - py);
      if (distance < best.distance) best = { distance, curve, index };
    }
  }
  return best.curve && { curve: best.curve, index: best.index };
}
