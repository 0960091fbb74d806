// A <time data-until> says how long it is until then; other times say how long ago they were.
const UNITS = [["d", 86400], ["h", 3600], ["m", 60], ["s", 1]];

function words(seconds) {
  const found = [];
  for (const [unit, size] of UNITS) {
    const count = Math.floor(seconds / size);
    seconds -= count * size;
    if (count) found.push(count + unit);
  }
  return found.slice(0, 2).join(" ") || "0s";
}

function say(element) {
  const seconds = (Date.parse(element.dateTime) - Date.now()) / 1000;
  if (element.dataset.until !== undefined) element.textContent = seconds > 0 ? `in ${words(seconds)}` : "now";
  else element.textContent = Math.abs(seconds) < 1 ? "now" : seconds < 0 ? `${words(-seconds)} ago` : `in ${words(seconds)}`;
}

export function counting(root) {
  const all = () => root.querySelectorAll("time[datetime]").forEach(say);
  setInterval(all, 1000);
}
