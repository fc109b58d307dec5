/** Small multiples: a cell for each value of two choices, in each the mean and the band of its arms. */

import { box, MARGIN } from "./cell.js";
import { condition, grid, label, valueOf } from "./choices.js";
import { empty, h } from "./dom.js";
import { AXES } from "./format.js";
import { columns, extent, rangeOfY } from "./series.js";

const MAX_CELLS = 200;
const MIN_SIZE = { width: 190, height: 130 };
const TEXTS = 182; // pixels of legend, caption, headings and axis around the cells

/** Draws the view; `seeds` is empty unless single seeds were asked for. Gives nodes. */
export function draw(view) {
  const { state, arms } = view;
  const rowChoice = view.choice(state.rows);
  const columnChoice = view.choice(state.columns);
  const table = grid(arms, rowChoice, columnChoice);
  if (table.rows.length * table.columns.length > MAX_CELLS) {
    const cells = `${state.rows} x ${state.columns} makes more than ${MAX_CELLS} cells`;
    return [empty(`${cells}: choose other rows or columns, or filter.`)];
  }
  const cells = table.cells.map((row) => row.map((inside) => content(inside, view)));
  const x = rangeOfX(cells.flat());
  const shared = rangeOfY(
    cells.flat().flatMap((cell) => cell.parts),
    state.yscale,
    state.outliers === "all",
  );
  if (!x || !shared)
    return [empty("No curve to draw: every arm is filtered out, or has none that the scales can show.")];
  const sizes = layout(view, table);
  const boxes = cells.map((inRow, row) =>
    inRow.map((cell, column) => {
      const y = state.scales === "free" ? (rangeOfY(cell.parts, state.yscale, state.outliers === "all") ?? shared) : shared;
      const position = { row, column, last: row === table.rows.length - 1, first: column === 0 };
      const pairs = [
        [rowChoice, table.rows[row]],
        [columnChoice, table.columns[column]],
      ];
      return box({ cell, view, x, y, where: condition(...pairs), position, sizes, name: title(...pairs) });
    }),
  );
  return [caption(view), arrange(boxes, table, rowChoice, columnChoice, sizes, state)];
}

/** The curves of some arms: the means, and below them single seeds where those are shown. */
function content(arms, view) {
  const { curves, seeds, state, colours } = view;
  const means = arms
    .filter((arm) => curves.has(arm.id))
    .map((arm) => {
      const { x, mean, low, high, n } = curves.get(arm.id);
      return { arm, x, y: mean, low, high, n, colour: colours.of(arm) };
    });
  const single = arms.flatMap((arm) =>
    (seeds.get(arm.id) ?? []).map(({ x, y }) => ({ x, y, colour: colours.of(arm) })),
  );
  const lines = { mean: columns(means, state), seed: columns(single, state) };
  // a seed that diverged must not flatten the means either: it counts like a band
  const around = means.length ? { x: lines.seed.x, y: [], low: lines.seed.y, high: lines.seed.y } : lines.seed;
  const parts = single.length ? [lines.mean, around] : [lines.mean];
  return { arms, means, lines, parts };
}

function rangeOfX(cells) {
  return extent(cells.flatMap((cell) => cell.parts.map((part) => part.x)));
}

// Every cell has the same inner size, so that slopes compare: the first column is wider by its tick labels.
// Rows share the height that is left, so that the whole is seen at once where it can be.
function layout({ width: available, height: room }, { rows, columns: across }) {
  const width = Math.max(MIN_SIZE.width, Math.floor((available - MARGIN.left - 30) / across.length) - MARGIN.inner);
  const height = Math.min(width * 0.7, (room - TEXTS) / rows.length, 480);
  return { width: Math.min(width, 900), height: Math.max(MIN_SIZE.height, height) };
}

const title = (...pairs) =>
  pairs
    .filter(([choice]) => choice)
    .map(([choice, value]) => `${choice.key}=${label(value)}`)
    .join(", ");

function caption({ state, choices, arms, method }) {
  const placed = [state.rows, state.columns, state.colour];
  const rest = choices
    .map((choice) => choice.key)
    .filter((key) => !placed.includes(key))
    .filter((key) => new Set(arms.map((arm) => valueOf(arm, key))).size > 1);
  const more = rest.length ? ` Lines of one colour in a cell differ in ${rest.join(", ")}.` : "";
  const outside =
    state.outliers === "all" ? "A band may extend beyond its cell." : "Bands and early steps may extend beyond a cell.";
  return h(
    "p",
    { class: "caption" },
    `${method} ${outside} Point at a line for its single seeds.${more}`,
  );
}

function arrange(boxes, table, rowChoice, columnChoice, sizes, state) {
  const n = table.columns.length;
  const heads = columnChoice ? table.columns.map((value) => heading(columnChoice, value, "column")) : [];
  const body = boxes.flatMap((row, index) => [
    rowChoice ? heading(rowChoice, table.rows[index], "row") : h("span"),
    ...row,
  ]);
  const columnsTemplate = `auto repeat(${n}, max-content)`;
  const multiples = h(
    "div",
    { class: "multiples", style: `grid-template-columns: ${columnsTemplate}` },
    columnChoice && [h("span"), heads],
    body,
    h("span"),
    h(
      "p",
      { class: "axis", style: `grid-column: 2 / span ${n}`, dataset: { text: "middle" } },
      AXES[state.axis] + (state.xscale === "log" ? " (log)" : ""),
    ),
  );
  const unit = h(
    "p",
    { class: "unit", dataset: { text: "start" } },
    `↑ ${state.metric}${state.yscale === "log" ? " (log)" : ""}`,
  );
  return h("div", { class: "scroller" }, unit, multiples);
}

function heading(choice, value, side) {
  const text = `${choice.key} = ${label(value)}`;
  return h(
    "span",
    { class: `heading ${side}`, title: text, dataset: { text: side === "row" ? "vertical" : "middle" } },
    text,
  );
}

/** The lines that are drawn, in full: arm, choices, axis, x, mean, low, high, n. */
export function rows({ arms, curves, choices, state }) {
  const keys = choices.map((choice) => choice.key);
  const head = ["arm", ...keys, "metric", "axis", "x", "mean", "low", "high", "n"];
  const body = arms
    .filter((arm) => curves.has(arm.id))
    .flatMap((arm) => {
      const { x, mean, low, high, n } = curves.get(arm.id);
      const fixed = [arm.name, ...keys.map((key) => valueOf(arm, key)), state.metric, state.axis];
      return x.map((_, i) => [...fixed, x[i], mean[i], low[i], high[i], n[i]]);
    });
  return [head, ...body];
}
