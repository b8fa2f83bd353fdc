// Beside the categories: the exam, suggestions, and whether enough is labelled.

import { html, useEffect, useState } from "./vendor/htm-preact-3.1.1.js";
import { get, post, postOnce } from "./api.js";
import { guessCounts } from "./select.js";
import { labelOf, say, state } from "./store.js";

const WIDTHS = [[0.3, "roughly (±15 points)"], [0.2, "well enough (±10 points)"], [0.15, "well (±8 points)"], [0.1, "closely (±5 points)"]];
const percent = (share) => `${Math.round(100 * share)} %`;

const PAGES = [
  [0, "the first"], ["middle", "the one in the middle"], ["maximum_projection", "of each point the brightest"],
  ["minimum_projection", "of each point the darkest"], ["mean_projection", "of each point the mean"],
  ["channels", "channels, as red, green, blue"],
];

// Files that hold several images: which one is meant, or what is made of all. Another choice is another image.
export function Stacks() {
  if (!state.stacks) return "";
  const known = PAGES.some(([value]) => value === state.page);
  const labelled = state.label.some((one) => one !== null);
  const choose = async (event) => {
    const wanted = event.target.value;
    let page = PAGES.find(([value]) => String(value) === wanted)?.[0];
    if (page === undefined) page = Number(prompt("Number of the image in its file, from 1", "2")) - 1;
    const sure = !labelled || confirm("Labels belong to the images that were shown. Those given so far do not hold for the others; they come back with this choice. Go on?");
    if (!sure || !Number.isInteger(page) && typeof page !== "string" || page < 0) { event.target.value = String(state.page); return; }
    await postOnce("/api/page", { page }).catch((error) => say(error.message, "error"));
  };
  return html`<section><h2>Files with several images</h2>
    <p class="small">${state.stacks === 1 ? "1 file holds" : `${state.stacks.toLocaleString()} files hold`} several images: a stack, frames or channels. What is shown, and learnt?</p>
    <select aria-label="What of a file with several images is shown" onChange=${choose}>
      ${PAGES.map(([value, name]) => html`<option value=${String(value)} selected=${value === state.page}>${name}</option>`)}
      ${!known && html`<option value=${String(state.page)} selected>number ${state.page + 1}</option>`}
      <option value="other">another one ...</option></select></section>`;
}

export function Exam({ onShow }) {
  const [width, setWidth] = useState(0.2);
  const [folders, setFolders] = useState(false);
  const [sample, setSample] = useState(false);
  const draw = async (body) => {
    try {
      const { exam, of } = await post("/api/exam", body);
      if (exam) say(`${exam} of ${of.toLocaleString()} images are set aside as the exam.`);
    } catch (error) { say(error.message, "error"); }
  };
  if (!state.exam.size) {
    if (state.asked.exam === "no") return html`<section><h2>Exam</h2><p class="small">No exam: folds of your labels test the models, which takes five times as long.</p>
      <button onClick=${() => draw({ width, by_folder: folders, labelled_too: sample })}>Draw one after all</button></section>`;
    const inFolders = state.images.some((path) => path.includes("/"));
    return html`<section class="step"><h2>First: an exam</h2>
      <p class="small">Some images, drawn at random now, test the models at the end. They are labelled without a guess, and no model that they test learns from them. Only so can it be said how good a model is on images like yours. The model that you take away is made like the tested one, and learns from all labels.</p>
      <label class="small">How closely do you want to know? <select onChange=${(event) => setWidth(Number(event.target.value))}>
        ${WIDTHS.map(([value, name]) => html`<option value=${value} selected=${value === width}>${name}</option>`)}</select></label>
      ${inFolders && html`<label class="small"><input type="checkbox" checked=${folders} onChange=${(event) => setFolders(event.target.checked)} /> Images of one folder belong together (a patient, a slide)</label>`}
      ${state.label.some((one) => one !== null) && html`<label class="small"><input type="checkbox" checked=${sample} onChange=${(event) => setSample(event.target.checked)} /> My labelled images were chosen at random too: they may be drawn</label>`}
      <div class="buttons"><button class="main" disabled=${!state.scanned} onClick=${() => draw({ width, by_folder: folders, labelled_too: sample })}>Draw the exam</button>
      <button onClick=${() => draw({ width: null })}>Without</button></div>
    </section>`;
  }
  const exam = [...state.exam].filter((number) => !state.gone.has(number));
  const done = exam.filter((number) => labelOf(number) !== null).length;
  const rare = rareInExam();
  return html`<section><h2>Exam</h2>
    <p class="small"><b>${done}</b> of ${exam.length} exam images labelled.${state.missing.exam > 0 ? ` ${state.missing.exam === 1 ? "1 more is" : `${state.missing.exam} more are`} not there now.` : ""}</p><progress max=${exam.length} value=${done} aria-hidden="true"></progress>
    ${done < exam.length && html`<button onClick=${() => onShow("exam")}>Label them</button>`}
    ${done === exam.length && rare.length > 0 && html`<p class="small">Too rare in it to be judged: ${rare.slice(0, 8).join(", ")}${rare.length > 8 ? ` and ${rare.length - 8} more` : ""}.</p>`}
  </section>`;
}

function rareInExam() {
  const found = new Map(state.categories.map((one) => [one.id, 0]));
  for (const number of state.exam) if (!state.gone.has(number) && found.has(labelOf(number))) found.set(labelOf(number), found.get(labelOf(number)) + 1);
  return state.categories.filter((one) => found.get(one.id) < 5).map((one) => one.name);
}

const MOST_GUESSED = 12; // categories whose guesses are offered; the list of what is shown has all

