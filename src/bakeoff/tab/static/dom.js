/** Elements are made here and nowhere else: data reaches the page as text or as an attribute, never as markup. */

export function h(tag, properties = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (value === null || value === undefined || value === false) continue;
    if (name === "dataset") Object.assign(node.dataset, value);
    else if (typeof value === "function") node.addEventListener(name.slice(2), value);
    else node.setAttribute(name, value === true ? "" : value);
  }
  node.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
  return node;
}

/** Replaces options only when they differ: a select that is in use while a running sweep is redrawn must not close. */
export function setOptions(select, options, value) {
  const now = JSON.stringify(options);
  if (select.dataset.options !== now) {
    select.replaceChildren(...options.map(([key, label]) => h("option", { value: key }, label)));
    select.dataset.options = now;
  }
  select.value = value;
}

/** Redraws the inside of `region`; what had the focus (by its `data-key`) has it again, what was unfolded stays so. */
export function redraw(region, ...children) {
  const focused = region.contains(document.activeElement) ? document.activeElement.dataset.key : undefined;
  const unfolded = new Set([...region.querySelectorAll("details[open]")].map((node) => node.dataset.key));
  const scroll = [region.scrollLeft, region.scrollTop];
  region.replaceChildren(...children.flat(Infinity).filter(Boolean));
  for (const node of region.querySelectorAll("details")) if (unfolded.has(node.dataset.key)) node.open = true;
  if (focused) region.querySelector(`[data-key="${CSS.escape(focused)}"]`)?.focus({ preventScroll: true });
  [region.scrollLeft, region.scrollTop] = scroll;
}

/** The text in place of a drawing that is not possible. */
export const empty = (...text) => h("p", { class: "empty" }, ...text);

/** A table of heads and rows, each row a list of texts or nodes. */
export function plainTable(heads, rows, properties = {}) {
  const head = h(
    "thead",
    {},
    h(
      "tr",
      {},
      heads.map((text) => h("th", { scope: "col" }, text)),
    ),
  );
  const body = rows.map((row) =>
    h(
      "tr",
      {},
      row.map((cell) => (cell instanceof HTMLTableCellElement ? cell : h("td", {}, cell))),
    ),
  );
  return h("div", { class: "scroller" }, h("table", properties, head, h("tbody", {}, body)));
}

export function unfolding(summary, content, key, open = false) {
  return h("details", { open, dataset: { key } }, h("summary", {}, summary), content);
}

export const nextFrame = () => new Promise((resolve) => requestAnimationFrame(() => resolve()));

/** Up to three names in full, then how many more. */
export function some(names) {
  const rest = names.length - 3;
  return names.slice(0, 3).join("; ") + (rest > 0 ? `; and ${rest} more` : "");
}

export const count = (n, noun) => `${n.toLocaleString("en")} ${noun}${n === 1 ? "" : "s"}`;
