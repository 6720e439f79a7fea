// Looked at by test_accessibility.py: contrast, overflow, names and structure of the page as it is drawn.

const shown = (element) => element.checkVisibility({ visibilityProperty: true }) && !element.closest(".unseen, .skip");
const labelOf = (element) => `${element.tagName.toLowerCase()}${element.id && `#${element.id}`}.${element.className}: ${element.textContent.trim().slice(0, 40)}`;

function channels(colour) {
  const context = document.createElement("canvas").getContext("2d");
  context.fillStyle = colour;
  context.fillRect(0, 0, 1, 1);
  return [...context.getImageData(0, 0, 1, 1).data];
}

function luminance([red, green, blue]) {
  const linear = [red, green, blue].map((n) => n / 255).map((n) => (n <= 0.04045 ? n / 12.92 : ((n + 0.055) / 1.055) ** 2.4));
  return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2];
}

/** The first opaque background behind an element. */
function ground(element) {
  for (let at = element; at; at = at.parentElement) {
    const colour = channels(getComputedStyle(at).backgroundColor);
    if (colour[3] === 255) return colour;
  }
  return channels(getComputedStyle(document.documentElement).colorScheme.includes("dark") ? "black" : "white");
}

/** Contrast of every element that shows text of its own, or a placeholder. */
function contrasts() {
  const found = [];
  for (const element of document.querySelectorAll("body *")) {
    const own = [...element.childNodes].some((node) => node.nodeType === Node.TEXT_NODE && node.data.trim());
    if (!(own || element.placeholder) || !shown(element) || element.closest("svg, noscript")) continue;
    if (document.querySelector("dialog[open]") && !element.closest("dialog")) continue;
    const ink = channels(getComputedStyle(element, element.placeholder ? "::placeholder" : null).color);
    const [light, dark] = [luminance(ink), luminance(ground(element))].sort((a, b) => b - a);
    found.push({ element: labelOf(element), ratio: (light + 0.05) / (dark + 0.05) });
  }
  return found;
}

function sticking_out() {
  const wide = document.documentElement.scrollWidth > innerWidth ? ["the page itself"] : [];
  const scrollers = [...document.querySelectorAll("body, main, .lists, .call, dialog")].filter((element) => shown(element) && element.scrollWidth > element.clientWidth);
  const out = [...document.querySelectorAll("body *")].filter((element) => {
    const box = element.getBoundingClientRect();
    const clipped = element.closest(".row-words, svg, .top");
    return shown(element) && !clipped && box.width && (box.right > innerWidth + 0.5 || box.left < -0.5);
  });
  return [...wide, ...scrollers.map(labelOf), ...out.map(labelOf)];
}

function nameOf(element) {
  const labelled = element.getAttribute("aria-labelledby");
  if (labelled) return document.getElementById(labelled)?.textContent.trim();
  return element.getAttribute("aria-label") || element.labels?.[0]?.textContent.trim() || element.innerText?.trim();
}

function faults() {
  const found = [];
  for (const element of document.querySelectorAll("button, a[href], input, select, summary, nav, section, article, dialog, [role=img], [role=group], [role=log]")) {
    if (element.checkVisibility() && !nameOf(element)) found.push(`no name: ${labelOf(element)}`);
  }
  const ids = [...document.querySelectorAll("[id]")].map((element) => element.id);
  found.push(...ids.filter((id, place) => ids.indexOf(id) !== place).map((id) => `twice: ${id}`));
  for (const element of document.querySelectorAll("[aria-labelledby], [aria-describedby]")) {
    for (const id of `${element.getAttribute("aria-labelledby") ?? ""} ${element.getAttribute("aria-describedby") ?? ""}`.split(" ")) {
      if (id && !document.getElementById(id)) found.push(`names nothing: ${id}`);
    }
  }
  const levels = [...document.querySelectorAll("h1, h2, h3, h4")].filter((heading) => heading.checkVisibility()).map((heading) => Number(heading.tagName[1]));
  if (levels.filter((level) => level === 1).length !== 1) found.push(`first-level headings: ${levels}`);
  levels.forEach((level, place) => place && level > levels[place - 1] + 1 && found.push(`a level left out: ${levels}`));
  for (const element of document.querySelectorAll("body > *")) {
    const landmark = element.matches("header, nav, main, dialog, .skip, [role=log], script");
    if (!landmark && shown(element)) found.push(`outside every landmark: ${labelOf(element)}`);
  }
  if (!document.documentElement.lang) found.push("no language");
  return found;
}

function small_targets() {
  return [...document.querySelectorAll("button, a[href], input, select, summary")].filter((element) => {
    const box = element.getBoundingClientRect();
    return shown(element) && (box.width < 24 || box.height < 24);
  }).map(labelOf);
}
