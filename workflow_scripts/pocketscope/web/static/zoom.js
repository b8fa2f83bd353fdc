// One image, large. Keys label here too, and go on to the next image.

import { html, useEffect, useLayoutEffect, useRef, useState } from "./vendor/htm-preact-3.1.1.js";
import { answerOf, described, guessOf } from "./select.js";
import { categoryOf, labelOf, nameOf, picture, state } from "./store.js";

const STEPS = [1, 2, 4, 8];

export function Zoom({ list, position, onMove, onClose, onLabel, categories }) {
  const dialog = useRef(null);
  const [step, setStep] = useState(0);
  const number = list[position];
  useLayoutEffect(() => {
    dialog.current.showModal();
    dialog.current.focus();
  }, []);
  useEffect(() => setStep(0), [number]);
  useEffect(() => { // the next picture is on its way while this one is looked at
    if (position + 1 < list.length && !state.unreadable.has(list[position + 1])) new Image().src = picture(list[position + 1]);
  }, [position, list]);
  const label = labelOf(number);
  const category = label === null ? null : categoryOf(label);
  const guess = guessOf(number);
  const answer = answerOf(number);
  const problem = state.unreadable.get(number);
  return html`<dialog class="zoom" ref=${dialog} tabindex="-1" aria-label=${described(number)}
    onClose=${onClose} onCancel=${onClose}>
    <header>
      <span class="name">${state.images[number]}</span>
      <span class="where">${position + 1} of ${list.length.toLocaleString()}</span>
      ${state.exam.has(number) && html`<span class="badge">exam</span>`}
      <button onClick=${onClose} aria-label="Close (Space)">Close</button>
    </header>
    <div class=${`picture step${STEPS[step]}`} onClick=${() => setStep((step + 1) % STEPS.length)} title="Click to enlarge">
      ${problem ? html`<p class="hint">${problem}</p>`
        : html`<img key=${number} src=${picture(number)} alt=${described(number)} draggable="false" style=${{ width: `${100 * STEPS[step]}%`, height: `${100 * STEPS[step]}%` }} />`}
    </div>
    <footer aria-live="polite">
      <button onClick=${() => onMove(-1)} disabled=${position === 0} aria-label="Previous (arrow left)">◀</button>
      <div class="choices">
        ${categories.map((one) => html`<button key=${one.id} class=${`choice${label === one.id ? " on" : ""}${guess?.[0] === one.id ? " guessed" : ""}`}
          style=${{ "--colour": one.colour || "#888" }} onClick=${() => onLabel(one.id)} aria-pressed=${label === one.id}>
          <kbd>${one.key || ""}</kbd> ${one.name}${guess?.[0] === one.id ? ` (guess, ${Math.round(100 * guess[1])} %)` : ""}</button>`)}
        <button class="choice" onClick=${() => onLabel(null)} disabled=${label === null}><kbd>0</kbd> No label</button>
      </div>
      <button onClick=${() => onMove(1)} disabled=${position + 1 >= list.length} aria-label="Next (arrow right)">▶</button>
      <p class=${`said${state.pending.has(number) ? " pending" : ""}`}>${category ? `Labelled ${category.name}` : guess ? `The model's guess: ${nameOf(guess[0])}` : "Unlabelled"}${answer ? `. The tested model answered ${answer}` : ""}</p>
    </footer>
  </dialog>`;
}
