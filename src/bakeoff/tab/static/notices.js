/** What is not shown, and why: nothing that is missing goes unnamed. */

import { count, h } from "./dom.js";
import { statuses } from "./format.js";

/** [{text, items: [text], folded?}] for the present view. */
export function about({ state, sweep, arms, missing, error, awaited }) {
  const found = [];
  if (awaited) {
    const text = `There is no sweep ${awaited} here, or not yet; this is ${sweep.title ?? sweep.sweep}.`;
    found.push({ text, items: [] });
  }
  if (error) found.push({ text: error, items: [] });
  if (sweep.tuning_note)
    found.push({ text: "How this sweep was tuned", items: sweep.tuning_note.split("\n"), folded: true });
  const unreadable = sweep.unreadable.map(({ run, reason }) => `${run}: ${reason}`);
  if (unreadable.length) found.push({ text: `${count(unreadable.length, "run")} could not be read`, items: unreadable });
  const names = new Map(arms.map((arm) => [arm.id, arm.name]));
  const without = missing
    .filter(({ arm, run }) => run !== undefined || names.has(arm))
    .map(({ arm, run, reason }) => `${run ?? names.get(arm)}: ${reason}`);
  if (without.length)
    found.push({ text: `${without.length} without a whole curve of ${state.metric} against ${state.axis}`, items: without });
  return found;
}

/** A short list is shown at once, a long one unfolds. */
export function notice({ text, items, folded }) {
  if (!items.length) return h("p", { class: "notice" }, text);
  const list = h(
    "ul",
    {},
    items.map((item) => h("li", {}, item)),
  );
  return h(
    "details",
    { class: folded ? "notice quiet" : "notice", open: items.length <= 3 && !folded, dataset: { key: `notice:${text}` } },
    h("summary", {}, text),
    list,
  );
}

/** "27 arms, 81 runs: 78 completed, 2 running, 1 diverged" */
export function census({ arms, unreadable }) {
  const counts = unreadable.length ? { unreadable: unreadable.length } : {};
  for (const run of arms.flatMap((arm) => arm.runs)) counts[run.status] = (counts[run.status] ?? 0) + 1;
  const runs = Object.values(counts).reduce((sum, n) => sum + n, 0);
  return `${count(arms.length, "arm")}, ${count(runs, "run")}: ${statuses(counts) || "none yet"}`;
}
