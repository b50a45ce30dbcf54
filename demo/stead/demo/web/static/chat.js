// The conversation: turns whose parts the server renders, replaced only where they differ, so that focus stays.

import { $, $$, el, tick } from "./dom.js";

const PARTS = ["said", "plan", "approval", "answer", "status"];

export class Chat {
  constructor(host, actions) {
    this.host = host;
    this.actions = actions;
    this.states = new Map();
    this.following = true;
    for (const name of ["wheel", "touchmove", "keydown"]) host.addEventListener(name, () => { this.following = false; }, { passive: true });
    host.addEventListener("click", (event) => this.#act(event));
    host.addEventListener("ended", (event) => this.#ended(event));
  }

  begin(turns, examples) {
    this.host.replaceChildren();
    turns.forEach((turn) => this.receive(turn));
    if (!turns.length) this.host.append(this.#empty(examples));
  }

  // Puts a turn onto the page. Returns a sentence for those who listen, when something is new.
  receive(turn) {
    $(".empty", this.host)?.remove();
    const article = this.#article(turn.task);
    const before = this.states.get(turn.task);
    if (before && before.revision > turn.revision) return null;
    this.states.set(turn.task, { state: turn.state, revision: turn.revision });
    article.dataset.state = turn.state;
    for (const name of PARTS) this.#replace($(`[data-part="${name}"]`, article), turn.parts[name] ?? "");
    tick(article);
    if (before) this.#keepInView(article, turn);
    return before && before.state !== turn.state ? turn.announce : null;
  }

  mark(task) { for (const article of $$(".turn", this.host)) article.dataset.shown = String(article.dataset.task === task); }

  // The request whose question the next sentence answers, if there is one.
  openQuestion() {
    const last = $$(".turn", this.host).at(-1);
    return last?.dataset.state === "question" ? last.dataset.task : null;
  }

  isEmpty() { return this.states.size === 0; }

  // Some request waits for the person.
  waits() { return [...this.states.values()].some(({ state }) => state === "approval"); }

  // The newest request, from its first line; and along with it as it grows, until the person scrolls.
  follow() { this.following = true; this.toLast(); }

  toLast() {
    const last = $$(".turn", this.host).at(-1);
    if (last) this.host.scrollTop = last.offsetTop - this.host.offsetTop;
  }

  #keepInView(article, turn) {
    if (!this.following || article !== $$(".turn", this.host).at(-1)) return;
    this.toLast();
    if (turn.state === "approval") $(".approval", article)?.scrollIntoView({ block: "nearest" });
  }

  #article(task) {
    const found = $(`[data-task="${CSS.escape(task)}"].turn`, this.host);
    if (found) return found;
    const article = el("article", { class: "turn", "data-task": task, "data-testid": "turn" }, PARTS.map((name) => el("div", { "data-part": name })));
    this.host.append(article);
    return article;
  }

  // The markup comes from our own server's templates, which escape; the policy forbids inline script besides.
  #replace(part, html) {
    if (part.shown === html) return;
    const focused = part.contains(document.activeElement) ? document.activeElement.dataset.testid : null;
    part.shown = html;
    part.innerHTML = html;
    if (focused) $(`[data-testid="${focused}"]`, part)?.focus();
  }

  #act(event) {
    const button = event.target.closest("button");
    if (!button) return;
    const { show, decline, task, cancel, run, again, example } = button.dataset;
    if (show) this.actions.choose(show);
    else if (decline) this.actions.decline(task, decline, button);
    else if (cancel) this.actions.cancel(cancel, button);
    else if (run ?? again ?? example) this.actions.send(run ?? again ?? example);
  }

  // An approval that ran out can no longer be opened.
  #ended(event) {
    const card = event.target.closest(".approval");
    if (!card) return;
    card.classList.add("over");
    $(".actions", card)?.replaceChildren(el("p", { class: "small" }, "This request has expired. Nothing was done. Ask again if you still want it."));
  }

  #empty(examples) {
    return el("div", { class: "empty", "data-testid": "empty" },
      el("h2", {}, "What shall be done?"),
      el("p", {}, "Ask in plain English. You see the plan, and by whose authority each step runs."),
      el("p", { class: "chips wrap" }, examples.slice(0, 4).map((text) => el("button", { type: "button", class: "chip", "data-example": text, "data-testid": "starter" }, text))));
  }
}
