// What is shown of a class, or of the sample of all.

import * as charts from "charts";
import { element, link, quiet, swatch, table } from "elements";
import { ALL, readGroups } from "study";
import { imageButton } from "thumbnails";

const RING_PX = { least: 200, most: 410 }; // two of the smallest stand side by side
const MOST_IN_A_TABLE = 10;
const digits = (value) => value.toPrecision(3); // distances of some metrics are far below 1

// Show a group; act: {openClass, chooseImage, chooseLoop}, which change the state.
export async function showGroup(place, study, state, act) {
  if (state.group === null) {
    place.replaceChildren(
      quiet(
        "Choose a class from the list on the left, or all of them together, to see its diagrams, " +
          "distances, accuracy, neighbours and loops.",
      ),
    );
    return;
  }
  const groups = await readGroups();
  const found = groups[state.group === ALL ? ALL : study.classes[state.group]] || {};
  const images = state.group === ALL ? [...study.ids.keys()] : study.images_of[state.group];
  place.replaceChildren(
    title(study, state.group, images),
    imageList(study, state, images, act.chooseImage, AT_FIRST),
    ...accuracyPart(study, state, found, images),
    ...confusionPart(study, state, images, act),
    ...nearestPart(study, state, found, act),
    ...loopsPart(study, state, found, act),
    ...diagramsPart(study, found),
    ...distancesPart(study, found),
  );
}

function title(study, group, images) {
  const name = group === ALL ? "All classes" : study.classes[group];
  const mark = group === ALL ? "" : swatch(study.class_colours[group]);
  return element(
    "h2",
    {},
    mark,
    ` ${name} `,
    element("small", {}, `${images.length.toLocaleString("en")} images`),
  );
}

// A part: its heading and content, or why there is none.
function part(heading, study, name, found, content) {
  const why = study.missing[name];
  return [
    element("h3", {}, heading),
    ...(why ? [quiet(why)] : found ? content() : [quiet("Not applicable here.")]),
  ];
}

function chart(description, specification) {
  const place = element("div", { className: "chart" });
  charts
    .draw(place, description, specification)
    .catch((error) => place.append(quiet(error.message)));
  return place;
}

function accuracyPart(study, state, found, images) {
  return part("Accuracy", study, "answers", study.answers, () => [
    chart(
      "Accuracy at every noise level, by classifier",
      charts.accuracy(found.accuracy || overall(study, images)),
    ),
    quiet(
      `Of ${images.filter((each) => study.isTest(each)).length} test images` +
        `${found.accuracy ? "; bars are intervals" : ""}.`,
    ),
  ]);
}

function overall(study, images) {
  return study.classifiers.flatMap((by) =>
    study.levels.map((level, i) => {
      const { right, asked } = study.score(images, by, i);
      return {
        classifier: study.answers.labels[by],
        noise: Number(level),
        accuracy: right / asked,
        n: asked,
      };
    }),
  );
}

function confusionPart(study, state, images, act) {
  if (!study.answers) return [];
  const where = `${study.answers.labels[state.by]}, noise ${study.levels[state.level]}`;
  const all = state.group === ALL;
  const taken = study.confusions(images, state.by, state.level).slice(0, MOST_IN_A_TABLE);
  const others = all
    ? []
    : study.takenFor(state.group, state.by, state.level).slice(0, MOST_IN_A_TABLE);
  return [
    element("h3", {}, `Confusions (${where})`),
    all
      ? confusionTable(study, taken, act)
      : element(
          "div",
          { className: "beside" },
          sides(study, taken, "taken", "its images are taken for", act),
          sides(study, others, "actual", "taken for it are images of", act),
        ),
  ];
}

// A table of confusions of one class: which others, and how many images.
function sides(study, rows, side, heading, act) {
  if (!rows.length) return element("div", {}, element("b", {}, heading), quiet("None."));
  return table(
    heading,
    [heading, { number: "images" }],
    rows.map((each) => [
      link(study.classes[each[side]], () => act.openClass(each[side])),
      each.count,
    ]),
  );
}

// A table of confusions; a click on a class opens it.
export function confusionTable(study, rows, act) {
  if (!rows.length) return quiet("None.");
  const named = (each) => link(study.classes[each], () => act.openClass(each));
  return table(
    "Confusions",
    ["is", "taken for", { number: "images" }],
    rows.map((each) => [named(each.actual), named(each.taken), each.count]),
  );
}

