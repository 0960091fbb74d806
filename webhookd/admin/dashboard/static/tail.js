// A list that grows at its top (data-tail) is held while somebody reads further down in it, selects a text of it or fills in
// a filter; what says that it is live (data-tail-of="its id") says that.
const FILTER = ".filters input, .filters select";

export function tail(root) {
  const look = () => {
    const list = root.querySelector("[data-tail]");
    if (!list) return;
    const selection = root.getSelection();
    const selecting = selection && !selection.isCollapsed && list.contains(selection.anchorNode);
    const held = selecting || list.getBoundingClientRect().top < 0 || root.activeElement?.matches(FILTER);
    list.toggleAttribute("data-held", Boolean(held));
    const word = root.querySelector(`[data-tail-of="${CSS.escape(list.id)}"]`);
    if (word) word.textContent = held ? "paused" : "live";
    word?.parentElement.classList.toggle("is-held", Boolean(held));
  };
  for (const kind of ["focusin", "focusout", "scroll", "selectionchange"]) root.addEventListener(kind, () => requestAnimationFrame(look));
}
