/** Holds the state, asks for what a view needs, and draws. */

import * as address from "./address.js";
import { shown, varying } from "./choices.js";
import * as controls from "./controls.js";
import { empty, h, nextFrame, redraw, setOptions } from "./dom.js";
import { exportButtons } from "./export.js";
import * as filters from "./filters.js";
import { follow, watchSize } from "./follow.js";
import { legend } from "./legend.js";
import { about, census, notice } from "./notices.js";
import * as panel from "./panel.js";
import { ask, askUncached, forget } from "./server.js";
import { DEFAULTS, resolve } from "./state.js";
import { colouring, followTheme } from "./theme.js";
import * as tip from "./tip.js";
import { DRAWINGS, load } from "./views.js";

export class App {
  #turn = 0; // the number of the latest drawing: one that was overtaken stops
  #left = null; // what had the focus before the panel was opened
  #opening = false; // the panel takes the focus with its next drawing
  #unreachable = null;
  #awaited = null; // what an address asked for of a sweep that is not there, or not yet

  constructor(page) {
    this.page = page;
    this.update = this.update.bind(this);
    this.syncControls = controls.make(page.controls, this.update);
    this.syncTabs = controls.tabs(page.tabs, this.update);
    page.sweep.addEventListener("change", () => this.#change(page.sweep.value));
    const rows = () => DRAWINGS[this.drawn.state.view].rows(this.drawn);
    page.exports.append(...exportButtons({ rows, region: page.figure, name: () => this.#fileName() }));
  }

  async start() {
    followTheme(() => this.sweep && this.draw());
    await this.open(address.read());
    address.watch((asked) => this.#cameBack(asked));
    document.addEventListener("keydown", (event) => event.key === "Escape" && this.state?.panel && this.close());
    watchSize(this.page.view, {
      shown: () => this.sweep && address.write(this.#shared()), // TensorBoard may have written the hash meanwhile
      resized: () => this.sweep && this.draw(),
    });
    follow(() => this.#poll());
  }

  /** Shows a sweep: the one asked for, or else the first. */
  async open(asked) {
    this.page.root.setAttribute("aria-busy", "true");
    try {
      const { sweeps } = await askUncached("sweeps");
      if (!sweeps.length) return await this.#empty();
      const chosen = sweeps.find((sweep) => sweep.name === asked.sweep) ?? sweeps[0];
      this.#awaited = asked.sweep && chosen.name !== asked.sweep ? asked : null;
      this.sweep = await askUncached("sweep", { sweep: chosen.name });
      this.#list(sweeps);
    } catch (error) {
      return this.#finish(() => redraw(this.page.figure, empty(error.message)));
    }
    forget();
    this.page.controls.hidden = false;
    this.#resolve(this.#awaited ? {} : asked);
    return this.draw();
  }

  /** What a person has set is kept separate from what follows from it: a running sweep may come to have better defaults. */
  #resolve(asked) {
    this.asked = asked;
    this.state = resolve(asked, this.sweep);
  }

  /** Another sweep has other choices: what does not depend on them stays. */
  #change(sweep) {
    const kept = Object.keys(DEFAULTS).filter((key) => key in this.asked);
    return this.open({ ...Object.fromEntries(kept.map((key) => [key, this.asked[key]])), sweep });
  }

  #list(sweeps) {
    setOptions(
      this.page.sweep,
      sweeps.map((sweep) => [sweep.name, sweep.title ?? sweep.name]),
      this.sweep.sweep,
    );
  }

  /** Changes the state by a patch, or by a function from state to patch, and draws. */
  update(patch) {
    const change = typeof patch === "function" ? patch(this.state) : patch;
    this.#resolve({ ...this.asked, ...change });
    return this.draw();
  }

  async draw() {
    const turn = ++this.#turn;
    const { page, state, sweep } = this;
    address.write(this.#shared());
    page.root.setAttribute("aria-busy", "true");
    const view = this.#view();
    this.#sync(view);
    const data = await load(view).catch((error) => ({ error: error.message }));
    if (turn !== this.#turn) return;
    const drawn = { ...view, ...data, error: data.error ?? this.#unreachable, awaited: this.#awaited?.sweep };
    this.drawn = drawn;
    tip.hide();
    this.#finish(() => this.#paint(drawn, data.error));
    panel.show(page.panel, drawn);
    if (this.#opening) page.panel.querySelector("[data-key=panel]")?.focus();
    this.#opening = false;
    await panel.fill(page.panel, drawn, () => this.state === state && this.sweep === sweep);
  }

  /** Everything that a view may want to know, but for the server's numbers. */
  #view() {
    const { state, sweep } = this;
    const choices = varying(sweep);
    const choice = (key) => choices.find((one) => one.key === key) ?? null;
    return {
      state,
      sweep,
      choices,
      choice,
      arms: shown(sweep.arms, state.hide),
      metric: sweep.metrics.find((metric) => metric.name === state.metric) ?? { name: "", direction: null },
      colours: colouring(choice(state.colour)),
      width: this.page.figure.clientWidth || 900,
      update: this.update,
      open: (what) => this.#openPanel(what),
      close: () => this.close(),
      seedsOf: async (arm) =>
        (await ask("seeds", { sweep: state.sweep, metric: state.metric, axis: state.axis, arm: arm.id })).runs,
    };
  }

  #sync(view) {
    this.syncControls(view);
    this.syncTabs(view);
    filters.draw(this.page.filters, {
      choices: view.choices,
      arms: this.sweep.arms,
      state: () => this.state,
      update: this.update,
    });
    this.page.status.textContent = census(this.sweep);
    this.page.view.setAttribute("aria-labelledby", `tab-${view.state.view}`);
  }

  #paint(view, failed) {
    const { page } = this;
    const drawing = DRAWINGS[view.state.view];
    redraw(page.notices, about({ missing: [], ...view }).map(notice));
    view.height = page.view.clientHeight - page.controls.offsetHeight - page.notices.offsetHeight;
    const unable = view.message ?? (failed ? "There is nothing to draw without the server's answer." : null);
    const coloured = ["curves", "sensitivity"].includes(view.state.view) && !unable;
    redraw(
      page.figure,
      unable
        ? empty(unable)
        : [coloured && legend(view.choice(view.state.colour), view.colours), ...drawing.draw(view)],
    );
    for (const button of page.exports.children)
      button.disabled = Boolean(unable) || (view.state.view === "table" && button.dataset.picture === "yes");
  }

  // After the frame in which the drawing is on the screen
  async #finish(paint) {
    try {
      paint();
    } catch (error) {
      console.error(error);
      redraw(this.page.figure, empty(`This could not be drawn: ${error.message}`));
    }
    await nextFrame();
    const { root } = this.page;
    root.dataset.drawn = Number(root.dataset.drawn) + 1;
    root.setAttribute("aria-busy", "false");
    performance.mark("bakeoff-drawn");
  }

  #empty() {
    const text = "No sweep of bakeoff lies in this logdir yet. Train one, and it appears here by itself: ";
    const command = h("code", {}, "bakeoff -m optimizer=sgd,adam seed=0,1,2");
    this.page.controls.hidden = true; // with nothing to choose from
    return this.#finish(() => redraw(this.page.figure, empty(text, command)));
  }

  #fileName() {
    const { state, sweep } = this.drawn; // what is on the screen, not what is being asked for
    return `${sweep.title ?? sweep.sweep}-${state.view}-${state.metric}`;
  }

  #openPanel(what) {
    this.#left = document.activeElement?.dataset?.key ?? null;
    const asked = what.arm ? { panel: "arm", arm: what.arm, cell: {} } : { panel: "cell", arm: "", cell: what.cell };
    this.#opening = true;
    this.update(asked);
  }

  close() {
    this.update({ panel: "", arm: "", cell: {} });
    const before = this.#left && this.page.root.querySelector(`[data-key="${CSS.escape(this.#left)}"]`);
    (before || this.page.view).focus();
  }

  /** What is polled: the list while there is no sweep, then the version of the one shown. */
  async #poll() {
    try {
      if (!this.sweep) return await this.open(address.read());
      const [{ sweeps }, { version }] = await Promise.all([
        askUncached("sweeps"),
        askUncached("version", { sweep: this.sweep.sweep }),
      ]);
      this.#list(sweeps);
      if (sweeps.some((sweep) => sweep.name === this.#awaited?.sweep)) return await this.open(this.#awaited);
      const wasUnreachable = this.#unreachable;
      this.#unreachable = null;
      if (version !== this.sweep.version) await this.#reload();
      else if (wasUnreachable) await this.draw();
    } catch (error) {
      if (this.#unreachable) return;
      this.#unreachable = `The server does not answer (${error.message}); its last answer is shown.`;
      redraw(this.page.notices, about({ missing: [], ...this.drawn, error: this.#unreachable }).map(notice));
    }
  }

  async #reload() {
    const sweep = await askUncached("sweep", { sweep: this.sweep.sweep });
    if (sweep.sweep !== this.sweep.sweep) return; // another one was chosen meanwhile
    forget();
    this.sweep = sweep;
    await this.update({});
  }

  #cameBack(asked) {
    if (!this.state) return;
    const bare = asked.sweep === undefined && asked.view === undefined; // TensorBoard's, for a change of tabs
    if (bare) address.write(this.#shared());
    else if (address.format(asked) !== address.format(this.#shared())) this.open(asked);
  }

  /** What the address holds: the sweep, and what a person has set, as far as it is valid. */
  #shared() {
    const set = Object.keys(this.asked).filter((key) => this.asked[key] !== undefined);
    return { ...Object.fromEntries(set.map((key) => [key, this.state[key]])), sweep: this.state.sweep };
  }
}
