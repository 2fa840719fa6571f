// The names of the classes over the picture, each at the image in the midst of its class.

import { byId, element } from "elements";
import { NONE } from "study";

export class ClassNames {
  constructor(study) {
    this.study = study;
    this.labels = study.classes.map((name, i) =>
      element("span", { style: { color: study.class_colours[i] } }, name),
    );
    this.sizes = null;
    byId("class-names").append(...this.labels);
  }

  // Put each name of a class that is drawn at its midst; of two that overlap the later one is hidden.
  update(scatter, state) {
    const on = scatter && byId("names").checked && !this.moving;
    byId("class-names").hidden = !on;
    if (!on) return;
    this.sizes ??= this.labels.map((each) => [each.offsetWidth, each.offsetHeight]);
    const midst = this.study.places[state.method].midst[state.level];
    const taken = [];
    const { width: wide, height: high } = byId("class-names").getBoundingClientRect();
    this.labels.forEach((label, i) => {
      const drawn = !state.shown || state.shown.includes(i);
      const place = drawn && midst[i] !== NONE ? scatter.place(midst[i]) : null;
      const [width, height] = this.sizes[i];
      const inside =
        place && place[0] >= 0 && place[0] <= wide && place[1] >= 0 && place[1] <= high;
      const left = inside && Math.min(Math.max(place[0] - width / 2, 0), wide - width);
      const box = inside && [left, place[1] - height / 2, width, height];
      label.hidden = !box || taken.some((other) => overlap(box, other));
      if (label.hidden) return;
      taken.push(box);
      label.style.transform = `translate(${box[0]}px, ${box[1]}px)`;
    });
  }
}

function overlap([x, y, width, height], [left, top, wide, high]) {
  return x < left + wide && left < x + width && y < top + high && top < y + height;
}
