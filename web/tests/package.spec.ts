// The package, as a stranger installs it: packed, installed into an empty folder, and used as docs/web_package.md says.

import { spawn, spawnSync, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { extname, join, normalize } from "node:path";
import { createInterface } from "node:readline";
import { expect, test, type Page } from "@playwright/test";
import { goldens, ROOT, SITE } from "./site";

const TOLERANCE = 1e-3;
const TYPES: Record<string, string> = { ".html": "text/html", ".js": "text/javascript", ".wasm": "application/wasm", ".json": "application/json" };
const BIN = join(ROOT, "web/node_modules/.bin");

let folder: string;
let server: Server;
let url: string;

/** The code blocks of the guide in a language, in their order. */
function blocks(language: string): string[] {
  const guide = readFileSync(join(ROOT, "docs/web_package.md"), "utf8");
  return [...guide.matchAll(/```(\w+)\n([^]*?)```/g)].flatMap(([, name, code = ""]) => (name === language ? [code] : []));
}

function run(cwd: string, program: string, ...args: string[]): string {
  const { status, stdout, stderr } = spawnSync(program, args, { cwd, encoding: "utf8" });
  expect(status, `${program} ${args.join(" ")}\n${stdout}${stderr}`).toBe(0);
  return stdout;
}

/** A file server that knows nothing of the package. */
function serveFiles(root: string): Promise<Server> {
  const server = createServer(({ url = "/" }, response) => {
    const path = join(root, normalize(decodeURIComponent(new URL(url, "http://x").pathname)));
    const file = statSync(path, { throwIfNoEntry: false })?.isDirectory() ? join(path, "index.html") : path;
    if (!statSync(file, { throwIfNoEntry: false })) return response.writeHead(404).end();
    response.writeHead(200, { "content-type": TYPES[extname(file)] ?? "application/octet-stream" }).end(readFileSync(file));
  });
  return new Promise((resolve) => server.listen(0, "127.0.0.1", () => resolve(server)));
}

const addressOf = (server: Server) => `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;

test.beforeAll(async () => {
  test.setTimeout(240_000);
  folder = mkdtempSync(join(tmpdir(), "pair2score-package-"));
  const tarball = run(join(ROOT, "web/scorer"), "npm", "pack", "--silent", "--pack-destination", folder).trim().split("\n").at(-1) ?? "";
  mkdirSync(join(folder, "app"));
  writeFileSync(join(folder, "app/package.json"), '{ "private": true, "type": "module" }');
  run(join(folder, "app"), "npm", "install", "--offline", "--no-audit", "--no-fund", join(folder, tarball));
  folder = join(folder, "app");
  // A site holds the bundle; its pages are of no use here.
  cpSync(join(SITE.folder, "bundle"), join(folder, "site/bundle"), { recursive: true });
  server = await serveFiles(folder);
  url = addressOf(server);
});
test.afterAll(() => {
  server.close();
  rmSync(join(folder, ".."), { recursive: true });
});

/** Evaluates code with the package's exports in a page of the folder. */
async function inPage<T>(page: Page, code: string): Promise<T> {
  writeFileSync(join(folder, "blank.html"), "<!doctype html><title>Blank</title>");
  await page.goto(`${url}blank.html`);
  return page.evaluate(`(async () => {
    const { Scorer } = await import("./node_modules/@pair2score/scorer/dist/index.js");
    ${code}
  })()`);
}

test("the tarball holds the licence, the types and the wasm, and nothing else that is large", () => {
  const root = join(folder, "node_modules/@pair2score/scorer");
  const files = readdirSync(root, { recursive: true }).map(String);
  for (const file of ["LICENSE", "README.md", "dist/index.d.ts", "dist/worker/main.js", "wasm/cpu/pair2score_cpu_bg.wasm", "wasm/cpu/pair2score_cpu_relaxed_bg.wasm", "wasm/webgpu/pair2score_webgpu_bg.wasm"]) {
    expect(files).toContain(file);
  }
  const large = files.filter((file) => !file.endsWith(".wasm") && statSync(join(root, file)).size > 200_000);
  expect(large).toEqual([]);
});

test("the example of the guide scores as the command line does, in a page of plain files", async ({ page }) => {
  const [example = ""] = blocks("html");
  writeFileSync(join(folder, "index.html"), example);
  await page.goto(url);
  await checkExample(page);
});

async function checkExample(page: Page): Promise<void> {
  for (const { text, score, grade } of goldens(2)) {
    await expect(page.locator("button")).toBeEnabled({ timeout: 60_000 });
    await page.locator("textarea").fill(text);
    await page.locator("button").click();
    await expect(page.locator("output")).toHaveText(`${score.toFixed(2)}, grade ${grade}`);
  }
}

test("the example of the guide works in a web worker", async ({ page }) => {
  const [, worker = ""] = blocks("js");
  writeFileSync(join(folder, "worker.js"), worker);
  const [essay] = goldens(1);
  const { score, traits } = await inPage<{ score: number; traits: { target: string }[] }>(
    page,
    `const worker = new Worker("./worker.js", { type: "module" });
    const answer = new Promise((resolve, reject) => {
      worker.onmessage = ({ data }) => resolve(data);
      worker.onerror = ({ message }) => reject(new Error(message));
    });
    worker.postMessage(${JSON.stringify(essay?.text)});
    return answer;`,
  );
  expect(Math.abs(score - (essay?.score ?? NaN))).toBeLessThanOrEqual(TOLERANCE);
  expect(traits.map(({ target }) => target)).toEqual(["grammar"]);
});

test("the example of the guide works with Vite, built and as it develops", async ({ page }) => {
  test.setTimeout(240_000);
  const [config = ""] = blocks("js");
  const [html = ""] = blocks("html");
  const app = join(folder, "vite");
  mkdirSync(join(app, "public"), { recursive: true });
  cpSync(join(folder, "site"), join(app, "public/site"), { recursive: true });
  cpSync(join(folder, "node_modules"), join(app, "node_modules"), { recursive: true });
  writeFileSync(join(app, "package.json"), '{ "private": true, "type": "module" }');
  writeFileSync(join(app, "vite.config.js"), config);
  const named = html.replace("./node_modules/@pair2score/scorer/dist/index.js", "@pair2score/scorer");
  expect(named).not.toBe(html);
  writeFileSync(join(app, "index.html"), named);
  run(app, join(BIN, "vite"), "build", "--logLevel", "warn");
  const built = await serveFiles(join(app, "dist"));
  try {
    await page.goto(addressOf(built));
    await checkExample(page);
  } finally {
    built.close();
  }
  const developing = spawn(join(BIN, "vite"), ["--host", "127.0.0.1", "--port", "0"], { cwd: app, stdio: ["ignore", "pipe", "inherit"] });
  try {
    await page.goto(await localAddress(developing));
    await checkExample(page);
  } finally {
    const gone = once(developing, "exit");
    developing.kill();
    await gone;
  }
});

/** Where a development server says it is. */
async function localAddress(process: ChildProcess): Promise<string> {
  if (process.stdout) {
    for await (const line of createInterface({ input: process.stdout })) {
      // The address has colours within.
      const found = /http:\/\/127\.0\.0\.1:\d+\//.exec(line.replaceAll(/\u001b\[\d+m/g, ""));
      if (found) return found[0];
    }
  }
  throw new Error("vite said no address");
}

test("the types of the guide's calls are right, and a wrong call is an error", () => {
  const [calls = ""] = blocks("ts");
  const tsc = (name: string, code: string) => {
    writeFileSync(join(folder, name), code);
    const options = ["--noEmit", "--strict", "--target", "es2022", "--module", "esnext", "--moduleResolution", "bundler", "--lib", "es2022,dom"];
    return spawnSync(join(BIN, "tsc"), [...options, name], { cwd: folder, encoding: "utf8" });
  };
  const right = tsc("right.ts", calls);
  expect(right.status, right.stdout).toBe(0);
  expect(tsc("wrong.ts", 'import { Scorer } from "@pair2score/scorer";\nconst n: number = await Scorer.load("./site/");\n').status).not.toBe(0);
});

test("scores, comparisons and embeddings agree with each other", async ({ page }) => {
  const [a, b] = goldens(2);
  interface All {
    backend: string;
    progress: { loaded: number; total: number; fetched: number }[];
    score: { score: number; grade: number; tokens: number };
    pair: { texts: { score: number; utility: number }[]; preference: number; preferences: number[] };
    embedding: number[];
    row: number[];
  }
  const all = await inPage<All>(
    page,
    `const progress = [];
    const scorer = await Scorer.load("./site/bundle/manifest.json", { backend: "cpu", onProgress: (now) => progress.push(now) });
    const [a, b] = ${JSON.stringify([a?.text, b?.text])};
    const [score, pair, embedding, row] = await Promise.all([scorer.score(a), scorer.compare(a, b), scorer.embed(a), scorer.embedAndSay(a)]);
    scorer.dispose();
    return { backend: scorer.backend, progress, score, pair, embedding: [...embedding], row: [...row] };`,
  );
  expect(all.backend).toBe("cpu");
  expect(Math.abs(all.score.score - (a?.score ?? NaN))).toBeLessThanOrEqual(TOLERANCE);
  expect(all.pair.texts[0]?.score).toBe(all.score.score);
  const [one, other] = all.pair.texts.map(({ utility }) => utility);
  expect(all.pair.preference).toBeCloseTo(1 / (1 + Math.exp((other ?? NaN) - (one ?? NaN))), 6);
  expect(all.pair.preferences).toEqual([all.pair.preference]);
  expect(all.row).toEqual([...all.embedding, all.row.at(-1)]);
  expect(all.row.at(-1)).toBeCloseTo(all.score.score, 4);
  const last = all.progress.at(-1);
  expect(last?.loaded).toBe(last?.total);
  expect(last?.fetched).toBe(last?.total);
});

test("a prompt is read with its text, and is there if and only if the scorer reads it", async ({ page }) => {
  const asking = join(folder, "asking");
  cpSync(join(folder, "site/bundle"), asking, { recursive: true });
  const manifest = JSON.parse(readFileSync(join(asking, "manifest.json"), "utf8"));
  manifest.scorer.prompt_template = "{prompt}: {text}";
  writeFileSync(join(asking, "manifest.json"), JSON.stringify(manifest));
  const found = await inPage<Record<string, unknown>>(
    page,
    `const codeOf = (promise) => promise.then(() => "none", (error) => error.code);
    const plain = await Scorer.load("./site/", { backend: "cpu" });
    const asking = await Scorer.load("./asking/", { backend: "cpu" });
    const prompt = "Say why";
    const whole = [await plain.score("Say why: a text."), await plain.compare("Say why: a text.", "Say why: no."), await plain.embed("Say why: a text.")];
    const read = [await asking.score("a text.", { prompt }), await asking.compare("a text.", "no.", { prompt }), await asking.embed("a text.", { prompt })];
    return {
      prompts: [plain.info.prompts, asking.info.prompts],
      same: JSON.stringify(read) === JSON.stringify(whole),
      alone: (await asking.score("a text.", { prompt: "" })).score === (await plain.score("a text.")).score,
      refused: [
        await codeOf(asking.score("a text.")),
        await codeOf(asking.compare("a text.", "no.")),
        await codeOf(asking.embed("a text.", { prompt: null })),
        await codeOf(plain.score("a text.", { prompt })),
        await codeOf(plain.embed("a text.", { prompt: "" })),
      ],
    };`,
  );
  const [no, needless] = ["no-prompt", "needless-prompt"];
  expect(found).toEqual({ prompts: [false, true], same: true, alone: true, refused: [no, no, no, needless, needless] });
});

test("what ends is an error with a code", async ({ page }) => {
  const errors = await inPage<Record<string, string>>(
    page,
    `const codeOf = (promise) => promise.then(() => "none", (error) => error.code ?? error.name);
    const ended = new AbortController();
    ended.abort();
    const early = new AbortController();
    const loading = codeOf(Scorer.load("./site/", { backend: "cpu", signal: early.signal }).catch((error) => { throw { code: error.name }; }));
    early.abort();
    const scorer = await Scorer.load("./site/", { backend: "cpu" });
    const late = new AbortController();
    const first = scorer.score("One text.");
    const second = codeOf(scorer.score("Another text.", { signal: late.signal }).catch((error) => { throw { code: error.name }; }));
    late.abort();
    await first;
    const open = codeOf(scorer.score("A text. ".repeat(400)));
    scorer.dispose();
    return {
      missing: await codeOf(Scorer.load("./nowhere/", { backend: "cpu" })),
      loading: await loading,
      second: await second,
      open: await open,
      after: await codeOf(scorer.score("Too late.")),
      before: await Scorer.load("./site/", { signal: ended.signal }).catch((error) => error.name),
    };`,
  );
  expect(errors).toEqual({ missing: "no-bundle", loading: "AbortError", second: "AbortError", open: "disposed", after: "disposed", before: "AbortError" });
});

test("the graphics card computes where it is asked for", async ({ page }) => {
  const [essay] = goldens(1);
  const { backend, score } = await inPage<{ backend: string; score: number }>(
    page,
    `const scorer = await Scorer.load("./site/", { backend: "webgpu" });
    const { score } = await scorer.score(${JSON.stringify(essay?.text)});
    return { backend: scorer.backend, score };`,
  );
  expect(backend).toBe("webgpu");
  expect(Math.abs(score - (essay?.score ?? NaN))).toBeLessThanOrEqual(TOLERANCE);
});

test.describe("several workers", () => {
  const TEXTS = JSON.stringify(Array.from({ length: 24 }, (_, i) => goldens(8)[i % 8]?.text + ` ${i}`));
  /** `work(scorer, texts)` gives what is asserted, of a scorer on a machine of three cores. */
  const onThree = async <T>(page: Page, work: string): Promise<T> => {
    await page.addInitScript(() => Object.defineProperty(navigator, "hardwareConcurrency", { value: 3 }));
    return inPage<T>(
      page,
      `const texts = ${TEXTS};
      const ask = (text, scorer, signal) => scorer.score(text, { signal });
      const rest = async (answers) => { const all = []; for await (const answer of answers) all.push(answer); return all; };
      const scorer = await Scorer.load("./site/", { backend: "cpu" });
      ${work}`,
    );
  };
  /** The worker of the scorer itself is left. */
  const expectOne = (page: Page) => expect.poll(() => page.workers().length).toBe(1);

  test("answer in order, as one does, from files that were fetched once", async ({ page }) => {
    const fetched: string[] = [];
    page.on("request", (request) => fetched.push(request.url()));
    const { one, three, workers, shared } = await onThree<Record<"one" | "three", object[]> & Record<"workers" | "shared", number>>(
      page,
      `const one = [];
      for (const text of texts) one.push(await scorer.score(text));
      const readers = new Set();
      // Whoever is there has to wait for three, so that each reads some.
      const three = await rest(scorer.each(texts, async (text, reader, signal) => {
        readers.add(reader);
        while (readers.size < 3) await new Promise((resolve) => setTimeout(resolve, 5));
        return ask(text, reader, signal);
      }));
      return { one, three, workers: readers.size, shared: Number(readers.has(scorer)) };`,
    );
    expect(three).toEqual(one);
    expect([workers, shared]).toEqual([3, 1]);
    expect(fetched.filter((url) => url.endsWith(".bin"))).toHaveLength(1);
    expect(fetched.filter((url) => url.endsWith("tokenizer.json"))).toHaveLength(1);
    await expectOne(page);
  });

  test("that are hired share every text, and the scores are those of one", async ({ page }) => {
    const { one, hired, shared, aborted, after, each, left } = await onThree<{
      one: object[];
      hired: number;
      shared: object[];
      aborted: string[];
      after: object;
      each: object[];
      left: object[];
    }>(
      page,
      `// For one, two, three and four workers, and longer than the scorer reads.
      const long = [20, 90, 150, 190, 400].map((words) => texts.join(" ").split(" ").slice(0, words).join(" "));
      const scores = (texts) => Promise.all(texts.map((text) => scorer.score(text)));
      const one = await scores(long);
      const hired = await scorer.hire();
      const shared = await scores(long);
      const ended = new AbortController();
      const asked = long.map((text) => scorer.score(text, { signal: ended.signal }).then(() => "scored", (error) => error.name));
      await scorer.score(long[0]);
      ended.abort();
      const aborted = await Promise.all([...asked, scorer.score(long[4], { signal: ended.signal }).then(() => "scored", (error) => error.name)]);
      const after = await scorer.score(long[4]);
      const each = await rest(scorer.each(long, ask));
      // One that is gone, and another while a text is read.
      scorer.crew[0].dispose();
      const gone = scores(long);
      scorer.crew.at(-1)?.dispose();
      const left = [...(await gone), ...(await scores(long))];
      return { one, hired, shared, aborted, after, each, left };`,
    );
    expect(hired).toBe(2);
    expect(shared).toEqual(one);
    expect(aborted.at(-1)).toBe("AbortError");
    expect(after).toEqual(one[4]);
    expect(each).toEqual(one);
    expect(left).toEqual([...one, ...one]);
    await expectOne(page);
  });

  test("that are hired go with the scorer, and say what is wrong with a text as one does", async ({ page }) => {
    const codes = await onThree<string[]>(
      page,
      `const codeOf = (promise) => promise.then(() => "none", (error) => error.code);
      await scorer.hire();
      const wrong = await codeOf(scorer.score(texts[0], { prompt: "x" }));
      await scorer.hire();
      const hiring = scorer.hire();
      const open = codeOf(scorer.score(texts.join(" ")));
      scorer.dispose();
      await hiring;
      return [wrong, await open, await codeOf(scorer.score(texts[0]))];`,
    );
    expect(codes).toEqual(["needless-prompt", "disposed", "disposed"]);
    await expect.poll(() => page.workers().length).toBe(0);
  });

  for (const [what, work, expected] of [
    ["an error in one is the error of the whole", `return tell(scorer.each(texts, (text, reader, signal) => reader === scorer ? ask(text, reader, signal) : reader.score(text, { signal, prompt: "x" })));`, "needless-prompt"],
    ["a signal ends all", `return tell(scorer.each(texts, ask, { signal: ended.signal }), () => ended.abort());`, "AbortError"],
    ["who reads no further ends all", `for await (const answer of scorer.each(texts, ask)) return answer.tokens > 0 ? "read" : "";`, "read"],
  ] as const) {
    test(`${what}, and nothing is left running`, async ({ page }) => {
      const { told, again } = await onThree<{ told: string; again: number }>(
        page,
        `const ended = new AbortController();
        const tell = async (answers, onAnswer = () => undefined) => {
          try {
            for await (const answer of answers) onAnswer(answer);
            return "none";
          } catch (error) {
            return error.code === 20 ? error.name : error.code;
          }
        };
        const told = await (async () => { ${work} })();
        return { told, again: (await scorer.score(texts[0])).tokens };`,
      );
      expect(told).toBe(expected);
      expect(again).toBeGreaterThan(0);
      await expectOne(page);
    });
  }

  test("are done without where the browser keeps no files", async ({ page }) => {
    const fetched: string[] = [];
    page.on("request", (request) => fetched.push(request.url()));
    await page.context().route("**/dist/worker/main.js", async (route) => {
      const response = await route.fetch();
      const script = 'Cache.prototype.put = () => Promise.reject(new DOMException("full", "QuotaExceededError"));';
      await route.fulfill({ response, body: script + (await response.text()) });
    });
    const answers = await onThree<object[]>(page, "return rest(scorer.each(texts, ask));");
    expect(answers).toHaveLength(24);
    expect(fetched.filter((url) => url.endsWith(".bin"))).toHaveLength(1);
    await expectOne(page);
  });
});
