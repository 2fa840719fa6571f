// Elements of the page.

// element("p", {className: "quiet"}, "text", another)
export function element(name, properties = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(properties)) {
    if (key.startsWith("aria-") || key === "role") made.setAttribute(key, value);
    else if (key === "style") Object.assign(made.style, value);
    else made[key] = value;
  }
  made.append(...children.filter((each) => each !== null && each !== undefined));
  return made;
}

export function byId(id) {
  return document.getElementById(id);
}

// A small round of a class's colour; its name always stands beside it.
export function swatch(colour) {
  return element("span", {
    className: "swatch",
    style: { background: colour },
    "aria-hidden": "true",
  });
}

// A table: head [text or {number: text}], rows of cells, each a text, a number or an element.
export function table(caption, head, rows) {
  const cell = (name, content, scope) => {
    const numeric = typeof content === "number" || content?.number !== undefined;
    const made = element(name, { className: numeric ? "number" : "" }, content?.number ?? content);
    if (scope) made.scope = scope;
    return made;
  };
  return element(
    "table",
    { "aria-label": caption },
    element("thead", {}, element("tr", {}, ...head.map((each) => cell("th", each, "col")))),
    element(
      "tbody",
      {},
      ...rows.map((row) =>
        element(
          "tr",
          {},
          ...row.map((each, i) => (i ? cell("td", each) : cell("th", each, "row"))),
        ),
      ),
    ),
  );
}

export function link(text, onClick) {
  return element("button", { type: "button", className: "link", onclick: onClick }, text);
}

export function quiet(text) {
  return element("p", { className: "quiet" }, text);
}
