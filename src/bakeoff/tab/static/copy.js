/** Copying text: by the clipboard's own interface where the page may use it, else by a selection. */

import { h } from "./dom.js";

export function copyButton(text, name, key) {
  const button = h("button", { type: "button", "aria-label": name, dataset: { key } }, "copy");
  button.addEventListener("click", async (event) => {
    event.stopPropagation();
    button.textContent = (await copy(text)) ? "copied" : "not copied";
    setTimeout(() => (button.textContent = "copy"), 1500);
  });
  return button;
}

async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    return copyBySelection(text); // plain http from another machine has no clipboard
  }
}

function copyBySelection(text) {
  const field = h("textarea", { "aria-hidden": "true", class: "offscreen" }, text);
  const focused = document.activeElement;
  document.body.append(field);
  field.select();
  const copied = document.execCommand("copy");
  field.remove();
  focused?.focus();
  return copied;
}
