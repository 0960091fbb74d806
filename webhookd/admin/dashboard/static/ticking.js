// A checkbox with data-ticks="name" ticks all others of that name on the page, or none. The part of the page that they
// are in may be loaded again: ticks stay (see live.js).
export function ticking(root) {
  root.addEventListener("change", (event) => {
    const name = event.target.dataset?.ticks;
    if (!name) return;
    for (const each of root.querySelectorAll(`input[type="checkbox"][name="${CSS.escape(name)}"]`)) each.checked = event.target.checked;
  });
}
