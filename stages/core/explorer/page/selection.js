// The images in the box that the reader drew, and what they are taken for.

import { element, quiet, swatch, table } from "elements";
import { confusionTable, imageList } from "group";

export function showSelection(place, study, state, act) {
  const images = state.selected;
  if (!images.length) {
    place.replaceChildren(
      quiet(
        "Drag with Shift held down, or press 'Select a box' and drag, to list the images in a box.",
      ),
      element(
        "div",
        { className: "buttons" },
        element(
          "button",
          { type: "button", onclick: act.selectShown },
          "Select all images that are drawn",
        ),
      ),
    );
    return;
  }
  const counts = new Map();
  for (const image of images) {
    const own = study.class_of[image];
    counts.set(own, (counts.get(own) || 0) + 1);
  }
  const most = [...counts].sort((a, b) => b[1] - a[1]);
  const heading = `${images.length.toLocaleString("en")} images of ${most.length} ${most.length === 1 ? "class" : "classes"}`;
  place.replaceChildren(
    element("h2", { id: "selection-count" }, heading),
    element(
      "div",
      { className: "buttons" },
      element("button", { type: "button", onclick: act.clearSelection }, "Clear"),
      element("button", { type: "button", onclick: act.zoomToSelection }, "Zoom to it"),
    ),
    ...confusions(study, state, images, act),
    element("h3", {}, "Classes"),
    table(
      "Classes in the selection",
      ["class", { number: "images" }],
      most.map(([own, count]) => [
        element("span", {}, swatch(study.class_colours[own]), ` ${study.classes[own]}`),
        count,
      ]),
    ),
    element("h3", {}, `Images (noise ${study.levels[state.level]})`),
    imageList(study, state, images, act.chooseImage),
  );
}

function confusions(study, state, images, act) {
  if (!study.answers) return [quiet(study.missing.answers)];
  const { right, asked } = study.score(images, state.by, state.level);
  const by = study.answers.labels[state.by];
  return [
    element("h3", {}, `Confusions (${by}, noise ${study.levels[state.level]})`),
    element("p", {}, `Of ${asked} test images ${right} are classified rightly.`),
    confusionTable(study, study.confusions(images, state.by, state.level), act),
  ];
}
