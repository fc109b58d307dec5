/** A filter for each choice: a box for each value, and all or none of them at once. */

import { label, token, tokenOf } from "./choices.js";
import { h, redraw } from "./dom.js";

/** Draws the filters; their boxes are replaced only when choices, values or counts have changed. */
export function draw(region, { choices, arms, state, update }) {
  const counted = choices.map((choice) => [
    choice.key,
    choice.values.map((value) => [
      token(value),
      arms.filter((arm) => tokenOf(arm, choice.key) === token(value)).length,
    ]),
  ]);
  const now = JSON.stringify(counted);
  if (region.dataset.drawn !== now) {
    const sets = choices.map((choice, index) => fieldset(choice, counted[index][1], update));
    redraw(region, h("h2", {}, "Show"), sets.length ? sets : h("p", {}, "Nothing varies in this sweep."));
    region.dataset.drawn = now;
  }
  for (const box of region.querySelectorAll("input")) box.checked = !state().hide[box.name]?.includes(box.value);
}

function fieldset(choice, counted, update) {
  const { key } = choice;
  const all = counted.map(([one]) => one);
  const set = (hidden) => update((state) => ({ hide: withEntry(state.hide, key, hidden) }));
  const both = h(
    "span",
    { class: "both" },
    [
      ["all", []],
      ["none", all],
    ].map(([name, hidden]) =>
      h(
        "button",
        {
          type: "button",
          "aria-label": `${name} of ${key}`,
          dataset: { key: `${name}:${key}` },
          onclick: () => set(hidden),
        },
        name,
      ),
    ),
  );
  const boxes = choice.values.map((value, index) => box(key, value, counted[index][1], update));
  return h(
    "fieldset",
    { dataset: { choice: key } },
    h("legend", {}, h("span", { title: key }, key), both),
    h("div", { class: "values" }, boxes),
  );
}

function box(key, value, n, update) {
  const one = token(value);
  const toggle = (event) =>
    update((state) => {
      const others = (state.hide[key] ?? []).filter((other) => other !== one);
      return { hide: withEntry(state.hide, key, event.target.checked ? others : [...others, one]) };
    });
  const input = h("input", {
    type: "checkbox",
    name: key,
    value: one,
    dataset: { key: `box:${key}:${one}` },
    onchange: toggle,
  });
  return h(
    "label",
    { title: label(value) },
    input,
    h("span", {}, label(value)),
    h("small", { "aria-hidden": "true" }, String(n)),
  );
}

/** `hide` with another list for one choice; an empty list leaves no entry. */
export function withEntry(hide, key, tokens) {
  const others = Object.entries(hide).filter(([other]) => other !== key);
  return Object.fromEntries(tokens.length ? [...others, [key, tokens]] : others);
}
