// Every page's script: the theme button, the book's fonts, previews of links, and keyboard access to what scrolls sideways.
// Pages read fully without it.
(() => {
  const button = document.querySelector(".mi-theme");
  const system = matchMedia("(prefers-color-scheme: dark)");
  const dark = () => {
    const chosen = document.body.dataset.theme;
    return chosen === "dark" || (chosen !== "light" && system.matches);
  };
  const label = () => {
    button.textContent = dark() ? "Light" : "Dark";
    button.setAttribute("aria-label", dark() ? "Use the light colours" : "Use the dark colours");
  };
  if (button) {
    button.hidden = false;
    button.addEventListener("click", () => {
      const next = dark() ? "light" : "dark";
      document.body.dataset.theme = next;
      try { localStorage.setItem("theme", next); } catch { /* private window: the choice lasts for this page */ }
      label();
    });
    system.addEventListener("change", label);
    label();
  }

  // A first visit has appeared in a font of the machine; now, and on every later page at once, the book's own are used.
  const { body } = document;
  const faces = document.getElementById("mi-fonts");
  const dress = () => {
    faces.media = "all";
    try { localStorage.setItem("fonts", "1"); } catch { /* private window: the next page begins like this one */ }
  };
  if (faces.media === "print") requestAnimationFrame(() => requestAnimationFrame(() => setTimeout(dress)));

  // A link to an equation, a term or a paper shows it: on hover, on focus, on a first tap (a second one follows the link).
  const card = document.createElement("div");
  card.className = "mi-preview";
  card.id = "mi-preview";
  card.setAttribute("role", "tooltip");
  card.hidden = true;
  let shown = null, timer = 0, stored = null;
  const close = () => {
    clearTimeout(timer);
    shown?.removeAttribute("aria-describedby");
    shown = null;
    card.hidden = true;
  };
  const later = (act, wait) => { clearTimeout(timer); timer = setTimeout(act, wait); };
  const idOf = (target) => {
    const link = target instanceof Element && target.closest("main a[href*='#']:not(.headerlink, .mi-eqno)");
    const id = link && /#((?:eq|term)-[\w-]+|[a-z]+\d{4}[a-z]?)$/.exec(link.getAttribute("href"));
    return id ? [link, id[1]] : [null, ""];
  };
  const open = async (link, id, follow = false) => {
    if (shown === link) return clearTimeout(timer);
    close();
    shown = link;
    stored ??= fetch(`${document.documentElement.dataset.content_root}_static/previews.json`).then((r) => r.json());
    const found = await stored.catch(() => { stored = null; return {}; });
    if (shown !== link) return;
    if (!Object.hasOwn(found, id)) {
      if (follow) location.assign(link.href);
      return;
    }
    card.innerHTML = found[id];
    if (!card.isConnected) body.append(card);
    card.hidden = false;
    const at = link.getClientRects()[0], width = document.documentElement.clientWidth;
    const under = at.bottom + card.offsetHeight + 12 < innerHeight || at.top < card.offsetHeight + 70;
    card.style.left = `${Math.max(12, Math.min(at.left - 16, width - card.offsetWidth - 12)) + scrollX}px`;
    card.style.top = `${(under ? at.bottom + 8 : at.top - card.offsetHeight - 8) + scrollY}px`;
    link.setAttribute("aria-describedby", card.id);
  };
  document.addEventListener("pointerover", (event) => {
    if (event.pointerType === "touch") return;
    const [link, id] = idOf(event.target);
    if (link) later(() => open(link, id), 120);
    else if (card.contains(event.target)) clearTimeout(timer);
    else if (shown !== document.activeElement) later(close, 250);
  });
  document.addEventListener("focusin", (event) => {
    const [link, id] = idOf(event.target);
    if (link?.matches(":focus-visible")) open(link, id);
    else if (!card.contains(event.target)) close();
  });
  document.addEventListener("click", (event) => {
    const [link, id] = idOf(event.target);
    if (link && event.pointerType === "touch" && shown !== link) {
      event.preventDefault();
      open(link, id, true);
    } else if (!card.contains(event.target)) close();
  });
  addEventListener("keydown", (event) => event.key === "Escape" && close());

  // A box that scrolls sideways can be reached with the Tab key (the page says so already); one that has room enough can't.
  // Boxes are looked at as they come near the window: first all widths are read, then what follows from them is written.
  const boxes = ".mi-scroll, .mi-table-wrap, .table-wrapper, .mi-figure, .highlight pre, .output pre, .output.text_html";
  const look = (entries) => {
    const near = entries.filter((entry) => entry.isIntersecting).map((entry) => entry.target);
    const wide = near.map((box) => box.scrollWidth > box.clientWidth + 1);
    near.forEach((box, i) => (wide[i] ? box.setAttribute("tabindex", "0") : box.removeAttribute("tabindex")));
  };
  const observer = new IntersectionObserver(look, { rootMargin: "300px 0px" });
  const watch = () => {
    observer.disconnect();
    for (const box of document.querySelectorAll(boxes)) observer.observe(box);
  };
  let waiting = 0;
  addEventListener("resize", () => { clearTimeout(waiting); waiting = setTimeout(watch, 200); });
  addEventListener("load", watch);
})();
