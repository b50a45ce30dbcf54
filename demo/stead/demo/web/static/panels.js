// The right side: trail, plan, network and raw view of one chosen request.

import { drawClaims } from "./claims.js";
import { $, $$, el } from "./dom.js";
import { getJson } from "./server.js";
import { drawList, drawPicture, drawTable, spoken } from "./trail.js";
import * as say from "./words.js";

const TABS = ["trail", "plan", "network", "raw"];

export class Panels {
  constructor({ onTask }) {
    this.onTask = onTask;
    this.task = null;
    this.turns = new Map();
    this.trails = new Map();
    this.chosen = null;
    this.pinned = false;
    this.tab = "trail";
    this.#wireTabs();
    let width = 0;
    new ResizeObserver(([entry]) => { const next = Math.round(entry.contentRect.width); if (next !== width) { width = next; this.redraw(); } }).observe($("#panel-trail"));
  }

  async show(task) {
    if (this.task !== task) { this.task = task; this.chosen = null; this.pinned = false; $("#panel-trail").scrollTop = 0; }
    this.onTask(task);
    // The trail of a task under way arrives by itself.
    if (!this.trails.has(task) && !this.turns.get(task)?.open) {
      try { this.trails.set(task, (await getJson(`/tasks/${encodeURIComponent(task)}/trail`)).trail); }
      catch { this.trails.set(task, { task, hops: [], version: 0 }); }
    }
    if (this.tab !== "trail" && this.tab !== "network") this.#load(this.tab);
    this.redraw();
  }

  turn(turn) {
    this.turns.set(turn.task, turn);
    if (turn.task !== this.task) return;
    this.redraw();
    if (this.tab === "plan") this.#load("plan");
  }

  // Takes a newer trail. Returns a sentence when a hop is new.
  trail(trail) {
    const before = this.trails.get(trail.task);
    if (before && before.version > trail.version) return null;
    this.trails.set(trail.task, trail);
    const known = new Set((before?.hops ?? []).map((hop) => hop.hop));
    const fresh = new Set(trail.hops.filter((hop) => !known.has(hop.hop)).map((hop) => hop.hop));
    if (trail.task !== this.task) return null;
    this.redraw(fresh);
    const last = trail.hops.findLast((hop) => fresh.has(hop.hop));
    return last ? spoken(last, trail.hops.indexOf(last)) : null;
  }

  redraw(fresh = new Set()) {
    const trail = this.trails.get(this.task);
    const some = Boolean(trail?.hops.length);
    $("#trail-empty").hidden = some;
    $("#trail-content").hidden = !some;
    if (!some) return;
    if (!this.pinned) this.chosen = this.#telling(trail);
    const choice = { chosen: this.chosen, fresh, waits: this.turns.get(this.task)?.waits, choose: (hop, pin) => this.choose(hop, pin) };
    drawPicture($("#trail-picture"), trail, choice);
    drawList($("#trail-list"), trail, choice);
    drawTable($("#trail-table"), trail);
    this.#lead();
    this.#claims();
  }

  choose(hop, pin = false) {
    this.pinned = pin;
    this.chosen = hop;
    for (const node of $$("[data-hop]", $("#trail-content"))) node.setAttribute("aria-pressed", String(node.dataset.hop === hop));
    this.#claims();
  }

  // Without a choice of the person's own: the refusal, the approved operation, or the first hop made on somebody's behalf.
  #telling(trail) {
    return (trail.hops.find(say.refused) ?? trail.hops.find((hop) => hop.grant === "in-task") ?? trail.hops.find((hop) => hop.grant === "obo") ?? trail.hops.at(-1)).hop;
  }

  #claims() {
    const trail = this.trails.get(this.task);
    const step = (by) => {
      const index = trail.hops.findIndex((hop) => hop.hop === this.chosen) + by;
      if (trail.hops[index]) this.choose(trail.hops[index].hop, true);
    };
    drawClaims($("#claims"), trail, this.chosen, { step, close: () => this.choose(null, true) });
  }

  #lead() {
    const turn = this.turns.get(this.task);
    const trail = this.trails.get(this.task);
    if (!trail?.hops.length) return;
    $("#trail-goal").textContent = turn?.goal ?? "";
    const refused = trail.hops.filter(say.refused).length;
    const persons = trail.hops.filter(say.carriesPerson).length;
    const alone = trail.hops.length - persons;
    $("#trail-lead").textContent = [
      `${trail.hops.length} ${trail.hops.length === 1 ? "hop" : "hops"}`,
      `${persons} in ${say.person().first}'s name`,
      alone ? `${alone} that know${alone === 1 ? "s" : ""} no person` : null,
      refused ? `${refused} refused` : null,
    ].filter(Boolean).join(", ");
  }

  #wireTabs() {
    const tabs = TABS.map((name) => $(`#tab-${name}`));
    tabs.forEach((tab, index) => {
      tab.addEventListener("click", () => this.#open(TABS[index]));
      tab.addEventListener("keydown", (event) => {
        const move = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
        const next = { Home: 0, End: TABS.length - 1 }[event.key] ?? (move ? (index + move + TABS.length) % TABS.length : null);
        if (next === null) return;
        event.preventDefault();
        this.#open(TABS[next]);
        tabs[next].focus();
      });
    });
  }

  #open(name) {
    this.tab = name;
    for (const tab of TABS) {
      $(`#tab-${tab}`).setAttribute("aria-selected", String(tab === name));
      $(`#tab-${tab}`).tabIndex = tab === name ? 0 : -1;
      $(`#panel-${tab}`).hidden = tab !== name;
    }
    if (name !== "trail") this.#load(name); else this.redraw();
  }

  async #load(name) {
    const panel = $(`#panel-${name}`);
    if (name !== "network" && !this.task) {
      panel.replaceChildren(el("div", { class: "empty" }, el("h2", {}, name === "plan" ? "No plan yet" : "Nothing to show yet"), el("p", {}, "Ask something first.")));
      return;
    }
    const path = name === "network" ? "/network" : `/tasks/${encodeURIComponent(this.task)}/${name}`;
    if (!panel.childElementCount) panel.replaceChildren(el("p", { class: "waiting" }, "Fetching"));
    try {
      const told = await getJson(path);
      if (name === "raw") panel.replaceChildren(el("h2", {}, "Raw"), el("p", { class: "lead" }, "Task and trail as they came over the wire. There is no token in them."), el("pre", { class: "raw", tabindex: 0, "data-testid": "raw" }, JSON.stringify(told, null, 2)));
      else panel.innerHTML = told.html;
    } catch (problem) {
      panel.replaceChildren(el("div", { class: "empty" }, el("h2", {}, "Not available"), el("p", {}, `${problem.description} ${problem.hint ?? ""}`)));
    }
  }
}
