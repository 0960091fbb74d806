// A form that changes something is sent once, though its button is pressed twice. A page that stays all the same, as when the
// answer was not waited for, may send it again after a while.
const SENDING_MS = 10000;

export function once(root) {
  let sent = new WeakMap();
  root.addEventListener("submit", (event) => {
    if (event.defaultPrevented || event.target.method !== "post") return;
    if (Date.now() - (sent.get(event.target) ?? -Infinity) < SENDING_MS) event.preventDefault();
    else sent.set(event.target, Date.now());
  });
  window.addEventListener("pageshow", () => (sent = new WeakMap())); // also when somebody comes back to it
}
