// The page: reads the study, holds the state, and shows what changes.

import { ClassList } from "classes";
import { byId, element, swatch } from "elements";
import { showGroup } from "group";
import { showImage, showTip } from "image";
import { ClassNames } from "names";
import { Scatter } from "scatter";
import { showSelection } from "selection";
import { firstState, fromHash, toHash } from "state";
import { NONE, Study } from "study";

export function start() {
  const study = new Study(received.points);
  const page = new Page(study);
  page.set(fromHash(location.hash, study));
  addEventListener("hashchange", () => {
    const hash = location.hash.replace(/^#/, "");
    if (hash !== toHash(page.state, study)) page.set(fromHash(hash, study));
  });
  window.page = page; // for tests, and for those who look under the bonnet
}

const INNER = 0.93; // how far from the midst to the border of the picture points lie at most

class Page {
  constructor(study) {
    this.study = study;
    this.state = firstState(study);
    this.hovered = NONE;
    this.acts = {
      openClass: (group) => this.set({ group, tab: "group", loop: null }),
      chooseImage: (image) => this.set({ image }),
      chooseLoop: (loop) => this.set({ loop }),
      draw: (group, on) => this.drawClass(group, on),
      drawOnly: (shown) => this.set({ shown }),
      selectShown: () => this.set({ selected: this.shownImages() || [...study.ids.keys()] }),
      clearSelection: () => this.set({ selected: [] }),
      zoomToSelection: () => this.scatter?.zoomTo(this.state.selected),
    };
    this.sayWhatIsMissing();
    this.makeControls();
    this.classes = new ClassList(study, this.acts);
    this.names = new ClassNames(study);
    this.scatter = this.makeScatter();
  }

  // Change the state, and show what depends on it.
  set(changes) {
    const before = this.state;
    this.state = { ...before, ...changes };
    const changed = (...keys) => keys.some((key) => this.state[key] !== before[key]);
    const { study, state, acts } = this;
    history.replaceState(null, "", `#${toHash(state, study)}`);
    this.updateControls();
    this.classes.update(state);
    if (!this.drawn || changed("method", "level", "colour", "by", "shown")) this.draw();
    if (!this.marked || changed("image", "selected", "shown")) this.mark();
    this.hovered = changed("image") ? NONE : this.hovered;
    this.showImage();
    if (!this.groupShown || changed("group", "level", "by", "image", "loop")) {
      this.groupShown = showGroup(byId("group"), study, state, acts);
    }
    if (!this.selectionShown || changed("selected", "level", "by", "image")) {
      showSelection(byId("selection"), study, state, acts);
      this.selectionShown = true;
    }
    this.say(before);
    for (const tab of ["group", "selection"]) {
      byId(tab).hidden = state.tab !== tab;
      byId(`tab-${tab}`).setAttribute("aria-selected", String(state.tab === tab));
      byId(`tab-${tab}`).tabIndex = state.tab === tab ? 0 : -1;
    }
  }

  // Say what changed to those who do not see it.
  say(before) {
    const { study, state } = this;
    const said = [];
    if (state.level !== before.level) said.push(`Noise level ${study.levels[state.level]}.`);
    if (state.selected !== before.selected) said.push(`${state.selected.length} images selected.`);
    if (state.image !== before.image && state.image !== NONE) {
      const answer = state.by ? study.answer(state.by, state.level, state.image) : "none";
      const taken =
        answer === "none"
          ? ""
          : `, taken for ${study.classes[study.taken(state.by, state.level, state.image)]}`;
      said.push(
        `${study.ids[state.image]}: ${study.classes[study.class_of[state.image]]}${taken}.`,
      );
    }
    if (said.length) byId("status").textContent = said.join(" ");
  }

  // --- the picture

  makeScatter() {
    try {
      return new Scatter(byId("points"), this.study.count, {
        over: (image) => this.hover(image),
        out: () => this.hover(NONE),
        choose: (image) => this.set({ image }),
        box: (images) => this.set({ selected: images, tab: "selection" }),
        moved: () => this.names.update(this.scatter, this.state),
      });
    } catch (error) {
      byId("points").hidden = true;
      byId("keys").hidden = true;
      byId("picture").prepend(
        element(
          "p",
          { className: "failed" },
          `This browser draws no points (${error.message}): it needs WebGL. The lists work without.`,
        ),
      );
      return null;
    }
  }

  async draw() {
    this.drawn = true;
    if (!this.scatter) return;
    const { study, state } = this;
    const places = study.places[state.method];
    const { colour, colours, order } = this.colouring();
    const points = { ...this.places(places, state), colour };
    this.names.moving = true;
    this.names.update(this.scatter, state);
    this.tip(NONE);
    await this.scatter.draw(points, colours, order, this.shownImages());
    this.names.moving = false;
    this.names.update(this.scatter, this.state);
    this.mark();
    document.body.dataset.ready = toHash(this.state, study) || "first view";
  }

  // x and y of all images, as numbers from -1 to 1; the same arrays each time.
  places(places, state) {
    const key = `${state.method} ${state.level}`;
    this.scaled ??= {};
    this.scaled[key] ??= Object.fromEntries(
      ["x", "y"].map((axis) => [
        axis,
        Float32Array.from(places[axis][state.level], (each) => (INNER * each) / this.study.steps),
      ]),
    );
    return this.scaled[key];
  }

  // {colour: for each image a position in colours; order: as `Scatter.draw` takes it}
  colouring() {
    const { study, state } = this;
    if (state.colour === "answer") {
      const kinds = ["none", "right", "wrong"];
      const colour = study.ids.map((_, i) => kinds.indexOf(study.answer(state.by, state.level, i)));
      return {
        colour,
        colours: [study.no_answer, study.right, study.wrong],
        order: [...study.ids.keys()].sort((a, b) => colour[a] - colour[b]),
      };
    }
    if (state.colour === "drift") {
      const colours = study.drift_colours;
      const most = this.mostDrift();
      const place = (value) =>
        Math.min(colours.length - 1, Math.floor((value / most) * colours.length));
      return { colours, colour: study.drift[state.level].map(place), order: null };
    }
    return { colours: study.class_colours, colour: study.class_of, order: null };
  }

  // Over all levels, so that a colour means the same at each.
  mostDrift() {
    this.most ??= Math.max(
      1e-9,
      ...this.study.drift.map((level) => level.reduce((a, b) => Math.max(a, b), 0)),
    );
    return this.most;
  }

  // The images of the classes that are drawn; null for all.
  shownImages() {
    const { shown } = this.state;
    return shown && shown.flatMap((each) => this.study.images_of[each]);
  }

  drawClass(group, on) {
    const shown = new Set(this.state.shown || this.study.classes.keys());
    if (on) shown.add(group);
    else shown.delete(group);
    this.set({
      shown: shown.size === this.study.classes.length ? null : [...shown].sort((a, b) => a - b),
    });
  }

  mark() {
    this.marked = true;
    if (!this.scatter || this.names.moving) return;
    const { image, selected } = this.state;
    this.scatter.mark(image === NONE ? selected : [...selected, image]);
  }

  hover(image) {
    this.hovered = image;
    this.tip(image);
    this.showImage();
  }

  tip(image) {
    const place = image === NONE ? [0, 0] : this.scatter.place(image);
    showTip(byId("tip"), this.study, this.state, image, place);
  }

  showImage() {
    const preview = this.hovered !== NONE && this.hovered !== this.state.image;
    const image = preview ? this.hovered : this.state.image;
    showImage(byId("image"), this.study, this.state, image, preview, this.acts.openClass);
  }

  // --- the controls

  makeControls() {
    const { study } = this;
    radios(
      "methods",
      study.methods.map((each) => [each, study.places[each].label]),
      (method) => this.set({ method }),
    );
    radios(
      "levels",
      study.levels.map((each, i) => [String(i), each]),
      (level) => this.set({ level: Number(level) }),
    );
    byId("levels").title = study.noise;
    byId("by").append(
      ...study.classifiers.map((each) =>
        element("option", { value: each }, study.answers.labels[each]),
      ),
    );
    byId("colour").onchange = (event) => this.set({ colour: event.target.value });
    byId("by").onchange = (event) => this.set({ by: event.target.value });
    byId("names").onchange = () => this.names.update(this.scatter, this.state);
    byId("whole").onclick = () => this.scatter?.whole();
    byId("box").onclick = () => {
      const on = byId("box").getAttribute("aria-pressed") !== "true";
      byId("box").setAttribute("aria-pressed", String(on));
      this.scatter?.boxMode(on);
    };
    if (!study.answers) {
      byId("by-label").hidden = true;
      byId("colour").querySelector("[value=answer]").disabled = true;
    }
    const tabs = ["group", "selection"];
    for (const tab of tabs) {
      byId(`tab-${tab}`).onclick = () => this.set({ tab });
      byId(`tab-${tab}`).onkeydown = (event) => {
        if (!["ArrowLeft", "ArrowRight"].includes(event.key)) return;
        const other = tabs.find((each) => each !== tab);
        this.set({ tab: other });
        byId(`tab-${other}`).focus();
      };
    }
  }

  updateControls() {
    const { study, state } = this;
    check("methods", state.method);
    check("levels", String(state.level));
    byId("colour").value = state.colour;
    byId("by").value = state.by;
    byId("legend").replaceChildren(...this.legend());
    byId("points").setAttribute(
      "aria-label",
      `A point for each of ${study.count.toLocaleString("en")} images, laid out by ` +
        `${study.places[state.method].label} at noise level ${study.levels[state.level]}`,
    );
  }

  legend() {
    const { study, state } = this;
    const key = (colour, text) => element("span", { className: "key" }, swatch(colour), text);
    if (state.colour === "answer") {
      return [
        key(study.right, "right"),
        key(study.wrong, "wrong"),
        key(study.no_answer, "no test image"),
      ];
    }
    if (state.colour === "drift") {
      const ramp = element("span", {
        className: "ramp",
        style: { background: `linear-gradient(to right, ${study.drift_colours.join(", ")})` },
      });
      return [
        element(
          "span",
          { className: "key" },
          "0",
          ramp,
          `${this.mostDrift().toFixed(2)} (1 - cosine)`,
        ),
      ];
    }
    return [];
  }

  sayWhatIsMissing() {
    const said = [...new Set(Object.values(this.study.missing))];
    if (this.study.levels.length === 1) said.push("The study has no noise level above 0.");
    byId("missing").hidden = !said.length;
    byId("missing").textContent = said.join(" · ");
  }
}

// Radio buttons of [value, text], which the arrow keys switch.
function radios(id, choices, onChoice) {
  byId(id).append(
    ...choices.map(([value, text]) =>
      element(
        "label",
        {},
        element("input", { type: "radio", name: id, value, onchange: () => onChoice(value) }),
        text,
      ),
    ),
  );
}

function check(id, value) {
  for (const each of byId(id).querySelectorAll("input")) each.checked = each.value === value;
}
