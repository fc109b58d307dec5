/**
 * The state in the address: `#bakeoff&p.bakeoff.view=table&p.bakeoff.hide.optimizer=sgd,adam`.
 *
 * Inside TensorBoard the page is a frame, and the address that a person copies is the parent's. TensorBoard keeps
 * `p.<plugin>.*` for plugins. Lists join their parts, each encoded by itself, with commas, and are encoded once more:
 * TensorBoard decodes and encodes the hash when it writes it.
 */

import { DEFAULTS } from "./state.js";

const TAB = "bakeoff";
const PREFIX = `p.${TAB}.`;
const PLAIN = [
  ...["sweep", "metric", "rows", "columns", "colour", "against", "against_scale", "down", "across", "arm", "panel"],
  ...Object.keys(DEFAULTS),
];
const LISTS = ["hide", "cell"]; // settings with one entry for each choice: hide.optimizer, cell.loss
const EMPTY_MATTERS = ["rows", "columns", "colour", "down", "across"]; // empty: "none" was chosen

/** Hash -> state; says nothing of what is valid. */
export function parse(hash) {
  const state = { hide: {}, cell: {} };
  for (const part of hash.replace(/^#/, "").split("&")) {
    const [name, value] = split(part);
    if (!name.startsWith(PREFIX)) continue;
    const key = name.slice(PREFIX.length);
    const list = LISTS.find((one) => key.startsWith(`${one}.`));
    if (PLAIN.includes(key)) state[key] = value;
    // fromEntries, not an assignment: the choice may be called __proto__
    else if (list)
      state[list] = Object.fromEntries([...Object.entries(state[list]), [key.slice(list.length + 1), unlist(value)]]);
  }
  return state;
}

export function format(state) {
  const parts = PLAIN.filter((key) => worthWriting(key, state[key])).map((key) => [key, state[key]]);
  for (const list of LISTS) {
    for (const [key, tokens] of Object.entries(state[list] ?? {})) parts.push([`${list}.${key}`, enlist(tokens)]);
  }
  return `#${TAB}` + parts.map(([key, value]) => `&${PREFIX}${encode(key)}=${encode(value)}`).join("");
}

function worthWriting(key, value) {
  return typeof value === "string" && value !== DEFAULTS[key] && (value !== "" || EMPTY_MATTERS.includes(key));
}

const encode = (text) => encodeURIComponent(text.toWellFormed?.() ?? text);
const enlist = (tokens) => [tokens].flat().map(encode).join(",");
const unlist = (text) => text.split(",").map(decode);

function split(part) {
  const at = part.indexOf("=");
  return at < 0 ? [decode(part), ""] : [decode(part.slice(0, at)), decode(part.slice(at + 1))];
}

function decode(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text; // a hand-edited address with a lone %
  }
}

// The parent when framed by TensorBoard, this window when opened by itself; a foreign parent may not be read.
function host() {
  try {
    void window.parent.location.hash;
    return window.parent;
  } catch {
    return window;
  }
}

export const read = () => parse(host().location.hash);

/** Writes unless another tab of TensorBoard is the one shown. */
export function write(state) {
  const { hash, pathname, search } = host().location;
  const tab = split(hash.replace(/^#/, "").split("&")[0])[0];
  const wanted = format(state);
  if ((tab === TAB || tab === "") && hash !== wanted)
    host().history.replaceState(host().history.state, "", pathname + search + wanted);
}

/** Calls back when somebody edits the address or goes back to another one of this tab. */
export function watch(callback) {
  host().addEventListener("hashchange", () => {
    const { hash } = host().location;
    if (hash.startsWith(`#${TAB}`)) callback(parse(hash));
  });
}
