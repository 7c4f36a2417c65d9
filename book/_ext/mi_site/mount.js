// Brings the page's live figures to life as they come near the window. Nothing is loaded before.
const figures = [...document.querySelectorAll(".mi-live[data-module]")];
const counts = {};

const model = (schema) => {
  const values = Object.fromEntries(Object.entries(schema).map(([key, rule]) => [key, structuredClone(rule.start)]));
  return {
    get: (key) => (key === "_schema" ? schema : values[key]),
    set: (key, value) => { values[key] = value; },
    on() {}, off() {}, save_changes() {}, // no kernel listens here
  };
};

const wake = async (figure) => {
  const { module, schema } = figure.dataset;
  try {
    const found = await import(`./${module}.js`);
    found.default.render({ model: model(JSON.parse(schema)), el: figure, id: figure.id });
  } catch (error) {
    console.error(error); // the still stays
  }
};

const near = new IntersectionObserver((entries) => {
  for (const { isIntersecting, target } of entries) {
    if (!isIntersecting) continue;
    near.unobserve(target);
    wake(target);
  }
}, { rootMargin: "400px 0px" });

for (const figure of figures) {
  const { module } = figure.dataset;
  counts[module] = (counts[module] ?? 0) + 1;
  figure.id = `live-${module.replaceAll("_", "-")}${counts[module] > 1 ? `-${counts[module]}` : ""}`;
  near.observe(figure);
}

// A shared address, #live-NAME:{…}, wakes its figure and leads to it. Sections are laid out as they come near, which moves
// what lies below them: so look again until the place is found.
const shared = figures.find((figure) => location.hash.startsWith(`#${figure.id}:`));
if (shared) {
  near.unobserve(shared);
  wake(shared);
  let looks = 60;
  for (const name of ["wheel", "touchstart", "keydown", "pointerdown"]) addEventListener(name, () => { looks = 0; }, { once: true });
  const find = () => {
    if (Math.abs(shared.getBoundingClientRect().top) > 120) shared.scrollIntoView({ behavior: "instant" });
    if (--looks > 0) requestAnimationFrame(find);
  };
  find();
}
