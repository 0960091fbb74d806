// Keeps the page up to date. Numbers are put in their places; when something was committed, every part of the page with
// data-fresh (seconds between two looks, at least) is asked for again; so is one with data-again, which shows what is not
// the newest. The server alone makes markup; what comes is parsed as a document of its own, in which nothing runs, and its
// parts are moved over here.

const AGAIN_MS = 5000;
const PATIENCE_MS = 30000;
const FIELDS = "select[id], textarea[id], input[id]:not([type=checkbox], [type=radio], [type=hidden])";
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
    request.timeout = PATIENCE_MS;
    request.setRequestHeader("Webhookd-Refresh", "1");
    request.onload = () => (request.status === 200 ? resolve(request.response) : reject(request.status));
    request.onerror = request.ontimeout = () => reject(0);
    request.send();
  });
}

// What /live itself says when it gives no news: its status, and the reason in words.
function reason(path) {
  return new Promise((resolve) => {
    const request = new XMLHttpRequest();
    request.open("GET", path);
    request.responseType = "document";
    request.onreadystatechange = () => {
      if (request.readyState !== XMLHttpRequest.HEADERS_RECEIVED || request.status !== 200) return;
      resolve([200, ""]);
      request.abort();
    };
    request.onload = () => resolve([request.status, request.response?.querySelector(".problem p")?.textContent ?? ""]);
    request.onerror = () => resolve([0, ""]);
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
  const opened = new Map([...part.querySelectorAll("details[id]")].map((each) => [each.id, each.open]));
  const focused = part.contains(document.activeElement) ? document.activeElement.id : "";
  const next = document.importNode(fresh, true);
  for (const each of next.querySelectorAll("details[id]")) each.open = opened.get(each.id) ?? each.open;
  const ticked = new Set([...part.querySelectorAll("input[type=checkbox]:checked[id]")].map((each) => each.id));
  for (const each of next.querySelectorAll("input[type=checkbox][id]")) each.checked = ticked.has(each.id);
  const scrolled = [...part.querySelectorAll("[id]")].map((each) => [each.id, each.scrollLeft, each.scrollTop]);
  // What was typed or chosen and is not sent yet: otherwise it would go to whoever is first in the list.
  const given = new Map([...part.querySelectorAll(FIELDS)].map((each) => [each.id, each.value]));
  for (const each of next.querySelectorAll(FIELDS)) each.value = given.get(each.id) ?? each.value;
  part.replaceWith(next);
  for (const [id, left, top] of scrolled) if (left || top) document.getElementById(id)?.scrollTo(left, top);
  if (focused) document.getElementById(focused)?.focus();
}

async function refresh() {
  const now = Date.now();
  const due = [...document.querySelectorAll("[data-fresh][id]")].filter((part) => {
    const [at, as_of] = looked.get(part.id) ?? [0, null];
    return (as_of !== commits || "again" in part.dataset) && now - at >= 1000 * Number(part.dataset.fresh) && !busy(part);
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
    for (const part of due) looked.set(part.id, [now, looked.get(part.id)?.[1] ?? null]);
  } finally {
    under_way = false;
  }
}

// The page itself then is the login, which leads back here. (To reload would send a form again that led here.)
// With our own origin in front, for a path that begins with two slashes would lead to another.
function show_login() {
  location.replace(location.origin + location.pathname + location.search);
}

export function live(path) {
  if (!path) return;
  const note = document.getElementById("offline");
  const unreachable = note.textContent;
  let source = null;
  let again = 0;
  const say = (text) => {
    if (note.textContent !== text) note.textContent = text;
    note.hidden = !text;
  };
  const end = () => {
    clearTimeout(again);
    source?.close();
    source = null;
  };
  const begin = () => {
    end();
    const mine = (source = new EventSource(path));
    let is_first = true;
    // Also when it came back by itself. The daemon may have been started anew, and counts its commits anew.
    mine.onopen = () => (is_first = true);
    mine.onmessage = (event) => {
      say("");
      const news = JSON.parse(event.data);
      if (is_first) {
        const at = commits === null ? Date.now() : 0;
        for (const part of document.querySelectorAll("[data-fresh][id]")) looked.set(part.id, [at, null]);
        is_first = false;
      }
      commits = news.commits;
      put(news.numbers ?? {});
      refresh();
    };
    mine.onerror = async () => {
      say(unreachable);
      if (mine.readyState !== EventSource.CLOSED) return; // the browser tries again
      const [status, text] = await reason(path);
      if (mine !== source) return;
      if (status === 401) show_login();
      if (text) say(`Not up to date: ${text} Trying again …`);
      again = setTimeout(begin, AGAIN_MS);
    };
  };
  // A page that nobody looks at asks for nothing: a browser keeps few connections to one place, and we keep few watchers.
  document.addEventListener("visibilitychange", () => (document.hidden ? end() : begin()));
  if (!document.hidden) begin();
}
