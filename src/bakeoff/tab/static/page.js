/** The page's regions, empty: everything else fills them. */

import { empty, h } from "./dom.js";
import * as tip from "./tip.js";

export function build() {
  const regions = {
    sweep: h("select", { name: "sweep", "aria-label": "Sweep" }),
    status: h("p", { class: "status-line", role: "status" }),
    tabs: h("div", { class: "tabs" }),
    exports: h("div", { class: "exports", role: "group", "aria-label": "Export" }),
    controls: h("form", { class: "controls", "aria-label": "View" }),
    filters: h("form", { class: "filters", "aria-label": "Filters" }),
    notices: h("div", { class: "notices", role: "status" }),
    figure: h("div", { class: "figure" }, empty("Reading the sweep …")),
    panel: h("aside", { class: "panel", "aria-label": "Arms and runs", hidden: true }),
  };
  for (const form of [regions.controls, regions.filters])
    form.addEventListener("submit", (event) => event.preventDefault());
  const head = h(
    "header",
    { class: "bar" },
    h("h1", {}, "bakeoff"),
    h("label", { class: "field sweep" }, regions.sweep),
    regions.status,
    regions.exports,
  );
  const view = h(
    "section",
    { class: "view", id: "view", role: "tabpanel", tabindex: "-1" },
    regions.controls,
    regions.notices,
    regions.figure,
  );
  const body = h("div", { class: "body" }, regions.filters, view, regions.panel);
  // data-drawn counts finished drawings, aria-busy is true during one: benchmarks and tests wait for them
  regions.root = h(
    "main",
    { id: "bakeoff", dataset: { drawn: "0" }, "aria-busy": "true" },
    head,
    regions.tabs,
    body,
    tip.element,
  );
  regions.view = view;
  return regions;
}
