// The list of classes: to search, to choose which are drawn, and to open one.

import { byId, element, swatch } from "elements";
import { ALL } from "study";

const LEAST_LETTERS = 3; // by which images are searched
const MOST_IMAGES = 30;

export class ClassList {
  constructor(study, act) {
    this.study = study;
    this.act = act;
    const all = this.row("all classes", null, null, () => act.openClass(ALL));
    this.rows = study.classes.map((name, i) =>
      this.row(
        name,
        study.class_colours[i],
        (event) => act.draw(i, event.target.checked),
        () => act.openClass(i),
      ),
    );
    this.all = all;
    byId("class-list").append(all, ...this.rows);
    byId("search").addEventListener("input", () => this.search());
    byId("search").addEventListener("keydown", (event) => {
      if (event.key === "Enter") this.enter();
    });
    byId("only").onclick = () => act.drawOnly(this.found());
    byId("every").onclick = () => act.drawOnly(null);
    byId("none").onclick = () => act.drawOnly([]);
  }

  row(name, colour, onCheck, onOpen) {
    const box =
      onCheck &&
      element("input", {
        type: "checkbox",
        checked: true,
        onchange: onCheck,
        "aria-label": `Draw ${name}`,
      });
    const open = element(
      "button",
      { type: "button", className: "plain", title: name, onclick: onOpen },
      name,
    );
    return element("li", {}, box, colour && swatch(colour), open);
  }

  get query() {
    return byId("search").value.trim().toLowerCase();
  }

  found() {
    return this.study.classes
      .map((_, i) => i)
      .filter((i) => this.study.classes[i].toLowerCase().includes(this.query));
  }

  search() {
    const found = new Set(this.found());
    this.all.hidden = this.query !== "";
    this.rows.forEach((row, i) => {
      row.hidden = !found.has(i);
    });
    const images = this.foundImages();
    byId("found-images").replaceChildren(
      ...images.map((image) =>
        element(
          "li",
          {},
          element(
            "button",
            { type: "button", className: "plain", onclick: () => this.act.chooseImage(image) },
            this.study.ids[image],
          ),
        ),
      ),
    );
  }

  // Images by their names; where classes were found too, their images are listed under them.
  foundImages() {
    if (this.query.length < LEAST_LETTERS || this.found().length) return [];
    const found = [];
    for (let i = 0; i < this.study.count && found.length < MOST_IMAGES; i += 1) {
      if (this.study.ids[i].toLowerCase().includes(this.query)) found.push(i);
    }
    return found;
  }

  // Open the first class that was found, that of the very name before others, or an image.
  enter() {
    const found = this.found();
    const same = found.find((i) => this.study.classes[i].toLowerCase() === this.query);
    if (found.length) this.act.openClass(same ?? found[0]);
    else if (this.foundImages().length) this.act.chooseImage(this.foundImages()[0]);
  }

  // Show which classes are drawn, and which one is open.
  update(state) {
    const shown = state.shown && new Set(state.shown);
    const mark = (row, open) =>
      row.querySelector(".plain").setAttribute("aria-current", String(open));
    this.rows.forEach((row, i) => {
      row.querySelector("input").checked = !shown || shown.has(i);
      mark(row, state.group === i);
    });
    mark(this.all, state.group === ALL);
  }
}
