// Thumbnails: each a part of a sheet that lies beside the page.

import { element } from "elements";

// The picture of an image at a level, `side` pixels wide; null where the study has no thumbnails.
export function thumbnail(study, image, level, side) {
  if (!study.sheets) return null;
  const { rows } = study.sheets;
  const place = image % (rows * rows);
  const sheet = (image - place) / (rows * rows);
  const at = [place % rows, Math.floor(place / rows)].map((each) => `${-each * side}px`);
  return element("span", {
    className: "thumb",
    role: "img",
    "aria-label": `${study.ids[image]} at noise level ${study.levels[level]}`,
    style: {
      width: `${side}px`,
      height: `${side}px`,
      backgroundImage: `url("sheets/${study.levels[level]}_${sheet}.jpg")`,
      backgroundPosition: at.join(" "),
      backgroundSize: `${rows * side}px auto`,
    },
  });
}

// A button that chooses an image: its thumbnail, or its name where there is none.
export function imageButton(study, image, level, side, current, onClick) {
  const picture = thumbnail(study, image, level, side);
  const made = element(
    "button",
    {
      type: "button",
      className: picture ? "" : "text",
      title: study.ids[image],
      onclick: () => onClick(image),
      "aria-current": String(image === current),
    },
    picture || study.ids[image],
  );
  made.dataset.image = image;
  return made;
}
