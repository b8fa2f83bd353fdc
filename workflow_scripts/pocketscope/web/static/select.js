// Which images are shown, in which order, and which of them are selected.

import { labelOf, nameOf, state } from "./store.js";

export const FILTERS = {
  all: "All images",
  unlabelled: "Unlabelled",
  labelled: "Labelled",
  exam: "Exam images",
  sure: "Sure guesses (90 % or more)",
  unsure: "Doubtful guesses (below 60 %)",
  suspicious: "Labels to check",
  unreadable: "Cannot be read",
};
export const SORTS = { next: "What to label next", name: "Name", doubt: "Doubt, most first", sure: "Guess, surest first", similar: "Similar to the selected one" };

const collator = new Intl.Collator(undefined, { numeric: true });

// Whether what is shown is there to be accepted many at once.
export const isGuesses = (filter) => filter === "sure" || filter.startsWith("guess:");

// All numbers in the order of their names. Comparing a hundred thousand names takes a second: done once.
let named = { of: null, length: -1, order: [] };
function byName() {
  const { images } = state;
  if (named.of !== images || named.length !== images.length) {
    named = { of: images, length: images.length, order: images.map((_, number) => number).sort((a, b) => collator.compare(images[a], images[b])) };
  }
  return named.order;
}

// The test images of a cell of the confusion matrix (`tested:0:2`: of class 0, answered 2), of a row or column
// (`tested:0:`, `tested::2`), or all errors (`tested:errors`).
function isTested(filter, number) {
  const found = state.tested.images.get(number);
  if (!found) return false;
  const [truth, answer] = found;
  const [, first, second] = filter.split(":");
  if (first === "errors") return truth !== answer;
  return (first === "" || truth === Number(first)) && (second === "" || answer === Number(second));
}

export function testedName(filter) {
  const [, first, second] = filter.split(":");
  const { classes } = state.tested;
  if (first === "errors") return "Test: errors";
  return `Test: ${first === "" ? "any" : classes[first]}, answered ${second === "" ? "anything" : classes[second]}`;
}

const surest = (a, b) => state.tested.images.get(b)[2] - state.tested.images.get(a)[2];

export function errors() {
  return [...state.tested.images].filter(([number, [truth, answer]]) => truth !== answer && !state.gone.has(number)).map(([number]) => number).sort(surest);
}

// The numbers to show. It is computed when a person asks for it and when files come or go, not after each label: images
// should not jump away under the pointer.
export function shown({ filter, who, sort, text, similar }) {
  const found = [];
  const wanted = text.trim().toLocaleLowerCase();
  const all = sort === "name" ? byName() : state.images.keys();
  for (const number of all) {
    const unreadable = state.unreadable.has(number);
    if (state.gone.has(number) || unreadable !== (filter === "unreadable")) continue;
    const label = labelOf(number);
    if (filter === "unlabelled" && label !== null) continue;
    if (filter === "labelled" && label === null) continue;
    if (filter === "sure" && !(guessOf(number)?.[1] >= 0.9)) continue;
    if (filter === "unsure" && !(guessOf(number)?.[1] < 0.6)) continue;
    if (filter === "suspicious" && !state.suspicious.has(number)) continue;
    if (filter.startsWith("tested:") && !isTested(filter, number)) continue;
    if (filter === "exam" && !state.exam.has(number)) continue;
    if (filter.startsWith("category:") && label !== filter.slice(9)) continue;
    if (filter.startsWith("guess:") && (label !== null || state.guess.get(number)?.[0] !== filter.slice(6))) continue;
    if (who && (label === null || state.by[number] !== who)) continue;
    if (wanted && !state.images[number].toLocaleLowerCase().includes(wanted)) continue;
    found.push(number);
  }
  if (filter === "suspicious") found.sort((a, b) => state.suspicious.get(a)[2] - state.suspicious.get(b)[2]);
  else if (filter.startsWith("tested:")) found.sort(surest);
  else if (sort === "doubt") {
    const sure = (number) => (labelOf(number) === null ? state.guess.get(number)?.[1] ?? 2 : 3);
    found.sort((a, b) => sure(a) - sure(b) || a - b);
  } else if (sort === "sure") {
    const sure = (number) => (labelOf(number) === null ? state.guess.get(number)?.[1] ?? 0 : -1);
    found.sort((a, b) => sure(b) - sure(a) || a - b);
  } else if (sort === "similar" && similar) {
    found.sort((a, b) => (similar.get(a) ?? 1e9) - (similar.get(b) ?? 1e9) || a - b);
  } else if (sort === "next" && state.order) {
    const last = state.order.size;
    const place = (number) => (labelOf(number) === null ? state.order.get(number) ?? last : last + 1);
    found.sort((a, b) => place(a) - place(b) || a - b);
  }
  return found;
}

export function described(number) {
  const name = state.images[number];
  const label = labelOf(number);
  const parts = [name];
  if (label !== null) parts.push(`labelled ${nameOf(label)}${state.pending.has(number) ? ", being saved" : ""}`);
  else if (state.pending.has(number)) parts.push("being saved");
  else parts.push("unlabelled");
  if (state.exam.has(number)) parts.push("exam image");
  const guess = guessOf(number);
  if (state.answers && state.tested.images.has(number)) parts.push(`the tested model's answer: ${answerOf(number)}`);
  const doubt = doubtOf(number);
  if (doubt) parts.push(`looks like ${nameOf(doubt[0])}, ${Math.round(100 * doubt[1])} %`);
  if (guess) parts.push(`the model's guess: ${nameOf(guess[0])}, ${Math.round(100 * guess[1])} %`);
  return parts.join("; ");
}

// What the tested model answered, while the answers to the test are what is shown.
export function answerOf(number, sure = true) {
  const found = state.answers && state.tested.images.get(number);
  return found ? `${state.tested.classes[found[1]]}${sure ? ` ${Math.round(100 * found[2])} %` : ""}` : null;
}

// The model's guess, where it may be shown: an exam image is labelled blind.
export function guessOf(number) {
  if (state.exam.has(number) || labelOf(number) !== null) return null;
  const guess = state.guess.get(number);
  return guess && nameOf(guess[0]) ? guess : null;
}

// How many images are guessed to be of each category, counted anew only where a guess or a label changed.
let counted = { key: null, of: null };
export function guessCounts() {
  const key = [state.deeds, state.guess, state.gone, state.categories, state.exam];
  if (counted.key?.every((one, i) => one === key[i])) return counted.of;
  const of = new Map(state.categories.map((one) => [one.id, 0]));
  for (const number of state.guess.keys()) {
    const guess = state.gone.has(number) ? null : guessOf(number);
    if (guess) of.set(guess[0], of.get(guess[0]) + 1);
  }
  counted = { key, of };
  return of;
}

// Why a label is among those to check: what it looks like to a model that did not learn it, while these are what is shown.
export function doubtOf(number) {
  const found = state.checking && labelOf(number) !== null ? state.suspicious.get(number) : null;
  return found && nameOf(found[0]) && found[0] !== labelOf(number) ? found : null;
}
