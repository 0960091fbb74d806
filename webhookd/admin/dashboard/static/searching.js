// The key / goes to the field that finds any id, unless something is being typed.
export function searching(root) {
  root.addEventListener("keydown", (event) => {
    const typing = event.target.closest?.("input, select, textarea");
    const field = root.getElementById("find");
    if (event.key !== "/" || event.ctrlKey || event.metaKey || event.altKey || typing || !field) return;
    event.preventDefault();
    field.select();
  });
}
