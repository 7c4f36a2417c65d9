// The site's only script: the theme button, and keyboard access to what scrolls sideways. Pages read fully without it.
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
