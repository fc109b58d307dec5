/** The order of the table's rows. */

import { token } from "./choices.js";

/**
 * What has no value comes last in either order; equal rows go by the better mean, where `direction` (`min` or `max`)
 * says which is better, then by name.
 */
export function sorted(entries, column, order, direction) {
  const positions = column.choice ? new Map(column.choice.values.map((value, index) => [token(value), index])) : null;
  const key = (entry) => (positions ? positions.get(token(column.value(entry))) : column.value(entry));
  const sign = order === "descending" ? -1 : 1;
  const better = (a, b) => (direction ? compare(a.row.mean, b.row.mean, direction === "min" ? 1 : -1) : 0);
  return [...entries].sort(
    (a, b) => compare(key(a), key(b), sign) || better(a, b) || a.arm.name.localeCompare(b.arm.name),
  );
}

function compare(a, b, sign) {
  const absent = (value) => value === null || value === undefined;
  if (absent(a) || absent(b)) return Number(absent(a)) - Number(absent(b));
  return a < b ? -sign : a > b ? sign : 0;
}
