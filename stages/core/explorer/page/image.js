// What is shown of one image: all of it in the panel, a little beside the pointer.

import { element, link, quiet, swatch, table } from "elements";
import { NONE } from "study";
import { thumbnail } from "thumbnails";

const CARD_PX = 96;
const TIP_PX = 128;
const MARKS = { right: "✓ right", wrong: "✗ wrong" };

// The panel of an image; `preview`: it is only under the pointer, not chosen.
export function showImage(place, study, state, image, preview, openClass) {
  if (image === NONE) {
    place.replaceChildren(
      element("h2", {}, "Image"),
      quiet("Point at an image, or choose one from a list, to see it here, clean and with noise."),
    );
    return;
  }
  const own = study.class_of[image];
  place.replaceChildren(
    element(
      "h2",
      {},
      study.file(image),
      preview ? element("small", {}, "  under the pointer") : "",
    ),
    element(
      "p",
      {},
      swatch(study.class_colours[own]),
      " ",
      link(study.classes[own], () => openClass(own)),
      ` · ${study.split[image]} image`,
    ),
    strip(study, state, image),
    facts(study, state, image),
  );
}

// The image at every level, the chosen one marked.
function strip(study, state, image) {
  const figures = study.levels.map((level, i) =>
    element(
      "figure",
      { className: i === state.level ? "current" : "" },
      thumbnail(study, image, i, CARD_PX),
      element("figcaption", {}, i ? level : `${level}, clean`),
    ),
  );
  return element("div", { className: "strip" }, ...figures);
}

// What the classifiers take it for at every level, and how far it moves.
function facts(study, state, image) {
  const named = (level) => (i) => study.taken(i, level, image);
  const levels = study.levels.map((_, level) => level);
  const rows = study.isTest(image)
    ? study.classifiers.map((by) => [
        study.answers.labels[by],
        ...levels.map((level) => {
          const taken = named(level)(by);
          const answer = study.answer(by, level, image);
          return element(
            "span",
            { title: MARKS[answer] },
            `${answer === "right" ? "✓" : "✗"} ${study.classes[taken]}`,
          );
        }),
      ])
    : [];
  if (rows.length) {
    rows.push([
      `margin (${study.answers.margin_of})`,
      ...levels.map((level) => signed(study.answers.margin[level][image])),
    ]);
  }
  rows.push(["drift", ...levels.map((level) => study.drift[level][image].toFixed(3))]);
  const head = ["taken for, at", ...study.levels];
  const made = table(
    "What the image is taken for, and its drift, at every noise level",
    head,
    rows,
  );
  for (const row of made.rows) row.cells[state.level + 1]?.style.setProperty("font-weight", "700");
  const why =
    study.isTest(image) || !study.answers
      ? ""
      : "Only test images are classified: from the others the classifiers learn.";
  return element("div", {}, made, why && quiet(why));
}

const signed = (value) => (value === null ? "" : (value > 0 ? "+" : "") + value.toFixed(3));

// What stands beside the pointer.
export function showTip(place, study, state, image, [x, y]) {
  if (image === NONE) {
    place.hidden = true;
    return;
  }
  const levels = state.level ? [0, state.level] : [0];
  const answer = state.by ? study.answer(state.by, state.level, image) : "none";
  place.replaceChildren(
    element(
      "div",
      { className: "strip" },
      ...levels.map((level) =>
        element(
          "figure",
          {},
          thumbnail(study, image, level, TIP_PX),
          element("figcaption", {}, level ? `noise ${study.levels[level]}` : "clean"),
        ),
      ),
    ),
    element("div", {}, swatch(study.class_colours[study.class_of[image]]), ` ${study.ids[image]}`),
    ...(answer === "none"
      ? []
      : [
          element(
            "div",
            {},
            `${study.answers.labels[state.by]}: ${study.classes[study.taken(state.by, state.level, image)]}` +
              ` (${MARKS[answer]})`,
          ),
        ]),
  );
  place.hidden = false;
  const { width, height } = place.parentElement.getBoundingClientRect();
  const left = x + 16 + place.offsetWidth > width ? x - 16 - place.offsetWidth : x + 16;
  const top = Math.min(Math.max(y - place.offsetHeight / 2, 4), height - place.offsetHeight - 4);
  place.style.transform = `translate(${Math.max(left, 4)}px, ${Math.max(top, 4)}px)`;
}
