// What is known of the project: filled from /api/state, kept true by events. Images are numbers; arrays are by number.

import { get, post, windowName } from "./api.js";

export const state = {
  loaded: false,
  connected: true,
  project: null,
  images: [],
  label: [], // identity of the category, or null
  by: [],
  deeds: 0, // grows with every change of a label
  pending: new Map(), // number -> what it will be labelled as, until the server has it on its disk
  exam: new Set(),
  unreadable: new Map(),
  gone: new Set(),
  missing: { labelled: 0, exam: 0 }, // images that have no file now
  categories: [],
  identified: 0,
  scanned: false,
  stacks: 0, // files that hold several images
  page: 0, // what of these is the image
  trouble: null,
  version: new Map(),
  guess: new Map(), // number -> [category, confidence]
  order: null, // what to label next
  by_model: null, // whose guesses they are: of the quick head, or of the model that ships
  features: false,
  preparing: null, // whether suggestions are being prepared; null until that is known
  suspicious: new Map(), // labels that may be slips, the most suspicious first: number -> [category instead, confidence, place]
  similar: null, // number -> distance to the image that was asked for
  enough: null, // the learning curve that was asked for last
  newly: 0, // how often answers to the test came
  tested: { classes: [], counts: [], images: new Map() }, // number -> [truth, answer, confidence]: places in classes
  checking: false, // whether labels that may be slips are what the grid shows
  answers: false, // whether the answers to the test are what the grid shows
  run: { state: "idle" },
  asked: { choice: null, exam: null, processes: {}, presets: {} },
  tour: false, // whether nobody has seen the tour yet
  estimated: 0, // how often the machine's speed was measured
  message: null,
  waiting: 0,
};

const listeners = new Set();
let due = false;

