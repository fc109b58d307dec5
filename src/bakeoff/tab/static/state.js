/** What a person has set. `resolve` makes whatever an address holds valid for a sweep, silently. */

import { token, varying } from "./choices.js";
import { quantities } from "./quantities.js";

export const VIEWS = { curves: "Curves", sensitivity: "Sensitivity", heatmap: "Heat map", table: "Table" };

/** Settings that do not depend on the sweep; the address leaves them out while they have these values. */
export const DEFAULTS = {
  view: "curves",
  value: "final",
  axis: "steps",
  xscale: "linear",
  yscale: "linear",
  scales: "shared",
  seeds: "",
  outliers: "",
  sort: "rank",
  order: "ascending",
};

const ALLOWED = {
  view: Object.keys(VIEWS),
  value: ["final", "best"],
  axis: ["steps", "samples", "epochs", "seconds"],
  xscale: ["linear", "log"],
  yscale: ["linear", "log"],
  scales: ["shared", "free"],
  seeds: ["", "all"],
  outliers: ["", "all"],
  order: ["ascending", "descending"],
};

const MAX_VALUES = 12; // more rows or columns than this are not drawn unless asked for

const pick = (value, allowed, otherwise) => (allowed.includes(value) ? value : otherwise);

export function resolve(asked, sweep) {
  const choices = varying(sweep);
  const keys = choices.map((choice) => choice.key);
  const fixed = Object.entries(ALLOWED).map(([key, allowed]) => [key, pick(asked[key], allowed, DEFAULTS[key])]);
  const layout = arrangement(choices);
  const roles = ["rows", "columns", "colour"].map((key) => [key, pick(asked[key], ["", ...keys], layout[key])]);
  const state = { ...Object.fromEntries(fixed), ...Object.fromEntries(roles), sweep: sweep.sweep };
  state.metric = pick(
    asked.metric,
    sweep.metrics.map((metric) => metric.name),
    sweep.default_metric,
  );
  const numbers = quantities(sweep, choices);
  state.against = pick(
    asked.against,
    numbers.map((quantity) => quantity.key),
    numbers[0]?.key ?? "",
  );
  state.against_scale = pick(
    asked.against_scale,
    ["linear", "log"],
    scaleFor(
      numbers.find((quantity) => quantity.key === state.against),
      sweep.arms,
    ),
  );
  state.down = pick(asked.down, ["", ...keys], layout.rows || layout.colour);
  state.across = pick(asked.across, ["", ...keys], layout.columns);
  state.sort = typeof asked.sort === "string" && asked.sort ? asked.sort : DEFAULTS.sort;
  state.hide = known(asked.hide, choices);
  state.cell = firstOnly(known(asked.cell, choices));
  state.arm = pick(
    asked.arm,
    sweep.arms.map((arm) => arm.id),
    "",
  );
  state.panel = state.arm ? "arm" : pick(asked.panel, ["", "cell"], "");
  return state;
}

/** Learning rates and their like are spread over orders of magnitude. */
function scaleFor(quantity, arms) {
  const values = quantity ? arms.map(quantity.of).filter((value) => value !== null) : [];
  const [low, high] = [Math.min(...values), Math.max(...values)];
  return low > 0 && high / low >= 10 ? "log" : "linear";
}

/** Of {key: [token]}, the keys and tokens that the sweep has. */
function known(asked, choices) {
  const found = choices.map(({ key, values }) => {
    const tokens = new Set(values.map(token));
    const wanted = Object.hasOwn(asked ?? {}, key) ? [asked[key]].flat() : [];
    return [key, wanted.filter((one) => tokens.has(one))];
  });
  return Object.fromEntries(found.filter(([, tokens]) => tokens.length));
}

const firstOnly = (lists) => Object.fromEntries(Object.entries(lists).map(([key, tokens]) => [key, tokens[0]]));

/** Loss x batch size by optimizer where those vary; what is left over goes to the first other choices. */
export function arrangement(choices) {
  const rest = choices.filter((choice) => choice.values.length <= MAX_VALUES).map((choice) => choice.key);
  const take = (key) => {
    const index = rest.indexOf(key);
    return index < 0 ? "" : rest.splice(index, 1)[0];
  };
  const wanted = { rows: take("loss"), columns: take("batch_size"), colour: take("optimizer") };
  const fallback = () => rest.shift() ?? "";
  const colour = wanted.colour || fallback();
  const columns = wanted.columns || fallback();
  return { colour, columns, rows: wanted.rows || fallback() };
}
