// The identity trail: one value, drawn as a sequence diagram, as a list for narrow pages, and as a table.

import { $, el, now, still, svg, swatch, tick } from "./dom.js";
import * as say from "./words.js";

const HEAD = 66;
const ROW = 60;
const LEFT = 34;
const RIGHT = 66;
const CROWDED = 96;
const STAGGER = 30;

export function columns(hops) {
  const seen = [];
  const children = Map.groupBy(hops, (hop) => hop.parent ?? "");
  const visit = (hop) => {
    for (const id of [hop.caller, say.calleeId(hop)]) if (!seen.includes(id)) seen.push(id);
    (children.get(hop.hop) ?? []).forEach(visit);
  };
  const known = new Set(hops.map((hop) => hop.hop));
  hops.filter((hop) => !known.has(hop.parent)).forEach(visit);
  return seen;
}

function header(id, x, login, down) {
  const who = say.person();
  if (login) {
    return svg("g", {},
      svg("circle", { class: "face", cx: x, cy: 14, r: 13 }),
      svg("text", { class: "letter", x, y: 14.5 }, who.initial),
      svg("text", { class: "column", x, y: 44 }, who.first),
      svg("text", { class: "kind", x, y: 59 }, say.member(id).title));
  }
  const { title, kind } = say.member(id);
  return svg("g", {}, svg("text", { class: "column", x, y: 44 + down }, title), svg("text", { class: "kind", x, y: 59 + down }, kind));
}

function arrow(hop, from, to, y) {
  const way = Math.sign(to - from) || 1;
  const end = to - way * (say.refused(hop) ? 16 : 9);
  const line = svg("path", { class: "stroke", d: `M${from} ${y}H${end}` });
  const parts = [svg("circle", { class: "fill", cx: from, cy: y, r: 3 }), line];
  if (say.refused(hop)) parts.push(svg("path", { class: "cross", d: `M${to - way * 13} ${y - 5}l10 10m0 -10l-10 10` }));
  else parts.push(svg("path", { class: hop.confirmed === false ? "hollow" : "fill", d: `M${to - way * 1} ${y}l${-way * 10} -5v10Z` }));
  return { line, node: svg("g", { class: "arrow" }, parts) };
}

function carried(hop, from, to, y) {
  if (!say.carriesPerson(hop)) return null;
  const x = to - (Math.sign(to - from) || 1) * 30;
  return svg("g", { class: "carried" },
    svg("circle", { cx: x, cy: y, r: 9.5 }), svg("text", { class: "letter", x, y: y + 0.5 }, say.initial(hop)));
}

function labels(hop, from, to, y, width) {
  const [low, high] = [Math.min(from, to), Math.max(from, to)];
  const words = say.stateWords(hop) + (say.refused(hop) ? "" : `  ·  ${say.scopes(hop).join(" ")}`);
  const room = Math.max(words.length * 5.9, 90);
  const toRight = low + 10 + room < width - RIGHT;
  const place = toRight ? { x: low + 10, "text-anchor": "start" } : { x: high - 10, "text-anchor": "end" };
  return [svg("text", { class: "what", y: y - 14, ...place }, say.operation(hop)), svg("text", { class: "words", y: y + 21, ...place }, words)];
}

function life(hop, y, width) {
  if (!hop.exp || say.refused(hop)) return null;
  const gone = hop.exp <= now();
  return svg("g", {},
    svg("rect", { class: `pill${gone ? " gone" : ""}`, x: width - 54, y: y - 11, width: 50, height: 22, rx: 11 }),
    svg("text", { class: `life${gone ? " gone" : ""}`, x: width - 29, y: y + 4, "data-ends": hop.exp, "data-over": "expired" }));
}

export function spoken(hop, index) {
  const route = `${say.member(hop.caller).title} calls ${say.member(say.calleeId(hop)).title}`;
  return `Hop ${index + 1}: ${route}, ${say.operation(hop)}, ${say.stateWords(hop)}. Audience ${hop.aud ?? "none"}, scope ${say.scopes(hop).join(" ") || "none"}.`;
}

function row(hop, index, { ids, at, width, head, choose, chosen }) {
  const top = head + index * ROW;
  const y = top + 31;
  const [from, to] = [at(hop.caller), at(say.calleeId(hop))];
  const drawn = arrow(hop, from, to, y);
  const disc = carried(hop, from, to, y);
  const open = (event) => { if (event.type === "click" || ["Enter", " "].includes(event.key)) { event.preventDefault(); choose(hop.hop, true); } };
  const node = svg("g", {
    class: `hop ${say.grantClass(hop)}`, role: "button", tabindex: 0, "aria-pressed": String(chosen === hop.hop),
    "aria-label": spoken(hop, index), "data-testid": "trail-hop", "data-hop": hop.hop, "data-grant": hop.grant,
    "data-decision": hop.decision, "data-callee": say.calleeId(hop), onclick: open, onkeydown: open,
  },
  svg("rect", { class: "row", x: 0, y: top + 1, width, height: ROW - 2, rx: 6 }),
  svg("path", { class: "lifeline", d: ids.map((id) => `M${at(id)} ${top}v${ROW}`).join("") }),
  svg("text", { class: "number", x: 10, y: y + 4 }, index + 1), labels(hop, from, to, y, width), drawn.node, disc, life(hop, y, width));
  return { node, line: drawn.line, disc, distance: to - from };
}

