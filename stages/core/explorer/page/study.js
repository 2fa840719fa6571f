// The study as the page reads it: what points.js and groups.js hold, and questions about it.
//
// Images, classes and levels are meant by their positions; NONE stands for none of them.

export const NONE = -1;
export const ALL = "all"; // the sample of all classes, beside the classes

export class Study {
  constructor(content) {
    Object.assign(this, content);
    this.count = this.ids.length;
    this.images_of = this.classes.map(() => []);
    this.class_of.forEach((each, image) => this.images_of[each].push(image));
    this.methods = Object.keys(this.places);
    this.classifiers = this.answers ? Object.keys(this.answers.labels) : [];
    this.steps = Math.max(...this.methods.map((method) => largest(this.places[method])));
  }

  image(id) {
    return this.ids.indexOf(id);
  }

  file(image) {
    return this.ids[image].split("/").slice(1).join("/");
  }

  // What a classifier takes an image for at a level; NONE where it was not asked.
  taken(by, level, image) {
    return this.answers ? this.answers.taken[by][level][image] : NONE;
  }

  isTest(image) {
    return this.split[image] === "test";
  }

  // 'right', 'wrong', or 'none' for an image that was not classified.
  answer(by, level, image) {
    const taken = this.taken(by, level, image);
    if (taken === NONE) return "none";
    return taken === this.class_of[image] ? "right" : "wrong";
  }

  // [{actual, taken, count}] of some images that were taken for another class, most first.
  confusions(images, by, level) {
    const counts = new Map();
    for (const image of images) {
      if (this.answer(by, level, image) !== "wrong") continue;
      const key = `${this.class_of[image]} ${this.taken(by, level, image)}`;
      counts.set(key, (counts.get(key) || 0) + 1);
    }
    return [...counts]
      .map(([key, count]) => [...key.split(" ").map(Number), count])
      .map(([actual, taken, count]) => ({ actual, taken, count }))
      .sort((a, b) => b.count - a.count);
  }

  // [{taken, count}] of the other classes' images that were taken for a class, most first.
  takenFor(group, by, level) {
    const images = [...this.ids.keys()].filter(
      (each) => this.class_of[each] !== group && this.taken(by, level, each) === group,
    );
    return this.confusions(images, by, level);
  }

  // {right, asked}: how many of some images were classified, and how many of them rightly.
  score(images, by, level) {
    const answers = images.map((each) => this.answer(by, level, each));
    return {
      right: answers.filter((each) => each === "right").length,
      asked: answers.filter((each) => each !== "none").length,
    };
  }
}

function largest(places) {
  let most = 1;
  for (const axis of [places.x, places.y]) {
    for (const level of axis) for (const value of level) most = Math.max(most, Math.abs(value));
  }
  return most;
}

// Add a script that lies beside the page, once; resolved when it has run.
const scripts = new Map();
export function script(file) {
  if (!scripts.has(file)) {
    scripts.set(
      file,
      new Promise((resolve, reject) => {
        const element = document.createElement("script");
        element.src = file;
        element.onload = resolve;
        element.onerror = () => reject(new Error(`${file} is not beside the page`));
        document.head.append(element);
      }),
    );
  }
  return scripts.get(file);
}

// {group: what is shown of it}, read when it is first asked for.
export async function readGroups() {
  await script("groups.js");
  return received.groups;
}
