// Keeps the page up to date. Numbers are put in their places; when something was committed, every part of the page with
// data-fresh (seconds between two looks, at least) is asked for again. The server alone makes markup; what comes is parsed
// as a document of its own, in which nothing runs, and its parts are moved over here.

let commits = null;
const looked = new Map();
let under_way = false;

function put(numbers) {
  for (const [place, text] of Object.entries(numbers)) {
    for (const element of document.querySelectorAll(`[data-number="${CSS.escape(place)}"]`)) {
      if (element.textContent !== text) element.textContent = text;
    }
  }
}

function ask() {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open("GET", location.href);
    request.responseType = "document";
    request.setRequestHeader("Webhookd-Refresh", "1");
    request.onload = () => (request.status === 200 ? resolve(request.response) : reject(request.status));
    request.onerror = () => reject(0);
    request.send();
  });
}

// A part is left alone while somebody is in it: a field that has the focus, a text that is being selected; and while it
// is held (see tail.js).
function busy(part) {
  const selection = document.getSelection();
  const selecting = selection && !selection.isCollapsed && part.contains(selection.anchorNode);
  const inside = part.contains(document.activeElement) && document.activeElement.matches("input, select, textarea");
  return selecting || inside || part.dataset.held !== undefined;
}

function replace(part, fresh) {
  const opened = new Set([...part.querySelectorAll("details[open][id]")].map((each) => each.id));
  const focused = part.contains(document.activeElement) ? document.activeElement.id : "";
  const next = document.importNode(fresh, true);
  for (const each of next.querySelectorAll("details[id]")) each.open = each.open || opened.has(each.id);
  part.replaceWith(next);
  if (focused) document.getElementById(focused)?.focus();
}

async function refresh() {
  const now = Date.now();
  const due = [...document.querySelectorAll("[data-fresh][id]")].filter((part) => {
    const [at, as_of] = looked.get(part.id) ?? [0, null];
    return as_of !== commits && now - at >= 1000 * Number(part.dataset.fresh) && !busy(part);
  });
  if (!due.length || under_way) return;
  under_way = true;
  const as_of = commits;
  try {
    const page = await ask();
    for (const part of due) {
      looked.set(part.id, [now, as_of]);
      const fresh = page.getElementById(part.id);
      if (fresh && !busy(part)) replace(part, fresh);
    }
  } catch (status) {
    if (status === 401) show_login();
  } finally {
    under_way = false;
  }
}

// The page itself then is the login, which leads back here. (To reload would send a form again that led here.)
function show_login() {
  location.replace(location.pathname + location.search);
}

export function live(path) {
  if (!path) return;
  const offline = document.getElementById("offline");
  let source = null;
  const begin = () => {
    source = new EventSource(path);
    source.onmessage = (event) => {
      offline.hidden = true;
      const news = JSON.parse(event.data);
      if (commits === null) {
        for (const part of document.querySelectorAll("[data-fresh][id]")) looked.set(part.id, [Date.now(), null]);
      }
      commits = news.commits;
      put(news.numbers ?? {});
      refresh();
    };
    source.onerror = () => {
      offline.hidden = false;
      if (source.readyState !== EventSource.CLOSED) return;
      ask().catch((status) => status === 401 && show_login());
      setTimeout(() => document.hidden || (source.close(), begin()), 5000);
    };
  };
  // A page that nobody looks at asks for nothing.
  document.addEventListener("visibilitychange", () => {
    if (document.hidden) source?.close();
    else begin();
  });
  if (!document.hidden) begin();
}
