// The dashboard in a browser: the page's stream, times, bars, keys, copying. All pages work without it.
const policy = window.trustedTypes
  ? trustedTypes.createPolicy("fragments", { createHTML: (html) => html }) : { createHTML: (html) => html };
const $ = (id) => document.getElementById(id);
const prefs = {
  get: (name) => { try { return localStorage.getItem("reelbridge-" + name) || ""; } catch { return ""; } },
  set: (name, value) => { try { localStorage.setItem("reelbridge-" + name, value); } catch { /* private mode: it holds for this page */ } },
};
const say = (text) => { $("said").textContent = text; };

// Look.
const showTheme = () => {
  const theme = prefs.get("theme");
  if (theme) document.documentElement.dataset.theme = theme; else delete document.documentElement.dataset.theme;
};
showTheme();

// Times.
const zone = () => (prefs.get("zone") === "utc" ? "UTC" : Intl.DateTimeFormat().resolvedOptions().timeZone);
const absolute = (date) => {
  const parts = Object.fromEntries(new Intl.DateTimeFormat("en-GB", {
    timeZone: zone(), year: "numeric", month: "2-digit", day: "2-digit", hour: "2-digit", minute: "2-digit", second: "2-digit",
    fractionalSecondDigits: 3, timeZoneName: "longOffset", hourCycle: "h23",
  }).formatToParts(date).map((part) => [part.type, part.value]));
  const offset = parts.timeZoneName.replace("GMT", "") || "UTC";
  return `${parts.year}-${parts.month}-${parts.day} ${parts.hour}:${parts.minute}:${parts.second}.${parts.fractionalSecond} ${offset}`;
};
const relative = (date) => {
  const seconds = Math.round((date - Date.now()) / 1000), size = Math.abs(seconds);
  const text = size < 60 ? `${size} s` : size < 3600 ? `${Math.floor(size / 60)} min`
    : size < 172800 ? `${Math.floor(size / 3600)} h` : `${Math.floor(size / 86400)} days`;
  return size < 1 ? "now" : seconds < 0 ? `${text} ago` : `in ${text}`;
};
const showTimes = (root = document) => {
  const plain = prefs.get("times") === "absolute";
  for (const each of root.querySelectorAll("time[datetime]")) {
    const date = new Date(each.dateTime), full = absolute(date);
    const text = plain ? full : relative(date);
    if (each.textContent !== text) each.textContent = text;
    each.title = full;
  }
  for (const each of root.querySelectorAll("text[data-at]")) each.textContent = absolute(new Date(each.dataset.at)).slice(11, 19);
  $("zone").textContent = zone();
};

// Bars go on between two polls; they end with the job, never before.
const length = (seconds) => {
  const whole = Math.max(0, Math.round(seconds));
  const two = (n) => String(n).padStart(2, "0");
  return whole < 60 ? `${whole} s` : whole < 3600 ? `${Math.floor(whole / 60)}:${two(whole % 60)} min`
    : whole < 172800 ? `${Math.floor(whole / 3600)}:${two(Math.floor(whole % 3600 / 60))} h` : `${Math.floor(whole / 86400)} days`;
};
const moveBars = (root = document) => {
  for (const each of root.querySelectorAll(".progress[data-start]")) {
    const age = Math.max(0, (Date.now() - Number(each.dataset.start)) / 1000);
    const typical = Number(each.dataset.typical), late = Math.max(Number(each.dataset.late), 0.001);
    const text = age > late ? `past expected by ${length(age - late)}`
      : age > typical ? `any moment, most end by ${length(late)}` : `about ${length(typical - age)} left`;
    const share = age > late ? 100 : Math.min(99, age / late * 100), bar = each.querySelector(".bar");
    bar.setAttribute("class", age > late ? "bar late" : "bar going");
    bar.setAttribute("aria-valuenow", String(Math.round(Math.min(share, 99))));
    bar.setAttribute("aria-valuetext", text);
    bar.querySelector(".fill").setAttribute("width", share.toFixed(1));
    each.querySelector(".left").textContent = text;
  }
};
const tick = () => { showTimes(); moveBars(); showLive(); };

