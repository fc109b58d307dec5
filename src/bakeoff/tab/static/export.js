/** Files of what the view shows: its numbers as CSV, its drawing as SVG and PNG. */

import { csv } from "./csv.js";
import { h } from "./dom.js";

const SVG = "http://www.w3.org/2000/svg";
const SHARPER = 2; // pixels of a PNG for each of the screen

/** A button for each kind; `rows` and `name` are asked at the click. */
export function exportButtons({ rows, region, name }) {
  const actions = {
    CSV: () => saveCsv(name(), rows()),
    SVG: () => saveSvg(name(), region),
    PNG: () => savePng(name(), region),
  };
  return Object.entries(actions).map(([kind, onclick]) => {
    const dataset = { picture: kind === "CSV" ? "no" : "yes" };
    return h("button", { type: "button", disabled: true, "aria-label": `Export ${kind}`, dataset, onclick }, kind);
  });
}

export const saveCsv = (name, rows) => save(`${name}.csv`, new Blob([csv(rows)], { type: "text/csv;charset=utf-8" }));

export const saveSvg = (name, region) =>
  save(`${name}.svg`, new Blob([text(picture(region))], { type: "image/svg+xml" }));

export async function savePng(name, region) {
  const drawing = picture(region);
  const [width, height] = ["width", "height"].map((side) => Number(drawing.getAttribute(side)));
  const address = URL.createObjectURL(new Blob([text(drawing)], { type: "image/svg+xml" }));
  const image = new Image();
  image.src = address;
  await image.decode();
  URL.revokeObjectURL(address);
  const canvas = h("canvas", { width: width * SHARPER, height: height * SHARPER });
  canvas.getContext("2d").drawImage(image, 0, 0, canvas.width, canvas.height);
  save(`${name}.png`, await new Promise((resolve) => canvas.toBlob(resolve, "image/png")));
}

function save(name, blob) {
  const link = h("a", { href: URL.createObjectURL(blob), download: name.replaceAll(/[^\p{L}\p{N}._=-]+/gu, "-") });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000); // the download has begun by then
}

const text = (drawing) => new XMLSerializer().serializeToString(drawing);

/**
 * One drawing of all that is in `region`: its charts, the texts marked `data-text` and the legend's swatches, each
 * at its position on the screen. Nothing in it needs the page's styles.
 */
export function picture(region) {
  const parts = [...region.querySelectorAll("svg:not(.layer), [data-text], [data-swatch]")].filter(
    (node) => node.getClientRects().length,
  );
  const frames = parts.map((node) => node.getBoundingClientRect());
  const left = Math.min(...frames.map((frame) => frame.left));
  const top = Math.min(...frames.map((frame) => frame.top));
  const width = Math.ceil(Math.max(...frames.map((frame) => frame.right)) - left + 16);
  const height = Math.ceil(Math.max(...frames.map((frame) => frame.bottom)) - top + 16);
  const style = getComputedStyle(region);
  const drawing = element("svg", {
    xmlns: SVG,
    width,
    height,
    viewBox: `0 0 ${width} ${height}`,
    color: style.color,
    fill: "currentColor",
    "font-family": style.fontFamily,
    "font-size": "12",
  });
  drawing.append(element("rect", { width, height, fill: style.getPropertyValue("--surface").trim() }));
  parts.forEach((node, index) => {
    const position = { x: frames[index].left - left + 8, y: frames[index].top - top + 8 };
    drawing.append(copied(node, position, frames[index], style));
  });
  return drawing;
}

function copied(node, { x, y }, { width, height }, style) {
  if (node.dataset.swatch) return element("rect", { x, y, width, height, rx: 2, fill: node.dataset.swatch });
  if (node.dataset.text) return words(node, x, y, width, height);
  const clone = node.cloneNode(true);
  for (const [name, value] of Object.entries({ x, y, width, height })) clone.setAttribute(name, value);
  for (const part of clone.querySelectorAll("[stroke^='var('], [fill^='var(']")) {
    for (const name of ["stroke", "fill"]) {
      const variable = part.getAttribute(name)?.match(/^var\((--[\w-]+)\)$/)?.[1];
      if (variable) part.setAttribute(name, style.getPropertyValue(variable).trim());
    }
  }
  return clone;
}

function words(node, x, y, width, height) {
  const { fontSize, fontWeight, color } = getComputedStyle(node);
  const style = { "font-size": fontSize, "font-weight": fontWeight, fill: color, "dominant-baseline": "central" };
  const [middleX, middleY] = [x + width / 2, y + height / 2];
  const positions = {
    start: { x, y: middleY },
    middle: { x: middleX, y: middleY, "text-anchor": "middle" },
    vertical: { transform: `translate(${middleX} ${middleY}) rotate(-90)`, "text-anchor": "middle" },
  };
  const made = element("text", { ...style, ...positions[node.dataset.text] });
  made.textContent = node.textContent;
  return made;
}

function element(tag, attributes) {
  const node = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) if (name !== "xmlns") node.setAttribute(name, value);
  return node;
}
