/** Follows a running sweep: asks every few seconds whether it has changed, while the page is visible. */

const POLL_INTERVAL = 3000; // milliseconds

/** TensorBoard makes the frame of a tab that is not shown 0 pixels high; its document counts as visible still. */
export const visible = () => document.visibilityState === "visible" && window.innerHeight > 0;

/** Calls `poll` over and over, never two at a time. */
export function follow(poll) {
  let busy = false;
  setInterval(async () => {
    if (busy || !visible()) return;
    busy = true;
    await poll().finally(() => (busy = false));
  }, POLL_INTERVAL);
}

/** Calls back when the page is shown again after another tab, and when `region` has another size. */
export function watchSize(region, { shown, resized }) {
  const now = () => [region.offsetWidth, region.offsetHeight]; // with scroll bars: a drawing may bring one
  let size = now();
  new ResizeObserver(() => {
    if (!visible()) return;
    shown();
    if (String(now()) === String(size)) return;
    size = now();
    resized();
  }).observe(region);
}