// The arrow draws, and the person's initial travels along it, when the hop is made.
function animate({ line, disc, distance }) {
  if (still() || !line.animate) return;
  const length = Math.abs(distance);
  line.animate([{ clipPath: `inset(-6px ${distance > 0 ? length : 0}px -6px ${distance > 0 ? 0 : length}px)` }, { clipPath: "inset(-6px 0 -6px 0)" }], { duration: 420, easing: "ease-out" });
  disc?.animate([{ transform: `translateX(${-(distance - Math.sign(distance) * 30)}px)` }, { transform: "none" }], { duration: 520, easing: "cubic-bezier(.3,.7,.3,1)" });
}

// What is still to come: an agent that waits for the person.
function pending(waits, ids, at, y, width) {
  if (!waits || !ids.includes(waits.agent)) return null;
  const x = at(waits.agent);
  const words = `waits for ${say.person().first}'s approval at ${waits.provider}`;
  const toRight = x + 18 + words.length * 6.2 < width - RIGHT;
  return svg("g", { class: "pending grant-in-task", "data-testid": "trail-waits" },
    svg("circle", { cx: x, cy: y, r: 6 }),
    svg("text", { class: "words", x: toRight ? x + 16 : x - 16, y: y + 4, "text-anchor": toRight ? "start" : "end" }, words));
}

export function drawPicture(host, trail, { choose, chosen, waits, fresh = new Set() }) {
  const width = Math.max(host.clientWidth, 520);
  const ids = columns(trail.hops);
  const logins = new Set(trail.hops.filter((hop) => hop.grant === "login").map((hop) => hop.caller));
  const usable = width - LEFT - RIGHT - 60;
  const at = (id) => LEFT + 34 + (ids.length > 1 ? (ids.indexOf(id) * usable) / (ids.length - 1) : 0);
  // Titles that would touch each other stand on two levels.
  const crowded = ids.length > 1 && usable / (ids.length - 1) < CROWDED;
  const head = HEAD + (crowded ? STAGGER : 0);
  const down = (index) => (crowded && index % 2 ? STAGGER : 0);
  const height = head + trail.hops.length * ROW + (waits ? 40 : 8);
  const rows = trail.hops.map((hop, index) => row(hop, index, { ids, at, width, head, choose, chosen }));
  const focused = document.activeElement?.dataset?.hop;
  host.replaceChildren(svg("svg", {
    class: "trail-picture", viewBox: `0 0 ${width} ${height}`, width, height, role: "group",
    "aria-label": "Sequence diagram of the identity trail. A table with the same content follows.", "data-testid": "trail-picture",
  },
  ids.map((id, index) => header(id, at(id), logins.has(id), down(index))),
  ids.map((id, index) => svg("path", { class: "lifeline", d: `M${at(id)} ${HEAD + down(index)}V${head}M${at(id)} ${head + trail.hops.length * ROW}V${height}` })),
  rows.map(({ node }) => node), pending(waits, ids, at, height - 22, width)));
  if (focused) host.querySelector(`[data-hop="${CSS.escape(focused)}"]`)?.focus({ preventScroll: true });
  trail.hops.forEach((hop, index) => { if (fresh.has(hop.hop)) animate(rows[index]); });
  tick(host);
}

// Under a long list the claims stand below what is in view.
const reveal = () => $("#claims").scrollIntoView({ behavior: still() ? "auto" : "smooth", block: "start" });

export function drawList(host, trail, { choose, chosen, waits }) {
  const rows = trail.hops.map((hop, index) => el("li", {},
    el("button", {
      type: "button", class: say.grantClass(hop), "aria-pressed": String(chosen === hop.hop), "data-testid": "trail-item",
      "data-hop": hop.hop, "data-grant": hop.grant, "data-decision": hop.decision, onclick: () => { choose(hop.hop, true); reveal(); },
    },
    swatch(say.grantClass(hop)),
    el("span", { class: "path" }, `${index + 1}. ${pathWords(hop)}`),
    hop.exp && !say.refused(hop) ? el("span", { class: "num small soft", "data-ends": hop.exp, "data-over": "expired" }) : null,
    el("span", { class: "words" }, say.stateWords(hop)),
    el("span", { class: "scope" }, `${say.operation(hop)}  ·  ${say.scopes(hop).join(" ")}`))));
  if (waits) rows.push(el("li", { class: "awaited" }, `${say.member(waits.agent).title} waits for ${say.person().first}'s approval at ${waits.provider}`));
  host.replaceChildren(...rows);
  tick(host);
}

const callerTitle = (hop) => (hop.grant === "login" ? say.first(hop) : say.member(hop.caller).title);
export const pathWords = (hop) => `${callerTitle(hop)} to ${say.member(say.calleeId(hop)).title}`;

export const chainWords = (act) => { const names = []; for (let actor = act; actor; actor = actor.act) names.push(actor.sub); return names.join(", before it "); };

export function drawTable(body, trail) {
  body.replaceChildren(...trail.hops.map((hop, index) => el("tr", { class: say.refused(hop) ? "refused" : null, "data-decision": hop.decision, "data-testid": "trail-row" },
    [index + 1, pathWords(hop), say.operation(hop), say.grantWords(hop), hop.sub ?? "none", chainWords(hop.act) || "none", hop.aud ?? "none",
      say.scopes(hop).join(" ") || "none", hop.exp ? new Date(hop.exp * 1000).toLocaleTimeString() : "none"].map((text) => el("td", {}, String(text))),
    el("td", { class: "wrap" }, say.refused(hop) ? `${hop.decision === "allow" ? "refused" : hop.decision}: ${hop.description ?? hop.code ?? ""}` : hop.decision ?? "none"))));
}
