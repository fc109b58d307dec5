/** Links from the tab into TensorBoard's own dashboards. */

const escaped = (text) => text.replace(/[.*+?^${}()|[\]\\/]/g, "\\$&");

/** The regular expression that finds these runs: by their arms' folders, which are fewer. */
export function runFilter(runs) {
  const folders = [...new Set(runs.map((run) => (run.includes("/") ? run.slice(0, run.lastIndexOf("/") + 1) : run)))];
  const parts = folders.map((folder) => escaped(folder) + (folder.endsWith("/") ? "" : "$"));
  return parts.length === 1 ? `^${parts[0]}` : `^(${parts.join("|")})`;
}

/** The plugin's files lie at data/plugin/bakeoff/ below TensorBoard, which itself may lie below a path prefix. */
export function timeSeries(runs, metric) {
  const address = new URL("../../../", document.baseURI);
  const pairs = { runFilter: runFilter(runs), tagFilter: `^${escaped(metric)}$`, smoothing: "0" };
  // not URLSearchParams: TensorBoard decodes with decodeURIComponent, which leaves its "+" for a space alone
  address.search = Object.entries(pairs)
    .map(([key, value]) => `${key}=${encodeURIComponent(value)}`)
    .join("&");
  address.hash = "timeseries";
  return address.href;
}
