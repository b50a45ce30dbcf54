// The page: what the server tells goes onto it, what the person does goes back. Holds no token and decides nothing.

import { Chat } from "./chat.js";
import { $, $$, el, tellTime, tick } from "./dom.js";
import { Panels } from "./panels.js";
import { getJson, post } from "./server.js";
import { introduce } from "./words.js";

const chat = new Chat($("#turns"), { choose: showTask, send: ask, decline, cancel });
const panels = new Panels({ onTask: (task) => chat.mark(task) });

// On a narrow page only one side is in view.
const look = (view) => $(`.switch [data-view="${view}"]`).click();

function showTask(task) { panels.show(task); look("trail"); }

function say(text, loud = false) { $(loud ? "#alert" : "#announce").textContent = text; }

function notice(key, text, { bad = false, action = null } = {}) {
  $(`[data-notice="${key}"]`)?.remove();
  if (text) $("#notices").append(el("div", { class: bad ? "notice bad" : "notice", "data-notice": key, "data-testid": `notice-${key}` }, el("span", {}, text), action));
}

const signInAgain = () => el("a", { class: "button small", href: "/login", "data-testid": "sign-in-again" }, "Sign in again");

function explain(problem) {
  if (problem.status === 401) {
    notice("session", "Your session has ended. What you asked is safe with the broker.", { bad: true, action: signInAgain() });
    stream?.close();
    return;
  }
  const text = [problem.description, problem.hint].filter(Boolean).join(" ");
  notice("problem", text, { bad: true, action: el("button", { class: "link-button", type: "button", onclick: () => notice("problem", null) }, "Dismiss") });
}

// What is on its way to the broker. The same again is a double click; something else waits its turn.
let sending = null;

async function ask(text, { plan = false } = {}) {
  const said = `${text.trim()}|${plan}`;
  if (!text.trim() || sending?.said === said) return;
  const earlier = sending?.done;
  const done = Promise.withResolvers();
  const mine = sending = { said, done: done.promise };
  await earlier;
  $("#send").disabled = true;
  const question = chat.openQuestion();
  try {
    const turn = await post("/ask", { text: text.trim(), message_id: crypto.randomUUID(), mode: plan ? "plan" : "run", task: question });
    notice("problem", null);
    $("#goal").value = "";
    receive(turn);
    panels.show(turn.task);
    chat.follow();
  } catch (problem) { explain(problem); }
  finally { done.resolve(); if (sending === mine) { sending = null; $("#send").disabled = false; } }
}

async function decline(task, challenge, button) {
  button.disabled = true;
  try { receive(await post(`/tasks/${encodeURIComponent(task)}/answer`, { challenge, answer: "declined" })); }
  catch (problem) { button.disabled = false; explain(problem); }
}

async function cancel(task, button) {
  button.disabled = true;
  try { receive(await post(`/tasks/${encodeURIComponent(task)}/cancel`, {})); }
  catch (problem) { button.disabled = false; explain(problem); }
}

function receive(turn) {
  const news = chat.receive(turn);
  if (news) say(news, turn.state === "approval");
  panels.turn(turn);
  settle();
}

// What depends on all requests together: the badge on narrow pages, and what the field is for.
function settle() {
  $("#chips").hidden = chat.isEmpty();
  $("#needs-you").hidden = !chat.waits();
  const answering = chat.openQuestion() !== null;
  $("#goal").placeholder = answering ? "Answer the question above" : "Ask, or choose an example";
  $("#send").textContent = answering ? "Answer" : "Ask";
}

let stream = null;

function listen() {
  stream?.close();
  stream = new EventSource("/events");
  stream.addEventListener("open", () => notice("offline", null));
  stream.addEventListener("turn", (event) => receive(JSON.parse(event.data)));
  stream.addEventListener("trail", (event) => {
    const news = panels.trail(JSON.parse(event.data));
    if (news) say(news);
  });
  stream.addEventListener("notice", (event) => {
    const told = JSON.parse(event.data);
    if (told.kind === "session") explain({ status: 401 });
    else notice(told.kind, told.text, { bad: Boolean(told.text) });
  });
  stream.addEventListener("error", () => {
    notice("offline", "The connection to FinPort is interrupted. This page catches up by itself when it is back.");
    if (stream.readyState === EventSource.CLOSED) setTimeout(check, 3000);
  });
}

// A stream that the server closed for good: find out why, and start again when there is no reason against it.
async function check() {
  try { await getJson("/session"); listen(); }
  catch (problem) { if (problem.status === 401) explain(problem); else setTimeout(check, 5000); }
}

function chips(examples) {
  const use = (text) => { $("#goal").value = text; $("#goal").focus(); };
  $("#chips").replaceChildren(...examples.map((text) => el("button", { type: "button", class: "chip", "data-testid": "chip", onclick: () => use(text) }, text)));
}

function wireComposer() {
  const field = $("#goal");
  const send = () => ask(field.value, { plan: $("#plan-first").checked });
  $("#composer").addEventListener("submit", (event) => { event.preventDefault(); send(); });
  field.addEventListener("keydown", (event) => { if (event.key === "Enter" && !event.shiftKey && !event.isComposing) { event.preventDefault(); send(); } });
}

function wireTheme() {
  const button = $("#theme");
  const dark = () => (document.documentElement.dataset.theme ?? (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light")) === "dark";
  const label = () => { button.textContent = dark() ? "Light" : "Dark"; button.setAttribute("aria-label", `Switch to the ${dark() ? "light" : "dark"} theme`); };
  button.addEventListener("click", () => {
    const next = dark() ? "light" : "dark";
    document.documentElement.dataset.theme = next;
    localStorage.setItem("theme", next);
    label();
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", label);
  label();
}

function wireSwitch() {
  const panes = $(".panes");
  const buttons = $$(".switch button");
  for (const button of buttons) button.addEventListener("click", () => {
    panes.dataset.view = button.dataset.view;
    buttons.forEach((other) => other.setAttribute("aria-pressed", String(other === button)));
    panels.redraw();
  });
}

function wireCheats() {
  for (const button of $$("[data-cheat]")) button.addEventListener("click", async () => {
    const outcome = button.nextElementSibling;
    button.disabled = true;
    outcome.hidden = false;
    outcome.textContent = "Sending the request";
    try {
      const told = await post(`/cheats/${button.dataset.cheat}`, { task: panels.task });
      outcome.replaceChildren(el("b", {}, told.verdict), ` ${told.description}`, told.hint ? el("p", { class: "soft" }, told.hint) : "", el("p", { class: "mono faint" }, told.detail));
    } catch (problem) { outcome.textContent = problem.description; if (problem.status === 401) explain(problem); }
    finally { button.disabled = false; }
  });
}

async function start() {
  wireTheme(); wireSwitch(); wireComposer(); wireCheats();
  setInterval(() => tick(), 1000);
  try {
    const state = await getJson("/state");
    tellTime(state.now);
    introduce(state.person, state.participants);
    $("#fact-planner").textContent = state.facts.planner;
    $("#fact-network").textContent = state.facts.network;
    chips(state.examples);
    chat.begin(state.turns, state.examples);
    state.turns.forEach((turn) => panels.turn(turn));
    settle();
    if (state.trouble) notice("broker", state.trouble, { bad: true });
    const last = state.turns.at(-1);
    chat.toLast();
    if (last) await panels.show(last.task);
    listen();
  } catch (problem) { $("#loading")?.remove(); explain(problem); if (problem.status !== 401) setTimeout(() => location.reload(), 5000); }
  tick();
}

start();
