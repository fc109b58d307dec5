/** What is behind a line, a cell or a row: the arms, how they differ, and every run of theirs. */

import { label, labelOfToken, matching, valueOf } from "./choices.js";
import { count, h, plainTable, redraw, unfolding } from "./dom.js";
import { ask } from "./server.js";
import { timeSeries } from "./links.js";
import { section } from "./runs.js";

const MAX_RUNS = 60; // the server describes no more at once

/** The arms that the state's panel is about: null when it is closed. */
export function armsOf({ state, sweep, arms }) {
  if (state.panel === "arm") return sweep.arms.filter((arm) => arm.id === state.arm);
  return state.panel === "cell" ? matching(arms, state.cell) : null;
}

/** Draws the panel with what the page knows already. */
export function show(region, view) {
  const arms = armsOf(view);
  const key = arms ? JSON.stringify([view.state.sweep, arms.map((arm) => arm.id)]) : "";
  region.hidden = !arms;
  if (!arms) region.replaceChildren();
  else if (region.dataset.about !== key) redraw(region, content(arms, null, view));
  region.dataset.about = key;
}

/** Adds what the server says about the runs. */
export async function fill(region, view, isCurrent) {
  const arms = armsOf(view);
  if (!arms) return;
  const answer = await ask("runs", { sweep: view.state.sweep, arm: first(arms) }).catch((error) => ({
    runs: [],
    error: error.message,
  }));
  if (isCurrent()) redraw(region, content(arms, answer, view));
}

function first(arms) {
  let runs = 0;
  return arms.filter((arm) => (runs += arm.runs.length) <= MAX_RUNS || runs === arm.runs.length).map((arm) => arm.id);
}

function content(arms, answer, view) {
  const details = new Map((answer?.runs ?? []).map((run) => [run.run, run]));
  const runs = arms.flatMap((arm) => arm.runs);
  const link =
    runs.length > 0 &&
    h(
      "a",
      {
        href: timeSeries(
          runs.map((run) => run.run),
          view.state.metric,
        ),
        target: "_blank",
        rel: "noopener",
        dataset: { key: "timeseries" },
      },
      "Open in Time Series ↗",
    );
  const close = h(
    "button",
    { type: "button", class: "close", "aria-label": "Close panel", dataset: { key: "close" }, onclick: view.close },
    "×",
  );
  const cut = answer && runs.length > details.size && !answer.error;
  return [
    h("header", {}, h("h2", { tabindex: "-1", dataset: { key: "panel" } }, title(arms, view)), close),
    h("p", { class: "links" }, `${count(arms.length, "arm")}, ${count(runs.length, "run")}. `, link),
    answer?.error && h("p", { class: "notice" }, `The runs' details are missing: ${answer.error}`),
    cut &&
      h(
        "p",
        { class: "notice" },
        `Commands and configurations of the first ${details.size} runs; open one arm for its own.`,
      ),
    differences(arms, details, view),
    arms.map((arm) => section(arm, details, view, arms.length > 1)),
  ];
}

function title(arms, { state }) {
  if (state.panel === "arm") return arms[0].name;
  return (
    Object.entries(state.cell)
      .map(([key, value]) => `${key}=${labelOfToken(value)}`)
      .join(", ") || "All arms"
  );
}

/** The keys in which the arms differ; of a single arm, what it chose where others chose something else. */
function differences(arms, details, { choices }) {
  const settings = arms.map((arm) => settingsOf(arm, details));
  const keys = [...new Set(settings.flatMap((one) => [...one.keys()]))];
  const differing = keys.filter((key) => new Set(settings.map((one) => JSON.stringify(one.get(key)))).size > 1);
  const named = arms.length > 1 ? differing : choices.map((choice) => choice.key);
  if (!arms.length || !named.length) return null;
  // a hyperparameter that another optimizer has is not at its default here: there is none
  const shown = (one, arm, key) => {
    const value = one.has(key) ? one.get(key) : valueOf(arm, key);
    return value === undefined && one.size ? "–" : label(value);
  };
  const rows = arms.map((arm, index) => named.map((key) => shown(settings[index], arm, key)));
  const heading = arms.length > 1 ? "In what the arms differ" : "Choices";
  return unfolding(heading, plainTable(named, rows), "differences", arms.length < 20);
}

function settingsOf(arm, details) {
  const found = arm.runs.map((run) => details.get(run.run)?.settings).find((one) => one && Object.keys(one).length);
  return new Map(Object.entries(found ?? {}).concat(Object.entries(arm.choices)));
}
