// The judge's page: shows a pair, sends the answer, and shows the next pair only when the server has stored it.
// The secret stays in the fragment of the address, which browsers send to nobody.
"use strict";

const token = location.hash.slice(1);
const element = (id) => document.getElementById(id);
const buttons = [...document.querySelectorAll("[data-answer]")];
const keys = { ArrowLeft: "left", ArrowRight: "right", t: "tie", s: "skip", u: "undo" };

// The pair on show with the id its judgement will have: answering twice is then one judgement. Null while waiting.
let current = null;
// The id of the judgement to take back next. Null where there is none, and while waiting.
let last = null;

/** Asks until there is an answer: the same request may come twice. */
async function ask(path, body) {
  for (let wait = 1; ; wait = Math.min(2 * wait, 30)) {
    let response;
    try {
      response = await fetch(path, {
        method: "POST",
        headers: { Authorization: `Bearer ${token}`, "Content-Type": "application/json" },
        body: JSON.stringify(body),
        signal: AbortSignal.timeout(20_000),
      });
      if (response.status !== 429 && response.status < 500) return { status: response.status, ...(await response.json()) };
    } catch {
      // Nobody answered, or only in part.
    }
    say(path === "/api/next" ? "The server does not answer, trying again…" : "Not stored yet, trying again…");
    const seconds = Number(response?.headers.get("Retry-After")) || wait;
    await new Promise((done) => setTimeout(done, 1000 * seconds));
  }
}

function say(message) {
  element("message").textContent = message;
  element("message").hidden = message === "";
}

function show(view) {
  if (view.error !== undefined) {
    element("pair").hidden = true;
    say(view.error);
    return;
  }
  last = view.last;
  element("undo").disabled = last === null;
  element("question").textContent = view.question;
  element("progress").textContent = view.total === null ? `${view.done} judged` : `${view.done} of ${view.total} judged`;
  element("pair").hidden = view.pair === null;
  if (view.pair === null) {
    say("That was all. Thank you!");
    return;
  }
  say("");
  for (const side of ["left", "right"]) {
    const text = element(`${side}-text`);
    text.textContent = view.pair[side];
    text.scrollTop = 0;
  }
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  const id = Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
  current = { handout: view.pair.handout, id, since: performance.now() };
  for (const button of buttons) button.disabled = false;
  // From here both texts are one Tab away, and a screen reader says the question again.
  element("question").focus();
}

/** Takes the pair from the judge until the server has answered. */
function holdBack() {
  current = last = null;
  for (const button of [...buttons, element("undo")]) button.disabled = true;
}

async function answer(verdict) {
  if (current === null) return;
  const { handout, id, since } = current;
  holdBack();
  const ms = Math.min(Math.round(performance.now() - since), 2 ** 32 - 1);
  const view = await ask("/api/judgements", { handout, id, answer: verdict, ms });
  // Another tab answered this pair: go on with what the server has next.
  show(view.status === 409 ? await ask("/api/next", {}) : view);
}

async function undo() {
  if (last === null) return;
  const id = last;
  holdBack();
  show(await ask("/api/undo", { id }));
}

element("undo").addEventListener("click", undo);
for (const button of buttons) button.addEventListener("click", () => answer(button.dataset.answer));
document.addEventListener("keydown", (event) => {
  const action = keys[event.key.length === 1 ? event.key.toLowerCase() : event.key];
  if (action === undefined || event.repeat || event.ctrlKey || event.altKey || event.metaKey) return;
  event.preventDefault();
  if (action === "undo") undo();
  else answer(action);
});
// Another link in the same tab is another judge.
addEventListener("hashchange", () => location.reload());

if (token === "") say("This address is not complete; open the link you were given.");
else ask("/api/next", {}).then(show);
