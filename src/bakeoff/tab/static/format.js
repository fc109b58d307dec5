/** Numbers as a person reads them; files that are exported hold them in full. */

/** Four significant digits; null, no number, is a dash. */
export function number(value) {
  if (value === null || value === undefined || Number.isNaN(value)) return "–";
  const size = Math.abs(value);
  if (size !== 0 && (size < 1e-3 || size >= 1e6)) return value.toExponential(3).replace("e+", "e");
  return Number(value.toPrecision(4)).toLocaleString("en", { maximumSignificantDigits: 4 });
}

/** As `number`, with zeros at the end kept: measured values line up below each other. */
export function measured(value) {
  const text = number(value);
  const size = Math.abs(value);
  if (text === "–" || text.includes("e") || !(size < 1000)) return text;
  return Number(value).toPrecision(4);
}

export function whole(value) {
  return value === null || value === undefined ? "–" : Math.round(value).toLocaleString("en");
}

export function interval(low, high) {
  return low === null || low === undefined ? "–" : `${measured(low)} to ${measured(high)}`;
}

export const AXES = {
  steps: "optimizer steps",
  samples: "samples seen",
  epochs: "epochs",
  seconds: "seconds of training",
};

/** How Plot writes ticks: 20k from a thousand on; small ones on a logarithmic axis as 0.001, not as 1m. */
export function tickFormat(values, scale) {
  const sizes = values.map(Math.abs).filter((size) => size > 0);
  if (Math.max(...sizes) >= 1000 && (scale !== "log" || Math.min(...sizes) >= 1)) return "~s";
  return scale === "log" ? "~g" : undefined;
}

/** "78 completed, 1 diverged", in the order in which a run can end; statuses that no run has are left out. */
export function statuses(counts) {
  const order = ["completed", "running", "diverged", "failed", "interrupted", "unreadable"];
  const names = [...order, ...Object.keys(counts).filter((name) => !order.includes(name))];
  return names
    .filter((name) => counts[name])
    .map((name) => `${counts[name].toLocaleString("en")} ${name}`)
    .join(", ");
}
