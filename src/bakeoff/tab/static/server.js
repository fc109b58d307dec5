/** Questions to the plugin. Answers are kept until the sweep has changed: a new layout asks for nothing. */

const answers = new Map();

export function ask(route, parameters = {}) {
  const address = url(route, parameters);
  if (!answers.has(address)) {
    const answer = get(address);
    answers.set(address, answer);
    answer.catch(() => answers.delete(address)); // a failure is not an answer: the next time asks again
  }
  return answers.get(address);
}

export const forget = () => answers.clear();

/** Past the memory: for questions whose answer is that something has changed. */
export const askUncached = (route, parameters = {}) => get(url(route, parameters));

export function url(route, parameters) {
  const pairs = Object.entries(parameters).flatMap(([key, value]) => [value].flat().map((one) => [key, one]));
  const query = new URLSearchParams(pairs).toString();
  return query ? `./${route}?${query}` : `./${route}`;
}

async function get(address) {
  const response = await fetch(address);
  if (response.ok) return response.json();
  const body = await response.json().catch(() => null);
  throw new Error(body?.error ?? `The server answered ${response.status} to ${address}`);
}
