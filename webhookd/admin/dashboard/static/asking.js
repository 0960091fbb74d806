// A form with data-asks is sent only after a yes.
export function asking(root) {
  root.addEventListener("submit", (event) => {
    const question = event.target.dataset.asks;
    if (question && !window.confirm(question)) event.preventDefault();
  });
}
