/** The one tooltip of the page; read out by screen readers when it changes. */

import { h } from "./dom.js";

const box = h("div", { class: "tip", role: "status", hidden: true });

export const element = box;

/** Shows nodes beside a point of the window, on the side where there is room. */
export function show(x, y, nodes) {
  box.replaceChildren(...nodes);
  box.hidden = false;
  const { width, height } = box.getBoundingClientRect();
  const { clientWidth, clientHeight } = document.documentElement;
  box.style.left = `${x + 14 + width > clientWidth ? Math.max(0, x - 14 - width) : x + 14}px`;
  box.style.top = `${Math.max(0, Math.min(y - height / 2, clientHeight - height - 4))}px`;
}

export function hide() {
  box.hidden = true;
}

export function pairs(lines) {
  return h(
    "dl",
    {},
    lines.map(([name, text]) => [h("dt", {}, name), h("dd", {}, text)]),
  );
}

/** Elements of a drawing that are pointed at, focused or opened: all that have `data-mark`, its index in `marks`. */
export function attach(svg, marks, open) {
  const about = (event) => {
    const node = event.target.closest("[data-mark]");
    return node && { node, mark: marks[Number(node.dataset.mark)] };
  };
  const on = (event) => {
    const found = about(event);
    if (!found) return hide();
    const frame = found.node.getBoundingClientRect();
    show(frame.right, frame.top + frame.height / 2, found.mark.tip());
  };
  svg.addEventListener("pointermove", on);
  svg.addEventListener("focusin", on);
  svg.addEventListener("pointerleave", hide);
  svg.addEventListener("focusout", hide);
  svg.addEventListener("click", (event) => about(event) && open(about(event).mark));
  svg.addEventListener("keydown", (event) => {
    const found = about(event);
    if (!found || (event.key !== "Enter" && event.key !== " ")) return;
    event.preventDefault();
    open(found.mark);
  });
}

/** Numbers the nodes of a mark; Plot keeps the order of the data when none is filtered out. */
export function name(nodes, marks) {
  nodes.forEach((node, index) => {
    const { label, key } = marks[index];
    node.setAttribute("tabindex", "0");
    node.setAttribute("role", "button");
    node.setAttribute("aria-label", label);
    node.dataset.mark = index;
    node.dataset.key = key;
  });
}
