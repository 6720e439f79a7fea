// The few moves on the page's tree that every part needs.

export const byId = (id) => document.getElementById(id);

/** A new element: `el("li", { class: "line", "data-leg": "caller" }, "text", child)`; null attributes are left out. */
export function el(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (value !== null && value !== undefined) made.setAttribute(key, value);
  }
  made.append(...children.filter((child) => child !== null));
  return made;
}

/** Set text only where it differs: an unchanged node keeps a reader's selection and stays silent. */
export function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/** `draw` once before the next paint, however often it was asked for. */
export function oncePerFrame(draw) {
  let asked = false;
  return () => {
    if (asked) return;
    asked = true;
    requestAnimationFrame(() => {
      asked = false;
      draw();
    });
  };
}
