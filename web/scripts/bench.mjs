// Scores texts in Chromium with the page and with onnxruntime-web, in turns: node bench.mjs JOB.json, as
// scripts/bench/browser.py writes it. Prints JSON: for each text the milliseconds and the score of both.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { createReadStream, existsSync, readFileSync } from "node:fs";
import { createServer } from "node:http";
import { basename, extname, join } from "node:path";
import { createInterface } from "node:readline";
import { chromium } from "@playwright/test";

const job = JSON.parse(readFileSync(process.argv[2], "utf8"));
const TYPES = { ".html": "text/html", ".mjs": "text/javascript", ".wasm": "application/wasm" };
const PAGE = `<!doctype html><script type="module">
import * as ort from "./ort.webgpu.min.mjs";
ort.env.wasm.numThreads = 1;
window.load = async (provider) => {
  window.session = await ort.InferenceSession.create("./onnx/model.onnx", { executionProviders: [provider] });
};
window.score = async (ids) => {
  const tensor = (values) => new ort.Tensor("int64", BigInt64Array.from(values, BigInt), [1, values.length]);
  const feeds = { input_ids: tensor(ids), attention_mask: tensor(ids.map(() => 1)) };
  const started = performance.now();
  const { score } = await window.session.run(feeds, ["score"]);
  return { score: Number(score.data[0]), ms: performance.now() - started };
};
window.imported = true;
</script>`;

const runtime = createServer((request, response) => {
  const path = decodeURIComponent(new URL(request.url, "http://localhost").pathname);
  if (path === "/") return response.writeHead(200, { "Content-Type": "text/html" }).end(PAGE);
  const file = path.startsWith("/onnx/") ? join(job.onnx, path) : join(job.runtime, basename(path));
  if (!existsSync(file)) return response.writeHead(404).end();
  response.writeHead(200, { "Content-Type": TYPES[extname(file)] ?? "application/octet-stream" });
  createReadStream(file).pipe(response);
});
runtime.listen(0, "127.0.0.1");
await once(runtime, "listening");

const site = spawn(job.binary, ["serve", "--site", job.site, "--port", "0"], { stdio: ["ignore", "pipe", "inherit"] });
const [line] = await once(createInterface({ input: site.stdout }), "line");
const url = /http:\/\/[^ ]+/.exec(line)[0];

const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
  args: ["--no-sandbox", "--enable-unsafe-webgpu", "--use-webgpu-adapter=swiftshader"],
});
try {
  const context = await browser.newContext();
  context.setDefaultTimeout(600_000);
  const theirs = await context.newPage();
  await theirs.goto(`http://127.0.0.1:${runtime.address().port}/`);
  await theirs.waitForFunction(() => window.imported);
  await theirs.evaluate((provider) => window.load(provider), job.backend === "cpu" ? "wasm" : "webgpu");

  const ours = await context.newPage();
  await ours.goto(`${url}?backend=${job.backend}`);
  await ours.getByTestId("backend").getByText(job.backend).waitFor();
  const value = ours.getByTestId("score-value");
  async function scoreOurs(text) {
    await ours.getByTestId("essay-input").fill(text);
    await value.evaluate((element) => delete element.dataset.exact);
    // The clock of the page, as for the other: driving it from here takes time of its own.
    const ms = await ours.evaluate(async () => {
      const done = new Promise((resolve) => {
        const element = document.querySelector("[data-testid=score-value]");
        new MutationObserver(() => element.dataset.exact && resolve()).observe(element, { attributes: true });
      });
      const started = performance.now();
      document.querySelector("[data-testid=score-button]").click();
      await done;
      return performance.now() - started;
    });
    return { score: Number(await value.getAttribute("data-exact")), ms };
  }

  // The first run of either compiles kernels.
  await scoreOurs(job.texts[0]);
  await theirs.evaluate((ids) => window.score(ids), job.ids[0]);
  const rows = [];
  for (let i = 0; i < job.texts.length; i += 1) {
    rows.push({ ours: await scoreOurs(job.texts[i]), theirs: await theirs.evaluate((ids) => window.score(ids), job.ids[i]) });
  }
  console.log(JSON.stringify(rows));
} finally {
  await browser.close();
  site.kill();
  runtime.close();
}
