/** One cell of the small multiples: its plot, and what it says in words. */

import { count, h } from "./dom.js";
import { AXES, tickFormat } from "./format.js";
import { point } from "./pointing.js";

export const MARGIN = { left: 46, right: 14, top: 8, bottom: 26, inner: 8 };

/** A cell of the small multiples: `x` and `y` are its ranges, `position` says which sides have ticks. */
export function box({ cell, view, x, y, where, position, sizes, name }) {
  const { state } = view;
  const ticksY = position.first || state.scales === "free";
  const options = {
    width: sizes.width + (ticksY ? MARGIN.left : MARGIN.inner),
    height: sizes.height + (position.last ? MARGIN.bottom - MARGIN.inner : 0),
    marginLeft: ticksY ? MARGIN.left : MARGIN.inner,
    marginRight: MARGIN.right,
    marginTop: MARGIN.top,
    marginBottom: position.last ? MARGIN.bottom : MARGIN.inner,
    x: { type: state.xscale, domain: x, label: null, axis: null },
    y: { type: state.yscale, domain: y, label: null, axis: null },
    color: { type: "identity" },
    clip: true,
  };
  const plot = globalThis.Plot.plot({ ...options, marks: marks(cell, { position, ticksY, x, y, state }) });
  plot.setAttribute("role", "img");
  plot.setAttribute("aria-label", summary(cell, name, view));
  const figure = h("div", {
    class: "cell",
    tabindex: "0",
    role: "group",
    dataset: { key: `cell:${JSON.stringify(where)}`, row: position.row, column: position.column },
    "aria-label": `${summary(cell, name, view)} Arrow keys walk through arms and points, Enter opens.`,
  });
  figure.append(plot);
  point(figure, plot, { cell, view, options, where });
  return figure;
}

function marks(cell, { position, ticksY, x, y, state }) {
  const Plot = globalThis.Plot;
  const { mean, seed } = cell.lines;
  const crowd = Math.max(0.05, 0.22 / Math.sqrt(Math.max(cell.means.length, 1)));
  const line = (data, style) => Plot.lineY(data, { x: data.x, y: data.y, z: data.z, stroke: data.stroke, ...style });
  return [
    Plot.frame({ stroke: "currentColor", strokeOpacity: 0.18 }),
    Plot.gridY({ strokeOpacity: 0.09, ticks: 5 }),
    ticksY &&
      Plot.axisY({ ticks: 5, tickSize: 0, tickPadding: 5, anchor: "left", tickFormat: tickFormat(y, state.yscale) }),
    position.last && Plot.axisX({ ticks: 4, tickSize: 3, tickFormat: tickFormat(x, state.xscale) }),
    Plot.areaY(mean, { x: mean.x, y1: mean.low, y2: mean.high, z: mean.z, fill: mean.stroke, fillOpacity: crowd }),
    seed.length && line(seed, cell.means.length ? { strokeWidth: 0.7, strokeOpacity: 0.45 } : { strokeWidth: 1 }),
    line(mean, { strokeWidth: 1.6 }),
    cell.means.length + seed.length === 0 &&
      Plot.text([cell.arms.length ? "no curve" : "no arms"], { frameAnchor: "middle", fillOpacity: 0.5 }),
  ].filter(Boolean);
}

/** What the cell shows, in words: how many arms, and where they end. */
function summary(cell, name, { state, metric }) {
  const ends = cell.means
    .map((curve) => [curve.y.findLast((value) => value !== null), curve.arm])
    .filter(([end]) => end !== undefined);
  const what = `mean of ${state.metric} over seeds against ${AXES[state.axis]}`;
  const head = `${name || "All arms"}: ${what}, ${count(cell.arms.length, "arm")}.`;
  if (!ends.length) return `${head} No curve.`;
  ends.sort(([a], [b]) => (metric.direction === "max" ? b - a : a - b));
  const [first, last] = [ends[0], ends.at(-1)].map(([end]) => Number(end.toPrecision(4)));
  if (!metric.direction) return `${head} Ends between ${first} and ${last}.`;
  return `${head} Best at the end: ${ends[0][1].name}, ${first}.`;
}
