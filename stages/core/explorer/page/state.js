// What the reader has chosen, and its address: all of it stands in the hash, to be sent.
//
// method, by, colour: names; level, image: positions; group: a class's position, "all" or null;
// shown: the classes that are drawn, or null for all; loop: "own 1", "null 1" or null;
// tab: "group" or "selection"; selected: images, which are not in the address.

import { ALL, NONE } from "study";

export function firstState(study) {
  return {
    method: study.methods[0],
    level: 0,
    colour: "class",
    by: study.classifiers[0] || null,
    image: NONE,
    group: null,
    shown: null,
    loop: null,
    tab: "group",
    selected: [],
  };
}

export function toHash(state, study) {
  const first = firstState(study);
  const fields = new URLSearchParams();
  const put = (key, value, usual) => {
    if (value !== usual) fields.set(key, value);
  };
  put("layout", state.method, first.method);
  put("level", study.levels[state.level], study.levels[0]);
  put("colour", state.colour, first.colour);
  put("by", state.by, first.by);
  put("class", state.group === ALL ? ALL : study.classes[state.group], undefined);
  put("image", study.ids[state.image], undefined);
  put("loop", state.loop, null);
  put("shown", state.shown && state.shown.map((each) => study.classes[each]).join("|"), null);
  return fields.toString();
}

// What a hash says, as changes of the state; what it names and the study lacks is passed over.
export function fromHash(hash, study) {
  const fields = new URLSearchParams(hash.replace(/^#/, ""));
  const state = firstState(study);
  const known = (key, choices, usual) =>
    choices.includes(fields.get(key)) ? fields.get(key) : usual;
  const group = study.classes.indexOf(fields.get("class"));
  const shown = (fields.get("shown") || "").split("|").map((each) => study.classes.indexOf(each));
  const { tab, selected, ...chosen } = {
    ...state,
    method: known("layout", study.methods, state.method),
    level: Math.max(0, study.levels.indexOf(fields.get("level"))),
    colour: known("colour", ["class", "answer", "drift"], state.colour),
    by: known("by", study.classifiers, state.by),
    image: fields.has("image") ? study.image(fields.get("image")) : NONE,
    group: group === NONE ? (fields.get("class") === ALL ? ALL : null) : group,
    loop: /^(own|null) \d+$/.test(fields.get("loop")) ? fields.get("loop") : null,
    shown: fields.has("shown") ? shown.filter((each) => each !== NONE) : null,
  };
  return chosen;
}
