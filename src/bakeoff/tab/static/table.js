/** One row an arm: how good, how sure, how many runs ended how. */

import { label, valueOf } from "./choices.js";
import { h } from "./dom.js";
import { interval, measured, number, statuses, whole } from "./format.js";
import { sorted } from "./sorting.js";

const ALWAYS_COUNTED = ["diverged", "failed"]; // also where they are all 0
const COUNTED_IF_ANY = ["interrupted", "running", "unreadable"];

/** The columns: key, heading, the value to sort and export by, and, where it is not plain text, what to show. */
export function columnsOf({ choices, table, state }) {
  const any = (status) => [...table.values()].some((row) => row.counts[status]);
  const counts = [...ALWAYS_COUNTED, ...COUNTED_IF_ANY.filter(any)];
  return [
    { key: "rank", head: "rank", value: ({ row }) => row.rank, cell: rankCell, better: true },
    ...choices.map((choice) => ({
      key: `choice:${choice.key}`,
      head: choice.key,
      choice,
      value: ({ arm }) => valueOf(arm, choice.key),
      text: label,
      wide: true,
    })),
    { key: "mean", head: `mean ${state.value}`, value: ({ row }) => row.mean, text: measured },
    { key: "low", head: "interval", value: ({ row }) => row.low, cell: intervalCell, exports: ["low", "high"] },
    { key: "best", head: "best seed", value: ({ row }) => row.best, text: measured },
    { key: "n", head: "seeds", value: ({ row }) => row.n, text: whole },
    ...counts.map((status) => ({
      key: status,
      head: status,
      value: ({ row }) => row.counts[status] ?? 0,
      text: String,
      bad: true,
    })),
    { key: "steps", head: "steps", value: ({ row }) => row.steps, text: whole },
    { key: "seconds", head: "seconds", value: ({ row }) => row.seconds, text: number },
  ];
}

/** The rows in the order in which they are shown: [{arm, row}]. */
export function entries(view) {
  const { arms, table, state, metric } = view;
  const columns = columnsOf(view);
  const found = arms.filter((arm) => table.has(arm.id)).map((arm) => ({ arm, row: table.get(arm.id) }));
  const column = columns.find((one) => one.key === state.sort) ?? columns[0];
  return sorted(found, column, state.order, metric.direction);
}

export function draw(view) {
  const columns = columnsOf(view);
  const found = entries(view);
  if (!found.length) return [h("p", { class: "empty" }, "Every arm is filtered out.")];
  const span = reach(found);
  const body = found.map((entry) => line(entry, columns, view, span));
  const name = `Arms by ${view.state.metric}, ${view.state.value} values`;
  const reading = h("p", { class: "caption", id: "how-to-read" }, howToRead(view, found));
  const head = h(
    "thead",
    {},
    h(
      "tr",
      {},
      columns.map((column) => heading(column, view)),
    ),
  );
  const properties = { class: "arms", "aria-label": name, "aria-describedby": "how-to-read" };
  return [reading, h("table", properties, head, h("tbody", {}, body))];
}

function howToRead({ tableMethod, rankMethod, metric, state }, found) {
  const unranked = !found.some(({ row }) => row.rank !== null);
  const ranks = unranked ? `No rank here: ${whyUnranked(metric, state)}.` : rankMethod;
  const better = { min: "Lower is better. ", max: "Higher is better. " }[metric.direction] ?? "";
  return `${better}${tableMethod}. ${ranks}`;
}

function whyUnranked(metric, state) {
  if (!metric.direction) return metric.why_no_direction;
  if (state.value === "best") return "best values are chosen by themselves";
  return metric.split === "val" ? "no arm completed all its runs" : "arms are ranked by validation metrics";
}

function heading(column, { state, update }) {
  const active = state.sort === column.key;
  const next = active && state.order === "ascending" ? "descending" : "ascending";
  const arrow = active ? (state.order === "ascending" ? " ↑" : " ↓") : "";
  const button = h(
    "button",
    {
      type: "button",
      dataset: { key: `sort:${column.key}` },
      onclick: () => update({ sort: column.key, order: next }),
    },
    column.head + arrow,
  );
  return h(
    "th",
    {
      scope: "col",
      "aria-sort": active ? state.order : "none",
      class: column.wide ? "wide" : null,
      dataset: { column: column.key },
    },
    button,
  );
}

function line(entry, columns, view, span) {
  const { arm, row } = entry;
  const cells = columns.map((column) => {
    const value = column.value(entry);
    const bad = column.bad && value > 0 ? "bad" : null;
    const shown = column.cell ? column.cell(entry, view, span) : column.text(value);
    return h(
      "td",
      { class: [column.wide ? "wide" : "number", bad].filter(Boolean).join(" "), dataset: { column: column.key } },
      shown,
    );
  });
  const kind = row.rank === 1 ? "first" : row.too_close ? "close" : null;
  const open = () => view.open({ arm: arm.id });
  return h(
    "tr",
    {
      class: kind,
      "aria-current": view.state.panel === "arm" && view.state.arm === arm.id ? "true" : null,
      dataset: { arm: arm.id },
      onclick: open,
    },
    cells,
  );
}

/** The button is what the keyboard reaches; a click anywhere in the row does the same. */
function rankCell({ arm, row }) {
  const about = `Open ${arm.name}: ${row.rank ? `rank ${row.rank}` : "no rank"}, ${statuses(row.counts)}`;
  const button = h(
    "button",
    { type: "button", class: "rank", "aria-label": about, dataset: { key: `row:${arm.id}` } },
    row.rank ?? "–",
  );
  const shared = `Compared with the best over ${row.shared_seeds} shared seeds`;
  return row.too_close ? [button, h("span", { class: "badge", title: shared }, "≈ too close to call")] : button;
}

/** The interval as text, and where it lies among all. */
function intervalCell({ row }, view, span) {
  const text = row.low === null && row.mean !== null ? "one seed" : interval(row.low, row.high);
  if (row.mean === null || !span) return text;
  const percent = (value) => Math.min(100, Math.max(0, (100 * (value - span.low)) / (span.high - span.low)));
  const [low, high] = [row.low ?? row.mean, row.high ?? row.mean].map(percent);
  const bar = h(
    "span",
    { class: "band", "aria-hidden": "true" },
    h("i", { style: `left: ${low}%; width: ${high - low}%` }),
    h("b", { style: `left: ${percent(row.mean)}%` }),
  );
  return [h("span", { class: "text" }, text), bar];
}

/** The scale of the little bars: from the means, since one wide interval would flatten the rest. */
function reach(found) {
  const means = found.map(({ row }) => row.mean).filter((mean) => mean !== null);
  if (!means.length) return null;
  const [low, high] = [Math.min(...means), Math.max(...means)];
  const room = (high - low || Math.abs(high) || 1) * 0.15;
  return { low: low - room, high: high + room };
}

export function rows(view) {
  const columns = columnsOf(view);
  const heads = columns.flatMap((column) => column.exports ?? [column.choice?.key ?? column.key]);
  const body = entries(view).map((entry) => [
    entry.arm.name,
    ...columns.flatMap((column) => column.exports?.map((key) => entry.row[key]) ?? [column.value(entry)]),
    entry.row.too_close,
    view.state.metric,
    view.state.value,
  ]);
  return [["arm", ...heads, "too_close", "metric", "value"], ...body];
}