// Live.
const live = { source: null, heard: 0, since: 0, asking: 0, paused: prefs.get("paused") === "yes" };
const showLive = () => {
  if (!document.body.dataset.live) return;
  const age = Math.round((Date.now() - live.heard) / 1000);
  const isStale = live.heard > 0 && age > 25 && !live.paused;
  $("live-state").textContent = live.paused ? "paused" : isStale ? `not live for ${length(age)}`
    : live.heard ? `live ${age} s ago` : "connecting";
  document.body.classList.toggle("stale", isStale);
  $("stale").hidden = !isStale;
  if (isStale) $("stale-since").textContent = absolute(new Date(live.heard));
};
// Rows that are there are brought up to date where they stand; new ones wait until somebody wants to see them.
const hold = (id, html, old, fresh) => {
  const shown = new Map([...old.querySelectorAll("[data-row]")].map((row) => [row.dataset.id, row]));
  const rows = [...fresh.querySelectorAll("[data-row]")], count = rows.filter((row) => !shown.has(row.dataset.id)).length;
  if (!shown.size || !count) return false;
  for (const row of rows) {
    const known = shown.get(row.dataset.id);
    if (!known || known.contains(document.activeElement)) continue;
    if (known.matches(".here")) row.classList.add("here");
    known.replaceWith(row);
  }
  showTimes(old); moveBars(old);
  const text = `${count} new · show`;
  let button = old.querySelector(".news");
  if (!button) {
    button = Object.assign(document.createElement("button"), { type: "button", className: "news" });
    old.prepend(button);
  }
  if (button.textContent !== text) { button.textContent = text; say(`${count} new.`); }
  button.onclick = () => { swap(id, html, true); $(id).querySelector("a,button")?.focus({ preventScroll: true }); };
  return true;
};
const swap = (id, html, isWanted = false) => {
  const old = $(id);
  if (!old) return;
  const template = document.createElement("template");
  template.innerHTML = policy.createHTML(html);
  const fresh = template.content.firstElementChild;
  if (!isWanted && old.dataset.held !== undefined && hold(id, html, old, fresh)) return;
  // What a person opened, closed or is typing stays as it is.
  for (const each of old.querySelectorAll("details[id]")) { const now = fresh.querySelector(`#${CSS.escape(each.id)}`); if (now) now.open = each.open; }
  const unnamed = [...old.querySelectorAll("details:not([id])")];
  [...fresh.querySelectorAll("details:not([id])")].forEach((each, n) => { if (unnamed[n]) each.open = unnamed[n].open; });
  const busy = document.activeElement, isTyping = old.contains(busy) && busy.matches("input,select,textarea");
  if (isTyping) { say("The page has changed below what you type."); return; }
  const selected = old.querySelector(".here")?.dataset.id, focused = old.contains(busy) ? [...old.querySelectorAll("a,button,[tabindex]")].indexOf(busy) : -1;
  fresh.classList.add("fresh");
  showTimes(fresh); moveBars(fresh);
  old.replaceWith(fresh);
  if (selected) [...fresh.querySelectorAll("[data-row]")].find((row) => row.dataset.id === selected)?.classList.add("here");
  if (focused >= 0) (fresh.querySelectorAll("a,button,[tabindex]")[focused] || $("main")).focus({ preventScroll: true });
};
const isSame = (id, html) => {
  const strip = (text) => text.replace(/<input type="hidden" name="(csrf|action)"[^>]*>/g, "").replace(/<!--clock-->[^]*?<!--\/clock-->/g, "");
  return live[`html-${id}`] === strip(html) || (live[`html-${id}`] = strip(html), false);
};
const stopLive = () => { live.source?.close(); live.source = null; clearInterval(live.asking); live.asking = 0; };
const ask = async () => {  // what a page does that may have no stream: a browser has six connections to a host
  const answer = await fetch(location.href, { headers: { Accept: "text/html" } });
  if (answer.redirected) { stopLive(); location.reload(); return; }  // signed out
  if (!answer.ok) return;
  const found = new DOMParser().parseFromString(policy.createHTML(await answer.text()), "text/html");
  for (const each of found.querySelectorAll(".live")) if (!isSame(each.id, each.outerHTML)) swap(each.id, each.outerHTML);
  live.heard = Date.now();
};
const startLive = () => {
  if (!document.body.dataset.live || live.source || live.paused || document.hidden) return;
  if (!document.querySelector(".live")) { document.body.dataset.live = ""; $("live-state").textContent = ""; return; }
  const page = new URL(location.href);
  page.searchParams.delete("done");
  live.source = new EventSource("/live?page=" + encodeURIComponent(page.pathname + page.search));
  live.source.addEventListener("part", (event) => {
    const { id, html } = JSON.parse(event.data);
    live.heard = Date.now();
    if (!isSame(id, html)) swap(id, html);
    showLive();
  });
  live.source.addEventListener("beat", () => { live.heard = Date.now(); showLive(); });
  live.source.addEventListener("signed-out", () => { stopLive(); location.reload(); });
  const askInstead = () => { stopLive(); live.asking = setInterval(() => ask().catch(() => {}), 10000); };
  live.source.addEventListener("yield", askInstead);
  live.source.addEventListener("error", () => {  // a stream that was refused is not tried again by the browser
    if (live.source?.readyState === EventSource.CLOSED) { askInstead(); ask().catch(() => {}); }
  });
};
document.addEventListener("visibilitychange", () => (document.hidden ? stopLive() : startLive()));
window.addEventListener("pagehide", stopLive);
window.addEventListener("pageshow", startLive);

