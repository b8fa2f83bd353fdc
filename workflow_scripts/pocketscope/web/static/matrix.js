// How the recommended candidate answered the test images: the confusion matrix and the errors, which open in the grid.

import { html } from "./vendor/htm-preact-3.1.1.js";
import { errors } from "./select.js";
import { state, thumbnail } from "./store.js";

const MOST_CLASSES = 15; // beyond, a table has no room: what is confused most often is listed
const MOST_LISTED = 20;
const MOST_PICTURES = 12;

export function Matrix({ onOpen }) {
  const { classes, counts } = state.tested;
  if (!classes.length) return "";
  const wrong = errors();
  const number = counts.flat().reduce((sum, one) => sum + one, 0);
  const right = counts.reduce((sum, row, i) => sum + row[i], 0);
  return html`<section class="tested">
    <h2>Where it errs</h2>
    <p>${right.toLocaleString()} of ${number.toLocaleString()} test images were answered correctly. ${number > right ? "A click on a number shows the images behind it." : ""}</p>
    ${classes.length <= MOST_CLASSES ? html`<${Table} ...${{ classes, counts, onOpen }} />` : html`<${Confused} ...${{ classes, counts, onOpen }} />`}
    ${wrong.length > 0 && html`<p><button class="main" onClick=${() => onOpen("tested:errors")}>Show ${wrong.length === 1 ? "the error" : `all ${wrong.length.toLocaleString()} errors`}, most confident first</button></p>
      <ul class="errors">${wrong.slice(0, MOST_PICTURES).map((one) => html`<li key=${one}><button onClick=${() => onOpen("tested:errors", one)} title=${state.images[one]}>
        <img src=${thumbnail(one)} alt="" loading="lazy" /><span>${answeredAs(one)}</span></button></li>`)}</ul>`}
  </section>`;
}

export function answeredAs(number) {
  const [truth, answer, confidence] = state.tested.images.get(number);
  const { classes } = state.tested;
  return `${classes[truth]}, answered ${classes[answer]} (${Math.round(100 * confidence)} %)`;
}

function Table({ classes, counts, onOpen }) {
  const most = Math.max(1, ...counts.flat());
  const total = (list) => list.reduce((sum, one) => sum + one, 0);
  const cell = (i, j) => {
    const count = counts[i][j];
    const shade = { "--share": `${Math.round((45 * count) / most)}%` };
    return html`<td class=${i === j ? "right" : count ? "wrong" : ""} style=${shade}>${count
      ? html`<button onClick=${() => onOpen(`tested:${i}:${j}`)} aria-label=${`${count} images of ${classes[i]} answered ${classes[j]}; show them`}>${count.toLocaleString()}</button>` : html`<span class="none">0</span>`}</td>`;
  };
  const margin = (key, count, what) => html`<td class="sum">${count ? html`<button onClick=${() => onOpen(key)} aria-label=${`${count} ${what}; show them`}>${count.toLocaleString()}</button>` : 0}</td>`;
  return html`<p class="small soft">Rows: what you said. Columns: what the model answered.</p>
    <div class="scroll" role="region" aria-label="Confusion matrix" tabindex="0"><table class="matrix">
    <thead><tr><td></td>${classes.map((name) => html`<th scope="col"><span>${name}</span></th>`)}<th scope="col"><span>all</span></th></tr></thead>
    <tbody>${classes.map((name, i) => html`<tr><th scope="row">${name}</th>${classes.map((_, j) => cell(i, j))}${margin(`tested:${i}:`, total(counts[i]), `images of ${name}`)}</tr>`)}
      <tr><th scope="row">all</th>${classes.map((name, j) => margin(`tested::${j}`, total(counts.map((row) => row[j])), `images answered ${name}`))}<td class="sum"></td></tr></tbody>
  </table></div>`;
}

function Confused({ classes, counts, onOpen }) {
  const pairs = [];
  counts.forEach((row, i) => row.forEach((count, j) => { if (i !== j && count) pairs.push([count, i, j]); }));
  pairs.sort((a, b) => b[0] - a[0]);
  return html`<ul class="confused">${pairs.slice(0, MOST_LISTED).map(([count, i, j]) => html`<li><button onClick=${() => onOpen(`tested:${i}:${j}`)}>${count.toLocaleString()}</button> ${classes[i]}, answered ${classes[j]}</li>`)}</ul>
    ${pairs.length > MOST_LISTED && html`<p class="small soft">${pairs.length - MOST_LISTED} rarer confusions are not listed.</p>`}`;
}