export function Suggestions({ onSort, onGuesses }) {
  if (state.asked.exam === null || state.preparing === null) return "";
  const { run } = state;
  const looking = ["running", "stopping"].includes(run.state) && run.kind === "features";
  const busy = ["running", "stopping"].includes(run.state);
  const start = () => postOnce("/api/run", { kind: "features" }).catch((error) => say(error.message, "error"));
  return html`<section><h2>What to label next</h2>
    ${looking ? html`<p class="small">A network looks at all images: ${run.progress ? `${run.progress.done.toLocaleString()} of ${run.progress.total.toLocaleString()}` : run.title || "starting"} ...</p>`
      : state.preparing && !state.order ? html`<p class="small">${state.features || (run.kind === "features" && run.state === "done") ? "The network has seen all images. They are put in order, and the guesses are fitted" : "Fitting the guesses"}: up to a minute ...</p>`
      : state.features ? html`<p class="small">${state.by_model === "model" ? "Guesses are the trained model's." : state.by_model ? "Guesses follow your labels." : "Label two categories, and guesses appear."}${state.preparing ? " New ones are being read ..." : ""}</p>
          <div class="buttons"><button onClick=${() => onSort("next")}>Most useful first</button>${state.guess.size > 0 && html`<button onClick=${() => onSort("doubt")}>Most doubtful first</button>`}
          ${state.suspicious.size > 0 && html`<button onClick=${() => onSort("suspicious")}>${state.suspicious.size === 1 ? "1 label" : `${state.suspicious.size} labels`} to check</button>`}</div>
          ${state.guess.size > 0 && html`<${Guessed} onGuesses=${onGuesses} />`}`
      : html`<p class="small">A network looks at all images once, so that the most useful ones can be asked for first, and guesses appear as you label.</p>
          <button disabled=${busy || !state.scanned} onClick=${start}>Prepare suggestions</button>`}
  </section>`;
}

// How many images are guessed to be of each category: a click shows them, the surest first, to be accepted many at once.
function Guessed({ onGuesses }) {
  const found = guessCounts();
  const most = state.categories.filter((one) => found.get(one.id)).sort((a, b) => found.get(b.id) - found.get(a.id)).slice(0, MOST_GUESSED);
  if (!most.length) return "";
  return html`<p class="small">Or look through the guesses of one category, and accept many at once:</p>
    <div class="buttons">${most.map((one) => html`<button key=${one.id} class="guesses" onClick=${() => onGuesses(one.id)} title=${`Show the images that are guessed to be ${one.name}, the surest first`}>${one.name} <span class="soft">${found.get(one.id).toLocaleString()}</span></button>`)}</div>`;
}

export function Enough() {
  const [busy, setBusy] = useState(false);
  if (!state.features) return "";
  const found = state.enough;
  const ask = async () => {
    setBusy(true);
    state.enough = await get("/api/enough").catch((error) => ({ why: error.message }));
    setBusy(false);
  };
  return html`<section><h2>Have I labelled enough?</h2>
    ${found?.why && html`<p class="small">${found.why}</p>`}
    ${found && !found.why && html`<${Curve} ...${found} />
      <ul class="plain">${found.forecasts.map((one) => html`<li class="small">${one.per_category ? `${one.per_category} more per category` : one.images === 1 ? "the one image that is left" : `all ${one.images.toLocaleString()} images that are left`}: <b>${signed(one.gain)}</b> points of F1 (${signed(one.lower)} to ${signed(one.upper)})</li>`)}</ul>
      ${!found.forecasts.length && html`<p class="small">All images are labelled: more labels need more images.</p>`}
      <p class="small soft">F1 is a score for wrong and for missed answers, 100 at best, in which each category counts alike. It is that of a quick model, tested on your own labels. On five data sets, 100 of 112 such ranges held.</p>`}
    <button disabled=${busy} onClick=${ask}>${busy ? "Computing: up to two minutes ..." : found ? "Compute anew" : "Find out"}</button>
  </section>`;
}

const signed = (points) => `${points >= 0 ? "+" : "−"}${Math.abs(points).toFixed(0)}`;

function Curve({ labels, f1, deviation }) {
  const [w, h, left, bottom, top] = [244, 136, 30, 20, 24];
  const x = (n) => left + ((w - left - 8) * (n - labels[0])) / Math.max(1, labels[labels.length - 1] - labels[0]);
  const y = (value) => h - bottom - ((h - bottom - top) * value) / 100;
  const line = labels.map((n, i) => `${x(n)},${y(f1[i])}`).join(" ");
  const band = [...labels.map((n, i) => `${x(n)},${y(Math.min(100, f1[i] + deviation[i]))}`), ...labels.map((n, i) => `${x(n)},${y(Math.max(0, f1[i] - deviation[i]))}`).reverse()].join(" ");
  return html`<svg class="curve" viewBox=${`0 0 ${w} ${h}`} role="img" aria-label=${`F1 by number of labels: ${labels.map((n, i) => `${n} labels ${f1[i].toFixed(0)}`).join(", ")}`}>
    <text x="0" y="10">F1, points</text>
    ${[0, 50, 100].map((value) => html`<line x1=${left} x2=${w - 8} y1=${y(value)} y2=${y(value)} class="rule" /><text x=${left - 4} y=${y(value) + 4} text-anchor="end">${value}</text>`)}
    <polygon points=${band} class="band" /><polyline points=${line} class="line" />
    ${labels.map((n, i) => html`<circle cx=${x(n)} cy=${y(f1[i])} r="3" class="dot" />`)}
    <text x=${x(labels[0])} y=${h - 4} text-anchor="middle">${labels[0]}</text><text x=${x(labels[labels.length - 1])} y=${h - 4} text-anchor="end">${labels[labels.length - 1]} labels</text>
  </svg>`;
}
