// Which images are shown, in which order, and which of them are selected.

import { labelOf, nameOf, state } from "./store.js";

export const FILTERS = {
  all: "All images",
  unlabelled: "Unlabelled",
  labelled: "Labelled",
  exam: "Exam images",
  suspicious: "Labels to check",
  unreadable: "Cannot be read",
};
export const SORTS = { next: "What to label next", name: "Name", doubt: "Doubt, most first", similar: "Similar to the selected one" };

const collator = new Intl.Collator(undefined, { numeric: true });

// The numbers to show. It is computed when a person asks for it and when files come or go, not after each label: images
// should not jump away under the pointer.
export function shown({ filter, who, sort, text, similar }) {
  let found = [];
  const wanted = text.trim().toLocaleLowerCase();
  for (let number = 0; number < state.images.length; number++) {
    const unreadable = state.unreadable.has(number);
    if (state.gone.has(number) || unreadable !== (filter === "unreadable")) continue;
    const label = labelOf(number);
    if (filter === "unlabelled" && label !== null) continue;
    if (filter === "labelled" && label === null) continue;
    if (filter === "suspicious" && !state.suspicious.has(number)) continue;
    if (filter === "exam" && !state.exam.has(number)) continue;
    if (filter.startsWith("category:") && label !== filter.slice(9)) continue;
    if (filter.startsWith("guess:") && (label !== null || state.guess.get(number)?.[0] !== filter.slice(6))) continue;
    if (who && (label === null || state.by[number] !== who)) continue;
    if (wanted && !state.images[number].toLocaleLowerCase().includes(wanted)) continue;
    found.push(number);
  }
  if (filter === "suspicious") found.sort((a, b) => state.suspicious.get(a) - state.suspicious.get(b));
  else if (sort === "name") {
    const paths = state.images;
    found.sort((a, b) => collator.compare(paths[a], paths[b]));
  } else if (sort === "doubt") {
    const sure = (number) => (labelOf(number) === null ? state.guess.get(number)?.[1] ?? 2 : 3);
    found.sort((a, b) => sure(a) - sure(b) || a - b);
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
  if (guess) parts.push(`the model's guess: ${nameOf(guess[0])}, ${Math.round(100 * guess[1])} %`);
  return parts.join("; ");
}

// The model's guess, where it may be shown: an exam image is labelled blind.
export function guessOf(number) {
  if (state.exam.has(number) || labelOf(number) !== null) return null;
  const guess = state.guess.get(number);
  return guess && nameOf(guess[0]) ? guess : null;
}
