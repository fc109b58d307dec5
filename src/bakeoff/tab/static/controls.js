/** The selects and boxes above a view: one table says which there are, in which views, and what they offer. */

import { h, setOptions } from "./dom.js";
import { AXES } from "./format.js";
import { quantities } from "./quantities.js";
import { VIEWS } from "./state.js";

const SCALES = [
  ["linear", "linear"],
  ["log", "log"],
];
const SUMMARIES = ["sensitivity", "heatmap", "table"];
const orNone = (choices) => [["", "none"], ...choices.map(({ key }) => [key, key])];

const CONTROLS = [
  { key: "metric", label: "Metric", options: ({ sweep }) => sweep.metrics.map(({ name }) => [name, name]) },
  {
    key: "value",
    label: "Value",
    views: SUMMARIES,
    options: () => [
      ["final", "final"],
      ["best", "best"],
    ],
  },
  { key: "rows", label: "Rows", views: ["curves"], options: ({ choices }) => orNone(choices) },
  { key: "columns", label: "Columns", views: ["curves"], options: ({ choices }) => orNone(choices) },
  {
    key: "against",
    label: "Against",
    views: ["sensitivity"],
    resets: "against_scale",
    options: ({ sweep, choices }) => quantities(sweep, choices).map(({ key }) => [key, key]),
  },
  { key: "down", label: "Down", views: ["heatmap"], options: ({ choices }) => orNone(choices) },
  { key: "across", label: "Across", views: ["heatmap"], options: ({ choices }) => orNone(choices) },
  { key: "colour", label: "Colour", views: ["curves", "sensitivity"], options: ({ choices }) => orNone(choices) },
  { key: "axis", label: "Axis", views: ["curves"], options: () => Object.entries(AXES) },
  { key: "xscale", label: "x scale", views: ["curves"], options: () => SCALES },
  { key: "against_scale", label: "x scale", views: ["sensitivity"], options: () => SCALES },
  { key: "yscale", label: "y scale", views: ["curves", "sensitivity"], options: () => SCALES },
  {
    key: "scales",
    label: "Range of y",
    views: ["curves"],
    options: () => [
      ["shared", "shared"],
      ["free", "free"],
    ],
  },
  { key: "outliers", label: "Show outliers", views: ["curves"], box: true },
  { key: "seeds", label: "All seeds", views: ["curves"], box: true },
];

/** Makes the controls once; gives a function that brings them up to date. */
export function make(region, update) {
  const made = CONTROLS.map((control) => ({ control, ...element(control, update) }));
  region.replaceChildren(...made.map(({ wrapper }) => wrapper));
  return (view) => {
    for (const { control, wrapper, input } of made) {
      const options = control.options?.(view);
      wrapper.hidden = options?.length === 0 || Boolean(control.views && !control.views.includes(view.state.view));
      if (control.box) input.checked = view.state[control.key] === "all";
      else setOptions(input, options, view.state[control.key]);
    }
  };
}

function element({ key, label, box, resets }, update) {
  const change = ({ target }) =>
    update({ [key]: box ? (target.checked ? "all" : "") : target.value, ...(resets && { [resets]: undefined }) });
  const properties = { name: key, "aria-label": label, onchange: change };
  const input = box ? h("input", { type: "checkbox", ...properties }) : h("select", properties);
  const wrapper = h("label", { class: box ? "box" : "field" }, box ? [input, label] : [h("span", {}, label), input]);
  return { input, wrapper };
}

/** The views as tabs: arrow keys go from one to the next. */
export function tabs(region, update) {
  const buttons = Object.entries(VIEWS).map(([view, label]) =>
    h(
      "button",
      {
        type: "button",
        role: "tab",
        id: `tab-${view}`,
        "aria-controls": "view",
        dataset: { view },
        onclick: () => update({ view }),
      },
      label,
    ),
  );
  region.setAttribute("role", "tablist");
  region.setAttribute("aria-label", "Views");
  region.addEventListener("keydown", (event) => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!step) return;
    const next = buttons[(buttons.indexOf(document.activeElement) + step + buttons.length) % buttons.length];
    next.focus();
    next.click();
  });
  region.replaceChildren(...buttons);
  return ({ state }) => {
    for (const button of buttons) {
      const active = button.dataset.view === state.view;
      button.setAttribute("aria-selected", String(active));
      button.tabIndex = active ? 0 : -1;
    }
  };
}
