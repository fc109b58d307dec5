/** The entry that TensorBoard imports and calls, in a frame whose document is empty. */

import { App } from "./app.js";
import { h } from "./dom.js";
import { build } from "./page.js";

export async function render() {
  document.documentElement.lang = "en";
  document.title = "bakeoff";
  const page = build();
  document.body.append(page.root);
  try {
    await Promise.all([style("style.css"), script("vendor/d3.min.js").then(() => script("vendor/plot.umd.min.js"))]);
  } catch (error) {
    page.figure.append(h("p", { class: "empty" }, error.message));
    return;
  }
  await new App(page).start();
}

// TensorBoard's Content-Security-Policy allows scripts of this server by their address, and no inline ones.
const script = (src) => loaded(h("script", { src }));
const style = (href) => loaded(h("link", { rel: "stylesheet", href }));

function loaded(node) {
  return new Promise((resolve, reject) => {
    node.addEventListener("load", resolve);
    node.addEventListener("error", () => reject(new Error(`${node.src ?? node.href} could not be loaded`)));
    document.head.append(node);
  });
}
