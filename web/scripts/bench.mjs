// Scores texts in Chromium with pages of ours and with onnxruntime-web, in turns: node bench.mjs JOB.json, as
// scripts/bench/browser.py writes it. Prints JSON: for each text and way the milliseconds and the score, and for each round
// of a whole class the milliseconds of each way.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { createReadStream, existsSync, readFileSync } from "node:fs";
import { createServer } from "node:http";
import { basename, dirname, extname, join } from "node:path";
import { createInterface } from "node:readline";
import { chromium } from "@playwright/test";

const job = JSON.parse(readFileSync(process.argv[2], "utf8"));
const TYPES = { ".html": "text/html", ".mjs": "text/javascript", ".wasm": "application/wasm" };
// Threads need shared memory, which a browser gives to isolated pages only.
const ISOLATED = { "Cross-Origin-Opener-Policy": "same-origin", "Cross-Origin-Embedder-Policy": "require-corp" };
const PAGE = `<!doctype html><script type="module">
import * as ort from "./${job.backend === "cpu" ? "ort.wasm.min.mjs" : "ort.webgpu.min.mjs"}";
window.load = async (model, threads, provider) => {
  if (!crossOriginIsolated) throw new Error("the page is not isolated, so it would have one thread");
  ort.env.wasm.numThreads = threads;
  window.session = await ort.InferenceSession.create(model, { executionProviders: [provider] });
};
window.score = async (ids) => {
  const tensor = (values) => new ort.Tensor("int64", BigInt64Array.from(values, BigInt), [1, values.length]);
  const feeds = { input_ids: tensor(ids), attention_mask: tensor(ids.map(() => 1)) };
  const started = performance.now();
  const { score } = await window.session.run(feeds, ["score"]);
  return { score: Number(score.data[0]), ms: performance.now() - started };
};
window.scoreAll = async (all) => {
  const started = performance.now();
  for (const ids of all) await window.score(ids);
  return performance.now() - started;
};
window.imported = true;
</script>`;

const ways = Object.entries(job.ways);
const runtime = createServer((request, response) => {
  const path = decodeURIComponent(new URL(request.url, "http://localhost").pathname);
  if (path === "/") return response.writeHead(200, { ...ISOLATED, "Content-Type": "text/html" }).end(PAGE);
  const [, way, name] = /^\/models\/(\d+)\/(.*)$/.exec(path) ?? [];
  const file = way === undefined ? join(job.runtime, basename(path)) : join(dirname(ways[way][1].model), basename(name));
  if (!existsSync(file)) return response.writeHead(404).end();
  response.writeHead(200, { ...ISOLATED, "Content-Type": TYPES[extname(file)] ?? "application/octet-stream" });
  createReadStream(file).pipe(response);
});
runtime.listen(0, "127.0.0.1");
await once(runtime, "listening");

const servers = [];
const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
  args: ["--no-sandbox", "--enable-unsafe-webgpu", "--use-webgpu-adapter=swiftshader"],
});

/** A page of onnxruntime-web with a model. */
async function openTheirs(context, place, { model, threads }) {
  const page = await context.newPage();
  await page.goto(`http://127.0.0.1:${runtime.address().port}/`);
  await page.waitForFunction(() => window.imported);
  const provider = job.backend === "cpu" ? "wasm" : "webgpu";
  const load = ([model, threads, provider]) => window.load(model, threads, provider);
  await page.evaluate(load, [`./models/${place}/${basename(model)}`, threads, provider]);
  return {
    score: (_, ids) => page.evaluate((ids) => window.score(ids), ids),
    scoreAll: ({ ids }) => page.evaluate((all) => window.scoreAll(all), ids),
  };
}

/** The scoring page of a site. */
async function openOurs(context, { site }) {
  const server = spawn(job.binary, ["serve", "--site", site, "--port", "0"], { stdio: ["ignore", "pipe", "inherit"] });
  servers.push(server);
  const [line] = await once(createInterface({ input: server.stdout }), "line");
  const page = await context.newPage();
  await page.goto(`${/http:\/\/[^ ]+/.exec(line)[0]}?backend=${job.backend}`);
  await page.getByTestId("backend").getByText(job.backend).waitFor();
  // The workers that share a text.
  await page.locator("#about[data-hired]").waitFor({ state: "attached" });
  const value = page.getByTestId("score-value");
  /** From a click to what says that it is done. The clock of the page, as for the other: driving it from here takes time. */
  const clicked = (button, shown, done) =>
    page.evaluate(
      async ([button, shown, done]) => {
        const element = document.querySelector(`[data-testid=${shown}]`);
        const ready = () => (done === "" ? element.dataset.exact : new RegExp(done).test(element.textContent));
        const finished = new Promise((resolve) => {
          const observer = new MutationObserver(() => ready() && (observer.disconnect(), resolve()));
          observer.observe(element, { attributes: true, childList: true, characterData: true, subtree: true });
        });
        const started = performance.now();
        document.querySelector(`[data-testid=${button}]`).click();
        await finished;
        return performance.now() - started;
      },
      [button, shown, done],
    );
  return {
    score: async (text) => {
      await page.getByRole("tab", { name: "One text" }).click();
      await page.getByTestId("essay-input").fill(text);
      await value.evaluate((element) => delete element.dataset.exact);
      const ms = await clicked("score-button", "score-value", "");
      return { score: Number(await value.getAttribute("data-exact")), ms };
    },
    scoreAll: async ({ texts }) => {
      await page.getByRole("tab", { name: "A whole class" }).click();
      const quoted = texts.map((text) => `"${text.replaceAll('"', '""')}"`);
      const buffer = Buffer.from(["text", ...quoted].join("\n"));
      await page.getByTestId("class-file").setInputFiles({ name: "class.csv", mimeType: "text/csv", buffer });
      await page.getByTestId("class-button").waitFor();
      return clicked("class-button", "class-status", `^${texts.length} texts scored`);
    },
  };
}

try {
  const context = await browser.newContext();
  context.setDefaultTimeout(600_000);
  const opened = [];
  for (const [place, [name, way]] of ways.entries()) {
    opened.push([name, way.site ? await openOurs(context, way) : await openTheirs(context, place, way)]);
  }
  const all = async (ask) => {
    const row = {};
    for (const [name, way] of opened) row[name] = await ask(way);
    return row;
  };
  // The first run of each compiles kernels.
  await all((way) => way.score(job.texts[0], job.ids[0]));
  const rows = [];
  for (let i = 0; i < job.texts.length; i += 1) rows.push(await all((way) => way.score(job.texts[i], job.ids[i])));
  const classes = [];
  for (let round = 0; round < job.rounds; round += 1) classes.push(await all((way) => way.scoreAll(job.class)));
  console.log(JSON.stringify({ rows, classes }));
} finally {
  await browser.close();
  for (const server of servers) server.kill();
  runtime.close();
}
