/** The views by name, and the server's numbers that each of them draws. */

import * as curves from "./curves.js";
import * as heatmap from "./heatmap.js";
import * as sensitivity from "./sensitivity.js";
import { ask } from "./server.js";
import * as table from "./table.js";

const MAX_ASKED = 60; // arms; an address has a maximum length

export const DRAWINGS = { curves, sensitivity, heatmap, table };

/** The numbers that the state's view needs; a `message` in their place where there are none. */
export function load(view) {
  if (!view.metric.name) return Promise.resolve({ message: "No run of this sweep has written a metric yet." });
  return view.state.view === "curves" ? loadCurves(view) : loadTable(view);
}

async function loadCurves({ state, metric }) {
  if (!metric.curve)
    return { message: `${metric.name} is measured once, at the end of a run: it has no curve. The table shows it.` };
  const question = { sweep: state.sweep, metric: state.metric, axis: state.axis };
  const bands = await ask("curves", question);
  const single = await singleRuns(question, state.seeds, bands.missing);
  const seeds = new Map();
  for (const run of single.runs) seeds.set(run.arm, [...(seeds.get(run.arm) ?? []), run]);
  return {
    curves: new Map(bands.arms.map((arm) => [arm.arm, arm])),
    seeds,
    method: sentence(bands.method),
    missing: [...bands.missing, ...(state.seeds ? single.missing : [])],
  };
}

/** Of all runs where they are asked for; else of arms that have no mean yet: who watches a first run sees its curve. */
function singleRuns(question, all, missing) {
  const arms = missing.flatMap(({ arm }) => arm ?? []).slice(0, MAX_ASKED);
  if (all) return ask("seeds", question);
  return arms.length ? ask("seeds", { ...question, arm: arms }) : { runs: [], missing: [] };
}

async function loadTable({ state, metric }) {
  if (metric.summary === false)
    return { message: `${metric.name} is a curve alone, without a final value: see Curves.` };
  if (state.value === "best" && !metric.best)
    return { message: `${metric.name} has final values alone, no best ones: ${whyNoBest(metric)}.` };
  const answer = await ask("table", { sweep: state.sweep, metric: state.metric, value: state.value });
  return {
    table: new Map(answer.rows.map((row) => [row.arm, row])),
    tableMethod: sentence(answer.method).replace(/\.$/, ""),
    rankMethod: sentence(answer.rank_method),
  };
}

const whyNoBest = ({ why_no_direction: why }) => why ?? "nothing may be chosen by it";

const sentence = (text) => (text ? text[0].toUpperCase() + text.slice(1).replace(/\.?$/, ".") : "");
