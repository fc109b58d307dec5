/** The order of the table's rows. */

import { token } from "./choices.js";

/** What has no value comes last in either direction; equal rows go by the better mean, then by name. */
export function sorted(entries, column, order, lowerIsBetter) {
  const places = column.choice ? new Map(column.choice.values.map((value, index) => [token(value), index])) : null;
  const key = (entry) => (places ? places.get(token(column.value(entry))) : column.value(entry));
  const direction = order === "descending" ? -1 : 1;
  const better = (a, b) => compare(a.row.mean, b.row.mean, lowerIsBetter ? 1 : -1);
  return [...entries].sort(
    (a, b) => compare(key(a), key(b), direction) || better(a, b) || a.arm.name.localeCompare(b.arm.name),
  );
}

function compare(a, b, direction) {
  const absent = (value) => value === null || value === undefined;
  if (absent(a) || absent(b)) return Number(absent(a)) - Number(absent(b));
  return a < b ? -direction : a > b ? direction : 0;
}
