/** Pointing at an arm in a cell of curves, by pointer or by arrow keys: its seeds and numbers; a click opens it. */

import { h } from "./dom.js";
import { AXES, interval, number } from "./format.js";
import { columns, nearest } from "./series.js";
import * as tip from "./tip.js";

const PATIENCE = 60; // milliseconds on an arm before its seeds are asked for

/** Makes a cell answer. `options` are those of its plot: the highlight is a second plot of the same scales on top. */
export function point(figure, plot, { cell, view, options, where }) {
  const scaleX = plot.scale("x");
  const scaleY = plot.scale("y");
  const state = { found: null, layer: null, timer: 0 };
  const show = (found) => highlight(figure, state, found, { view, options, scaleX, scaleY });
  const open = () => view.open(state.found ? { arm: state.found.curve.arm.id } : { cell: where });

  figure.addEventListener("pointermove", (event) => {
    const frame = plot.getBoundingClientRect();
    show(nearest(cell.means, scaleX, scaleY, event.clientX - frame.left, event.clientY - frame.top));
  });
  figure.addEventListener("pointerleave", () => show(null));
  figure.addEventListener("blur", () => show(null));
  figure.addEventListener("click", open);
  figure.addEventListener("keydown", (event) => {
    if (event.key === "Enter" || event.key === " ") open();
    else if (event.key === "Escape" && state.found) show(null);
    else if (event.key.startsWith("Arrow")) show(walk(cell.means, state.found, event.key));
    else return;
    event.preventDefault();
    event.stopPropagation();
  });
}

/** Up and down go from arm to arm, left and right along the points of one. */
export function walk(means, found, key) {
  if (!means.length) return null;
  if (!found) return { curve: means[0], index: means[0].x.length - 1 };
  const step = key === "ArrowUp" || key === "ArrowLeft" ? -1 : 1;
  if (key === "ArrowLeft" || key === "ArrowRight") {
    return { ...found, index: Math.min(Math.max(found.index + step, 0), found.curve.x.length - 1) };
  }
  const curve = means[(means.indexOf(found.curve) + step + means.length) % means.length];
  return { curve, index: Math.min(found.index, curve.x.length - 1) };
}

function highlight(figure, state, found, context) {
  const same = found && state.found && found.curve === state.found.curve && found.index === state.found.index;
  if (same) return;
  clearTimeout(state.timer);
  state.layer?.remove();
  state.layer = null;
  state.found = found;
  figure.classList.toggle("pointed", Boolean(found));
  if (!found) return tip.hide();
  paint(figure, state, [], context);
  const { view } = context;
  state.timer = setTimeout(async () => {
    const runs = await view.seedsOf(found.curve.arm).catch(() => []); // the mean is shown without them
    if (state.found === found) paint(figure, state, runs, context);
  }, PATIENCE);
}

function paint(figure, state, runs, { view, options, scaleX, scaleY }) {
  const Plot = globalThis.Plot;
  const { curve, index } = state.found;
  const mean = columns([curve], view.state);
  const seeds = columns(
    runs.map(({ x, y }) => ({ x, y, colour: curve.colour })),
    view.state,
  );
  const [x, y] = [curve.x[index], curve.y[index]];
  const layer = Plot.plot({
    ...options,
    axis: null,
    marks: [
      Plot.areaY(mean, { x: mean.x, y1: mean.low, y2: mean.high, fill: mean.stroke, fillOpacity: 0.25 }),
      Plot.lineY(seeds, {
        x: seeds.x,
        y: seeds.y,
        z: seeds.z,
        stroke: seeds.stroke,
        strokeWidth: 0.9,
        strokeOpacity: 0.8,
      }),
      Plot.lineY(mean, { x: mean.x, y: mean.y, stroke: mean.stroke, strokeWidth: 2.6 }),
      Plot.ruleX([x], { strokeOpacity: 0.35 }),
      Plot.dot([[x, y]], { fill: curve.colour, stroke: "var(--surface)", r: 4 }),
    ],
  });
  layer.classList.add("layer");
  layer.setAttribute("aria-hidden", "true");
  layer.dataset.seeds = runs.length;
  state.layer?.remove();
  state.layer = layer;
  figure.append(layer);
  const frame = figure.getBoundingClientRect();
  tip.show(frame.left + scaleX.apply(x), frame.top + scaleY.apply(y), words(curve, index, view.state));
}

function words({ arm, x, y, low, high, n }, index, state) {
  const lines = [
    [AXES[state.axis], number(x[index])],
    ["mean", number(y[index])],
    ["interval", interval(low[index], high[index])],
    ["seeds", String(n[index])],
  ];
  return [h("strong", {}, arm.name), tip.pairs(lines)];
}
