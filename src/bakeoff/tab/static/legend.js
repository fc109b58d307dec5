/** What the colours mean. */

import { label } from "./choices.js";
import { h } from "./dom.js";

export function legend(choice, { legend: entries }) {
  if (!choice) return null;
  const name = h("span", { class: "name", dataset: { text: "start" } }, choice.key);
  const items = entries.map(({ value, colour }) =>
    h(
      "span",
      { class: "item", role: "listitem" },
      h("i", { style: `background: ${colour}`, dataset: { swatch: colour } }),
      h("span", { dataset: { text: "start" } }, label(value)),
    ),
  );
  return h("div", { class: "legend", role: "list", "aria-label": `Colours: ${choice.key}` }, name, items);
}
