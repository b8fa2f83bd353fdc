// One image, large. Keys label here too, and go on to the next image.

import { html, useEffect, useLayoutEffect, useRef, useState } from "./vendor/htm-preact-3.1.1.js";
import { answerOf, described, guessOf } from "./select.js";
import { categoryOf, labelOf, nameOf, picture, state } from "./store.js";

const STEPS = [1, 2, 4, 8];

export function Zoom({ list, position, onMove, onClose, onLabel, categories }) {
  const dialog = useRef(null);
  const frame = useRef(null);
  const [step, setStep] = useState(0);
  const [size, setSize] = useState(null); // of the picture as it fits the frame, in pixels
  const about = useRef(null); // the point that stays where it is while the picture grows
  const number = list[position];
  useLayoutEffect(() => {
    dialog.current.showModal();
    dialog.current.focus();
  }, []);
  useEffect(() => setStep(0), [number]);
  useEffect(() => { // the next picture is on its way while this one is looked at
    if (position + 1 < list.length && !state.unreadable.has(list[position + 1])) new Image().src = picture(list[position + 1]);
  }, [position, list]);
  const enlarge = (event) => {
    const image = frame.current.querySelector("img");
    if (!image?.naturalWidth) return;
    const box = frame.current.getBoundingClientRect();
    const fit = Math.min(box.width / image.naturalWidth, box.height / image.naturalHeight);
    const [width, height] = [image.naturalWidth * fit, image.naturalHeight * fit];
    const drawn = step ? image.getBoundingClientRect() : { left: box.left + (box.width - width) / 2, top: box.top + (box.height - height) / 2, width, height };
    const share = (at, from, length) => Math.max(0, Math.min(1, (at - from) / length));
    about.current = { x: event.clientX, y: event.clientY, right: share(event.clientX, drawn.left, drawn.width), down: share(event.clientY, drawn.top, drawn.height) };
    setSize({ width, height });
    setStep((step + 1) % STEPS.length);
  };
  useLayoutEffect(() => {
    const image = frame.current?.querySelector("img");
    if (!step || !image || !about.current) return;
    const { x, y, right, down } = about.current;
    const drawn = image.getBoundingClientRect();
    frame.current.scrollLeft += drawn.left + right * drawn.width - x;
    frame.current.scrollTop += drawn.top + down * drawn.height - y;
  }, [step]);
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
    <div ref=${frame} class=${`picture step${STEPS[step]}`} onClick=${enlarge} title=${step + 1 < STEPS.length ? "Click to enlarge" : "Click to see all of it"}>
      ${problem ? html`<p class="hint">${problem}</p>`
        : html`<img key=${number} src=${picture(number)} alt=${described(number)} draggable="false" style=${step && size ? { width: `${size.width * STEPS[step]}px`, height: `${size.height * STEPS[step]}px` } : { width: "100%", height: "100%" }} />`}
    </div>
    <footer aria-live="polite">
      <button onClick=${() => onMove(-1)} disabled=${position === 0} aria-label="Previous (arrow left)">◀</button>
      <div class="choices">
        ${categories.map((one) => html`<button key=${one.id} class=${`choice${label === one.id ? " on" : ""}${guess?.[0] === one.id ? " guessed" : ""}`}
          style=${{ "--colour": one.colour || "#888" }} onClick=${(event) => onLabel(one.id, event)} aria-pressed=${label === one.id}>
          <kbd>${one.key || ""}</kbd> ${one.name}${guess?.[0] === one.id ? ` (guess, ${Math.round(100 * guess[1])} %)` : ""}</button>`)}
        <button class="choice" onClick=${(event) => onLabel(null, event)} disabled=${label === null}><kbd>0</kbd> No label</button>
      </div>
      <button onClick=${() => onMove(1)} disabled=${position + 1 >= list.length} aria-label="Next (arrow right)">▶</button>
      <p class=${`said${state.pending.has(number) ? " pending" : ""}`}>${category ? `Labelled ${category.name}` : guess ? `The model's guess: ${nameOf(guess[0])}` : "Unlabelled"}${answer ? `. The tested model answered ${answer}` : ""}</p>
    </footer>
  </dialog>`;
}