export function subscribe(listener) {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

export function changed() {
  if (due) return;
  due = true;
  requestAnimationFrame(() => {
    due = false;
    for (const listener of listeners) listener();
  });
}

let fades = 0;
export function say(text, kind = "done") {
  state.message = { text, kind };
  clearTimeout(fades);
  fades = setTimeout(() => { state.message = null; changed(); }, kind === "error" ? 12000 : 5000);
  changed();
}

export async function load() {
  const read = await get("/api/state");
  if (!read.project) {
    Object.assign(state, { loaded: true, project: null });
    changed();
    return;
  }
  Object.assign(state, {
    loaded: true, project: read.project, images: read.images, scanned: read.scanned, trouble: read.trouble,
    identified: read.identified, session: read.session, stacks: read.stacks, page: read.page, gone: new Set(read.gone), version: new Map(),
    unreadable: new Map(Object.entries(read.unreadable).map(([number, why]) => [Number(number), why])),
  });
  state.run = read.run;
  state.asked = read.asked;
  state.tour = read.tour;
  suggest();
  document.title = `${read.project.name} - pocketscope`;
  setLabels(read);
}

function setLabels(read) {
  state.deeds++;
  state.label = new Array(state.images.length).fill(null);
  state.by = new Array(state.images.length).fill(null);
  take(read.labels);
  state.exam = new Set(read.exam);
  state.categories = read.categories;
  state.missing = read.missing;
  changed();
}

function take(lines) {
  if (lines.length) state.deeds++;
  for (const [number, category, who] of lines) {
    state.label[number] = category;
    state.by[number] = who;
  }
  changed();
}

export function listen() {
  const events = new EventSource(`/api/events?window=${windowName}`);
  let before = false;
  events.onopen = () => {
    state.connected = true;
    if (before) load(); // the server was away: what was missed is read anew
    before = true;
    changed();
  };
  events.onerror = () => { state.connected = false; changed(); };
  events.onmessage = ({ data }) => handle(JSON.parse(data));
}

export async function suggest() {
  const read = await get("/api/suggestions").catch(() => null);
  if (!read) return;
  state.guess = new Map(read.guess.map(([number, category, confidence]) => [number, [category, confidence]]));
  state.order = read.order.length ? new Map(read.order.map((number, place) => [number, place])) : null;
  state.suspicious = new Map(read.suspicious.map(([number, category, confidence], place) => [number, [category, confidence, place]]));
  state.by_model = read.by;
  state.features = read.features;
  state.preparing = read.preparing;
  changed();
}

export async function readTested() {
  const read = await get("/api/tested").catch(() => null);
  if (!read) return;
  state.tested = { ...read, images: new Map(read.images.map(([number, ...about]) => [number, about])) };
  changed();
}

const handlers = {
  suggested: suggest,
  tested() { state.newly++; changed(); },
  run({ now }) {
    const ended = state.run.state !== now.state && !["running", "stopping"].includes(now.state);
    state.run = now;
    if (ended && now.state === "done") state.preparing = true; // until `suggested` says otherwise
    if (ended && now.kind === "study") say({ done: "The study is done. See Results.", failed: "The study failed.", stopped: "The study was stopped." }[now.state], now.state === "failed" ? "error" : "done");
    changed();
  },
  estimated() { state.estimated++; changed(); },
  asked({ asked }) { state.asked = asked; changed(); },
  reload: () => load(),
  labels: setLabels,
  labelled: ({ labels }) => take(labels),
  images({ images, first, gone, missing, trouble, scanned, again }) {
    if (first > state.images.length) return load();
    for (let i = 0; i < images.length; i++) {
      if (first + i < state.images.length) continue;
      state.images.push(images[i]);
      state.label.push(null);
      state.by.push(null);
    }
    for (const number of again || []) {
      state.version.set(number, (state.version.get(number) || 0) + 1);
      state.unreadable.delete(number);
      state.label[number] = state.by[number] = null;
      state.deeds++;
    }
    Object.assign(state, { gone: new Set(gone), missing, trouble, scanned });
    changed();
  },
  identified({ labels, unreadable, exam, identified, missing, stacks }) {
    for (const [number, why] of Object.entries(unreadable)) state.unreadable.set(Number(number), why);
    for (const number of exam) state.exam.add(number);
    Object.assign(state, { identified, missing, stacks });
    take(labels);
  },
};

function handle(message) {
  (handlers[message.kind] || (() => {}))(message);
}

export const thumbnail = (number) => `/thumbnail/${number}/${state.session}-${state.version.get(number) || 0}`;
export const picture = (number) => `/picture/${number}/${state.session}-${state.version.get(number) || 0}`;

export const labelOf = (number) => (state.pending.has(number) ? state.pending.get(number) : state.label[number]);
export const categoryOf = (id) => state.categories.find((one) => one.id === id) || null;
export const nameOf = (id) => categoryOf(id)?.name ?? "";

// How many images that are there each category has, and all together. Counted anew only where a label changed: a hundred thousand images
// are looked at for that.
let counted = { deeds: -1, categories: null, gone: null, of: null, all: 0 };
export function counts() {
  const { deeds, categories, gone } = state;
  if (counted.deeds === deeds && counted.categories === categories && counted.gone === gone) return counted;
  const of = new Map(categories.map((one) => [one.id, 0]));
  let all = 0;
  for (let number = 0; number < state.images.length; number++) {
    const id = labelOf(number);
    if (id === null || gone.has(number)) continue;
    all++;
    if (of.has(id)) of.set(id, of.get(id) + 1);
  }
  counted = { deeds, categories, gone, of, all };
  return counted;
}

// `category`: of all these images, or a map of that of each. One deed either way, which one Z takes back.
export async function label(numbers, category) {
  const of = (number) => (category instanceof Map ? category.get(number) : category);
  const images = numbers.filter((number) => !state.unreadable.has(number) && !state.gone.has(number));
  if (!images.length) return say("None of these images can be read, so none can be labelled.", "error");
  const seen = images.map(labelOf);
  const shown = images.filter((number) => state.guess.has(number) && !state.exam.has(number));
  for (const number of images) state.pending.set(number, of(number));
  state.deeds++;
  changed();
  try {
    const { labels } = await post("/api/label", { images, category: category instanceof Map ? images.map(of) : category, seen, guess_shown: shown });
    take(labels);
    const found = new Map();
    for (const number of images) found.set(of(number), (found.get(of(number)) || 0) + 1);
    const what = [...found].map(([id, count]) => `${count === 1 ? "1 image" : `${count.toLocaleString()} images`} ${id === null ? "no longer labelled" : `labelled ${nameOf(id)}`}`);
    say(`${what.join(", ")}. Z takes it back.`);
  } catch (error) {
    if (error.overtaken) {
      for (const [number, now] of error.overtaken) state.label[number] = now;
      state.deeds++;
      say(`${error.message} What they are labelled as now is shown; press again to change it.`, "error");
    } else say(error.message, "error");
  } finally {
    for (const number of images) if (state.pending.get(number) === of(number)) state.pending.delete(number);
    state.deeds++;
    changed();
  }
}

export async function turn(redo) {
  try {
    const { done, what } = await post("/api/turn", { redo });
    say(done ? (redo ? `Done again: ${what}.` : `Taken back: ${what}. Shift+Z does it again.`) : redo ? "There is nothing to do again." : "There is nothing to take back.");
  } catch (error) {
    say(error.message, "error");
  }
}

export async function findSimilar(number) {
  try {
    state.similar = new Map(await get(`/api/similar/${number}`));
    changed();
    return true;
  } catch (error) {
    say(error.message, "error");
    return false;
  }
}

export async function change(what, about) {
  try {
    await post("/api/category", { what, ...about });
    return true;
  } catch (error) {
    say(error.message, "error");
    return false;
  }
}
