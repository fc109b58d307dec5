/** The runs of one arm in the panel: how each ended, its numbers, its error, and how to repeat it. */

import { copyButton } from "./copy.js";
import { count, h, plainTable, unfolding } from "./dom.js";
import { interval, number, whole } from "./format.js";

/** An arm with its runs; `details` holds the server's answer about them, by the run's name. */
export function section(arm, details, view, many) {
  const { metric, state, sweep } = view;
  const numbers = metric.best ? [`final ${metric.name}`, "best", "at step"] : [`final ${metric.name}`];
  const heads = ["seed", "status", ...numbers, "steps", "seconds"];
  const unreadable = sweep.unreadable.filter(({ run }) => run.split("/").at(-2) === arm.id);
  const rows = [
    ...arm.runs.map((run) => runRow(run, metric)),
    ...unreadable.map((run) => unreadableRow(run, heads.length)),
  ];
  return h(
    "section",
    { class: "arm", dataset: { arm: arm.id } },
    many && h("h3", {}, arm.name),
    mean(view.table?.get(arm.id), state),
    plainTable(heads, rows, { "aria-label": `Runs of ${arm.name}` }),
    arm.runs.map((run) => about(run, details.get(run.run))),
  );
}

function mean(row, { value }) {
  if (!row || row.mean === null) return null;
  const around = row.low === null ? "" : `, interval ${interval(row.low, row.high)}`;
  return h("p", {}, `Mean ${value}: ${number(row.mean)}${around}, ${count(row.n, "seed")}.`);
}

function runRow(run, metric) {
  const values = Object.hasOwn(run.metrics, metric.name) ? run.metrics[metric.name] : {};
  const best = metric.best ? [number(values.best), whole(values.best_step)] : [];
  const status = h("span", { class: `status ${run.status}` }, run.status);
  return [String(run.seed), status, number(values.final), ...best, whole(run.steps), number(run.seconds)];
}

function unreadableRow({ run, reason }, width) {
  const status = h("span", { class: "status unreadable" }, "unreadable");
  return [run.split("seed=").at(-1), status, h("td", { class: "reason", colspan: width - 2 }, reason)];
}

function about(run, detail) {
  const error = detail?.error ?? run.error;
  const name = `seed ${run.seed}`;
  return [
    error && failure(run, error),
    detail &&
      h(
        "div",
        { class: "repeat" },
        h("span", { class: "seed" }, name),
        h("code", {}, detail.command),
        copyButton(detail.command, `Copy the command of ${name}`, `copy:${run.run}`),
      ),
    detail?.config && unfolding(`Configuration of ${name}`, h("pre", {}, detail.config), `config:${run.run}`),
  ];
}

function failure(run, { type, message, step, traceback }) {
  const where = step === null || step === undefined ? "" : ` at step ${whole(step)}`;
  return h(
    "div",
    { class: "error" },
    h("strong", {}, `seed ${run.seed}: ${type ?? run.status}${where}`),
    h("p", {}, message ?? ""),
    traceback && unfolding("Traceback", h("pre", {}, traceback), `traceback:${run.run}`),
  );
}
