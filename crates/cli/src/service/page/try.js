// The page of the service: sends what is typed as programs do, and shows the request and its answer.

const $ = (id) => document.getElementById(id);

const headers = () => ($("key").value ? { Authorization: `Bearer ${$("key").value}` } : {});

/** Names of the scorers that read a text with the prompt it answers. */
const withPrompts = new Set();

/** Fills in the scorers; a service with keys tells them only to those who have one. */
async function listScorers() {
  const response = await fetch("scorers", { headers: headers() });
  $("key-field").hidden = response.ok && !$("key").value;
  if (!response.ok) return say((await response.json()).error.message);
  const { scorers } = await response.json();
  const option = ({ name, traits }) => new Option(`${name} (${traits.map((one) => one.name).join(", ")})`, name);
  $("scorer").replaceChildren(...scorers.map(option));
  scorers.filter(({ prompts }) => prompts).forEach(({ name }) => withPrompts.add(name));
  showPrompt();
  say("");
}

/** Shows the field of the prompt where the scorer reads one. */
function showPrompt() {
  const reads = withPrompts.has($("scorer").value);
  $("prompt-field").hidden = !reads;
  $("prompt").required = reads;
}

function say(summary) {
  $("summary").textContent = summary;
}

/** One sentence of what came back. */
function summary(task, result) {
  if (result.error) return result.error.message;
  const scores = (of) =>
    Object.entries(of ?? {})
      .map(([trait, { score, grade }]) => `${trait} ${score.toFixed(2)}${grade === null ? "" : `, grade ${grade}`}`)
      .join("; ");
  const cut = result.truncated ? `, of the first ${result.tokens_read} of ${result.tokens} tokens` : "";
  if (task === "score") return scores(result.scores) + cut;
  if (task === "embed") return `${result.embedding.length} numbers${cut}`;
  const preferred = Object.entries(result.comparisons ?? {}).map(
    ([trait, { preference }]) => `${trait}: the first is better with ${(100 * preference).toFixed(0)} %`,
  );
  const against = result.texts.map((text) => scores(text.scores)).filter(Boolean).join(" against ");
  return [...preferred, against].filter(Boolean).join(". ");
}

/** The same request on a command line. */
function command(address, body) {
  const quoted = (text) => `'${text.replaceAll("'", "'\\''")}'`;
  const key = $("key").value ? ' -H "Authorization: Bearer $KEY"' : "";
  return `curl${key} -H 'Content-Type: application/json' ${quoted(address)} \\\n  -d ${quoted(body)}`;
}

async function ask(task) {
  const [a, b] = [$("a").value, $("b").value];
  const address = new URL(`${task}?scorer=${encodeURIComponent($("scorer").value)}`, document.baseURI).href;
  const prompt = withPrompts.has($("scorer").value) ? { prompt: $("prompt").value } : {};
  const body = JSON.stringify({ ...(task === "compare" ? { a, b } : { text: a }), ...prompt });
  say("…");
  $("command").textContent = command(address, body);
  try {
    const response = await fetch(address, {
      method: "POST",
      headers: { ...headers(), "Content-Type": "application/json" },
      body,
    });
    const answer = await response.json();
    say(response.ok ? summary(task, answer.results[0]) : answer.error.message);
    $("answer").textContent = JSON.stringify(answer, null, 2);
  } catch (error) {
    say(`The service cannot be reached: ${error.message}`);
    $("answer").textContent = "";
  }
  $("command").hidden = false;
  $("answer").hidden = !$("answer").textContent;
}

$("form").addEventListener("submit", (event) => {
  event.preventDefault();
  ask(event.submitter?.value ?? "score");
});
$("key").addEventListener("change", listScorers);
$("scorer").addEventListener("change", showPrompt);
await listScorers();
