// What a hop is called in words. The same words stand in the table, the list and the claims view.

let people = { name: "you", first: "you", initial: "•" };
let members = {};

export function introduce(person, participants) {
  people = person ?? people;
  members = participants ?? members;
}

const tidy = (name) => {
  const bare = name.replace(/^https?:\/\//, "").replace(/-(agent|mcp)$/, "").replaceAll(/[-_]/g, " ");
  return bare.charAt(0).toUpperCase() + bare.slice(1);
};
const kindOf = (name) => (name.endsWith("-agent") ? "agent" : name.endsWith("-mcp") ? "MCP server" : "");

export function member(id) {
  return members[id] ?? { title: tidy(id ?? "unknown"), kind: kindOf(id ?? "") };
}

export const calleeId = (hop) => hop.callee_name || hop.callee || "unknown";
export const first = (hop) => (hop.name ? hop.name.split(" ")[0] : people.first);
export const initial = (hop) => (hop.name ?? people.name).charAt(0).toUpperCase();
export const carriesPerson = (hop) => hop.grant !== "s2s";
// Somebody at this hop said no. A call that was let in and only ended because of a refusal further on is not refused itself.
export const refused = (hop) => hop.decision !== "allow" || (hop.outcome === "refused" && (Boolean(hop.code) || !hop.confirmed));
export const scopes = (hop) => (Array.isArray(hop.scope) ? hop.scope : (hop.scope ?? "").split(" ").filter(Boolean));
export const operation = (hop) => hop.resource || hop.operation || "call";
export const grantClass = (hop) => (refused(hop) ? "refused" : `grant-${hop.grant}`);

export function grantWords(hop) {
  const words = {
    login: `signed in as ${first(hop)}`,
    obo: `on behalf of ${first(hop)}`,
    s2s: "as itself",
    "in-task": `approved by ${first(hop)} for this once`,
  };
  return words[hop.grant] ?? hop.grant ?? "no grant";
}

const asked = { step_up: "asks for another sign-in", consent: "asks for an approval" };

export function stateWords(hop) {
  if (hop.decision in asked) return asked[hop.decision];
  if (refused(hop)) return `refused: ${hop.code ?? hop.rule ?? "denied"}`;
  return grantWords(hop) + (hop.confirmed === false ? ", not confirmed yet" : "");
}

export const person = () => people;
