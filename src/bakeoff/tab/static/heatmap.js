/** A cell for each pair of values of two choices: the mean of its arms' means. */

import { condition, grid, label, labelOfToken, token } from "./choices.js";
import { count, h } from "./dom.js";
import { measured, statuses } from "./format.js";
import { inkOn, isDark } from "./theme.js";
import * as tip from "./tip.js";

/** One mark a cell: {row, column, mean or null, arms, with, counts, why}. */
export function cells({ arms, table, state, choice }) {
  const [down, across] = [choice(state.down), choice(state.across)];
  const lattice = grid(arms, down, across);
  const marks = lattice.rows.flatMap((row, i) =>
    lattice.columns.map((column, j) => ({
      row,
      column,
      where: condition([down, row], [across, column]),
      ...summarise(lattice.cells[i][j], table),
    })),
  );
  return { ...lattice, marks };
}

function summarise(arms, table) {
  const found = arms.map((arm) => table.get(arm.id)).filter(Boolean);
  const means = found.map((row) => row.mean).filter((mean) => mean !== null);
  const counts = {};
  for (const row of found)
    for (const [status, n] of Object.entries(row.counts)) counts[status] = (counts[status] ?? 0) + n;
  const mean = means.length ? means.reduce((sum, one) => sum + one, 0) / means.length : null;
  return { arms, mean, withMean: means.length, counts, why: mean === null ? reason(arms, counts) : null };
}

function reason(arms, counts) {
  if (!arms.length) return "no arms";
  return unfinished(counts) || (counts.completed ? "no value" : "no runs");
}

/** The runs that are in no mean: what diverged makes its cell look better than it is. */
function unfinished({ completed, ...others }) {
  return statuses(others);
}

export function draw(view) {
  const { state, choices } = view;
  if (!choices.length)
    return [h("p", { class: "empty" }, "Nothing varies in this sweep: a heat map needs a choice with two values.")];
  const { rows: down, columns: across, marks: found } = cells(view);
  if (!found.length) return [h("p", { class: "empty" }, "Every arm is filtered out.")];
  const plot = globalThis.Plot.plot(options(found, down, across, view));
  const marks = found.map((mark) => describeMark(mark, state));
  plot.setAttribute("role", "group");
  plot.setAttribute(
    "aria-label",
    `Heat map of ${state.metric} (${state.value}), ${state.down || "all"} down, ${state.across || "all"} across.`,
  );
  tip.name(plot.querySelectorAll("[aria-label=cell] rect"), marks);
  tip.attach(plot, marks, (mark) => view.open({ cell: mark.where }));
  const text = `A cell holds the mean over its arms of each arm's mean ${state.value} ${state.metric}. ${howToRead(view.metric)}`;
  return [h("p", { class: "caption" }, text), h("div", { class: "scroller" }, plot)];
}

function howToRead({ direction, why_no_direction: why }) {
  const strong = isDark() ? "brighter" : "darker";
  if (!direction) return `Larger is ${strong}; ${why}.`;
  return `${direction === "min" ? "Lower" : "Higher"} is better, and ${strong}.`;
}

function options(marks, down, across, view) {
  const { state, width } = view;
  const room = Math.min(260, 7 * Math.max(...down.map((value) => label(value).length), 4) + 24);
  const cellWidth = Math.max(76, Math.min(170, (width - room - 20) / across.length));
  const fill = marks.map(({ mean }) => (mean === null ? null : mean));
  const colour = shading(marks, view.metric);
  const [x, y] = [marks.map((mark) => token(mark.column)), marks.map((mark) => token(mark.row))];
  const ink = marks.map(({ mean }) => (mean === null ? (isDark() ? "#c0c0c0" : "#5a5a5a") : inkOn(colour(mean))));
  const words = {
    x,
    y,
    fill: ink,
    fontVariant: "tabular-nums",
    lineHeight: 1.3,
    lineWidth: cellWidth / 13,
    textOverflow: "ellipsis",
  };
  const length = marks.length;
  const Plot = globalThis.Plot;
  return {
    width: room + 20 + cellWidth * across.length,
    height: 66 + 52 * down.length,
    marginLeft: room,
    marginTop: 42,
    marginRight: 20,
    marginBottom: 24,
    padding: 0.03,
    style: "font-size: 12px",
    x: {
      type: "band",
      domain: across.map(token),
      tickFormat: labelOfToken,
      label: state.across ? `${state.across} →` : null,
      axis: "top",
      tickSize: 0,
      labelOffset: 36,
    },
    y: {
      type: "band",
      domain: down.map(token),
      tickFormat: labelOfToken,
      label: state.down ? `↓ ${state.down}` : null,
      labelAnchor: "top",
      tickSize: 0,
    },
    color: { type: "identity" },
    marks: [
      Plot.cell({ length }, { x, y, fill: fill.map(colour), rx: 3 }),
      Plot.text(
        { length },
        {
          ...words,
          text: marks.map(({ mean, why, counts }) => why ?? [measured(mean), unfinished(counts)].join("\n").trim()),
        },
      ),
    ],
  };
}

/** mean -> colour: strong is better, in greys just larger where that is not known; pale without a number. */
function shading(marks, { direction }) {
  const means = marks.map((mark) => mark.mean).filter((mean) => mean !== null);
  const [low, high] = [Math.min(...means), Math.max(...means)];
  const colours = direction ? globalThis.d3.interpolateBlues : globalThis.d3.interpolateGreys;
  return (mean) => {
    if (mean === null) return isDark() ? "#3f3f3f" : "#eeeeee";
    const fraction = high > low ? (mean - low) / (high - low) : 0.5;
    const strength = 0.08 + 0.87 * (direction === "min" ? 1 - fraction : fraction);
    return colours(isDark() ? 1 - strength : strength);
  };
}

function describeMark(mark, state) {
  const where = [
    [state.down, mark.row],
    [state.across, mark.column],
  ].filter(([key]) => key);
  const title = where.map(([key, value]) => `${key}=${label(value)}`).join(", ") || "all arms";
  const runs = statuses(mark.counts) || "none";
  const facts = [
    ["mean of means", mark.why ?? measured(mark.mean)],
    ["arms", `${mark.arms.length}, ${mark.withMean} with a mean`],
    ["runs", runs],
  ];
  return {
    ...mark,
    key: `heat:${JSON.stringify(mark.where)}`,
    label: `${title}: ${mark.why ?? measured(mark.mean)}, ${count(mark.arms.length, "arm")}; runs: ${runs}`,
    tip: () => [h("strong", {}, title), tip.pairs(facts)],
  };
}

export function rows(view) {
  const { state } = view;
  const keys = [state.down, state.across].filter(Boolean);
  const head = [
    ...keys,
    "metric",
    "value",
    "mean",
    "arms",
    "arms_with_mean",
    "completed",
    "diverged",
    "failed",
    "without_number",
  ];
  const body = cells(view).marks.map((mark) => {
    const values = [
      [state.down, mark.row],
      [state.across, mark.column],
    ]
      .filter(([key]) => key)
      .map(([, value]) => value);
    const { completed = 0, diverged = 0, failed = 0 } = mark.counts;
    return [
      ...values,
      state.metric,
      state.value,
      mark.mean,
      mark.arms.length,
      mark.withMean,
      completed,
      diverged,
      failed,
      mark.why,
    ];
  });
  return [head, ...body];
}
