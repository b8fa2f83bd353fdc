// What the page asks the server for, and what it sends. A request that changes anything carries an id and is sent until
// it is answered, so that neither a server that was killed nor a lost answer loses a label.

export const RETRY_MS = 1000;

export class Refused extends Error {
  constructor(status, answer) {
    super(answer.error || `The desk answered ${status}.`);
    this.status = status;
    this.overtaken = answer.overtaken || null;
  }
}

export async function get(path) {
  const response = await fetch(path);
  const answer = await readJson(response);
  if (!response.ok) throw new Refused(response.status, answer);
  return answer;
}

async function readJson(response) {
  const text = await response.text();
  try {
    return JSON.parse(text);
  } catch {
    return { error: text.slice(0, 300) };
  }
}

const waiting = [];
let sending = false;
let told = () => {};

// Called with the number of requests that wait, and whether the server answers.
export function onWaiting(callback) {
  told = callback;
}

// This window has an undo of its own beside others that are open. Its name outlives a reload, and is not copied with the tab.
const name = () => Array.from(crypto.getRandomValues(new Uint8Array(6)), (b) => b.toString(16).padStart(2, "0")).join("");
export const windowName = performance.getEntriesByType("navigation")[0]?.type === "reload" && sessionStorage.getItem("window") || name();
sessionStorage.setItem("window", windowName);

export function newRequest() {
  return `${windowName}.${newId()}`;
}

function newId() {
  return crypto.randomUUID ? crypto.randomUUID() : Array.from(crypto.getRandomValues(new Uint8Array(16)), (b) => b.toString(16).padStart(2, "0")).join("");
}

// Requests are sent one after the other, in their order.
export function post(path, body) {
  return new Promise((resolve, reject) => {
    waiting.push({ path, body: JSON.stringify({ request: newRequest(), ...body }), resolve, reject });
    send();
  });
}

// For requests that do not change labels and are not worth repeating.
export async function postOnce(path, body) {
  const response = await fetch(path, { method: "POST", body: JSON.stringify(body), headers: { "Content-Type": "application/json" } });
  const answer = await readJson(response);
  if (!response.ok) throw new Refused(response.status, answer);
  return answer;
}

export async function sendFile(path, file) {
  const response = await fetch(`${path}?name=${encodeURIComponent(file.name)}`, { method: "POST", body: file });
  const answer = await readJson(response);
  if (!response.ok) throw new Refused(response.status, answer);
  return answer;
}

async function send() {
  if (sending) return;
  sending = true;
  while (waiting.length) {
    const first = waiting[0];
    let response;
    try {
      response = await fetch(first.path, { method: "POST", body: first.body, headers: { "Content-Type": "application/json" } });
      // 403: the desk was started anew, and this page is not known to it until its address is opened again.
      if (response.status >= 500 || response.status === 403) throw new Error("not now");
    } catch {
      told(waiting.length, false);
      await new Promise((next) => setTimeout(next, RETRY_MS));
      continue;
    }
    const answer = await readJson(response);
    waiting.shift();
    told(waiting.length, true);
    if (response.ok) first.resolve(answer);
    else first.reject(new Refused(response.status, answer));
  }
  sending = false;
}
