// The claims of one hop's token beside those of the hop it grew from, and the difference in words.

import { el } from "./dom.js";
import { pathWords } from "./trail.js";
import * as say from "./words.js";

const URNS = {
  login: "authorization_code (RFC 6749 4.1) with PKCE (RFC 7636)",
  obo: "urn:ietf:params:oauth:grant-type:token-exchange (RFC 8693)",
  s2s: "client_credentials (RFC 6749 4.4)",
  "in-task": "authorization_code at the second provider, with PAR (RFC 9126) and authorization_details (RFC 9396)",
};

const clock = (seconds) => new Date(seconds * 1000).toLocaleTimeString();

function actorRows(hop) {
  const { act } = hop;
  if (!act) return el("dd", { class: "none" }, hop.jti ? "none: nobody acts for somebody else" : "none");
  const inner = act.act ? el("div", { class: "act" }, nested(act.act), el("span", { class: "gloss" }, "history, for audit only")) : null;
  return el("dd", {}, act.sub, " ", el("span", { class: "gloss" }, "acts now"), inner);
}

function nested(act) {
  return el("div", {}, act.sub, act.act ? el("div", { class: "act" }, nested(act.act)) : null);
}

function value(text, gloss, changed) {
  if (text === null || text === undefined || text === "") return el("dd", { class: "none" }, gloss ?? "none");
  return el("dd", { class: changed ? "changed" : null }, String(text), gloss ? [" ", el("span", { class: "gloss" }, gloss)] : null);
}

function rows(hop, before) {
  const changed = (name) => Boolean(before) && JSON.stringify(before[name]) !== JSON.stringify(hop[name]);
  const act = actorRows(hop);
  if (changed("act") && hop.act) act.classList.add("changed");
  const subject = hop.grant === "s2s" ? "the workload itself" : hop.name ?? null;
  return [
    ["grant", value(URNS[hop.grant] ?? hop.grant)],
    ["iss", value(hop.iss, null, changed("iss"))],
    ["sub", value(hop.sub, subject, changed("sub"))],
    ["act", act],
    ["aud", value(hop.aud, null, changed("aud"))],
    ["scope", value(say.scopes(hop).join(" "), null, changed("scope"))],
    ["exp", value(hop.exp ? Math.floor(hop.exp) : null, hop.exp ? clock(hop.exp) : null)],
    ["jti", value(hop.jti)],
    ["parent_jti", value(hop.parent_jti, hop.parent_jti ? null : "none: this token was not made from another")],
    hop.cnf ? ["cnf", value(hop.cnf, "bound to its bearer's key")] : null,
    hop.consent_id ? ["consent_id", value(hop.consent_id)] : null,
    ["decision", value(hop.decision)],
    ["rule", value(hop.rule)],
    hop.outcome ? ["outcome", value(hop.outcome)] : null,
  ].filter(Boolean).flatMap(([name, cell]) => [el("dt", {}, name), cell]);
}

const line = (kind, sign, ...words) => el("li", { class: kind }, el("span", { class: "sign", "aria-hidden": "true" }, sign), el("span", {}, ...words));
const strong = (text) => el("b", {}, text);
const names = (act) => { const all = []; for (let actor = act; actor; actor = actor.act) all.push(actor.sub); return all; };

function scopeLines(hop, before) {
  const [mine, theirs] = [say.scopes(hop), say.scopes(before)];
  return [
    ...mine.filter((scope) => !theirs.includes(scope)).map((scope) => line("added", "+", "scope ", strong(scope))),
    ...theirs.filter((scope) => !mine.includes(scope)).map((scope) => line("removed", "−", "scope ", strong(scope), " stays behind")),
  ];
}

function subjectLine(hop, before) {
  if (hop.grant === "s2s" && before.grant === "s2s") return line("changed", "→", "subject is ", strong(hop.sub), ", which calls as itself");
  if (hop.grant === "s2s") return line("removed", "−", strong(before.name ?? before.sub ?? "the person"), " stays behind: the service calls as itself");
  if (hop.sub === before.sub) return line("same", "=", `same person, ${hop.name ?? hop.sub}`);
  return line("changed", "→", "subject is ", strong(hop.sub), hop.grant === "in-task" ? `, as the bank knows ${say.first(hop)}` : "");
}

function actorLines(hop, before) {
  const [mine, theirs] = [names(hop.act), names(before.act)];
  return [
    ...mine.filter((name) => !theirs.includes(name)).map((name) => line("added", "+", "actor ", strong(name), " acts now")),
    ...theirs.filter((name) => !mine.includes(name)).map((name) => line("removed", "−", "actor ", strong(name), " stays behind")),
    ...mine.filter((name) => theirs.includes(name)).map((name) => line("same", "=", `${name} moves into the history`)),
  ];
}

function lifeLine(hop, before) {
  if (!hop.exp || !before.exp) return [];
  const less = Math.round(before.exp - hop.exp);
  if (hop.grant === "obo" && less >= 0) return [line("same", "=", less ? `ends ${less} s before the token it came from` : "ends with the token it came from")];
  return [];
}

export function difference(hop, before) {
  if (!before) return [line("same", "=", `${say.first(hop)} signed in; this token came from the login itself`)];
  return [
    subjectLine(hop, before),
    ...actorLines(hop, before),
    hop.aud === before.aud ? line("same", "=", "same audience") : line("changed", "→", "audience is ", strong(say.member(say.calleeId(hop)).title)),
    hop.iss && before.iss && hop.iss !== before.iss ? line("changed", "→", "issuer is ", strong(new URL(hop.iss).host)) : null,
    ...scopeLines(hop, before),
    hop.consent_id && !before.consent_id ? line("added", "+", "consent ", strong(hop.consent_id), ", good for one execution") : null,
    ...lifeLine(hop, before),
  ].filter(Boolean);
}

export function drawClaims(host, trail, chosen, { step, close }) {
  const index = trail.hops.findIndex((hop) => hop.hop === chosen);
  if (index < 0) { host.replaceChildren(); host.hidden = true; return; }
  const hop = trail.hops[index];
  const before = trail.hops.find((other) => other.hop === hop.parent) ?? null;
  const number = before ? trail.hops.indexOf(before) + 1 : null;
  host.hidden = false;
  host.className = `claims ${say.grantClass(hop)}`;
  host.replaceChildren(
    el("header", {},
      el("h3", {}, `Hop ${index + 1}: ${pathWords(hop)}`), el("span", { class: "words" }, say.stateWords(hop)),
      el("span", { class: "push" },
        el("button", { type: "button", class: "button plain small", disabled: index === 0, onclick: () => step(-1), "aria-label": "Previous hop" }, "←"),
        el("button", { type: "button", class: "button plain small", disabled: index === trail.hops.length - 1, onclick: () => step(1), "aria-label": "Next hop" }, "→"),
        el("button", { type: "button", class: "button plain small", onclick: close }, "Close"))),
    say.refused(hop) ? el("div", { class: "refusal", "data-testid": "refusal" },
      el("p", {}, hop.description ?? "This hop was refused."),
      hop.hint ? el("p", {}, hop.hint) : null,
      el("p", { class: "mono soft" }, [hop.code, hop.rule].filter(Boolean).join("  ·  "))) : "",
    el("div", { class: "halves" },
      el("div", {}, el("h4", {}, hop.jti ? "Claims of this hop's token" : "What was asked for; no token was issued"), el("dl", {}, rows(hop, before))),
      el("div", {}, el("h4", {}, number ? `Different from hop ${number}` : "Where it came from"),
        el("ul", { class: "differences", "data-testid": "differences" }, difference(hop, before)))));
}
