/** What a metric can be drawn against: numeric choices, and numeric hyperparameters whoever chose them. */

import { asNumber, numeric, tokenOf, valueOf } from "./choices.js";

/**
 * [{key, of: arm -> number or null, instead: [choice key]}]. Arms of one line agree in all choices but those that the
 * quantity is used `instead` of: `samples_per_step` follows from `batch_size`.
 */
export function quantities(sweep, choices) {
  const known = new Map((sweep.numbers ?? []).map(({ key, arms }) => [key, arms]));
  const chosen = numeric(choices).map(({ key, type }) => {
    const own = (arm) => asNumber(valueOf(arm, key));
    // an arm that leaves the choice at its default has a value too
    return { key, type, of: (arm) => known.get(key)?.[arm.id] ?? own(arm), instead: [key] };
  });
  const taken = new Set(chosen.map(({ key }) => key));
  const others = [...known].filter(([key]) => !taken.has(key)).map(([key, arms]) => {
    const of = (arm) => arms[arm.id] ?? null;
    return { key, of, instead: [...taken].filter((choice) => decides(choice, sweep.arms, of)) };
  });
  const numbers = chosen.filter(({ type }) => type === "number");
  const texts = chosen.filter(({ type }) => type !== "number");
  const twins = others.filter(({ instead }) => instead.length);
  return [...numbers, ...twins, ...texts, ...others.filter(({ instead }) => !instead.length)];
}

function decides(choice, arms, of) {
  const found = new Map();
  return arms.every((arm) => {
    const token = tokenOf(arm, choice);
    if (!found.has(token)) found.set(token, of(arm));
    return found.get(token) === of(arm);
  });
}
