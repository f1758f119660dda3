"use strict";
// Keeps a page up to date. Without it the page shows the same, and reloads itself now and then.

const EVERY_MS = 2000;
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

function showTrial(body, number, html) {
  const known = document.getElementById(`trial-${number}`);
  if (known) known.outerHTML = html;
  else body.insertAdjacentHTML("afterbegin", html);
}

async function fetched(url, accept) {
  const answer = await fetch(url, { headers: { Accept: accept }, cache: "no-store" });
  if (answer.status === 401 || answer.status === 404) location.reload();
  return answer.ok ? answer : null;
}

/** One look at a study; true when it has ended. */
async function lookAtStudy(study) {
  const url = `${study.dataset.poll}?since=${study.dataset.mark}`;
  const answer = await fetched(url, "application/json");
  if (!answer) return false;
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
  if (!answer) return false;
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
    } catch {
      // the dashboard is away: it is asked again
    }
  }
}

const study = document.querySelector("[data-poll]");
const list = document.querySelector("[data-reload]");
if (study) follow(lookAtStudy, study, EVERY_MS);
if (list) follow(lookAtList, list, 1000 * Number(list.dataset.reload));