// Copying.
document.addEventListener("click", async (event) => {
  const button = event.target.closest("[data-copy]");
  if (!button) return;
  try { await navigator.clipboard.writeText(button.dataset.copy); button.textContent = "copied"; say("Copied."); }
  catch { button.textContent = "not allowed"; }
  setTimeout(() => { button.textContent = "copy"; }, 1500);
});

// The form of Try it shows the command that does the same.
const form = $("try"), curl = $("curl");
form?.addEventListener("input", () => {
  const data = new FormData(form), request = { kind: data.get("kind"), id: data.get("id"), callback_url: data.get("callback_url") || "inbox:" };
  if (data.get("payload") !== "full") request.payload = data.get("payload");
  if (data.get("events")) request.events = data.get("events").split(",").map((each) => each.trim()).filter(Boolean);
  if (data.get("metadata")) request.metadata = data.get("metadata");
  if (data.get("once") === "false") request.once = false;
  const body = JSON.stringify(request).replaceAll("'", `'"'"'`);
  curl.textContent = `curl -X POST ${curl.dataset.url}/v1/callbacks -H "Authorization: Bearer $REELBRIDGE_API_KEY" -H 'Content-Type: application/json' -d '${body}'`;
  curl.nextElementSibling.dataset.copy = curl.textContent;
});

// Settings of this browser.
for (const each of document.querySelectorAll("[data-pref]")) {
  each.value = prefs.get(each.dataset.pref) || each.options[0].value;
  each.addEventListener("change", () => { prefs.set(each.dataset.pref, each.value); showTheme(); showTimes(); });
}

// Keys. None of them changes anything but this page.
let going = false;
const rows = () => [...document.querySelectorAll("[data-row]")];
const here = () => document.querySelector("[data-row].here");
const step = (by) => {
  const all = rows(), next = all[Math.min(Math.max(all.indexOf(here()) + by, 0), all.length - 1)];
  here()?.classList.remove("here");
  next?.classList.add("here");
  next?.scrollIntoView({ block: "nearest" });
  next?.querySelector("[data-open]")?.focus({ preventScroll: true });
};
const keys = {
  "?": () => $("keys")?.showModal(), "/": () => $("q")?.focus(), j: () => step(1), k: () => step(-1),
  c: () => { const id = here()?.dataset.id; if (id) navigator.clipboard.writeText(id).then(() => say(`Copied ${id}.`), () => say("The browser does not allow copying.")); },
  p: () => { live.paused = !live.paused; prefs.set("paused", live.paused ? "yes" : ""); if (live.paused) stopLive(); else startLive(); showLive(); },
  t: () => { prefs.set("times", prefs.get("times") === "absolute" ? "" : "absolute"); showTimes(); },
  g: () => { going = true; setTimeout(() => { going = false; }, 1500); },
};
document.addEventListener("keydown", (event) => {
  if (prefs.get("keys") === "off" || event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.target.matches("input,select,textarea") || $("keys")?.open) { if (event.key === "Escape") event.target.blur(); return; }
  if (going) { going = false; const link = document.querySelector(`[data-go="${CSS.escape(event.key)}"]`); if (link) { event.preventDefault(); link.click(); } return; }
  if (keys[event.key]) { event.preventDefault(); keys[event.key](); }
});
$("show-keys")?.addEventListener("click", () => $("keys").showModal());

tick();
setInterval(tick, 1000);
startLive();
