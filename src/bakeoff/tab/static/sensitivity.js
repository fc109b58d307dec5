/** How a metric depends on a number: one line for arms that are equal in everything else. */

import { families, label, valueOf } from "./choices.js";
import { count, empty, h, some } from "./dom.js";
import { interval, measured, number, tickFormat } from "./format.js";
import { quantities } from "./quantities.js";
import { extent, rangeOfY } from "./series.js";
import * as tip from "./tip.js";

/** Points {arm, x, mean, low, high, n, family} in lines, and why other arms have none. */
export function lines({ arms, table, choices, state, sweep }) {
  const found = [];
  const without = [];
  const quantity = quantities(sweep, choices).find(({ key }) => key === state.against);
  families(arms, quantity.instead, choices).forEach((family, index) => {
    for (const arm of family) {
      const x = quantity.of(arm);
      const row = table.get(arm.id);
      const usable = x !== null && (state.against_scale !== "log" || x > 0);
      if (!usable) without.push(`${state.against}=${label(valueOf(arm, state.against))} is no number on this scale`);
      else if (!row || row.mean === null || (state.yscale === "log" && row.mean <= 0))
        without.push(`${arm.name}: no mean`);
      else found.push({ ...row, arm, x, family: index });
    }
  });
  found.sort((a, b) => a.family - b.family || a.x - b.x);
  return { points: found, without: [...new Set(without)] };
}

export function draw(view) {
  const { state, choices } = view;
  if (!state.against) {
    const names = choices.map((choice) => choice.key).join(", ") || "nothing";
    return [empty(`No choice with two numbers or more varies in this sweep; it varies ${names}.`)];
  }
  const { points, without } = lines(view);
  if (!points.length) return [empty(`No mean to draw. ${some(without)}`)];
  const plot = globalThis.Plot.plot(options(points, view));
  plot.setAttribute("role", "group");
  plot.setAttribute("aria-label", summary(points, view));
  const marks = points.map((mark) => describeMark(mark, state));
  tip.name(plot.querySelectorAll("[aria-label=dot] circle"), marks);
  tip.attach(plot, marks, (mark) => view.open({ arm: mark.arm.id }));
  emphasise(plot, points);
  const left = without.length ? ` Not drawn: ${some(without)}.` : "";
  const colour = state.colour ? ` Lines of one colour are equal in ${state.colour} alone; points of one value are drawn side by side.` : "";
  return [h("p", { class: "caption" }, `${view.tableMethod}.${colour}${left}`), h("div", { class: "scroller" }, plot)];
}

/** Emphasises the line of the point that has the pointer or the focus. */
function emphasise(plot, points) {
  const group = plot.querySelector("[aria-label=line]");
  const order = [...new Set(points.map((mark) => mark.family))]; // Plot draws lines in the order of their first points
  const set = ({ target }) => {
    const mark = points[Number(target.closest("[data-mark]")?.dataset.mark ?? -1)];
    group.classList.toggle("strong", Boolean(mark));
    [...group.children].forEach((path, index) => path.classList.toggle("one", order[index] === mark?.family));
  };
  for (const event of ["pointerover", "pointerout", "focusin"]) plot.addEventListener(event, set);
}

function options(points, { state, colours, width }) {
  const Plot = globalThis.Plot;
  const [real, y, low, high] = ["x", "mean", "low", "high"].map((key) => points.map((mark) => mark[key] ?? NaN));
  const x = dodged(real, points, state);
  const stroke = points.map((mark) => colours.of(mark.arm));
  const z = points.map((mark) => mark.family);
  const length = points.length;
  const range = rangeOfY([{ y, low: lowest(low, state), high }], state.yscale);
  return {
    width: Math.min(width, 1100),
    height: 460,
    marginLeft: 64,
    marginBottom: 52,
    marginTop: 30,
    clip: true,
    style: "font-size: 12px",
    x: {
      type: state.against_scale,
      domain: spaced(extent([x]), state),
      labelOffset: 42,
      label: `${state.against}${state.against_scale === "log" ? " (log)" : ""} →`,
      ticks: 6,
      tickFormat: tickFormat(real, state.against_scale),
    },
    y: {
      type: state.yscale,
      domain: range,
      label: `↑ ${state.metric} (${state.value}${state.yscale === "log" ? ", log" : ""})`,
      grid: true,
      tickFormat: tickFormat(range, state.yscale),
    },
    color: { type: "identity" },
    marks: [
      Plot.frame({ strokeOpacity: 0.18 }),
      Plot.ruleX({ length }, { x, y1: low, y2: high, stroke, strokeWidth: 1.5, strokeOpacity: 0.55 }),
      Plot.lineY({ length }, { x, y, z, stroke, strokeWidth: 1.6 }),
      Plot.dot({ length }, { x, y, fill: stroke, stroke: "var(--surface)", strokeWidth: 1, r: 4.5, sort: null }),
    ],
  };
}

const lowest = (low, state) => (state.yscale === "log" ? low.map((value) => (value > 0 ? value : NaN)) : low);

/** Lines side by side by a few pixels: overlapping interval bars could not be distinguished. */
function dodged(x, points, { against_scale: scale }) {
  const last = Math.max(...points.map((mark) => mark.family)) || 1;
  const [low, high] = extent([x]);
  return points.map((mark, i) => {
    const shift = (mark.family / last - 0.5) * 0.025;
    return scale === "log" ? x[i] * (high / low || 1) ** shift : x[i] + shift * (high - low);
  });
}

// Points at the border would lose half of themselves.
function spaced([low, high], { against_scale: scale }) {
  if (scale === "log") return [low / (high / low || 2) ** 0.04, high * (high / low || 2) ** 0.04];
  const room = (high - low || Math.abs(high) || 1) * 0.04;
  return [low - room, high + room];
}

function describeMark(mark, state) {
  const { arm, x, mean, low, high, n } = mark;
  const facts = [
    [state.against, number(x)],
    [`${state.metric}, ${state.value}`, measured(mean)],
    ["interval", interval(low, high)],
    ["seeds", String(n)],
  ];
  return {
    ...mark,
    key: `point:${arm.id}`,
    label: `${arm.name}: ${measured(mean)}, interval ${interval(low, high)}, ${count(n, "seed")}`,
    tip: () => [h("strong", {}, arm.name), tip.pairs(facts)],
  };
}

function summary(points, { state, metric }) {
  const lineCount = new Set(points.map((mark) => mark.family)).size;
  const sizes = `${count(lineCount, "line")}, ${count(points.length, "arm")}`;
  const about = `${state.metric} (${state.value}) against ${state.against}: ${sizes}.`;
  if (!metric.direction) return about;
  const isBetter = (a, b) => (metric.direction === "min" ? a.mean < b.mean : a.mean > b.mean);
  const best = points.reduce((a, b) => (isBetter(b, a) ? b : a));
  return `${about} Best: ${best.arm.name}, ${number(best.mean)}.`;
}

export function rows(view) {
  const keys = view.choices.map((choice) => choice.key);
  const head = ["arm", ...keys, "metric", "value", "x", "mean", "low", "high", "n"];
  const { metric, value } = view.state;
  const body = lines(view).points.map(({ arm, x, mean, low, high, n }) => [
    arm.name,
    ...keys.map((key) => valueOf(arm, key)),
    metric,
    value,
    x,
    mean,
    low,
    high,
    n,
  ]);
  return [head, ...body];
}
