"use strict";
// Keeps a page up to date. Without it the page shows the same, and reloads itself now and then.

const EVERY_MS = 2000;
const LONGEST_MS = 20000;
const shown = new Map();

/** Put new content where it differs; what had the focus has it again. */
function show(place, html) {
  if (!place || shown.get(place.id) === html) return;
  const focused = place.contains(document.activeElement) ? document.activeElement.id : "";
  const opened = [...place.querySelectorAll("details")].map((one) => one.open);
  place.innerHTML = html;
  place.querySelectorAll("details").forEach((one, i) => { one.open = opened[i] || false; });
  shown.set(place.id, html);
  if (focused) (document.getElementById(focused) || document.getElementById("main")).focus();
}

/** Change a trial's row; add it when it is newer than all that are shown: older ones were left out. */
function showTrial(body, number, html) {
  const known = document.getElementById(`trial-${number}`);
  if (known) known.outerHTML = html;
  else if (number > newestOf(body)) body.insertAdjacentHTML("afterbegin", html);
}

function newestOf(body) {
  const newest = body.firstElementChild;
  return newest ? Number(newest.id.replace("trial-", "")) : -1;
}

async function fetched(url, accept) {
  const answer = await fetch(url, {
    headers: { Accept: accept }, cache: "no-store", signal: AbortSignal.timeout(LONGEST_MS),
  });
  if (answer.status === 401 || answer.status === 404) location.reload();
  if (!answer.ok) throw new Error(String(answer.status));
  return answer;
}

/** One look at a study; true when it has ended. */
async function lookAtStudy(study) {
  const url = `${study.dataset.poll}?since=${study.dataset.mark}`;
  const answer = await fetched(url, "application/json");
  const now = await answer.json();
  for (const [id, html] of Object.entries(now.parts)) show(document.getElementById(id), html);
  const body = document.getElementById("trials");
  for (const number of Object.keys(now.rows).map(Number).sort((a, b) => a - b)) {
    showTrial(body, number, now.rows[number]);
  }
  study.dataset.mark = now.mark;
  return now.has_ended;
}

/** One look at a page that is a list. */
async function lookAtList(list) {
  const answer = await fetched(location.href, "text/html");
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  const found = page.getElementById(list.id);
  if (found) show(list, found.innerHTML);
  return false;
}

async function follow(look, place, everyMs) {
  for (let ended = false; !ended; ) {
    await new Promise((done) => setTimeout(done, everyMs));
    if (document.hidden) continue;
    try {
      ended = await look(place);
      stale.textContent = "";
    } catch {  // it is asked again
      stale.textContent = "Not up to date: the dashboard does not answer.";
    }
  }
}

const stale = document.getElementById("stale");
const study = document.querySelector("[data-poll]");
const list = document.querySelector("[data-reload]");
if (study) follow(lookAtStudy, study, EVERY_MS);
if (list) follow(lookAtList, list, 1000 * Number(list.dataset.reload));