function nearestPart(study, state, found, act) {
  if (state.group === ALL) return [];
  return part(
    `Nearest classes by angle (noise ${study.levels[state.level]})`,
    study,
    "nearest",
    found.nearest,
    () => [
      table(
        "Nearest classes by principal angles",
        ["class", { number: "smallest angle" }, { number: "mean angle" }],
        found.nearest[state.level].map(([each, smallest, mean]) => [
          link(study.classes[each], () => act.openClass(each)),
          { number: `${smallest.toFixed(1)}°` },
          { number: `${mean.toFixed(1)}°` },
        ]),
      ),
    ],
  );
}

function diagramsPart(study, found) {
  return part("Persistence diagrams", study, "bars", found.bars, () => [
    chart(
      "Persistence diagrams at every noise level",
      charts.diagrams(study.levels, found.bars, found.nulls),
    ),
    quiet(
      `Births and deaths: ${study.scale}. ${study.missing.nulls || (found.nulls ? "Dashed: an H1 point above it has a longer bar than the longest of null clouds, on the median." : "")}`,
    ),
  ]);
}

function distancesPart(study, found) {
  return part(
    "Distance of clean and noisy diagrams, over baselines",
    study,
    "distances",
    found.distances,
    () => [
      chart(
        "Distances of diagrams over their baselines at every noise level",
        charts.distances(found.distances),
      ),
      quiet("At 1 (dashed) noise changes a diagram no more than the baseline does."),
    ],
  );
}

function loopsPart(study, state, found, act) {
  return part(`Loops (noise ${study.levels[state.level]})`, study, "loops", found.loops, () => {
    const here = found.loops.filter((each) => each.level === state.level);
    if (!here.length) return [quiet("No bar of H1 at this level.")];
    const key = (each) => `${each.cloud} ${each.rank}`;
    const chosen = here.find((each) => key(each) === state.loop) || here[0];
    const beside = chosen.cloud === "own" ? here.find((each) => each.cloud === "null") : null;
    return [
      element(
        "div",
        { className: "buttons", role: "group", "aria-label": "Which loop" },
        ...here.map((each) =>
          element(
            "button",
            {
              type: "button",
              "aria-pressed": String(each === chosen),
              onclick: () => act.chooseLoop(key(each)),
            },
            each.cloud === "own" ? `no. ${each.rank}` : "null cloud",
          ),
        ),
      ),
      element(
        "div",
        { className: "beside" },
        ring(study, state, chosen, act),
        beside && ring(study, state, beside, act),
      ),
      quiet(
        "A ring goes round the bar's hole by the shortest way. The points of a null cloud, which " +
          "has no structure, are shown by the images nearest to them.",
      ),
    ];
  });
}

// The images of a loop in their order around it.
function ring(study, state, loop, act) {
  const count = loop.ring.length;
  const side = Math.max(28, Math.min(48, Math.floor((2.6 * RING_PX.most) / count)));
  const wanted = (count * (side + 4)) / Math.PI + side + 4;
  const across = Math.min(RING_PX.most, Math.max(RING_PX.least, wanted));
  const radius = (across - side - 4) / 2;
  const place = element("div", {
    className: "ring",
    role: "group",
    "aria-label": `Ring of ${count} images`,
    style: { width: `${across}px`, height: `${across}px` },
  });
  loop.ring.forEach((image, i) => {
    const turn = (2 * Math.PI * i) / count - Math.PI / 2;
    const button = imageButton(study, image, state.level, side, state.image, act.chooseImage);
    button.style.left = `${radius + radius * Math.cos(turn)}px`;
    button.style.top = `${radius + radius * Math.sin(turn)}px`;
    place.append(button);
  });
  return element(
    "figure",
    { style: { width: `${across}px` } },
    place,
    element(
      "figcaption",
      {},
      element("b", {}, loop.cloud === "own" ? `Loop no. ${loop.rank}` : "Null cloud"),
      element("br"),
      `${count} images, bar ${digits(loop.birth)} to ${digits(loop.death)}, ` +
        `length ${digits(loop.death - loop.birth)}`,
    ),
  );
}

const AT_FIRST = 16;
const AT_ONCE = 240;

// Buttons of images, `first` of them, then AT_ONCE more on demand.
export function imageList(study, state, images, onClick, first = AT_ONCE) {
  const place = element("div", { className: "images" });
  const add = (from, count) => {
    const some = images.slice(from, from + count);
    place.append(
      ...some.map((image) => imageButton(study, image, state.level, 48, state.image, onClick)),
    );
    if (from + count >= images.length) return;
    const more = element(
      "button",
      { type: "button", className: "text" },
      `${(images.length - from - count).toLocaleString("en")} more`,
    );
    more.onclick = () => {
      more.remove();
      add(from + count, AT_ONCE);
    };
    place.append(more);
  };
  add(0, first);
  return place;
}
