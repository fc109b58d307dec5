/**
 * Choices: what a sweep varies. An arm maps choice keys to values; a key that it lacks is at its default.
 *
 * A *token* is a value as text. State and address hold tokens alone, so that 0.1 and "0.1" need no type there;
 * `~` means an absent key, and a text that begins with `~` gets another one.
 */

export const DEFAULT_TOKEN = "~";

export function token(value) {
  return value === undefined ? DEFAULT_TOKEN : String(value).replace(/^~/, "~~");
}

export function label(value) {
  return value === undefined ? "(default)" : String(value);
}

export function labelOfToken(text) {
  return text === DEFAULT_TOKEN ? label(undefined) : text.replace(/^~~/, "~");
}

// hasOwn: a choice may be named like a property that every object inherits
export function valueOf(arm, key) {
  return Object.hasOwn(arm.choices, key) ? arm.choices[key] : undefined;
}

export const tokenOf = (arm, key) => token(valueOf(arm, key));

/** The choices with more than one value among the arms, "(default)" last. */
export function varying(sweep) {
  return sweep.choices
    .map((choice) => {
      const absent = sweep.arms.some((arm) => !Object.hasOwn(arm.choices, choice.key));
      return { ...choice, values: absent ? [...choice.values, undefined] : choice.values };
    })
    .filter((choice) => choice.values.length > 1);
}

/** Choices with two numbers or more; text counts, since batch_size is 16, 128 and "full", but comes last. */
export function numeric(choices) {
  const found = choices.filter(
    ({ type, values }) => type !== "bool" && values.filter((value) => asNumber(value) !== null).length > 1,
  );
  return [...found.filter(({ type }) => type === "number"), ...found.filter(({ type }) => type !== "number")];
}

export function asNumber(value) {
  if (value === undefined || value === null || value === true || value === false || value === "") return null;
  const number = Number(value);
  return Number.isFinite(number) ? number : null;
}

/** `hide`: choice key -> tokens of the values that are filtered out. New values of a running sweep are shown. */
export function shown(arms, hide) {
  const filters = Object.entries(hide).map(([key, tokens]) => [key, new Set(tokens)]);
  return arms.filter((arm) => filters.every(([key, tokens]) => !tokens.has(tokenOf(arm, key))));
}

/** `where`: choice key -> token. */
export function matching(arms, where) {
  const conditions = Object.entries(where);
  return arms.filter((arm) => conditions.every(([key, wanted]) => tokenOf(arm, key) === wanted));
}

/** Lists by the choice `key`, in the order to show; `null` as key makes one group of all. */
export function groups(arms, choice) {
  if (!choice) return [{ value: null, arms }];
  const found = new Map(choice.values.map((value) => [token(value), []]));
  for (const arm of arms) found.get(tokenOf(arm, choice.key))?.push(arm);
  return choice.values.map((value) => ({ value, arms: found.get(token(value)) })).filter((group) => group.arms.length);
}

/** A table of lists of arms: {rows: [value], columns: [value], cells: [row][column] -> arms}. */
export function grid(arms, rowChoice, columnChoice) {
  const rows = groups(arms, rowChoice);
  const columns = groups(arms, columnChoice).map((group) => group.value);
  const cells = rows.map((row) => {
    const inside = new Map(groups(row.arms, columnChoice).map((group) => [group.value, group.arms]));
    return columns.map((value) => inside.get(value) ?? []);
  });
  return { rows: rows.map((row) => row.value), columns, cells };
}

/** Arms that differ in choices of `keys` alone, as lists; the order of the arms is kept. */
export function families(arms, keys, choices) {
  const others = choices.map((choice) => choice.key).filter((other) => !keys.includes(other));
  const found = new Map();
  for (const arm of arms) {
    const name = JSON.stringify(others.map((other) => tokenOf(arm, other)));
    if (!found.has(name)) found.set(name, []);
    found.get(name).push(arm);
  }
  return [...found.values()];
}

/** {key: token} for the chosen values of a cell. */
export function condition(...pairs) {
  return Object.fromEntries(pairs.filter(([choice]) => choice).map(([choice, value]) => [choice.key, token(value)]));
}
