// Speaking to our own server, and to no other.

export class Problem extends Error {
  constructor(status, description, hint) { super(description); Object.assign(this, { status, description, hint }); }
}

async function read(response) {
  let body = {};
  try { body = await response.json(); } catch { /* an answer without a body is told by its status */ }
  if (response.ok) return body;
  throw new Problem(response.status, body.error_description ?? `FinPort answered ${response.status}.`, body.hint);
}

async function reach(path, options) {
  try { return await fetch(path, { credentials: "same-origin", redirect: "error", ...options }); }
  catch { throw new Problem(0, "FinPort cannot be reached.", "Check that the network still runs, then try again."); }
}

export const getJson = async (path) => read(await reach(path, { headers: { accept: "application/json" } }));

export async function post(path, body) {
  const csrf = document.querySelector('meta[name="csrf"]').content;
  return read(await reach(path, {
    method: "POST", headers: { "content-type": "application/json", accept: "application/json", "x-csrf-token": csrf }, body: JSON.stringify(body),
  }));
}
