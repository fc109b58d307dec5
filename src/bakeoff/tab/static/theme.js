/** Colours: the page's follow TensorBoard's dark mode, the data's can be distinguished with any kind of colour vision. */

import { token, tokenOf } from "./choices.js";

// Okabe and Ito (2008), "Color Universal Design"; the dark set is lightened, black becomes grey in both.
const LIGHT = ["#0072b2", "#e69f00", "#009e73", "#d55e00", "#cc79a7", "#56b4e9", "#7a7a7a", "#a89a00"];
const DARK = ["#56b4e9", "#f0b429", "#2ec4a0", "#ff8552", "#e8a0c6", "#a5d3f5", "#b8b8b8", "#f0e442"];

export const isDark = () => document.documentElement.classList.contains("dark");

/** Sets the class `dark` on the document, now and whenever TensorBoard or the system changes; then calls back. */
export function followTheme(callback) {
  const system = matchMedia("(prefers-color-scheme: dark)");
  const parent = framedBy();
  const apply = () => {
    const dark = parent ? parent.classList.contains("dark-mode") : system.matches;
    if (dark === isDark() && document.documentElement.dataset.theme) return;
    document.documentElement.classList.toggle("dark", dark);
    document.documentElement.dataset.theme = dark ? "dark" : "light";
    callback();
  };
  if (parent) new MutationObserver(apply).observe(parent, { attributes: true, attributeFilter: ["class"] });
  system.addEventListener("change", apply);
  apply();
}

function framedBy() {
  try {
    return window.parent === window ? null : window.parent.document.body;
  } catch {
    return null; // framed by a page of another origin
  }
}

/** arm -> colour, and the legend of it. Numbers are ordered: their colours run along a scale. */
export function colouring(choice) {
  if (!choice) return { of: () => (isDark() ? DARK : LIGHT)[0], legend: [] };
  const colours = shades(choice);
  const byToken = new Map(choice.values.map((value, index) => [token(value), colours[index]]));
  return {
    of: (arm) => byToken.get(tokenOf(arm, choice.key)) ?? "gray",
    legend: choice.values.map((value, index) => ({ value, colour: colours[index] })),
  };
}

function shades({ type, values }) {
  const fixed = isDark() ? DARK : LIGHT;
  if (type !== "number" && values.length <= fixed.length) return fixed.slice(0, values.length);
  const [from, to] = isDark() ? [0.25, 1] : [0.02, 0.85];
  const steps = Math.max(values.length - 1, 1);
  return values.map((_, index) => globalThis.d3.interpolateViridis(from + ((to - from) * index) / steps));
}

/** Text on `fill` that can be read: black or white, whichever contrasts more (WCAG 2 relative luminance). */
export function inkOn(fill) {
  const { r, g, b } = globalThis.d3.rgb(fill);
  const [red, green, blue] = [r, g, b].map((part) => {
    const value = part / 255;
    return value <= 0.03928 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue > 0.179 ? "#111" : "#fff";
}
