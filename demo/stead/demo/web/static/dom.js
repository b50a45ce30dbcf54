// Building elements without markup strings, so that no text from the network is ever parsed as HTML here.

const SVG = "http://www.w3.org/2000/svg";

function build(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes ?? {})) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else node.setAttribute(name, value === true ? "" : String(value));
  }
  node.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return node;
}

export const el = (name, attributes, ...children) => build(document.createElement(name), attributes, children);
export const svg = (name, attributes, ...children) => build(document.createElementNS(SVG, name), attributes, children);
export const $ = (selector, root = document) => root.querySelector(selector);
export const $$ = (selector, root = document) => [...root.querySelectorAll(selector)];

export function swatch(grantClass) {
  return svg("svg", { class: `swatch ${grantClass}`, viewBox: "0 0 30 10", "aria-hidden": "true" },
    svg("path", { class: "stroke", d: "M0 5H24" }), svg("path", { class: "fill", d: "M24 1.5 30 5 24 8.5Z" }));
}

// Seconds as m:ss.
export function span(seconds) {
  const whole = Math.max(0, Math.floor(seconds));
  return `${Math.floor(whole / 60)}:${String(whole % 60).padStart(2, "0")}`;
}

export const still = () => matchMedia("(prefers-reduced-motion: reduce)").matches;

// The server's clock, so that a wrong clock in the browser does not shorten anybody's token.
let offset = 0;
export const tellTime = (seconds) => { offset = seconds - Date.now() / 1000; };
export const now = () => Date.now() / 1000 + offset;

// Every countdown on the page: elements that say when they end.
export function tick(root = document) {
  for (const node of $$("[data-ends]", root)) {
    const left = Number(node.dataset.ends) - now();
    const text = left > 0 ? `${node.dataset.before ?? ""}${span(left)}${node.dataset.after ?? ""}` : node.dataset.over ?? "expired";
    if (node.textContent !== text) node.textContent = text;
    const gone = left <= 0;
    if (node.classList.contains("gone") !== gone) {
      node.classList.toggle("gone", gone);
      node.previousElementSibling?.classList.toggle("gone", gone);
      if (gone) node.dispatchEvent(new CustomEvent("ended", { bubbles: true }));
    }
  }
}
