// Five steps at the first start. Dismissed once, it comes back from Help alone.

import { html, useEffect, useRef, useState } from "./vendor/htm-preact-3.1.1.js";
import { postOnce } from "./api.js";
import { state } from "./store.js";

const STEPS = [
  [".categories", "Say what can be on the images", "Add a category for each kind. Where the images lie in folders named like them, or labels are in a table, take these. Each category gets a key."],
  ["aside", "Let an exam be drawn", "A few images, drawn at random, test the models at the end. You label them without seeing a guess, and no model that they test learns from them: only so can it be said how good it is."],
  [".grid, .empty", "Label with keys", "Click an image, or many (Shift, Ctrl, drag, A for all), and press the key of the category, or the category itself: the next image follows. Z takes anything back. Space shows an image large."],
  ["aside", "Let the most useful images come first", "Prepare suggestions: a network looks at all images. Then guesses follow your labels; look through those of one category, and accept many at once. Find out tells whether more labels would help."],
  [".tabs", "Train, look, take away", "Train starts a study, which goes on if you close the page. Results shows how good the model is and where it errs, and has the files to take away."],
];

export function Tour({ close }) {
  const [step, setStep] = useState(0);
  const card = useRef(null);
  const [target, title, text] = STEPS[step];
  const done = () => {
    state.tour = false;
    postOnce("/api/tour", {}).catch(() => {}); // not worth a word: it is shown once more
    close();
  };
  useEffect(() => {
    const found = document.querySelector(target);
    found?.classList.add("toured");
    card.current.focus();
    return () => found?.classList.remove("toured");
  }, [step]);
  const onKeyDown = (event) => {
    if (event.key === "Escape") done();
    else if (event.key === "ArrowRight" && step + 1 < STEPS.length) setStep(step + 1);
    else if (event.key === "ArrowLeft" && step > 0) setStep(step - 1);
    else return;
    event.preventDefault();
    event.stopPropagation();
  };
  return html`<section class="tour" role="dialog" aria-label=${`A tour, step ${step + 1} of ${STEPS.length}`} tabindex="-1" ref=${card} onKeyDown=${onKeyDown}>
    <h2>${title}</h2>
    <p aria-live="polite">${text}</p>
    <div class="buttons"><span class="soft">${step + 1} of ${STEPS.length}</span>
      ${step + 1 < STEPS.length && html`<button onClick=${done}>Skip</button>`}
      ${step > 0 && html`<button onClick=${() => setStep(step - 1)}>Back</button>`}
      ${step + 1 < STEPS.length ? html`<button class="main" onClick=${() => setStep(step + 1)}>Next</button>` : html`<button class="main" onClick=${done}>Begin</button>`}</div>
  </section>`;
}
